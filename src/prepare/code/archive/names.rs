//! The path below the code folder that the name of an archive's member, or the key of an object, maps to.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A member's name as a path below the code folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerPath {
    /// The relative path, without `.` and `..`.
    pub path: PathBuf,
    /// True if the name led out of the folder: it was absolute or held `..`.
    pub was_outside: bool,
}

/// Returns the path below the code folder for `name`, or `None` if the name holds a NUL byte or names no file.
///
/// `..` and a leading `/` are dropped, as `sagemaker-training` does: `../../etc/passwd` becomes `etc/passwd`. A backslash
/// is an ordinary character.
pub fn path_inside(name: &[u8]) -> Option<InnerPath> {
    if name.contains(&0) {
        return None;
    }
    let mut was_outside = name.starts_with(b"/");
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => was_outside = true,
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    if path.is_empty() {
        return None;
    }
    Some(InnerPath { path: PathBuf::from(OsString::from_vec(path)), was_outside })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::path_inside;

    #[test]
    fn a_name_that_leads_out_becomes_a_path_inside() {
        for (name, path, was_outside) in [
            ("a/b", "a/b", false),
            ("./a//b/", "a/b", false),
            ("/etc/passwd", "etc/passwd", true),
            ("../../etc/passwd", "etc/passwd", true),
            ("a/../b", "a/b", true),
            ("..\\a", "..\\a", false),
        ] {
            let found = path_inside(name.as_bytes()).unwrap();
            assert_eq!((found.path.as_path(), found.was_outside), (Path::new(path), was_outside), "{name}");
        }
        for name in ["", ".", "./", "/", "..", "../..", "a\0b"] {
            assert_eq!(path_inside(name.as_bytes()), None, "{name:?}");
        }
    }
}
