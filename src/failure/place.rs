//! The place in the user's code that a traceback points to.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::SourcePlace;
use crate::failure::pattern::pattern;

/// One call in a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) path: String,
    pub(super) line: u64,
    /// The function; `None` in the frame of a syntax error.
    pub(super) function: Option<String>,
    /// True if the format of the traceback shows that this is a library's code.
    pub(super) is_library: bool,
}

impl Frame {
    /// Returns a frame for which only the path shows whose code it is.
    pub(super) fn new(path: &str, line: u64, function: Option<String>) -> Frame {
        Frame { path: path.to_owned(), line, function, is_library: false }
    }
}

/// The distance of a frame's file from the user's code, the nearest first.
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
    /// In the interpreter's own modules.
    Frozen,
}

/// Paths of libraries, in any folder: packages of Python and other languages, and compiled extension modules.
static LIBRARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:site|dist)-packages/|/node_modules/|/go/pkg/mod/|/\.julia/packages/|/\.cargo/registry/|/rustc/|/lib/(?:zig/)?std/|/nim(?:-[\d.]+)?/lib/|\.(?:pyx|pxi|pxd|pyx\.in)$|^stringsource$",
    )
});

/// Parts of paths outside the user's folder: libraries of the language, and scripts that start launchers (torchrun,
/// accelerate).
static INSTALLED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"/lib(?:64)?/python|/bin/|\.zip/|/usr/local/go/src/|/usr/lib/|/usr/share/"));

/// Returns the place that is shown for `frames`, which begin with the outermost call. It is the place of the deepest
/// frame in the user's code, else of the deepest one outside libraries, else of the deepest one.
pub(super) fn deepest<'f>(frames: impl DoubleEndedIterator<Item = &'f Frame>, code_dir: &Path) -> Option<SourcePlace> {
    // `min_by_key` returns the first of equal elements, which is the deepest frame in reverse order.
    let frame = frames.rev().min_by_key(|frame| distance(frame, code_dir))?;
    let path = match relative(&frame.path, code_dir) {
        Some(path) if !path.is_empty() => path,
        _ => &frame.path,
    };
    let function = frame.function.clone().filter(|name| name != "<module>");
    Some(SourcePlace { path: path.to_owned(), line: frame.line, function })
}

/// Returns true if one of `frames` is, or may be, in the user's code.
pub(super) fn any_own(frames: &[Frame], code_dir: &Path) -> bool {
    frames.iter().any(|frame| distance(frame, code_dir) <= Distance::Other)
}

fn distance(frame: &Frame, code_dir: &Path) -> Distance {
    let path = frame.path.as_str();
    if path.starts_with("<frozen ") {
        return Distance::Frozen;
    }
    // TensorFlow writes rewritten functions of the user to files with this name.
    if path.contains("/__autograph_generated_file") {
        return Distance::Inside;
    }
    // Such frames have no file, or belong to the one-line program that a launcher passes to `python -c`.
    if path.starts_with("node:") || is_bracketed(path) && path != "<stdin>" && !(path == "<string>" && frame.line > 1) {
        return Distance::Inside;
    }
    // Code compiled from Cython names its file relative to the folder in which it was built.
    if frame.is_library || LIBRARY.is_match(path) {
        return Distance::Library;
    }
    match relative(path, code_dir) {
        Some(inside) if INSTALLED.is_match(inside) => Distance::Library,
        Some(_) => Distance::Own,
        None if INSTALLED.is_match(path) => Distance::Library,
        None => Distance::Other,
    }
}

/// Returns true if a path is a name such as `<frozen importlib._bootstrap>`, and not a notebook's `<ipython-input-3-0a1b>`.
fn is_bracketed(path: &str) -> bool {
    path.starts_with('<') && !path.starts_with("<ipython-input")
}

/// Returns `path` relative to the folder of the user's code. `None` if it is not in that folder.
fn relative<'p>(path: &'p str, code_dir: &Path) -> Option<&'p str> {
    if !path.starts_with('/') && !is_bracketed(path) {
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
        let frame = |(index, path): (usize, &&str)| Frame::new(path, index as u64 + 1, Some("f".into()));
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
        // The program that a launcher passes to `python -c` has one line.
        assert_eq!(shown(&["<string>", torch]), format!("{torch}:2 in f"));
        assert_eq!(shown(&[torch, "<string>"]), "<string>:2 in f");
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn code_of_compiled_libraries_is_not_the_users() {
        for compiled in ["pandas/_libs/parsers.pyx", "_catboost.pyx", "pyarrow/error.pxi", "src/lxml/etree.pyx"] {
            assert_eq!(shown(&["/opt/ml/code/train.py", compiled]), "train.py:1 in f", "{compiled}");
        }
        for library in ["/code/node_modules/x/a.js", "node:internal/main", "/usr/local/go/src/os/file.go"] {
            assert_eq!(shown(&["./fit.js", library]), "fit.js:1 in f", "{library}");
        }
        assert_eq!(shown(&["pandas/_libs/parsers.pyx"]), "pandas/_libs/parsers.pyx:1 in f");
    }
}
