//! The files of the flight recorder for NCCL, which PyTorch writes when a collective operation takes too long. They
//! list the operations that each rank has begun. PyTorch writes them into a temporary folder, and footplate copies
//! them as evidence.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::libc;

use crate::job::Variables;
use crate::system::files;

/// The variable that holds the prefix of the files' paths, and its default in PyTorch.
const PREFIX: &str = "TORCH_NCCL_DEBUG_INFO_TEMP_FILE";
const DEFAULT_PREFIX: &str = "/tmp/nccl_trace_rank_";

/// The variables that turn the recorder on.
const SIZES: [&str; 2] = ["TORCH_NCCL_TRACE_BUFFER_SIZE", "TORCH_FR_BUFFER_SIZE"];

/// The maximum number of files, and the maximum size of one, in bytes.
const MAX_FILES: usize = 128;
const MAX_SIZE: u64 = 64 << 20;

/// Returns the prefix of the files' paths, if the recorder is turned on in this job.
pub fn prefix(variables: &Variables) -> Option<PathBuf> {
    let is_on =
        |name: &&str| variables.get(name).and_then(|size| size.trim().parse::<u64>().ok()).is_some_and(|size| size > 0);
    let prefix = || variables.get_os(PREFIX).map_or_else(|| PathBuf::from(DEFAULT_PREFIX), PathBuf::from);
    SIZES.iter().any(is_on).then(prefix)
}

/// Copies the files that were written since `since` into a folder, and returns their number. Blocks as long as the
/// file system does.
///
/// # Errors
/// A file cannot be copied.
pub fn keep(prefix: &Path, since: SystemTime, folder: &Path) -> io::Result<usize> {
    let (Some(place), Some(beginning)) = (prefix.parent(), prefix.file_name()) else { return Ok(0) };
    let beginning = beginning.to_string_lossy().into_owned();
    let mut kept = 0;
    for entry in fs::read_dir(place)?.flatten() {
        let name = entry.file_name();
        let is_one = name.to_string_lossy().starts_with(&beginning);
        let Some(found) = entry.metadata().ok().filter(|found| is_one && found.is_file()) else { continue };
        if found.modified().is_ok_and(|modified| modified < since) || found.len() > MAX_SIZE {
            continue;
        }
        if kept == MAX_FILES {
            break;
        }
        fs::create_dir_all(folder)?;
        let source =
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(entry.path())?;
        io::copy(&mut source.take(MAX_SIZE), &mut files::create_own(&folder.join(name))?)?;
        kept += 1;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::{keep, prefix};
    use crate::job::Variables;

    #[test]
    fn the_recorder_is_known_by_its_variables() {
        let of = |pairs: &[(&str, &str)]| prefix(&pairs.iter().copied().collect::<Variables>());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("TORCH_NCCL_TRACE_BUFFER_SIZE", "0")]), None);
        assert_eq!(
            of(&[("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000")]).as_deref(),
            Some(Path::new("/tmp/nccl_trace_rank_"))
        );
        let named = of(&[("TORCH_FR_BUFFER_SIZE", "1"), ("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", "/x/trace_")]);
        assert_eq!(named.as_deref(), Some(Path::new("/x/trace_")));
    }

    #[test]
    fn files_of_this_run_are_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = folder.path().join("kept");
        let begun = SystemTime::now() - Duration::from_secs(60);
        for (name, content) in [("trace_0", "zero"), ("trace_1", "one"), ("other", "x"), ("trace_2", "old")] {
            fs::write(folder.path().join(name), content).expect("written");
        }
        let old = fs::File::options().write(true).open(folder.path().join("trace_2")).expect("opened");
        old.set_modified(begun - Duration::from_secs(1)).expect("a time");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("trace_3")).expect("linked");
        assert_eq!(keep(&folder.path().join("trace_"), begun, &kept).expect("kept"), 2);
        let mut names: Vec<_> = fs::read_dir(&kept).expect("listed").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["trace_0", "trace_1"]);
        assert_eq!(fs::read_to_string(kept.join("trace_1")).expect("read"), "one");
    }
}
