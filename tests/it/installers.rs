//! Requirements by real uv and real pip, from real package indexes on loopback.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use footplate::prepare::requirements;

use super::images;
use super::job::{Ended, Job, search_path};
use super::kept::{self, wheel};
use super::servers::{CodeArtifact, Fault, Relay, guarded, index};

/// Returns the folder of a virtual environment with pip. Each job gets a copy, because making one takes seconds.
pub fn environment() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var("FOOTPLATE_TEST_PIP") {
        Ok(version) => kept::environment(&[&format!("pip=={version}")]),
        Err(_) => kept::environment(&[]),
    })
}

/// Returns the path of uv. `tests/newest` sets the version of pip, and this path.
pub fn uv() -> String {
    std::env::var("FOOTPLATE_TEST_UV").unwrap_or_else(|_| kept::uv().display().to_string())
}

/// Returns a job that has a virtual environment with pip of its own, and none of this machine's settings for pip.
fn job(script: &str) -> Job {
    let job = Job::python(script);
    let venv = job.path("venv");
    kept::copy_environment(environment(), &venv);
    let path = format!("{}/bin:{}", venv.display(), search_path());
    let home = job.base().display().to_string();
    job.variable("PATH", &path).variable("HOME", &home).variable("PIP_CONFIG_FILE", "/dev/null")
}

/// Returns such a job whose only source of packages is a folder with the wheels `fix` 1.2 and 1.3 and `needy` 1.0, which
/// requires fix below 1.3.
fn with_wheels(script: &str) -> Job {
    let job = job(script);
    let wheels = job.path("wheels");
    wheel(&wheels, &["fix", "1.2"]);
    wheel(&wheels, &["fix", "1.3"]);
    wheel(&wheels, &["needy", "1.0", "fix<1.3"]);
    let wheels = wheels.display().to_string();
    // If two versions are installed within a second, Python uses the compiled file of the first one.
    job.variable("PIP_NO_INDEX", "1").variable("PIP_FIND_LINKS", &wheels).variable("PYTHONDONTWRITEBYTECODE", "1")
}

/// Returns what the log says about requirements.
fn said(ended: &Ended) -> Vec<&str> {
    ended
        .stderr
        .lines()
        .filter_map(|line| line.split_once("  requirements: ").or(line.split_once(" requirements: ")))
        .map(|(_, said)| said)
        .collect()
}

#[track_caller]
fn says(ended: &Ended, text: &str) {
    assert!(said(ended).iter().any(|line| line.contains(text)), "not said: {text}\n{ended:#?}");
}

#[test]
fn the_framework_of_a_launcher_may_come_with_the_requirements() {
    let job = with_wheels("import jax; print('imported', jax.VERSION)").file("code/requirements.txt", "jax\n");
    wheel(&job.path("wheels"), &["jax", "9.9"]);
    let job = job.variable("FOOTPLATE_LAUNCHER", "jax");
    assert!(job.train().succeeded().stdout().ends_with("imported 9.9\n"));
}

const IMPORTS: &str = "import fix, sys; print('imported', fix.VERSION)";

#[test]
fn uv_installs_if_present_with_pips_settings_unless_pip_is_set() {
    let job = with_wheels(IMPORTS)
        .file("code/requirements.txt", "needy\n-c limits.txt\n")
        .file("code/limits.txt", "fix<2\n")
        .variable("FOOTPLATE_UV", &uv());
    let ended = job.train().succeeded();
    says(&ended, "installed by uv in ");
    says(&ended, "new: fix==1.2, needy==1.0");
    assert_eq!(ended.stdout(), "imported 1.2\n");
    for value in ["pip", "auto"] {
        let mut job =
            with_wheels(IMPORTS).file("code/requirements.txt", "fix\n").variable("FOOTPLATE_INSTALLER", value);
        if value == "pip" {
            job = job.variable("FOOTPLATE_UV", &uv());
        }
        let ended = job.train().succeeded();
        says(&ended, "installed by pip in ");
        assert!(ended.stdout().ends_with("imported 1.3\n"), "{ended:#?}");
        // The output is a few lines, without one for each package.
        assert!(!ended.stdout().contains("Processing "), "{ended:#?}");
    }
    let job = with_wheels("").file("code/requirements.txt", "fix").variable("FOOTPLATE_INSTALLER", "uv");
    let job = job.variable("FOOTPLATE_UV", "no-such-uv");
    job.train()
        .failed(127, "FOOTPLATE_UV is \"no-such-uv\", which is not an executable; set it to a path or a name on PATH");
}

#[test]
fn pip_installs_what_uv_does_not_support() {
    for (requirements, variable, reason) in [
        ("--no-deps\nfix==1.2\n", None, ""),
        ("fix==1.2 --config-settings a=b\n", None, "pip in place of uv: uv does not read --config-settings"),
        ("fix==1.2\n", Some(("PIP_PREFER_BINARY", "1")), "installed by uv"),
        ("fix==1.2\n", Some(("PIP_COMPILE", "1")), "pip in place of uv: uv has nothing like pip's setting compile"),
        ("--pypi-url\t./none\n--no-index\nfix==1.2\n", None, "installed by pip"),
    ] {
        let mut job = with_wheels(IMPORTS).file("code/requirements.txt", requirements).variable("FOOTPLATE_UV", &uv());
        if let Some((name, value)) = variable {
            job = job.variable(name, value);
        }
        let ended = job.train();
        if requirements.starts_with("--no-deps") {
            // pip does not support it either, and its words are reported.
            assert!(ended.code() == 1 || ended.code() == 2, "{ended:#?}");
            says(&ended, "pip in place of uv: uv does not read --no-deps");
            continue;
        }
        let ended = ended.succeeded();
        says(&ended, reason);
        assert!(ended.stdout().ends_with("imported 1.2\n"), "{ended:#?}");
    }
}

