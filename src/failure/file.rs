//! The failure file and the success file in the output folder.
//!
//! The platform shows the first 1024 characters of the failure file as the job's failure reason. The success file is a
//! convention of the toolkits: an empty file that is written after the script has succeeded.
//!
//! Both are written even if the script has filled the disk or used up the inodes or a quota: [`OutputFiles`] keeps a
//! small file in the output folder from the start, fills it at the end, and renames it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::room::{Folder, Room, is_regular};
use crate::system::kernel;

/// The result of writing a failure text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file contains the text now.
    Written,
    /// The file already contained a text that the script wrote. That text was kept.
    Kept,
}

/// The failure file and the success file of a run. All clones share one reservation.
#[derive(Clone, Debug)]
pub struct OutputFiles {
    failure: PathBuf,
    success: PathBuf,
    shared: Arc<(Mutex<Reservation>, Condvar)>,
}

/// The state of the reservation.
#[derive(Debug)]
enum Reservation {
    /// There is no reservation, or it has been used.
    None,
    /// A thread is making the reservation.
    Underway,
    Made(Reserved),
}

/// The state of the output folder before the script started.
#[derive(Debug)]
struct Reserved {
    folder: io::Result<Folder>,
    room: Option<Room>,
    /// The failure file that existed at that time, which an earlier run wrote.
    earlier: Option<Earlier>,
}

/// The identity and the state of a file: its inode, its size and the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Earlier(u64, i64, i64, i64);

impl Earlier {
    fn look(folder: &Folder, name: &str) -> Option<Earlier> {
        let found = folder.look(name).filter(is_regular)?;
        Some(Earlier(found.st_ino, found.st_size, found.st_mtime, found.st_mtime_nsec))
    }
}

impl OutputFiles {
    /// Creates the value from the paths of the two files, which are in one folder. No file is touched.
    pub fn new(failure: PathBuf, success: PathBuf) -> OutputFiles {
        OutputFiles { failure, success, shared: Arc::new((Mutex::new(Reservation::None), Condvar::new())) }
    }

    /// Returns the path of the failure file.
    pub fn failure(&self) -> &Path {
        &self.failure
    }

    /// Creates the output folder and reserves space for one of the files. This is done on a thread, because the folder
    /// may be on a file system that does not respond.
    pub fn begin(&self) {
        let files = self.clone();
        *lock(&self.shared.0) = Reservation::Underway;
        if let Err((error, _)) = kernel::on_worker(move || files.reserve(), |()| ()) {
            tracing::debug!("no room is reserved for the failure file: {error}");
            *lock(&self.shared.0) = Reservation::None;
        }
    }

    /// Waits until the space is reserved, for at most `patience`.
    pub fn wait_until_reserved(&self, patience: Duration) {
        let (state, made) = &*self.shared;
        let is_underway = |state: &mut Reservation| matches!(state, Reservation::Underway);
        // The script starts even if the reservation is not finished by then.
        let _ = made.wait_timeout_while(lock(state), patience, is_underway);
    }

    fn reserve(&self) {
        let folder = Folder::make(folder_of(&self.failure));
        let earlier = folder.as_ref().ok().and_then(|folder| Earlier::look(folder, name_of(&self.failure)));
        let room = folder.as_ref().ok().and_then(|folder| {
            let room = folder.reserve();
            room.inspect_err(|error| tracing::debug!("no room is reserved for the failure file: {error}")).ok()
        });
        let (state, made) = &*self.shared;
        *lock(state) = Reservation::Made(Reserved { folder, room, earlier });
        made.notify_all();
    }

    /// Returns the open output folder, the reserved space, and the failure file of an earlier run.
    fn take(&self) -> Result<(Folder, Option<Room>, Option<Earlier>)> {
        let path = folder_of(&self.failure);
        let failed = || format!("failed to create the folder {}", path.display());
        match std::mem::replace(&mut *lock(&self.shared.0), Reservation::None) {
            Reservation::Made(Reserved { folder: Ok(folder), room, earlier }) => {
                let folder =
                    folder.present().with_context(|| format!("failed to open the folder {}", path.display()))?;
                Ok((folder, room, earlier))
            }
            Reservation::Made(Reserved { folder: Err(_), .. }) | Reservation::None | Reservation::Underway => {
                Ok((Folder::make(path).with_context(failed)?, None, None))
            }
        }
    }

