//! The source of the code, the file of it that runs, and the Python that runs it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::empty_image::run;
use super::job::{Job, executable, wait_with_output};

/// A member of an archive: its name, its mode, and its text or the target of a link.
type Member<'m> = (&'m str, u32, Content<'m>);

enum Content<'m> {
    Text(&'m str),
    Link(&'m str),
    HardLink(&'m str),
}

use Content::{HardLink, Link, Text};

/// Returns a `tar.gz` with these members. Their names are written as they are, also those that the `tar` crate refuses.
fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, mode, content) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(*mode);
        let (kind, link, text) = match content {
            Text(text) => (tar::EntryType::Regular, "", *text),
            Link(to) => (tar::EntryType::Symlink, *to, ""),
            HardLink(to) => (tar::EntryType::Link, *to, ""),
        };
        header.set_entry_type(kind);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_size(text.len() as u64);
        header.set_cksum();
        bytes.extend(header.as_bytes());
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).expect("packed");
    encoder.finish().expect("packed")
}

/// Returns a `tar.gz` with these files.
pub fn archive_of(files: &[(&str, &str)]) -> Vec<u8> {
    let members: Vec<Member<'_>> = files.iter().map(|&(name, text)| (name, 0o644, Text(text))).collect();
    archive(&members)
}

/// Returns a job whose hyperparameters name this source.
pub fn from_source(job: Job, source: &str) -> Job {
    let hyperparameters = serde_json::json!({"sagemaker_submit_directory": serde_json::json!(source).to_string()});
    job.hyperparameters(&hyperparameters.to_string())
}

/// Returns the archive of most tests here: a script and a module that it imports.
fn source() -> Vec<u8> {
    archive(&[
        ("./train.py", 0o644, Text("import model; print('from', model.NAME)")),
        ("./model.py", 0o644, Text("NAME = 'archive'")),
    ])
}

#[test]
fn baked_in_code_runs_as_it_is() {
    let ended = Job::python("print('from image')").train().succeeded();
    assert_eq!(ended.stdout(), "from image\n");
    assert!(!ended.stderr.contains(" code: "), "{}", ended.stderr);
}

#[test]
fn code_is_fetched_from_every_form_of_source() {
    let job = Job::new().file("source.tar.gz", source());
    let path = job.path("source.tar.gz").display().to_string();
    for form in [path.clone(), format!("file://{path}"), "source.tar.gz".to_owned()] {
        let job = from_source(Job::new().file("source.tar.gz", source()), &form);
        let ended = job.train().succeeded();
        assert_eq!(ended.stdout(), "from archive\n", "{form}");
        assert!(ended.stderr.contains("code: unpacked 2 files ("), "{}", ended.stderr);
    }
    let folder = |job: Job| {
        job.file("src/train.py", "import model; print('from', model.NAME)").file("src/model.py", "NAME = 'folder'")
    };
    let job = folder(Job::new());
    let path = job.path("src").display().to_string();
    let job = from_source(job, &path);
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "from folder\n");
    assert!(ended.stderr.contains("code: copied 2 files ("), "{}", ended.stderr);
    // An image that extends another sets the variable.
    let job = folder(Job::new());
    let path = job.path("src").display().to_string();
    assert_eq!(job.variable("SAGEMAKER_SUBMIT_DIRECTORY", &path).train().succeeded().stdout(), "from folder\n");
    let job = Job::python("print('from image')");
    let path = job.path("code").display().to_string();
    assert_eq!(job.variable("SAGEMAKER_SUBMIT_DIRECTORY", &path).train().succeeded().stdout(), "from image\n");
}

#[test]
fn the_hyperparameter_overrides_the_variable_of_the_image() {
    let job = Job::new().file("a.tar.gz", source()).file("b/train.py", "print('from b')");
    let job = from_source(job, "a.tar.gz").variable("SAGEMAKER_SUBMIT_DIRECTORY", "b");
    assert_eq!(job.train().succeeded().stdout(), "from archive\n");
}