#[test]
fn the_failure_text_holds_uvs_own_words() {
    let job = with_wheels("").file("code/requirements.txt", "fix==9.9\n").variable("FOOTPLATE_UV", &uv());
    let ended = job.train();
    assert_eq!(ended.code(), 1, "{ended:#?}");
    assert!(ended.failure().contains("fix==9.9"), "{ended:#?}");
    assert!(ended.failure().contains("uv pip install --python "), "{ended:#?}");
    assert!(!ended.failure().starts_with("the requirements could not be installed"), "{ended:#?}");
    // If uv cannot read the requirements, pip is tried, and its words are better.
    let job = with_wheels("").file("code/requirements.txt", "fix\n=>=1\n").variable("FOOTPLATE_UV", &uv());
    let ended = job.train();
    says(&ended, "pip in place of uv: uv does not read line 2 (requirements.txt)");
    assert!(ended.failure().starts_with("Invalid requirement: '=>=1'"), "{ended:#?}");
}

#[test]
fn lines_that_uv_cannot_read_are_installed_by_pip() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = folder.path();
    std::fs::create_dir(repository.join("src")).expect("made");
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"mine\"\nversion = \"1.0\"\n";
    for (name, text) in [("src/mine.py", "VERSION = 'of git'\n"), ("pyproject.toml", project), ("backend.py", BACKEND)]
    {
        std::fs::write(repository.join(name), text).expect("written");
    }
    for words in [
        &["init", "-q", "-b", "main", "."][..],
        &["add", "-A"],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"],
    ] {
        images::run(Command::new("git").args(words).current_dir(repository));
    }
    let editable = format!("-e git+file://{}@main#egg=mine\n", repository.display());
    for (line, reason) in [
        (editable.as_str(), "editable git+file requirements"),
        ("${NAME} \\\n  ==1.2\n", "line 1 as pip does"),
        ("-rmore.txt\n--only-binary fix,needy\n", "-r as it is written"),
        ("\u{a0}fix==1.2\u{3000}# why\n", "line 1 as pip does"),
    ] {
        let module = if line.contains("mine") { "mine" } else { "fix" };
        let job = with_wheels(&format!("import {module}; print('imported', {module}.VERSION)"))
            .file("code/requirements.txt", line)
            .file("code/more.txt", "fix==1.2\n")
            .variable("NAME", "fix")
            .variable("FOOTPLATE_UV", &uv());
        let ended = job.train().succeeded();
        says(&ended, "pip in place of uv: uv does not read ");
        says(&ended, reason);
        let imported = if module == "fix" { "imported 1.2\n" } else { "imported of git\n" };
        assert!(ended.stdout().ends_with(imported), "{line}: {ended:#?}");
    }
    for bytes in
        [&b"# -*- coding: cp1252 -*-\nfix==1.2 # \x93caf\xe9\x94\n"[..], b"\xff\xfe#\0\n\0f\0i\0x\0=\0=\x001\0.\x002\0"]
    {
        let job = with_wheels(IMPORTS).file("code/requirements.txt", bytes).variable("FOOTPLATE_UV", &uv());
        let ended = job.train().succeeded();
        says(&ended, "requirements.txt is not UTF-8");
        assert!(ended.stdout().ends_with("imported 1.2\n"), "{ended:#?}");
    }
    // A Python without pip has only uv.
    let job = with_wheels(IMPORTS).file("code/requirements.txt", "./fix-1.2-py3-none-any.whl \\\n\n");
    std::fs::copy(job.path("wheels/fix-1.2-py3-none-any.whl"), job.path("code/fix-1.2-py3-none-any.whl"))
        .expect("copied");
    std::fs::remove_dir_all(find(&job.path("venv"), "pip")).expect("removed");
    let ended = job.variable("FOOTPLATE_UV", &uv()).train();
    says(&ended, "uv is used, because this Python has no pip, although uv does not read line 1");
}

