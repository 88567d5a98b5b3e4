//! The content of a folder for an error message, and the file in it that a wrong name may stand for.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::prepare::nearest::nearest;

/// The maximum number of names in a message.
const SHOWN: usize = 15;
/// The maximum number of names that are read: of one folder for a listing, of a folder and its subfolders for a search.
const MAX_NAMES: usize = 10_000;
/// The maximum depth of subfolders that are searched.
const MAX_DEPTH: usize = 6;

/// The names in a folder, sorted. Names of folders end with a slash. Its text is the first [`SHOWN`] names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub names: Vec<String>,
}

impl Listing {
    /// Reads the first [`MAX_NAMES`] names of a folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn of(folder: &Path) -> io::Result<Listing> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)?.take(MAX_NAMES) {
            let entry = entry?;
            let slash = if entry.path().is_dir() { "/" } else { "" };
            names.push(format!("{}{slash}", entry.file_name().to_string_lossy().escape_debug()));
        }
        names.sort();
        Ok(Listing { names })
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("nothing");
        }
        f.write_str(&self.names[..self.names.len().min(SHOWN)].join(", "))?;
        match self.names.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Returns the file of a folder that a name which does not exist most likely stands for, relative to the folder.
///
/// Prefers a file whose name differs only in case, separators or a missing `.py` or `.sh`; then a file of that name in a
/// subfolder; then the [`nearest`] name.
pub(super) fn meant(folder: &Path, name: &str) -> Option<String> {
    let mut files = Vec::new();
    let mut read = 0;
    let mut folders = vec![(String::new(), 0)];
    while let Some((below, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries.flatten() {
            read += 1;
            if read > MAX_NAMES {
                folders.clear();
                break;
            }
            // A setting cannot hold a name that is not UTF-8.
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = format!("{below}{file_name}");
            if kind.is_dir() && depth < MAX_DEPTH && !file_name.starts_with(['.', '_']) {
                folders.push((format!("{path}/"), depth + 1));
            } else if !kind.is_dir() && !file_name.starts_with('.') {
                files.push(path);
            }
        }
    }
    // The least deep file is the likeliest. The order by name makes the message deterministic.
    files.sort_unstable_by(|a, b| a.matches('/').count().cmp(&b.matches('/').count()).then_with(|| a.cmp(b)));
    let name = name.trim().trim_matches('/').replace('\\', "/");
    let wanted = [name.clone(), format!("{name}.py"), format!("{name}.sh")];
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let same = |compare: &dyn Fn(&str, &str) -> bool| {
        wanted.iter().find_map(|wanted| files.iter().find(|file| compare(file, wanted)).cloned())
    };
    same(&|file, wanted| file == wanted)
        .or_else(|| same(&|file, wanted| file.eq_ignore_ascii_case(wanted)))
        .or_else(|| same(&|file, wanted| base(file).eq_ignore_ascii_case(&base(wanted))))
        .or_else(|| nearest(&name, files.iter().map(String::as_str)).map(str::to_owned))
        .or_else(|| {
            let near = nearest(&base(&name), files.iter().map(|file| file.rsplit('/').next().unwrap_or_default()))?;
            files.iter().find(|file| base(file) == near).cloned()
        })
}
