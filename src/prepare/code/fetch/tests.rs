//! Fetching sources into code folders, empty ones and ones that hold code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FetchedCode, fetch};
use crate::job::Variables;
use crate::job::settings::CodePrecedence;
use crate::prepare::code::{CodeError, CodeSource, SourceForm, WriteReport};
use crate::storage::Access;

/// Writes files into a folder; each is given as `name=content`.
fn fill(folder: &Path, written: &[&str]) {
    for file in written {
        let (name, content) = file.split_once('=').unwrap();
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
}

/// Returns the files below a folder, each as `name=content`, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A temporary folder with a `code` folder in it.
struct CodeJob(tempfile::TempDir);

fn access() -> Access {
    Access::of(&Variables::default(), None)
}

impl CodeJob {
    fn new(baked_in: &[&str]) -> CodeJob {
        let job = CodeJob(tempfile::tempdir().unwrap());
        fs::create_dir(job.code()).unwrap();
        fill(&job.code(), baked_in);
        job
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn code(&self) -> PathBuf {
        self.at("code")
    }

    fn fetch_as(&self, text: &str, precedence: CodePrecedence) -> Result<FetchedCode, CodeError> {
        let source = CodeSource::parse(text, self.0.path(), &self.code())?.expect("a source");
        fetch(&source, &self.code(), precedence, &access())
    }

    fn fetch(&self, text: &str) -> (SourceForm, WriteReport, String) {
        let fetched = self.fetch_as(text, CodePrecedence::Supplied).unwrap_or_else(|error| panic!("{text}: {error}"));
        let line = fetched.to_string().replace(&self.0.path().canonicalize().unwrap().display().to_string(), "");
        match fetched {
            FetchedCode::Written { form, report, .. } => {
                (form, report, line.replace(self.0.path().to_str().unwrap(), ""))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Packs files into `name` with GNU tar.
    fn pack(&self, name: &str, written: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), written);
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        let mut tar = Command::new("tar");
        assert!(tar.arg("-czf").arg(self.at(name)).arg("-C").arg(folder.path()).arg(".").status().unwrap().success());
    }
}

#[test]
fn an_archive_a_folder_and_a_file_are_fetched_into_an_empty_folder() {
    let job = CodeJob::new(&[]);
    job.pack("sourcedir.tar.gz", &["train.py=1", "sub/model.py=22"]);
    let (form, report, line) = job.fetch("sourcedir.tar.gz");
    assert_eq!(form, SourceForm::Archive(job.at("sourcedir.tar.gz")));
    assert_eq!(line, "unpacked 2 files (3 bytes) from /sourcedir.tar.gz to /code");
    assert!(!report.was_filled && report.notes.is_empty(), "{report:?}");
    assert_eq!(files(&job.code()), ["sub/model.py=22", "train.py=1"]);

    let job = CodeJob::new(&[]);
    fill(&job.at("src"), &["train.py=1", "a b/x=2"]);
    fs::set_permissions(job.at("src/a b/x"), fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(job.fetch("src/").2, "copied 2 files (2 bytes) from /src/ to /code");
    assert_eq!(files(&job.code()), ["a b/x=2", "train.py=1"]);
    assert_eq!(job.at("code/a b/x").metadata().unwrap().permissions().mode() & 0o7777, 0o755);

    let job = CodeJob::new(&[]);
    fill(&job.at(""), &["run.sh=#!/bin/sh"]);
    fs::remove_dir(job.code()).unwrap();
    let (form, _, line) = job.fetch(&format!("file://{}", job.at("run.sh").display()));
    assert_eq!((form, &*line), (SourceForm::File(job.at("run.sh")), "copied 1 file (9 bytes) from /run.sh to /code"));
    assert_eq!(files(&job.code()), ["run.sh=#!/bin/sh"]);
}

#[test]
fn a_folder_that_holds_only_the_packed_source_is_unpacked() {
    let job = CodeJob::new(&[]);
    job.pack("channel/sourcedir.tar.gz", &["train.py=1"]);
    assert_eq!(job.fetch("channel").0, SourceForm::Archive(job.at("channel/sourcedir.tar.gz")));
    assert_eq!(files(&job.code()), ["train.py=1"]);
}

#[test]
fn the_supplied_source_replaces_files_of_the_image() {
    let supplied = ["train.py=new", "lib=a file now", "conf/x/y=a folder now"];
    let baked_in = ["train.py=old", "keep.py=kept", "lib/a=old", "lib/b=old", "conf/x=old", "conf/z=kept"];
    let after = ["conf/x/y=a folder now", "conf/z=kept", "keep.py=kept", "lib=a file now", "train.py=new"];
    for archive in [true, false] {
        let job = CodeJob::new(&baked_in);
        if archive {
            job.pack("src", &supplied);
        } else {
            fill(&job.at("src"), &supplied);
        }
        let (_, report, line) = job.fetch("src");
        assert_eq!(files(&job.code()), after);
        assert_eq!((report.files, report.replaced, report.was_filled), (3, 3, true));
        assert!(line.ends_with(" 3 files (25 bytes) from /src to /code, over the image's own code there (3 replaced)"));
    }
    let job = CodeJob::new(&["keep.py=kept"]);
    fill(&job.at("src"), &["train.py=new"]);
    assert!(job.fetch("src").2.ends_with(", beside the image's own code there"));
}

#[test]
fn a_folder_that_is_not_empty_stays_as_it_is_if_baked_in_code_wins() {
    let job = CodeJob::new(&["train.py=old"]);
    fill(&job.at("src"), &["train.py=new"]);
    // The source is not read, so it need not exist.
    for text in ["src", "none.tar.gz", "s3://bucket/key"] {
        let fetched = job.fetch_as(text, CodePrecedence::BakedIn).unwrap();
        assert!(matches!(fetched, FetchedCode::LeftAlone { .. }), "{fetched:?}");
        assert!(fetched.to_string().ends_with(&format!("{text} is not used")), "{fetched}");
        assert_eq!(files(&job.code()), ["train.py=old"]);
    }
    fs::remove_file(job.code().join("train.py")).unwrap();
    job.fetch_as("src", CodePrecedence::BakedIn).unwrap();
    assert_eq!(files(&job.code()), ["train.py=new"]);
}

#[test]
fn a_source_in_or_at_the_code_folder_is_not_deleted() {
    let job = CodeJob::new(&["train.py=1"]);
    symlink(job.code(), job.at("link")).unwrap();
    for text in ["", "code", "link/", job.code().to_str().unwrap()] {
        assert_eq!(CodeSource::parse(text, job.0.path(), &job.code()).unwrap(), None, "{text}");
    }
    // A source within the code folder must not be deleted to make room for its own files.
    fill(&job.code(), &["train.py=1", "src/new.py=2", "alone.py=3"]);
    job.fetch("code/src");
    job.fetch("code/alone.py");
    assert_eq!(files(&job.code()), ["alone.py=3", "new.py=2", "src/new.py=2", "train.py=1"]);
    fill(&job.code(), &["src/src=4"]);
    let error = job.fetch_as("code/src", CodePrecedence::Supplied).unwrap_err();
    assert!(matches!(error, CodeError::Overlaps { .. }), "{error:?}");
    let error = job.fetch_as(".", CodePrecedence::Supplied).unwrap_err();
    assert!(error.to_string().contains("lie in one another and cannot be copied"), "{error}");
}

#[test]
fn links_in_a_source_folder_are_followed_except_for_circles() {
    let job = CodeJob::new(&["train.py=old"]);
    symlink("../secret", job.code().join("model.bin")).unwrap();
    fill(&job.at(""), &["secret=untouched", "elsewhere/x=1"]);
    fill(&job.at("src"), &["..data/train.py=new", "model.bin=new", "out/y=2"]);
    symlink("..data/train.py", job.at("src/train.py")).unwrap();
    symlink("../elsewhere", job.at("src/lib")).unwrap();
    symlink(".", job.at("src/circle")).unwrap();
    symlink("nowhere", job.at("src/dangling")).unwrap();
    symlink(job.code(), job.at("src/code")).unwrap();
    assert!(Command::new("mkfifo").arg(job.at("src/pipe")).status().unwrap().success());
    let report = job.fetch("src").1;
    let expected = ["..data/train.py=new", "lib/x=1", "model.bin=new", "out/y=2", "train.py=new"];
    assert_eq!(files(&job.code()), expected);
    assert_eq!(fs::read_to_string(job.at("secret")).unwrap(), "untouched");
    let notes = report.notes.to_string();
    for expected in [
        "\"circle\" leads in a circle",
        "\"code\" leads in a circle",
        "\"dangling\" is a link that leads nowhere",
        "\"pipe\" is neither a file",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
}

#[test]
fn each_kind_of_unusable_source_has_its_own_error() {
    let job = CodeJob::new(&[]);
    let error = |text: &str| job.fetch_as(text, CodePrecedence::Supplied).unwrap_err();
    assert!(matches!(error("none.tar.gz"), CodeError::Missing { .. }));
    fs::write(job.at("bad.tar.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).unwrap();
    assert!(matches!(error("bad.tar.gz"), CodeError::NotArchive { .. }));
    job.pack("cut.tar.gz", &["train.py=1"]);
    let packed = fs::read(job.at("cut.tar.gz")).unwrap();
    fs::write(job.at("cut.tar.gz"), &packed[..packed.len() - 30]).unwrap();
    assert!(matches!(error("cut.tar.gz"), CodeError::Damaged { .. }));
    fs::create_dir(job.at("empty")).unwrap();
    job.pack("empty.tar.gz", &[]);
    for empty in ["empty", "empty.tar.gz"] {
        let found = error(empty).to_string();
        assert!(found.starts_with("the source ") && found.contains(&format!("/{empty} holds no files; ")), "{found}");
    }
    // The code of the image is there.
    fill(&job.code(), &["train.py=1"]);
    assert_eq!(job.fetch("empty.tar.gz").1.files, 0);
    fs::remove_file(job.code().join("train.py")).unwrap();
    fill(&job.at("src"), &["train.py=1"]);
    let source = CodeSource::parse("src", job.0.path(), &job.code()).unwrap().unwrap();
    let file = fetch(&source, &job.at("src/train.py"), CodePrecedence::Supplied, &access()).unwrap_err().to_string();
    assert!(file.contains(&job.at("src/train.py").display().to_string()), "{file}");
    // Not even root can create folders in /sys.
    let refused = fetch(&source, Path::new("/sys/footplate"), CodePrecedence::Supplied, &access()).unwrap_err();
    assert!(matches!(refused, CodeError::NotWritable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("cannot write /sys/footplate: "), "{refused}");
}

/// Runs again in a namespace with file systems made for it, by [`run_on_file_systems`].
#[test]
fn a_full_and_a_read_only_file_system_have_different_errors() {
    let Some(folder) = std::env::var_os("FOOTPLATE_TEST_FILE_SYSTEM").map(PathBuf::from) else {
        return run_on_file_systems(&test_name("a_full_and_a_read_only_file_system_have_different_errors"));
    };
    let job = CodeJob::new(&[]);
    fs::write(job.at("big.py"), vec![b'#'; 3 << 20]).unwrap();
    fill(&job.at("packed"), &["small.py=1"]);
    fs::copy(job.at("big.py"), job.at("packed/big.py")).unwrap();
    let mut tar = Command::new("tar");
    assert!(
        tar.arg("-czf").arg(job.at("big.tgz")).arg("-C").arg(job.at("packed")).arg(".").status().unwrap().success()
    );
    for text in ["big.py", "packed", "big.tgz"] {
        let source = CodeSource::parse(text, job.0.path(), &folder).unwrap().unwrap();
        let error = fetch(&source, &folder.join("full"), CodePrecedence::Supplied, &access()).unwrap_err();
        assert!(matches!(error, CodeError::NoSpace { .. }), "{text}: {error:?}");
        assert!(error.to_string().contains("full/big.py"), "{error}");
        let error = fetch(&source, &folder.join("fixed"), CodePrecedence::Supplied, &access()).unwrap_err();
        assert!(matches!(error, CodeError::NotWritable { .. }), "{text}: {error:?}");
    }
}

/// Returns the name by which the test program knows a test of this module.
fn test_name(function: &str) -> String {
    let (_crate, module) = module_path!().split_once("::").unwrap();
    format!("{module}::{function}")
}

/// Runs a test again with two file systems: `full` is writable and has 1 MiB, and `fixed` is read-only.
fn run_on_file_systems(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "mkdir full fixed && mount -t tmpfs -o size=1m tmpfs full && mount -t tmpfs -o ro tmpfs fixed || exit 99
        exec \"$0\" --exact --nocapture \"$1\"";
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    again.arg(test).env("FOOTPLATE_TEST_FILE_SYSTEM", folder.path()).current_dir(folder.path());
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // Most containers forbid namespaces. The tests in error.rs cover the errors there.
    if output.status.code() == Some(99) || text.contains("unshare: ") {
        println!("SKIPPED: this machine allows no user namespaces: {text}");
        return;
    }
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