/// The rules of `src/prepare/requirements/uv_syntax.rs` were found with one release of uv. If this test fails for a new uv,
/// they have to follow it.
#[test]
fn every_line_that_is_left_to_uv_is_read_by_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("more.txt", "fix\n"), ("with space.txt", "fix\n"), ("local/setup.py", "")] {
        std::fs::create_dir_all(folder.path().join("local")).expect("made");
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let mut left = 0;
    for line in LINES {
        std::fs::write(folder.path().join("r.txt"), format!("{line}\n")).expect("written");
        let scan = requirements::Scan::of_file(&folder.path().join("r.txt"), &|_| None);
        if scan.not_for_uv.is_some() {
            continue;
        }
        left += 1;
        let mut command = Command::new(uv());
        command.args(["pip", "compile", "--no-deps", "--offline", "--no-index", "-q", "r.txt", "--python"]);
        command.arg(environment().join("bin/python3"));
        command.current_dir(folder.path()).env("UV_NO_CACHE", "1").env("PATH", search_path());
        let output = command.output().expect("uv runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // uv reads all lines before it looks for packages.
        let unread = ["Unexpected '", "Expected `--hash`", "Couldn't parse", "Unsupported", "Invalid ", "Expected '='"];
        assert!(!unread.iter().any(|words| text.contains(words)), "{line}: {text}");
    }
    assert!(left > 30, "{left}");
}

/// Lines of requirements files in many forms.
const LINES: [&str; 60] = [
    "fix",
    "Fix.Name_x-1[a,b]>=1.0,!=1.5,<2",
    "fix (>=1,<2)",
    "fix ( ==1.2 )",
    "fix==1.*",
    "fix!=1.*",
    "fix===1.2",
    "fix~=1.2",
    "fix==1!1.2",
    "fix==1.2+local.1",
    "fix>=1.0RC1",
    "fix>=1.0.post1.dev2",
    "fix<=2012a",
    "fix>=1,<2,",
    "fix==v1.2",
    "fix==1.2-1",
    "fix[]",
    "fix [a] ==1",
    "fix\u{a0}==\u{2003}1.2",
    "fix; python_version>'3'",
    "fix; python_version in '3.10 3.11'",
    "fix ;python_version not in \"2.7\" and (os_name=='posix' or sys_platform!='win32')",
    "fix; platform_python_implementation=='CPython'",
    "fix; extra=='x'",
    "fix; os.name=='posix'",
    "fix; python_implementation=='CPython'",
    "fix; implementation_version>'3'",
    "fix; 'linux' in sys_platform",
    "fix; python_version>'3' # why",
    "fix==1 --hash=sha256:0640f33a017b2613e2046b8f239159d076cf9041ab5f4f5bd47b81cda91d6d70",
    "fix==1 \\\n    --hash=sha256:0640f33a017b2613e2046b8f239159d076cf9041ab5f4f5bd47b81cda91d6d70 \\\n    # via x",
    "fix @ https://u:p@127.0.0.1:1/fix-1.0-py3-none-any.whl",
    "fix@https://127.0.0.1:1/fix-1.0.tar.gz#egg=fix",
    "fix[x] @ https://127.0.0.1:1/fix-1.0.zip ; python_version>'3'",
    "fix @ git+https://127.0.0.1:1/x.git@main",
    "git+ssh://git@127.0.0.1:22/x/y.git@v1#egg=y&subdirectory=z",
    "git+http://127.0.0.1:1/x.git",
    "https://127.0.0.1:1/fix-1.0-py3-none-any.whl",
    "https://127.0.0.1:1/archive/main.zip?x=1",
    "https://127.0.0.1:1/fix-1.0.tar.gz ; python_version>'3'",
    "./local",
    "./local[dev]",
    "./local ; python_version>'3'",
    "local/",
    "file:./local",
    "-e ./local",
    "-e ./local[dev]",
    "--editable=local",
    "--editable ./local",
    "-r more.txt",
    "-r \"with space.txt\"",
    "--requirement='more.txt'",
    "-c\tmore.txt",
    "--constraint=more.txt # why",
    "-i https://127.0.0.1:1/simple",
    "--extra-index-url=https://127.0.0.1:1",
    "--find-links ./local",
    "--trusted-host 127.0.0.1",
    "--only-binary :all:",
    "--no-binary=fix",
];

#[test]
fn no_installer_starts_if_all_requirements_are_installed() {
    let job = with_wheels(IMPORTS)
        .file("code/requirements.txt", "needy[extra]>=1 ; python_version > '3'\nfix<1.3 --hash=sha256:00\n")
        .variable("FOOTPLATE_UV", &uv());
    let first = job.file("code/requirements.txt", "needy");
    first.train().succeeded();
    let job = first.file("code/requirements.txt", "needy[extra]>=1 ; python_version > '3'\nfix<1.3\n");
    // An installer that fails at once shows that none is started.
    let broken = job.path("broken-uv");
    std::fs::write(&broken, "#!/bin/sh\nexit 99\n").expect("written");
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).expect("set");
    let broken = broken.display().to_string();
    let job =
        job.variable("FOOTPLATE_UV", &broken).without("PIP_NO_INDEX").variable("PIP_INDEX_URL", "http://127.0.0.1:9/");
    let ended = job.train().succeeded();
    says(&ended, "all is installed already (2 packages");
    assert_eq!(ended.stdout(), "imported 1.2\n");
    // A missing dependency of a requirement starts the installer.
    std::fs::remove_dir_all(find(&job.path("venv"), "fix-1.2.dist-info")).expect("removed");
    assert_eq!(job.train().code(), 99);
    // So does a setting that asks for more than the installed packages.
    let job = with_wheels("").file("code/requirements.txt", "pip\n").variable("PIP_UPGRADE", "1");
    says(&job.train().succeeded(), "installed by pip");
    let job = job.without("PIP_UPGRADE");
    says(&job.train().succeeded(), "all is installed already (1 packages");
    // uv's settings and pip's configuration file decide, too.
    let installed = with_wheels("").file("code/requirements.txt", "fix<1.3\n").variable("FOOTPLATE_UV", &uv());
    installed.train().succeeded();
    let job = installed.file("code/overrides.txt", "fix>=1.3\n").variable("UV_OVERRIDE", "overrides.txt");
    let job = job.file("code/train.py", IMPORTS);
    assert!(job.train().succeeded().stdout().ends_with("imported 1.3\n"));
    let job = job.variable("FOOTPLATE_INSTALLER", "pip").file("code/requirements.txt", "fix\n");
    says(&job.train().succeeded(), "all is installed already (1 packages");
    let job = job.variable("FOOTPLATE_INSTALLER", "auto").without("UV_OVERRIDE");
    says(&job.train().succeeded(), "all is installed already (1 packages");
    let job = job
        .file("code/uv.toml", "[pip]\nconstraint-dependencies = [\"fix<1.3\"]\n")
        .file("code/uv.toml", "constraint-dependencies = [\"fix<1.3\"]\n");
    assert!(job.train().succeeded().stdout().ends_with("imported 1.2\n"));
    std::fs::remove_file(job.path("code/uv.toml")).expect("removed");
    let job = job.file("pip.conf", "[install]\nupgrade = yes\n");
    let configuration = job.path("pip.conf").display().to_string();
    let job = job.variable("PIP_CONFIG_FILE", &configuration);
    assert!(job.train().succeeded().stdout().ends_with("imported 1.3\n"));
}

