//! The checkpoint folder at the start of a job: the first question about a spot job is whether it resumes.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The maximum number of entries that are inspected, because the folder may be on a slow file system.
const MAX_ENTRIES: usize = 1000;

/// Returns a line about the folder: the number of entries, and the newest.
pub(super) fn describe(folder: &Path) -> String {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return format!("{shown} is not there yet"),
        Err(error) => return format!("{shown} cannot be read: {error}"),
    };
    let mut count = 0;
    let mut newest: Option<(SystemTime, String)> = None;
    for entry in entries.flatten().take(MAX_ENTRIES) {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The platform marks files that it uploads (platform contract, section 4).
        if name.ends_with(".sagemaker-uploading") || name.ends_with(".sagemaker-uploaded") {
            continue;
        }
        count += 1;
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        if newest.as_ref().is_none_or(|(time, _)| modified > *time) {
            newest = Some((modified, name));
        }
    }
    let or_more = if count >= MAX_ENTRIES { " or more" } else { "" };
    match newest {
        None => format!("{shown} is empty"),
        Some((_, name)) => format!("{shown} holds {count}{or_more} entries, {name} the newest"),
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn the_newest_checkpoint_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(describe(folder.path()).ends_with(" is empty"));
        for (name, seconds) in [("step-100.pt", 100), ("step-20.pt", 20), ("step-100.pt.sagemaker-uploaded", 200)] {
            let file = std::fs::File::create(folder.path().join(name)).expect("a file");
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).expect("a time");
        }
        assert!(describe(folder.path()).ends_with(" holds 2 entries, step-100.pt the newest"));
        assert!(describe(&folder.path().join("none")).ends_with(" is not there yet"));
    }
}