#[test]
fn under_network_isolation_the_code_is_an_archive_in_a_channel() {
    let channels = r#"{"code": {"TrainingInputMode": "File"}}"#;
    for channels in [channels, "{}"] {
        let job = Job::new().file("input/config/inputdataconfig.json", channels);
        let job = job.file("input/data/code/sourcedir.tar.gz", source());
        let path = job.path("input/data/code/sourcedir.tar.gz").display().to_string();
        let ended = from_source(job, &path).train().succeeded();
        assert_eq!(ended.stdout(), "from archive\n");
    }
}

#[test]
fn the_channel_named_code_supplies_the_code() {
    let channels = r#"{"code": {"TrainingInputMode": "File"}}"#;
    let job = Job::new().file("input/config/inputdataconfig.json", channels);
    let job = job.file("input/data/code/sourcedir.tar.gz", source());
    assert_eq!(job.train().succeeded().stdout(), "from archive\n");
    let job = Job::new().file("input/config/inputdataconfig.json", channels);
    let job = job.file("input/data/code/train.py", "print('from channel')");
    assert_eq!(job.train().succeeded().stdout(), "from channel\n");
    // A tuning job of SDK version 3 names its source in S3, and also has it as the channel.
    let job = Job::new().file("input/config/inputdataconfig.json", channels);
    let job = from_source(job.file("input/data/code/train.py", "print('from channel')"), "s3://b/k/source.tar.gz");
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "from channel\n");
    assert!(ended.stderr.contains("the channel code is used in place of s3://b/k/source.tar.gz"), "{}", ended.stderr);
}

#[test]
fn a_source_that_cannot_be_used_is_named() {
    for (name, content, said) in [
        ("a.zip", &b"PK\x03\x04"[..], "is not a tar archive but a zip archive; make it with `tar czf"),
        ("b.tar.gz", b"<Error>no</Error>", "is not a tar archive but an HTML or XML text"),
        ("c.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0rubbish", "is not a tar archive but compressed data that holds none"),
        ("d.tar.gz", &source()[..60], "is "),
    ] {
        let job = from_source(Job::new().file(name, content), name);
        let path = job.path(name).display().to_string();
        let ended = job.train();
        let ended = match name {
            "d.tar.gz" => ended.failed(65, "the source "),
            _ => ended.failed(65, &format!("the source {path} {said}")),
        };
        assert!(ended.failure().contains(&path), "{ended:#?}");
    }
    let job = from_source(Job::new().file("present.tar.gz", ""), "absent.tar.gz");
    let ended = job.train().failed(65, "the source ");
    assert!(ended.failure().contains("does not exist (") && ended.failure().contains("present.tar.gz"), "{ended:#?}");
    for (source, said) in [
        ("https://host/x.tar.gz", "the source \"https://host/x.tar.gz\" cannot be used: its scheme is not known"),
        ("s3://bucket", "the source \"s3://bucket\" cannot be used: it names no bucket or no key"),
    ] {
        from_source(Job::new(), source).train().failed(65, said);
    }
}

#[test]
fn supplied_code_replaces_the_images_unless_baked_in_code_wins() {
    let job = || {
        let job = Job::python("print('from image')").file("code/model.py", "NAME = 'image'").file("code/more.py", "");
        from_source(job.file("source.tar.gz", source()), "source.tar.gz")
    };
    let supplied = job();
    let ended = supplied.train().succeeded();
    assert_eq!(ended.stdout(), "from archive\n");
    let code = supplied.path("code").display().to_string();
    let line = format!("to {code}, over the image's own code there (2 replaced)");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    assert!(supplied.path("code/more.py").exists());

    let ended = job().variable("FOOTPLATE_CODE_PRECEDENCE", "baked-in").train().succeeded();
    assert_eq!(ended.stdout(), "from image\n");
    assert!(ended.stderr.contains("as it was not empty; "), "{}", ended.stderr);
}