fn find(folder: &Path, name: &str) -> PathBuf {
    let output = images::output(Command::new("find").arg(folder).args(["-name", name]));
    PathBuf::from(output.lines().next().unwrap_or_else(|| panic!("no {name}")))
}

#[test]
fn protected_packages_of_the_image_keep_their_versions() {
    for installer in ["uv", "pip"] {
        let job = with_wheels(IMPORTS)
            .file("code/requirements.txt", "fix==1.2")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer);
        job.train().succeeded();
        let job = job.file("code/requirements.txt", "fix>1.2\n").variable("FOOTPLATE_PROTECTED_PACKAGES", "fix, torch");
        let ended = job.train();
        says(&ended, "protected: fix==1.2");
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert!(ended.failure().contains("fix==1.2"), "{ended:#?}");
        std::fs::remove_file(job.path("output/failure")).expect("removed");
        let job = job.file("code/requirements.txt", "needy\n");
        assert!(job.train().succeeded().stdout().ends_with("imported 1.2\n"));
        let job = job.file("code/requirements.txt", "fix>1.2\n").without("FOOTPLATE_PROTECTED_PACKAGES");
        assert!(job.train().succeeded().stdout().ends_with("imported 1.3\n"));
    }
}

#[test]
fn passwords_of_private_indexes_are_used_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    wheel(&folder.path().join("private"), &["fix", "1.2"]);
    wheel(&folder.path().join("public"), &["other", "2.0"]);
    let private = index(&folder.path().join("private"));
    let public = index(&folder.path().join("public"));
    let guarded = guarded(&private, "me:hunter2-hunter2");
    let private_url = format!("http://me:hunter2-hunter2@127.0.0.1:{}/simple/", guarded.port);
    for installer in ["uv", "pip"] {
        let job = job("import fix, other; print('imported', fix.VERSION, other.VERSION)")
            .file("code/requirements.txt", "fix\nother\n")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer)
            .without("PIP_CONFIG_FILE")
            .file(".config/pip/pip.conf", format!("[global]\nextra-index-url = {private_url}\n"))
            .variable("PIP_INDEX_URL", &format!("{}/simple/", public.url()))
            .hyperparameters(r#"{"sagemaker_container_log_level": "10"}"#);
        let ended = job.train().succeeded();
        says(&ended, &format!("installed by {installer} in "));
        assert!(ended.stdout().ends_with("imported 1.2 2.0\n"), "{ended:#?}");
        assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
        let job = job.file("code/requirements.txt", "fix==7\n");
        let ended = job.train();
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
    }
}

#[test]
fn an_index_that_refuses_the_credentials_is_reported_as_that() {
    let folder = tempfile::tempdir().expect("a folder");
    wheel(folder.path(), &["needy", "1.0", "fix<1.3"]);
    let open = index(folder.path());
    for (status, said) in [
        (
            "401 Unauthorized",
            "refuses the credentials (401 Unauthorized): renew the user name and the password or token",
        ),
        ("403 Forbidden", "denies access (403 Forbidden): renew the user name"),
    ] {
        let header = if status.starts_with("401") { "WWW-Authenticate: Basic realm=\"x\"\r\n" } else { "" };
        let refusing = Relay::start(open.port, move |_, _| Fault::Answer(status, header, "no"));
        let url = format!("http://me:hunter2-hunter2@127.0.0.1:{}/simple/", refusing.port);
        let in_file = format!("--index-url {}/simple/\n--extra-index-url {url}\nneedy\n", open.url());
        let of_variable = if status.starts_with("401") { "uv" } else { "pip" };
        let of_file = if of_variable == "uv" { "pip" } else { "uv" };
        for (installer, requirements, variable) in
            [(of_variable, "fix==1.2\n", Some(url.as_str())), (of_file, &in_file, None)]
        {
            let mut job =
                job("").file("code/requirements.txt", requirements).variable("FOOTPLATE_INSTALLER", installer);
            if let Some(url) = variable {
                job = job.variable("PIP_INDEX_URL", url);
            }
            let ended = job.variable("FOOTPLATE_UV", &uv()).train().failed(1, "the package index http://127.0.0.1:");
            assert!(ended.failure().contains(said) && ended.failure().contains("; "), "{installer}: {ended:#?}");
            assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
        }
    }
    // A package that no index has is not the fault of an index.
    for installer in ["uv", "pip"] {
        let job = job("").file("code/requirements.txt", "absent\n").variable("FOOTPLATE_INSTALLER", installer);
        let job = job.variable("FOOTPLATE_UV", &uv()).variable("PIP_INDEX_URL", &format!("{}/simple/", open.url()));
        let ended = job.train();
        assert!(ended.code() == 1 && !ended.failure().contains("the package index"), "{ended:#?}");
        assert!(ended.failure().contains("absent"), "{ended:#?}");
    }
}

