//! The parts of a job in containers that this binary runs as a separate process. One runs inside the image, where no
//! other program is known to exist. The other runs beside the job, and cleans up if the first footplate is killed.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};

use super::engine::ContainerEngine;
use super::plan::Words;
use crate::machine::{DEFAULT_PATH, Lookup, which};

/// The first argument that makes footplate one of these parts.
pub const WORD: &str = "in-container";

pub(super) const FIND_TRAIN: [&str; 2] = [WORD, "find-train"];
pub(super) const GIVE_BACK: [&str; 2] = [WORD, "give-back"];
const CLEAN_UP: [&str; 2] = [WORD, "clean-up"];

/// The folder in which this binary is mounted as `train`, if it is on the image's PATH.
const USUAL_FOLDER: &str = "/usr/local/bin";

/// The command that runs a training job.
const TRAIN: &str = "train";

/// The last line to the cleanup process of a job that has ended and was cleaned up.
const FAREWELL: &str = "done";

/// Runs the part that the words name, and returns the exit code.
pub fn play(words: &[std::ffi::OsString]) -> i32 {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    let done = match words.next().as_deref() {
        Some("find-train") => writeln!(io::stdout(), "{}", find_train()),
        Some("give-back") => words.try_for_each(|folder| give_back(Path::new(&*folder))),
        Some("clean-up") => {
            clean_up_if_orphaned();
            Ok(())
        }
        _ => Err(io::Error::other("there is no such part")),
    };
    if let Err(error) = &done {
        eprintln!("{error}");
    }
    i32::from(done.is_err())
}

/// The command `train` of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Train {
    /// The image has it, at this path.
    OfImage(String),
    /// The image does not have it. Holds a path, in a folder of the image's PATH, at which it can be mounted.
    Missing(String),
}

impl Train {
    /// Reads the answer of [`find_train`].
    pub(super) fn read(answer: &str) -> Option<Train> {
        let answer: Value = serde_json::from_str(answer).ok()?;
        let path = answer["path"].as_str()?.to_owned();
        Some(if answer["found"].as_bool()? { Train::OfImage(path) } else { Train::Missing(path) })
    }
}

/// Searches PATH for `train`, inside the image.
fn find_train() -> Value {
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH.into());
    if let Lookup::Found(found) = which(TRAIN, Some(&path)) {
        return json!({"found": true, "path": found});
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let usual = folders.iter().find(|folder| *folder == Path::new(USUAL_FOLDER));
    let folder = usual.or(folders.first()).map_or(Path::new(USUAL_FOLDER), PathBuf::as_path);
    json!({"found": false, "path": folder.join(TRAIN)})
}

/// Gives all files of a folder to its owner. Links are not followed.
///
/// # Errors
/// A file cannot be examined, or its owner cannot be changed.
pub(super) fn give_back(folder: &Path) -> io::Result<()> {
    let owner = folder.metadata()?;
    let (uid, gid) = (owner.uid(), owner.gid());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let found = path.symlink_metadata()?;
            if (found.uid(), found.gid()) != (uid, gid) {
                let changed = lchown(&path, Some(uid), Some(gid));
                changed.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            }
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Returns true if a folder contains a file of another user, or one that cannot be examined.
pub(super) fn has_foreign_files(folder: &Path) -> bool {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { return true };
        for entry in entries {
            let Ok(entry) = entry else { return true };
            match entry.metadata() {
                Ok(found) if (found.uid(), found.gid()) != (uid, gid) => return true,
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(_) => {}
                Err(_) => return true,
            }
        }
    }
    false
}

/// A process that cleans up after this one if it is killed.
#[derive(Debug)]
pub(super) struct CleanupProcess(Child);

impl CleanupProcess {
    /// Starts the process. `commands` are commands of the engine, each with its time limit in seconds.
    ///
    /// # Errors
    /// The kernel refuses a process or a pipe.
    pub(super) fn start(engine: &ContainerEngine, commands: &[(Words, u64)]) -> io::Result<CleanupProcess> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(CLEAN_UP).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut cleaner = CleanupProcess(command.spawn()?);
        let task = json!({"engine": engine.program(), "commands": commands});
        cleaner.write_line(&task.to_string())?;
        Ok(cleaner)
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |stdin| writeln!(stdin, "{line}"))
    }
}

impl Drop for CleanupProcess {
    fn drop(&mut self) {
        // A cleanup process that was killed cannot receive the line.
        let _ = self.write_line(FAREWELL);
        let _ = self.0.stdin.take();
        let _ = self.0.wait();
    }
}

/// Waits until the first footplate has ended. If it sent no farewell, runs the commands that it has passed on.
fn clean_up_if_orphaned() {
    // Ctrl-C is meant for the first footplate.
    let _ = SigSet::all().thread_block();
    let mut lines = io::stdin().lock().lines().map_while(Result::ok);
    let task: Option<Value> = lines.next().and_then(|line| serde_json::from_str(&line).ok());
    let is_over = lines.any(|line| line == FAREWELL);
    let Some(task) = task.filter(|_| !is_over) else { return };
    let engine = ContainerEngine::at(task["engine"].as_str().unwrap_or_default().into());
    let commands: Vec<(Words, u64)> = serde_json::from_value(task["commands"].clone()).unwrap_or_default();
    // The engine would inherit the signal mask of this process.
    let _ = SigSet::all().thread_unblock();
    for (words, seconds) in commands {
        // No one is left to report an error to.
        let _ = engine.output(&words, Duration::from_secs(seconds));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use nix::unistd::{getegid, geteuid};

    use super::{Train, give_back, has_foreign_files};

    #[test]
    fn the_answer_from_the_image_is_read() {
        let read = |text: &str| Train::read(text);
        assert_eq!(read(r#"{"found":true,"path":"/a/train"}"#), Some(Train::OfImage("/a/train".into())));
        assert_eq!(read(r#"{"found":false,"path":"/b/train"}"#), Some(Train::Missing("/b/train".into())));
        assert_eq!((read("no JSON"), read("{}")), (None, None));
    }

    #[test]
    fn files_get_the_owner_of_their_folder_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("sub")).expect("made");
        fs::write(folder.path().join("sub/file"), "").expect("written");
        symlink("/", folder.path().join("sub/link")).expect("linked");
        assert!(!has_foreign_files(folder.path()));
        if geteuid().is_root() {
            std::os::unix::fs::lchown(folder.path().join("sub/file"), Some(4711), Some(4712)).expect("changed");
            assert!(has_foreign_files(folder.path()));
        }
        give_back(folder.path()).expect("given back");
        let found = fs::metadata(folder.path().join("sub/file")).expect("there");
        assert_eq!((found.uid(), found.gid()), (geteuid().as_raw(), getegid().as_raw()));
        assert!(!has_foreign_files(folder.path()));
        let root = fs::symlink_metadata("/").expect("there");
        assert_eq!(root.uid(), fs::symlink_metadata("/").expect("there").uid());
    }
}