    /// Writes `text` to the failure file, and removes the success file of an earlier run. The file is replaced in one
    /// step, so a reader sees either the whole text or nothing.
    ///
    /// A file that the script wrote is kept, because the script knows best why it failed. A file is replaced if it is
    /// empty, if it has not changed since before the run, or if it is not a regular file. Blocks as long as the file
    /// system does.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be written; the message names the path.
    pub fn fail(&self, text: &str) -> Result<Written> {
        let (folder, room, earlier) = self.take()?;
        folder.remove(name_of(&self.success));
        let name = name_of(&self.failure);
        let is_scripts = folder.look(name).is_some_and(|found| is_regular(&found) && found.st_size > 0)
            && Earlier::look(&folder, name) != earlier;
        if is_scripts {
            room.into_iter().for_each(|room| folder.release(room));
            return Ok(Written::Kept);
        }
        put(&folder, &self.failure, text, room).map(|()| Written::Written)
    }

    /// Creates the empty success file. Blocks as long as the file system does.
    ///
    /// # Errors
    ///
    /// The folder or the file cannot be written; the message names the path.
    pub fn succeed(&self) -> Result<()> {
        let (folder, room, _) = self.take()?;
        put(&folder, &self.success, "", room)
    }
}

fn put(folder: &Folder, path: &Path, text: &str, room: Option<Room>) -> Result<()> {
    folder.put(name_of(path), text, room).with_context(|| format!("failed to write {}", path.display()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use tempfile::TempDir;

    use super::{OutputFiles, Written};

    struct Output {
        folder: TempDir,
        files: OutputFiles,
    }

    impl Output {
        fn new() -> Output {
            let folder = tempfile::tempdir().unwrap();
            let files = OutputFiles::new(folder.path().join("output/failure"), folder.path().join("output/success"));
            Output { folder, files }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("output").join(name)
        }

        /// Begins a run, which reserves the space.
        fn begun() -> Output {
            let output = Output::new();
            output.files.reserve();
            output
        }

        /// Returns the names in the output folder.
        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path().join("output")).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        /// Returns the path of the reserved file.
        fn room(&self) -> PathBuf {
            let names = self.names();
            self.path(names.iter().find(|name| name.starts_with(".footplate-")).expect("a room"))
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path("failure")).unwrap()
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_reserved_room_becomes_the_failure_file() {
        let output = Output::begun();
        let room = fs::metadata(output.room()).unwrap();
        assert!(room.blocks() > 0 && room.len() == 4096, "{room:?}");
        assert_eq!(output.files.fail("first").unwrap(), Written::Written);
        assert_eq!((output.text().as_str(), mode(&output.path("failure"))), ("first", 0o644));
        assert_eq!(fs::metadata(output.path("failure")).unwrap().ino(), room.ino());
        assert_eq!(output.names(), ["failure"]);
        // A second failure, such as one after a panic, changes nothing.
        assert_eq!(output.files.fail("second").unwrap(), Written::Kept);
        assert_eq!(output.text(), "first");
    }

    #[test]
    fn the_reserved_room_becomes_the_empty_success_file() {
        let output = Output::begun();
        let room = fs::metadata(output.room()).unwrap().ino();
        output.files.succeed().unwrap();
        let success = fs::metadata(output.path("success")).unwrap();
        assert_eq!((success.len(), success.ino(), mode(&output.path("success"))), (0, room, 0o644));
        assert_eq!(output.names(), ["success"]);
    }

    #[test]
    fn without_a_reservation_the_files_are_made_at_the_end() {
        let output = Output::new();
        assert_eq!(output.files.fail("text").unwrap(), Written::Written);
        assert_eq!((output.text().as_str(), output.names()), ("text", vec!["failure".to_owned()]));
        let output = Output::new();
        output.files.succeed().unwrap();
        assert_eq!(output.names(), ["success"]);
    }

    #[test]
    fn a_file_that_the_script_wrote_is_kept_and_one_of_an_earlier_run_is_not() {
        let output = Output::new();
        fs::create_dir(output.folder.path().join("output")).unwrap();
        fs::write(output.path("failure"), "of the last run").unwrap();
        fs::write(output.path("success"), "").unwrap();
        output.files.reserve();
        assert_eq!(output.files.fail("of this run").unwrap(), Written::Written);
        assert_eq!((output.text().as_str(), output.names()), ("of this run", vec!["failure".to_owned()]));

        output.files.reserve();
        fs::write(output.path("failure"), "of the script").unwrap();
        assert_eq!(output.files.fail("of footplate").unwrap(), Written::Kept);
        assert_eq!((output.text().as_str(), output.names()), ("of the script", vec!["failure".to_owned()]));

        output.files.reserve();
        fs::write(output.path("failure"), "").unwrap();
        assert_eq!(output.files.fail("in place of nothing").unwrap(), Written::Written);
        assert_eq!(output.text(), "in place of nothing");
    }

    #[test]
    fn no_link_is_followed_wherever_the_script_puts_it() {
        type Put = fn(&Output, &Path);
        let puts: [Put; 4] = [
            |output, target| symlink(target, output.path("failure")).unwrap(),
            |output, target| symlink(target, output.path("success")).unwrap(),
            |output, target| {
                let room = output.room();
                fs::remove_file(&room).unwrap();
                symlink(target, room).unwrap();
            },
            |output, target| {
                let room = output.room();
                fs::remove_file(&room).unwrap();
                fs::hard_link(target, room).unwrap();
            },
        ];
        for (at, put) in puts.iter().enumerate() {
            for is_failure in [true, false] {
                let output = Output::begun();
                let target = output.folder.path().join("precious");
                fs::write(&target, "precious").unwrap();
                fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
                put(&output, &target);
                let name = if is_failure {
                    assert_eq!(output.files.fail("text").unwrap(), Written::Written, "{at}");
                    assert_eq!(output.text(), "text", "{at}");
                    "failure"
                } else {
                    output.files.succeed().unwrap();
                    "success"
                };
                assert!(fs::symlink_metadata(output.path(name)).unwrap().is_file(), "{at}");
                assert_eq!((fs::read_to_string(&target).unwrap().as_str(), mode(&target)), ("precious", 0o600), "{at}");
            }
        }
    }

    #[test]
    fn a_fifo_in_the_place_of_a_file_is_replaced() {
        let output = Output::begun();
        for name in ["failure", "success"] {
            mkfifo(&output.path(name), Mode::S_IRWXU).unwrap();
        }
        assert_eq!(output.files.fail("text").unwrap(), Written::Written);
        assert_eq!(output.text(), "text");
        mkfifo(&output.path("success"), Mode::S_IRWXU).unwrap();
        output.files.succeed().unwrap();
        assert!(fs::metadata(output.path("success")).unwrap().is_file());
    }

    #[test]
    fn an_output_folder_that_the_script_replaced_is_found_again() {
        let output = Output::begun();
        fs::remove_dir_all(output.folder.path().join("output")).unwrap();
        assert_eq!(output.files.fail("text").unwrap(), Written::Written);
        assert_eq!(output.text(), "text");

        let output = Output::begun();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::remove_dir_all(output.folder.path().join("output")).unwrap();
        symlink(elsewhere.path(), output.folder.path().join("output")).unwrap();
        let error = format!("{:#}", output.files.fail("text").unwrap_err());
        assert!(error.starts_with("failed to open the folder "), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        let below = |name: &str| folder.path().join(name);
        let error = OutputFiles::new(below("file/failure"), below("file/success")).fail("x").unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("failed to create the folder ") && error.contains("/file"), "{error}");
        // An empty folder is replaced. A folder with content is not.
        fs::create_dir_all(below("output/failure")).unwrap();
        fs::create_dir_all(below("output/success/full")).unwrap();
        let files = OutputFiles::new(below("output/failure"), below("output/success"));
        assert_eq!(files.fail("text").unwrap(), Written::Written);
        let error = format!("{:#}", files.succeed().unwrap_err());
        assert!(error.starts_with(&format!("failed to write {}", below("output/success").display())), "{error}");
        assert_eq!(fs::read_dir(below("output")).unwrap().count(), 2, "a temporary file was left");
    }
}