#[test]
fn a_failed_build_and_a_failed_fetch_are_reported_by_their_own_errors() {
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    for installer in ["uv", "pip"] {
        let of = |requirements: &str| {
            with_wheels("")
                .file("code/requirements.txt", requirements)
                .variable("FOOTPLATE_UV", &uv())
                .variable("FOOTPLATE_INSTALLER", installer)
        };
        for (requirements, package) in [("./mine\n", "./mine"), ("fix\nmine @ file:CODE/mine\n", "mine")] {
            let job = of("");
            let code = job.path("code").display().to_string();
            let requirements = requirements.replace("file:CODE", &format!("file://{code}"));
            let job = job
                .file("code/requirements.txt", requirements)
                .file("code/mine/pyproject.toml", project)
                .file("code/mine/backend.py", "raise OSError('CUDA_HOME is not set.\\nSet it to your CUDA root.')\n");
            let ended = job.train().failed(1, "OSError: CUDA_HOME is not set. Set it to your CUDA root. (building ");
            let line = ended.failure().lines().next().unwrap_or_default();
            assert!(line.contains(package), "{installer} {package}: {ended:#?}");
        }
        let job = of("y @ git+ssh://git@127.0.0.1/x/y.git@main\n");
        let bin = job.path("bin");
        std::fs::create_dir(&bin).expect("a folder");
        super::job::executable(&bin.join("ssh"), "#!/bin/sh\necho 'Host key verification failed.' >&2\nexit 255\n");
        let path = format!("{}:{}", bin.display(), job.variables()["PATH"]);
        let said = "Host key verification failed. fatal: Could not read from remote repository. (fetching y";
        job.variable("PATH", &path).train().failed(1, said);
    }
}

#[test]
fn a_deceptive_character_in_a_line_that_cannot_be_installed_is_named() {
    for installer in ["uv", "pip"] {
        for (line, name) in
            [("fix\u{200b}==1.2", "a zero-width space (U+200B)"), ("fix\u{2013}1.2", "a dash that is not a hyphen")]
        {
            let job = with_wheels("")
                .file("code/requirements.txt", format!("# ours\n{line}\n"))
                .variable("FOOTPLATE_UV", &uv())
                .variable("FOOTPLATE_INSTALLER", installer);
            let ended = job.train();
            assert!(ended.code() == 1 || ended.code() == 2, "{ended:#?}");
            let said = format!("; line 2 of requirements.txt holds {name}");
            assert!(ended.failure().lines().next().unwrap_or_default().contains(&said), "{ended:#?}");
        }
    }
    // uv takes a space of several bytes for a space. pip names the line.
    let job = with_wheels(IMPORTS).file("code/requirements.txt", "fix\u{a0}==1.2\n").variable("FOOTPLATE_UV", &uv());
    assert!(job.train().succeeded().stdout().ends_with("imported 1.2\n"));
}

#[test]
fn modules_with_the_names_of_pythons_own_do_not_disturb_the_installer() {
    for (name, text) in [("typing.py", "x = 1\n"), ("types.py", "x = 1\n"), ("re/__init__.py", "raise SystemExit(3)")] {
        for installer in if name == "types.py" { &["uv", "pip"][..] } else { &["pip"] } {
            let script = "import sys\nsys.path = [path for path in sys.path if not path.endswith('/code')]\n\
                          import fix; print('imported', fix.VERSION)\n";
            let job = with_wheels("")
                .file("code/src/train.py", script)
                .file(&format!("code/{name}"), text)
                .file("code/requirements.txt", "-r src/more.txt\n")
                .file("code/src/more.txt", "fix==1.2\n")
                .variable("SAGEMAKER_PROGRAM", "src/train.py")
                .variable("FOOTPLATE_UV", &uv())
                .variable("FOOTPLATE_INSTALLER", installer);
            let own = job.path("code").display().to_string();
            let job = job.variable("PYTHONPATH", &own);
            let ended = job.train();
            says(&ended, &format!("installed by {installer}"));
            says(&ended, " in the code folder has the name of a module of Python");
        }
    }
    // The dependencies of a pyproject.toml are read with a module of Python that imports others.
    let project = "[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [\"fix==1.2\"]\n";
    let job = with_wheels("").file("code/pyproject.toml", project).file("code/types.py", "x = 1\n");
    says(&job.variable("FOOTPLATE_INSTALLER", "pip").train(), "installed by pip");
}

#[test]
fn an_unreachable_index_is_reported_at_once_with_remedies() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let refused = format!("http://u:hunter2-hunter2@127.0.0.1:{closed}/simple");
    for (index, reason) in [
        (
            refused.as_str(),
            format!("http://127.0.0.1:{closed}/simple cannot be reached: 127.0.0.1 port {closed}: Connection refused"),
        ),
        ("https://no-such-host.invalid/simple", "https://no-such-host.invalid/simple cannot be reached: ".to_owned()),
    ] {
        for installer in ["uv", "pip"] {
            let job = job("")
                .file("code/requirements.txt", "fix\n")
                .variable("FOOTPLATE_UV", &uv())
                .variable("FOOTPLATE_INSTALLER", installer)
                .variable("PIP_INDEX_URL", index);
            let ended = job.train().failed(1, &format!("the package index {reason}"));
            assert!(
                ended.failure().contains("PIP_FIND_LINKS") && ended.failure().contains("VPC endpoint"),
                "{ended:#?}"
            );
            // The installer was not started. It would have retried many times.
            assert!(!ended.stderr.contains("etries") && !ended.stdout().contains("etry"), "{ended:#?}");
            assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
        }
    }
    // With a proxy, the proxy must be reachable.
    let job = job("")
        .file("code/requirements.txt", "fix\n")
        .variable("PIP_INDEX_URL", "https://no-such-host.invalid/simple")
        .variable("HTTPS_PROXY", &format!("http://127.0.0.1:{closed}"));
    let ended = job.train();
    assert!(ended.failure().contains(&format!("its proxy: 127.0.0.1 port {closed}")), "{ended:#?}");
    // Packages from a folder need no index.
    let job = with_wheels(IMPORTS).file("code/requirements.txt", "fix\n").without("PIP_NO_INDEX");
    for installer in ["uv", "pip"] {
        let job = with_wheels(IMPORTS)
            .file("code/requirements.txt", "fix\n")
            .without("PIP_NO_INDEX")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer)
            .variable("PIP_INDEX_URL", &refused);
        let ended = job.train().succeeded();
        says(&ended, "packages are taken from --find-links only");
        assert!(ended.stdout().ends_with("imported 1.3\n"), "{ended:#?}");
    }
    drop(job);
}