#[test]
fn a_hostile_archive_writes_nothing_outside_its_folder() {
    let target = tempfile::tempdir().expect("a folder");
    let kept = target.path().join("kept");
    fs::write(&kept, "kept").expect("written");
    let outside = target.path().display().to_string();
    let members = [
        ("train.py", 0o644, Text("import os; print(sorted(os.listdir('.')))")),
        ("../escaped", 0o644, Text("x")),
        ("/tmp/footplate-absolute-escape", 0o644, Text("x")),
        ("link", 0o777, Link(&outside)),
        ("link/planted", 0o644, Text("x")),
        ("up", 0o777, Link("../..")),
        ("up/planted", 0o644, Text("x")),
        ("hard", 0o644, HardLink("../../etc/passwd")),
        ("setuid", 0o6755, Text("x")),
    ];
    let job = from_source(Job::new().file("source.tar.gz", archive(&members)), "source.tar.gz");
    let before = fs::read_dir(job.base()).expect("the folder").count();
    let ended = job.train().succeeded();
    assert_eq!(fs::read_dir(target.path()).expect("the folder").count(), 1, "something was planted");
    assert_eq!(fs::read_to_string(&kept).expect("the file"), "kept");
    assert!(!Path::new("/tmp/footplate-absolute-escape").exists());
    assert!(!job.path("escaped").exists() && !job.path("planted").exists());
    assert_eq!(fs::read_dir(job.base()).expect("the folder").count(), before);
    let mode = fs::metadata(job.path("code/setuid")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o7000, 0);
    assert!(!job.path("code/hard").exists());
    let warned = ended.stderr.lines().find(|line| line.contains(" footplate WARN  code: ")).expect("a warning");
    assert!(warned.contains("\"link\"") && warned.contains("\"hard\""), "{warned}");
}

#[test]
fn a_python_script_in_a_subfolder_runs_in_the_code_folder() {
    let script = "import os, sys; print(sys.argv, os.getcwd(), __name__)";
    let job = Job::new().file("code/src/deep/main.py", script).variable("SAGEMAKER_PROGRAM", "src/deep/main.py");
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), format!("['src/deep/main.py'] {} __main__\n", job.path("code").display()));
    let job = Job::new().file("code/pkg/__main__.py", "print('folder')").variable("SAGEMAKER_PROGRAM", "pkg");
    assert_eq!(job.train().succeeded().stdout(), "folder\n");
}

