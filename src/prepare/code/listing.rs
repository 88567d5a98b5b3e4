//! What is in a folder, as an error message tells it, and what in it somebody may have meant.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::prepare::nearest::nearest;

/// How many names a message shows.
const SHOWN: usize = 15;
/// How many names of one folder are looked at, and how many of all its sub folders when one is searched for.
const LOOKED_AT: usize = 10_000;
/// How deep sub folders are searched.
const DEPTH: usize = 6;

/// The names in a folder, sorted; folders end with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub names: Vec<String>,
}

impl Listing {
    pub fn of(folder: &Path) -> io::Result<Listing> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)?.take(LOOKED_AT) {
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

/// The file of a folder that is most likely meant by a name that is not there, relative to the folder: the same name
/// but for case, separators or a missing `.py` or `.sh`; else a file of that name in a sub folder; else the nearest.
pub(super) fn meant(folder: &Path, name: &str) -> Option<String> {
    let mut files = Vec::new();
    let mut looked_at = 0;
    let mut folders = vec![(String::new(), 0)];
    while let Some((below, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&below)) else { continue };
        for entry in entries.flatten() {
            looked_at += 1;
            if looked_at > LOOKED_AT {
                folders.clear();
                break;
            }
            // Names that are not text cannot be given in a setting either.
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = format!("{below}{file_name}");
            if kind.is_dir() && depth < DEPTH && !file_name.starts_with(['.', '_']) {
                folders.push((format!("{path}/"), depth + 1));
            } else if !kind.is_dir() && !file_name.starts_with('.') {
                files.push(path);
            }
        }
    }
    // The file that is least deep is the likeliest; names decide between equals, so that a message is always the same.
    files.sort_by(|a, b| a.matches('/').count().cmp(&b.matches('/').count()).then_with(|| a.cmp(b)));
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