#[test]
fn the_installers_cache_is_in_the_warm_pool() {
    let folder = tempfile::tempdir().expect("a folder");
    wheel(folder.path(), &["fix", "1.2"]);
    let server = index(folder.path());
    for (installer, cache) in [("uv", "uv"), ("pip", "pip")] {
        let job = job(IMPORTS)
            .file("code/requirements.txt", "fix\n")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer)
            .variable("PIP_INDEX_URL", &format!("{}/simple/", server.url()));
        // Over http, pip caches only what comes from a trusted host.
        let job = job.variable("PIP_TRUSTED_HOST", "127.0.0.1");
        let pool = job.path("pool");
        let job = job.variable("SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY", &pool.display().to_string());
        job.train().succeeded();
        let cached = std::fs::read_dir(pool.join("footplate").join(cache)).map(Iterator::count).unwrap_or(0);
        assert!(cached > 0, "{installer} has cached nothing in {}", pool.display());
    }
}

#[test]
fn both_installers_install_the_dependencies_of_a_pyproject_file() {
    let project =
        "[project]\nname = \"p\"\nversion = \"1\"\nrequires-python = \">=3.8\"\ndependencies = [\"needy >= 1\"]\n";
    for installer in ["uv", "pip"] {
        let job = with_wheels(IMPORTS)
            .file("code/pyproject.toml", project)
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer);
        let ended = job.train().succeeded();
        says(&ended, "installing the dependencies of pyproject.toml, found in ");
        says(&ended, &format!("installed by {installer}"));
        assert!(ended.stdout().ends_with("imported 1.2\n"), "{ended:#?}");
        says(&job.train().succeeded(), "all is installed already (2 packages");
    }
    // The incumbent ignores the file, so it must not fail a job that does not name it.
    let project = project.replace("needy", "no-such-package");
    let job = with_wheels("print('ran')").file("code/pyproject.toml", &project);
    let ended = job.train().succeeded();
    says(&ended, "not installed, and the job goes on");
    let job = job.variable("FOOTPLATE_REQUIREMENTS", "pyproject.toml");
    assert_eq!(job.train().code(), 1);
}

#[test]
fn a_lock_file_of_uv_is_followed() {
    let project = "[project]\nname = \"p\"\nversion = \"1\"\nrequires-python = \">=3.8\"\ndependencies = [\"fix\"]\n";
    let job = with_wheels(IMPORTS).file("code/pyproject.toml", project).variable("FOOTPLATE_UV", &uv());
    let wheels = job.path("wheels").display().to_string();
    // The lock file is made while version 1.3 does not exist.
    let newest = job.path("wheels/fix-1.3-py3-none-any.whl");
    std::fs::rename(&newest, job.path("newest")).expect("moved");
    let mut lock = Command::new(uv());
    lock.args(["lock", "--no-index"]).current_dir(job.path("code")).env("UV_FIND_LINKS", wheels);
    images::run(lock.env("PATH", search_path()));
    std::fs::rename(job.path("newest"), &newest).expect("moved");
    let ended = job.train().succeeded();
    says(&ended, "installing the dependencies of uv.lock, found in ");
    assert!(ended.stdout().ends_with("imported 1.2\n"), "{ended:#?}");
    says(&job.train().succeeded(), "all is installed already (1 packages");
    // Without uv, the locked versions are not known.
    let job = with_wheels(IMPORTS)
        .file("code/pyproject.toml", project)
        .file("code/uv.lock", job.read("code/uv.lock").expect("a lock"));
    let ended = job.variable("FOOTPLATE_INSTALLER", "pip").train().succeeded();
    says(&ended, "only uv reads uv.lock");
    assert!(ended.stdout().ends_with("imported 1.3\n"), "{ended:#?}");
}

#[test]
fn the_installers_handle_local_paths_editable_ones_and_hashes() {
    for installer in ["uv", "pip"] {
        let job = with_wheels("import fix, mine; print('imported', fix.VERSION, mine.__file__)");
        let backend = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"mine\"\nversion = \"1.0\"\n";
        let job = job
            .file("code/mine/pyproject.toml", backend)
            .file("code/mine/backend.py", BACKEND)
            .file("code/mine/src/mine.py", "")
            .file("code/requirements.txt", "-e ./mine\n./wheels/fix-1.2-py3-none-any.whl\n")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer);
        images::run(Command::new("cp").arg("-r").arg(job.path("wheels")).arg(job.path("code/wheels")));
        let ended = job.train().succeeded();
        assert!(
            ended.stdout().contains("imported 1.2 ") && ended.stdout().ends_with("code/mine/src/mine.py\n"),
            "{ended:#?}"
        );
        let right = with_wheels(IMPORTS).variable("FOOTPLATE_UV", &uv()).variable("FOOTPLATE_INSTALLER", installer);
        let digest = images::output(Command::new("sha256sum").arg(right.path("wheels/fix-1.2-py3-none-any.whl")));
        let digest = digest.split(' ').next().expect("a digest").to_owned();
        let right = right.file("code/requirements.txt", format!("fix==1.2 --hash=sha256:{digest}\n"));
        assert!(right.train().succeeded().stdout().ends_with("imported 1.2\n"));
        let wrong = with_wheels(IMPORTS).variable("FOOTPLATE_UV", &uv()).variable("FOOTPLATE_INSTALLER", installer);
        let wrong =
            wrong.file("code/requirements.txt", format!("fix==1.2 --hash=sha256:{}\n", digest.replace(|_| true, "0")));
        let ended = wrong.train();
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert!(ended.failure().to_lowercase().contains("hash"), "{ended:#?}");
    }
}

