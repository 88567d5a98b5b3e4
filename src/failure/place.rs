//! The place in the user's code that a traceback points to.

use std::path::Path;

use crate::event::SourcePlace;

/// One call in a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) path: String,
    pub(super) line: u64,
    /// The function; `None` in the frame of a syntax error.
    pub(super) function: Option<String>,
}

/// The distance of a frame's file from the user, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// In the folder of the user's code, or named relative to it.
    Own,
    /// Outside that folder, and not known to be a library.
    Other,
    /// An installed package, Python's own library, or a launcher.
    Library,
    /// Not a file: the import system, or generated code.
    Inside,
}

/// Returns the place to show of `frames`, which begin with the outermost call: that of the deepest frame in the user's code,
/// else of the deepest one outside libraries, else of the deepest one.
pub(super) fn deepest<'f>(frames: impl DoubleEndedIterator<Item = &'f Frame>, code_dir: &Path) -> Option<SourcePlace> {
    // `min_by_key` returns the first of equals, which is the deepest in reverse order.
    let frame = frames.rev().min_by_key(|frame| distance(&frame.path, code_dir))?;
    let path = match relative(&frame.path, code_dir) {
        Some(path) if !path.is_empty() => path,
        _ => &frame.path,
    };
    let function = frame.function.clone().filter(|name| name != "<module>");
    Some(SourcePlace { path: path.to_owned(), line: frame.line, function })
}

/// Returns true if one of `frames` is in the user's code or may be.
pub(super) fn any_own(frames: &[Frame], code_dir: &Path) -> bool {
    frames.iter().any(|frame| distance(&frame.path, code_dir) <= Distance::Other)
}

fn distance(path: &str, code_dir: &Path) -> Distance {
    const PACKAGES: [&str; 2] = ["site-packages/", "dist-packages/"];
    // `/bin/` contains the scripts that start launchers: torchrun, accelerate.
    const LIBRARIES: [&str; 4] = ["/lib/python", "/lib64/python", "/bin/", ".zip/"];
    if path.starts_with('<') && path != "<string>" && path != "<stdin>" {
        return Distance::Inside;
    }
    let inside = relative(path, code_dir);
    if PACKAGES.iter().any(|part| path.contains(part)) {
        return Distance::Library;
    }
    match inside {
        Some(inside) if LIBRARIES.iter().any(|part| inside.contains(part)) => Distance::Library,
        Some(_) => Distance::Own,
        None if LIBRARIES.iter().any(|part| path.contains(part)) => Distance::Library,
        None => Distance::Other,
    }
}

/// Returns `path` relative to the folder of the user's code; `None` if it is not in that folder.
fn relative<'p>(path: &'p str, code_dir: &Path) -> Option<&'p str> {
    if !path.starts_with(['/', '<']) {
        return Some(path.trim_start_matches("./"));
    }
    let rest = path.strip_prefix(code_dir.to_str()?.trim_end_matches('/'))?;
    rest.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Frame, deepest};

    fn shown(paths: &[&str]) -> String {
        let frame = |(index, path): (usize, &&str)| Frame {
            path: path.to_string(),
            line: index as u64 + 1,
            function: Some("f".into()),
        };
        let frames: Vec<Frame> = paths.iter().enumerate().map(frame).collect();
        deepest(frames.iter(), Path::new("/opt/ml/code")).map(|place| place.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_deepest_frame_of_the_users_code_is_shown() {
        let torch = "/usr/local/lib/python3.11/site-packages/torch/nn.py";
        assert_eq!(shown(&["/opt/ml/code/train.py", "/opt/ml/code/net/a.py", torch]), "net/a.py:2 in f");
        assert_eq!(
            shown(&["/usr/bin/torchrun", "./train.py", torch, "<frozen importlib._bootstrap>"]),
            "train.py:2 in f"
        );
        assert_eq!(
            shown(&["/opt/ml/code/venv/lib/python3.11/json.py", "/opt/ml/codex/x.py"]),
            "/opt/ml/codex/x.py:2 in f"
        );
        assert_eq!(shown(&["/usr/lib/python3.11/runpy.py", torch]), format!("{torch}:2 in f"));
        assert_eq!(shown(&["<frozen runpy>", "<string>"]), "<string>:2 in f");
        assert_eq!(shown(&["<frozen runpy>"]), "<frozen runpy>:1 in f");
        assert_eq!(shown(&[]), "");
    }
}