#[test]
fn a_shell_script_needs_no_execute_permission_and_no_first_line() {
    let arguments = |job: Job| job.hyperparameters(r#"{"lr": "0.1"}"#).train().succeeded().stdout();
    let job = Job::shell("#!/bin/sh\necho \"$0 $* $SM_HP_LR\"\n");
    assert_eq!(fs::metadata(job.path("code/train.sh")).expect("it").permissions().mode() & 0o111, 0);
    assert_eq!(arguments(job), "./train.sh --lr 0.1 0.1\n");
    assert_eq!(arguments(Job::shell("echo \"$0 $*\"\n")), "./train.sh --lr 0.1\n");
}

#[test]
fn any_executable_can_be_the_entry_point() {
    let job = Job::new().file("code/run", "#!/usr/bin/env python3\nimport sys; print(sys.argv)\n");
    let job = job.variable("SAGEMAKER_PROGRAM", "run").hyperparameters(r#"{"lr": "0.1"}"#);
    assert_eq!(job.train().succeeded().stdout(), "['./run', '--lr', '0.1']\n");
    // A real program of this machine.
    let job = Job::new().variable("SAGEMAKER_PROGRAM", "true");
    fs::copy("/bin/true", job.path("code/true")).expect("copied");
    job.train().succeeded();
}

#[test]
fn a_function_of_a_module_of_the_image_is_called() {
    let job = Job::new()
        .without("SAGEMAKER_PROGRAM")
        .file("lib/package/__init__.py", "")
        .file("lib/package/training.py", "import sys\ndef main():\n    print('called', sys.argv)\n")
        .hyperparameters(r#"{"lr": "0.1"}"#);
    let lib = job.path("lib").display().to_string();
    let job = job.variable("PYTHONPATH", &lib).variable("SAGEMAKER_TRAINING_MODULE", "package.training:main");
    assert_eq!(job.train().succeeded().stdout(), "called ['package.training']\n");
    let job = job.variable("SAGEMAKER_TRAINING_MODULE", "package.training:absent");
    let ended = job.train();
    assert_eq!(ended.code(), 1, "{ended:#?}");
    assert!(ended.failure().contains("has no attribute 'absent'"), "{ended:#?}");
    for wrong in ["package.training", ":main", "package.training:", ":"] {
        let job = Job::new().variable("SAGEMAKER_TRAINING_MODULE", wrong);
        let said = format!("SAGEMAKER_TRAINING_MODULE is {wrong:?}, but must be module:function, such as ");
        job.train().failed(78, &said);
    }
}

#[test]
fn a_missing_entry_point_is_told_with_similar_files() {
    let job = Job::python("").file("code/evaluate.py", "").file("code/src/model.py", "");
    let code = job.path("code").display().to_string();
    for (name, meant) in
        [("trian.py", "train.py"), ("Train.py", "train.py"), ("train", "train.py"), ("model.py", "src/model.py")]
    {
        let job = Job::python("").file("code/evaluate.py", "").file("code/src/model.py", "");
        let ended = job
            .variable("SAGEMAKER_PROGRAM", name)
            .train()
            .failed(127, &format!("the entry point {name:?} is not in "));
        let failure = ended.failure().to_owned();
        assert!(failure.contains("which holds evaluate.py, src/, train.py; did you mean "), "{failure}");
        assert!(failure.contains(&format!("did you mean {meant:?}?")), "{failure}");
    }
    let ended = job.variable("SAGEMAKER_PROGRAM", "inference_server.py").train();
    let ended = ended.failed(127, &format!("the entry point \"inference_server.py\" is not in {code}, which holds "));
    assert!(!ended.failure().contains("did you mean"), "{ended:#?}");
    let ended = Job::new().train().failed(127, "the entry point \"train.py\" cannot be run: the code folder ");
    assert!(ended.failure().contains("is empty; COPY the code into it"), "{ended:#?}");
    let ended = Job::new().without("SAGEMAKER_PROGRAM").train();
    ended.failed(78, "no entry point is named: set the variable SAGEMAKER_PROGRAM in the image");
}

#[test]
fn an_entry_point_outside_the_code_folder_is_refused() {
    for (name, code, said) in [
        ("../train.py", 78, "the entry point \"../train.py\" cannot be used: it holds `..`"),
        ("-c", 78, "the entry point \"-c\" cannot be used: it begins with a dash"),
        ("/etc/passwd", 127, "the entry point \"/etc/passwd\" leads to /etc/passwd, outside the code folder"),
        ("link", 127, "the entry point \"link\" leads to /etc/passwd, outside the code folder"),
        ("folder", 126, "the entry point "),
    ] {
        let job = Job::python("").file("train.py", "").file("code/folder/x", "");
        symlink("/etc/passwd", job.path("code/link")).expect("a link");
        job.variable("SAGEMAKER_PROGRAM", name).train().failed(code, said);
    }
}

#[test]
fn a_framework_function_needs_no_code_folder() {
    let job = Job::new()
        .without("SAGEMAKER_PROGRAM")
        .file(
            "lib/framework.py",
            "import os\ndef main(): print(os.getcwd(), os.path.isdir(os.environ['SM_MODULE_DIR']))\n",
        )
        .file("image/x", "");
    let lib = job.path("lib").display().to_string();
    let job = job.variable("PYTHONPATH", &lib).variable("SAGEMAKER_TRAINING_MODULE", "framework:main");
    fs::remove_dir(job.path("code")).expect("removed");
    let mut command = job.command(["train"]);
    let folder = job.path("image").canonicalize().expect("a folder");
    let output = command.current_dir(&folder).output().expect("footplate runs");
    let ended = job.ended(output, std::time::Duration::ZERO).succeeded();
    assert_eq!(ended.stdout(), format!("{} True\n", folder.display()));
}

#[test]
fn the_error_for_windows_line_ends_names_them() {
    for first_line in ["#!/bin/sh", "#!/usr/bin/env bash", "\u{feff}#!/bin/sh -e"] {
        let job = Job::shell(&format!("{first_line}\r\necho ran\r\n"));
        let ended = job.train().failed(127, "cannot execute ");
        assert!(ended.failure().contains("train.sh: its lines end as on Windows (CRLF)"), "{ended:#?}");
    }
}

#[test]
fn a_script_with_a_byte_order_mark_or_a_windows_first_line_runs() {
    let shell = "set -u\n[[ $0 == ./train.sh && $1 == --lr ]] && echo \"ran $2 in $(basename \"$PWD\")\"\nexit $3\n";
    for (name, text) in [
        ("train.sh", format!("\u{feff}#!/bin/bash\n{shell}")),
        ("train.sh", format!("\u{feff}#!/usr/bin/env bash\n{shell}")),
        ("train.sh", format!("#!/bin/bash\r\n{shell}")),
        ("train", "\u{feff}#!/usr/bin/env python3\nimport sys\nprint('ran', sys.argv[2], 'in code')\n".to_owned()),
        ("train", "#!/usr/bin/env python3\r\nimport sys\r\nprint('ran', sys.argv[2], 'in code')\r\n".to_owned()),
        ("train.pl", "#!/usr/bin/perl -w\r\nprint \"ran $ARGV[1] in code\\n\";\r\n".to_owned()),
    ] {
        let job = Job::new().file(&format!("code/{name}"), &text).variable("SAGEMAKER_PROGRAM", name);
        let job = job.hyperparameters(r#"{"lr": "0.1"}"#).variable("FOOTPLATE_ARGUMENTS", "toolkit");
        let ended = job.train();
        assert_eq!(ended.stdout(), "ran 0.1 in code\n", "{text:?} {ended:#?}");
        assert!(!ended.stderr.contains("not found"), "{ended:#?}");
    }
    // The options of the first line apply, and so does the exit code.
    let job = Job::shell("\u{feff}#!/bin/bash -e\nfalse\necho went on\n");
    assert_eq!(job.train().failed(1, "").stdout(), "");
    let job = Job::shell("\u{feff}echo ran\nexit 7\n");
    assert_eq!(job.train().failed(7, "").stdout(), "ran\n");
}

#[test]
fn a_script_of_another_language_runs_with_its_interpreter() {
    for (name, text, program) in [
        ("train.R", "cat('ran')", "Rscript"),
        ("train.jl", "println(\"ran\")", "julia"),
        ("train.pl", "print 'ran'", "perl"),
        ("train.mjs", "console.log('ran')", "node"),
        ("train.bash", "[[ -n $1 ]] && echo ran", "bash"),
    ] {
        let job = Job::new().file(&format!("code/{name}"), text).variable("SAGEMAKER_PROGRAM", name);
        let bin = job.path("bin");
        fs::create_dir(&bin).expect("a folder");
        let job = job.variable("PATH", bin.to_str().expect("a path")).hyperparameters(r#"{"lr": "1"}"#);
        let ended = job.train().failed(127, "cannot execute ");
        let said = format!("code/{name}: it is a");
        assert!(ended.failure().contains(&said) && ended.failure().contains(&format!("{program} is not on PATH")));
        let check = job.run(["check"]);
        assert!(check.stdout().contains(&format!("{program} is not on PATH")), "{check:#?}");
        executable(&bin.join(program), "#!/bin/sh\necho \"$(/usr/bin/basename \"$0\") $*\"\n");
        fs::remove_file(job.path("output/failure")).expect("removed");
        let expected = format!("{program} ./{name} --lr 1\n");
        assert_eq!(job.train().succeeded().stdout(), expected);
        assert!(job.run(["plan"]).stdout().contains(&format!("bin/{program} ./{name} --lr 1")));
    }
    let job = Job::new().file("code/train.PY", "print('ran')").variable("SAGEMAKER_PROGRAM", "train.PY");
    assert_eq!(job.train().succeeded().stdout(), "ran\n");
}

#[test]
fn an_entry_point_that_is_no_program_is_described() {
    for (name, bytes, said) in [
        ("train.ipynb", &b"{\"cells\": []}"[..], "it is a notebook, not a script; save it as a script"),
        ("train.IPYNB", b"{}", "it is a notebook"),
        ("config.yaml", b"lr: 1\n", "it is a file of data or text, not a program; name a script"),
        ("train.cu", b"__global__ void f() {}\n", "it is source code, not a program; name the compiled program"),
        ("source.tar.gz", b"\x1f\x8b\x08\0", "it is an archive, not a program"),
        ("train.sh", b"\xff\xfe#\0!\0/\0b\0", "it is a text in UTF-16; save it in UTF-8"),
    ] {
        let job = Job::new().file(&format!("code/{name}"), bytes).variable("SAGEMAKER_PROGRAM", name);
        let ended = job.train().failed(126, "cannot execute ");
        assert!(ended.failure().contains(&format!("code/{name}: {said}")), "{ended:#?}");
        assert!(!ended.failure().contains("hint:"), "{ended:#?}");
    }
    let job = Job::shell("\u{feff}#!/no/such/interpreter -x\n");
    let ended = job.train().failed(127, "cannot execute ");
    assert!(ended.failure().contains("its first line names the interpreter /no/such/interpreter -x, which does not"));
}

#[test]
fn the_error_for_a_missing_interpreter_names_it() {
    let job = Job::shell("#!/no/such/bash\necho ran\n");
    let ended = job.train().failed(127, "cannot execute ");
    assert!(ended.failure().contains("the interpreter or loader that it names is not in this image"), "{ended:#?}");
}

#[test]
fn a_file_that_is_not_a_program_fails_the_job() {
    let job = Job::new().file("code/model", b"\x7fELF\0\0\0\0").variable("SAGEMAKER_PROGRAM", "model");
    let ended = job.train();
    assert!([126, 127].contains(&ended.code()), "{ended:#?}");
    assert!(ended.failure.is_some() && !ended.success, "{ended:#?}");
}

/// Adds an executable that stands in for Python and prints its own path.
fn python(job: Job, path: &str) -> Job {
    let job = job.file(path, format!("#!/bin/sh\necho \"{path} $*\"\n"));
    fs::set_permissions(job.path(path), fs::Permissions::from_mode(0o755)).expect("made executable");
    job
}

#[test]
fn python_comes_from_the_setting_the_environment_or_the_path() {
    let job = python(python(python(Job::python(""), "mine/python9"), "venv/bin/python"), "bin/python3");
    let bin = job.path("bin").display().to_string();
    let venv = job.path("venv").display().to_string();
    let mine = job.path("mine/python9").display().to_string();
    let job = job.variable("PATH", &format!("{bin}:/usr/bin:/bin"));
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "bin/python3 train.py\n");
    assert!(ended.stderr.contains(&format!("python: {bin}/python3 (found on PATH)")), "{}", ended.stderr);
    let job = job.variable("VIRTUAL_ENV", &venv);
    assert_eq!(job.train().succeeded().stdout(), "venv/bin/python train.py\n");
    let job = job.variable("FOOTPLATE_PYTHON", &mine);
    assert_eq!(job.train().succeeded().stdout(), "mine/python9 train.py\n");
    let job = job.variable("FOOTPLATE_PYTHON", "python10");
    job.train().failed(127, "the Python \"python10\" that FOOTPLATE_PYTHON names does not exist; set it to a path");
}

#[test]
fn the_error_for_an_image_without_python_names_path_and_the_remedy() {
    let job = Job::python("print('ran')");
    let ended = run(&job, &["train"]).failed(127, "no python3 or python on PATH (/image/bin:");
    let remedy = "; install Python in the image, or set FOOTPLATE_PYTHON to its path";
    assert!(ended.failure().contains(remedy), "{ended:#?}");
}

#[test]
fn a_module_of_the_code_runs_by_its_name() {
    let job = Job::new()
        .file("code/pkg/__init__.py", "")
        .file("code/pkg/train.py", "import os, sys; print(__package__, sys.argv[1:], os.environ['SM_MODULE_NAME'])")
        .file("code/requirements.txt", "# nothing\n")
        .variable("SAGEMAKER_PROGRAM", "-m pkg.train")
        .hyperparameters(r#"{"lr": 0.1}"#);
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), "pkg ['--lr', '0.1'] pkg.train\n");
    assert!(ended.stderr.contains("entry point: -m pkg.train"), "{ended:#?}");
    let job = job.variable("FOOTPLATE_LAUNCHER", "per-gpu").variable("FOOTPLATE_PROCESSES_PER_HOST", "2");
    assert!(job.train().succeeded().stdout().contains("[algo-1:1] pkg ['--lr', '0.1'] pkg.train\n"));
    let job = job.without("FOOTPLATE_LAUNCHER").file("code/pkg/train.py", "def f():\n    raise KeyError('x')\nf()\n");
    let ended = job.train().failed(1, "KeyError: 'x'\nat pkg/train.py:2 in f\n");
    assert!(ended.failure().contains(" -m pkg.train --lr 0.1"), "{ended:#?}");
}

#[test]
fn a_module_of_the_image_runs_without_any_code() {
    let job = Job::new().variable("SAGEMAKER_PROGRAM", "-m platform");
    fs::remove_dir(job.path("code")).expect("removed");
    let ended = job.train();
    assert!(ended.success, "{ended:#?}");
    let job = Job::new().variable("SAGEMAKER_PROGRAM", "-m no_such_module.at_all");
    let ended = job.train();
    assert_eq!(ended.code(), 1, "{ended:#?}");
    assert!(ended.failure().contains("No module named 'no_such_module'"), "{ended:#?}");
    let job = Job::new().variable("SAGEMAKER_PROGRAM", "-m pkg.train --lr 1");
    job.train()
        .failed(78, "the entry point \"-m pkg.train --lr 1\" cannot be used: `-m` is followed by the name of a module");
}

#[test]
fn code_in_the_working_directory_of_the_image_is_found_for_the_error() {
    let job = Job::new().file("program/train.py", "print('ran')");
    let run = |job: &Job| {
        let mut command = job.command(["train"]);
        command
            .current_dir(job.path("program"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let output = wait_with_output(command.spawn().expect("footplate starts"));
        job.ended(output, std::time::Duration::ZERO)
    };
    let folder = job.path("program").display().to_string();
    let remedy = format!(
        "it is in the image's working directory, {folder}: set SAGEMAKER_SUBMIT_DIRECTORY={folder} in the image"
    );
    let ended = run(&job).failed(127, "the entry point \"train.py\" cannot be run: the code folder ");
    assert!(ended.failure().contains(&remedy), "{ended:#?}");
    let job = job.file("code/other.py", "");
    let ended = run(&job).failed(127, "the entry point \"train.py\" is not in ");
    assert!(ended.failure().contains(&remedy), "{ended:#?}");
    let job = job.variable("SAGEMAKER_SUBMIT_DIRECTORY", &folder);
    fs::remove_file(job.path("output/failure")).expect("removed");
    assert_eq!(run(&job).succeeded().stdout(), "ran\n");
}