/// A build backend without requirements for the package `mine`. Its editable installs are `.pth` files.
pub const BACKEND: &str = r#"
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    return build(folder, "mine.pth", os.path.abspath("src") + "\n")
def build_wheel(folder, config_settings=None, metadata_directory=None):
    return build(folder, "mine.py", "")
def build(folder, member, text):
    name = "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr(member, text)
        wheel.writestr("mine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
        wheel.writestr("mine-1.0.dist-info/WHEEL",
                       "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("mine-1.0.dist-info/RECORD", f"{member},,\n")
    return name
"#;

#[test]
fn requirements_are_installed_once_for_all_ranks_of_a_host() {
    let job = with_wheels("import fix, os; print('rank', os.environ['RANK'], fix.VERSION)")
        .file("code/requirements.txt", "fix\n")
        .variable("FOOTPLATE_UV", &uv())
        .variable("FOOTPLATE_LAUNCHER", "per-gpu")
        .variable("FOOTPLATE_PROCESSES_PER_HOST", "3");
    let ended = job.train().succeeded();
    assert_eq!(said(&ended).iter().filter(|line| line.starts_with("installed by")).count(), 1, "{ended:#?}");
    assert_eq!(ended.stdout().matches(" 1.3\n").count(), 3, "{ended:#?}");
}

#[test]
fn a_job_of_sdk_version_3_names_its_requirements() {
    let source =
        |requirements: &str, what: &str| format!(r#"{{"source_dir": "code", "requirements": {requirements}, {what}}}"#);
    for (requirements, expected) in [("\"env/needs.txt\"", "1.2"), ("\"auto\"", "1.3"), ("null", "none")] {
        for what in [r#""entry_script": "train.py""#, r#""command": "python3 train.py""#] {
            let script =
                "try:\n    import fix\n    print('found', fix.VERSION)\nexcept ImportError:\n    print('found none')\n";
            let job = with_wheels("")
                .without("SAGEMAKER_PROGRAM")
                .file(
                    "input/config/inputdataconfig.json",
                    r#"{"code": {"TrainingInputMode": "File"}, "sm_drivers": {"TrainingInputMode": "File"}}"#,
                )
                .file("input/data/sm_drivers/sourcecode.json", source(requirements, what))
                .file("input/data/sm_drivers/distributed.json", "{}")
                .file("input/data/code/train.py", script)
                .file("input/data/code/requirements.txt", "fix")
                .file("input/data/code/env/needs.txt", "fix<1.3")
                .variable("FOOTPLATE_UV", &uv());
            let ended = job.train().succeeded();
            assert!(ended.stdout().ends_with(&format!("found {expected}\n")), "{requirements} {what} {ended:#?}");
        }
    }
}

#[test]
fn a_file_that_holds_secrets_and_no_requirements_is_quoted_without_them() {
    let shadow = "root:$6$saltsalt$0123456789abcdefghijABCDEFGHIJ:19000:0:99999:7:::\n";
    let passwords = "h.example.com:5432:db:me:x9y8z7w6\n";
    let variables = "export DB_PASSWORD=x9y8z7w6\n";
    for (content, secret) in [(shadow, "0123456789abcdef"), (passwords, "x9y8z7w6"), (variables, "x9y8z7w6")] {
        for uses_uv in [false, true] {
            let job = job("").file("code/requirements.txt", "-r other\n").file("code/other", content);
            let job = if uses_uv { job.variable("FOOTPLATE_UV", &uv()) } else { job };
            let ended = job.train();
            assert_ne!(ended.code(), 0, "{ended:#?}");
            assert!(!ended.failure().contains(secret), "{ended:#?}");
            assert!(!ended.stderr.contains(secret), "{ended:#?}");
            assert!(!ended.stdout().contains(secret), "{ended:#?}");
        }
    }
}

#[test]
fn a_secret_that_a_build_prints_is_redacted() {
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
    for installer in ["uv", "pip"] {
        let job = with_wheels("")
            .file("code/requirements.txt", "./mine\n")
            .file("code/mine/pyproject.toml", project)
            .file("code/mine/backend.py", "import os\nraise RuntimeError('no ' + os.environ['HUB_TOKEN'])\n")
            .variable("HUB_TOKEN", "hunter2-hunter2")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer);
        let ended = job.train();
        assert_eq!(ended.code(), 1, "{ended:#?}");
        assert!(format!("{ended:?}").contains("RuntimeError: no ******"), "{ended:#?}");
        assert!(!format!("{ended:?}").contains("hunter2"), "{ended:#?}");
    }
}

/// Writes two source packages into a folder: `outer`, whose build requires `inner`, and `inner`, whose build appends the
/// arguments of all processes of the machine to a file. Returns the path of this file.
pub fn sources(folder: &Path) -> PathBuf {
    let seen = folder.join("seen");
    let mut make = Command::new("python3");
    images::run(make.env("PATH", search_path()).args(["-c", MAKE_SOURCES]).arg(folder).arg(&seen));
    seen
}

/// The program of [`sources`].
const MAKE_SOURCES: &str = r#"
import io, sys, tarfile
folder, seen = sys.argv[1:]
BACKEND = r"""
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    {look}
    name = "{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("{name}.py", "VERSION = '1.0'\n")
        wheel.writestr("{name}-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr("{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("{name}-1.0.dist-info/RECORD", "{name}.py,,\n")
    return name
"""
LOOK = f"""
    import glob
    with open({seen!r}, "ab") as out:
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                out.write(open(path, "rb").read() + bytes([10]))
            except OSError:
                pass
"""
for name, requires, look in [("outer", '"inner"', "pass"), ("inner", "", LOOK)]:
    project = f'[build-system]\nrequires = [{requires}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": project,
        "backend.py": BACKEND.format(name=name, look=look.strip()),
    }
    with tarfile.open(f"{folder}/{name}-1.0.tar.gz", "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
"#;

#[test]
fn codeartifact_is_the_index_and_its_token_is_never_shown() {
    const TOKEN: &str = "eyJ2ZXIiOjEtoken-of-codeartifact";
    let folder = tempfile::tempdir().expect("a folder");
    wheel(folder.path(), &["fix", "1.2"]);
    let seen = sources(folder.path());
    let repository = CodeArtifact::start(folder.path(), TOKEN);
    for installer in ["uv", "pip"] {
        let job = job(IMPORTS)
            .file("code/requirements.txt", "fix\nouter\n")
            .variable("FOOTPLATE_UV", &uv())
            .variable("FOOTPLATE_INSTALLER", installer)
            .variable("TMPDIR", folder.path().to_str().expect("a path"))
            .variable("PIP_NO_CACHE_DIR", "1")
            .hyperparameters(r#"{"sagemaker_container_log_level": "10"}"#);
        let job = repository.offered_to(job);
        let ended = job.train().succeeded();
        says(&ended, "from the CodeArtifact index ");
        says(&ended, &format!("installed by {installer}"));
        assert!(ended.stdout().ends_with("imported 1.2\n"), "{ended:#?}");
        assert!(!format!("{ended:?}").contains(TOKEN), "{ended:#?}");
        let arguments = std::fs::read(&seen).expect("the inner package was built");
        let arguments = String::from_utf8_lossy(&arguments);
        assert!(arguments.contains("-r\0requirements.txt"), "{installer}: the installer was not seen");
        assert!(!arguments.contains(TOKEN), "{installer}: {arguments}");
        std::fs::remove_file(&seen).expect("removed");
        // No file with the token is left.
        let left =
            Command::new("grep").args(["-rl", TOKEN]).arg(folder.path()).arg(job.base()).output().expect("grep runs");
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{installer}");
        let job = job.file("code/requirements.txt", "fix==7\n");
        let ended = job.train();
        assert_ne!(ended.code(), 0);
        assert!(!format!("{ended:?}").contains(TOKEN), "{ended:#?}");
    }
    let job = repository.offered_to(job("").file("code/requirements.txt", "fix\n"));
    // The endpoint of all services, and a role that CodeArtifact does not know.
    let job = job.without("AWS_ENDPOINT_URL_CODEARTIFACT").variable("AWS_ENDPOINT_URL", &repository.service.url());
    let job = job.variable("AWS_SECRET_ACCESS_KEY", "another-secret");
    let arn = CodeArtifact::ARN;
    let ended =
        job.train().failed(1, &format!("the CodeArtifact repository {arn} (CA_REPOSITORY_ARN) cannot be used: "));
    for text in ["403 Forbidden The request signature", "codeartifact:GetAuthorizationToken"] {
        assert!(ended.failure().contains(text), "{ended:#?}");
    }
    let job = job.variable("CA_REPOSITORY_ARN", "my-repo");
    std::fs::remove_file(job.path("output/failure")).expect("removed");
    job.train().failed(1, "CA_REPOSITORY_ARN is \"my-repo\", but must be as arn:aws:codeartifact:");
}

/// Versions and the conditions that they meet, as the `packaging` within pip decides; one line each: condition,
/// version, verdict.
const VERDICTS: &str = r#"
import itertools, sys
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.version import Version
versions = sys.argv[1].split()
for operator, version, found in itertools.product(["==", "!=", "<=", ">=", "<", ">", "~="], versions, versions):
    try:
        specifiers = SpecifierSet(operator + version)
    except Exception:
        continue
    print(operator + version, found, specifiers.contains(Version(found), prereleases=True))
"#;

#[test]
fn versions_are_judged_as_pip_judges_them() {
    let versions = "0 1 1.0 1.0.0 1.0.1 1.1 1.10 2.0 1.0a1 1.0b2 1.0rc1 1.0.dev1 1.0a1.dev2 1.0.post1 1.0.post1.dev3 1.0-2 \
                    1.0+cu121 1.0+cpu.1 1!1.0 1.0.post1+x 2024.1.2";
    let python = environment().join("bin/python3");
    let output = images::output(Command::new(python).args(["-c", VERDICTS, versions]));
    let mut count = 0;
    for line in output.lines() {
        let [condition, version, verdict] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        // The installer decides on the conditions that footplate does not.
        let Some(specifiers) = requirements::Specifiers::parse(condition) else { continue };
        let version = requirements::Version::parse(version).expect(version);
        let holds = specifiers.hold_for(&version);
        // Releases of pip disagree about a few conditions, of which footplate takes the stricter answer.
        let is_stricter = std::env::var_os("FOOTPLATE_TEST_PIP").is_some() && !holds;
        assert!(is_stricter || holds == (verdict == "True"), "{line}");
        count += 1;
    }
    assert!(count > 2000, "{count}");
}
