//! Reader of a single JSON file, which may contain anything.

use std::io::ErrorKind;
use std::path::Path;

use super::ConfigError;
use crate::job::python::{Dict, Parser, Value};
use crate::system::files;

/// The maximum size of a configuration file, in bytes. The platform allows 100 hyperparameters of 2,500 characters, so real files
/// are far smaller.
const MAX_SIZE: u64 = 32 << 20;

/// A kind of configuration file, with its texts for messages.
#[derive(Clone, Copy)]
pub(super) struct FileKind {
    /// A description of the expected content, with an example.
    pub expected: &'static str,
    /// Advice if the file is missing.
    pub if_missing: &'static str,
}

/// Advice if the content of a file is wrong.
const IF_WRONG: &str = "correct what writes this file";

impl FileKind {
    /// Returns an error about the content of `path`.
    pub(super) fn wrong(&self, path: &Path, problem: impl Into<String>) -> ConfigError {
        ConfigError { path: path.to_owned(), problem: problem.into(), expected: self.expected, remedy: IF_WRONG }
    }

    /// Reads `path` as JSON. Returns `None` if the file does not exist.
    ///
    /// # Errors
    /// The file cannot be read, is empty, or is not JSON in UTF-8.
    pub(super) fn read_optional(&self, path: &Path) -> Result<Option<Value>, ConfigError> {
        let bytes = match files::read(path, MAX_SIZE) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => {
                return Err(ConfigError {
                    path: path.to_owned(),
                    problem: format!("cannot be read: {error}"),
                    expected: self.expected,
                    remedy: "make it a file that this container's user may read",
                });
            }
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(self.wrong(path, "is empty"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            self.wrong(path, format!("line {line}, byte {column}: is not UTF-8"))
        })?;
        match Parser::with_unique_keys(text).whole() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.wrong(path, error.to_string())),
        }
    }

    /// Reads `path` as JSON.
    ///
    /// # Errors
    /// The file is missing, or as for [`FileKind::read_optional`].
    pub(super) fn read(&self, path: &Path) -> Result<Value, ConfigError> {
        self.read_optional(path)?.ok_or_else(|| ConfigError {
            path: path.to_owned(),
            problem: "is missing".to_owned(),
            expected: self.expected,
            remedy: self.if_missing,
        })
    }

    /// Returns the object that the file at `path` must contain.
    ///
    /// # Errors
    /// `value` is not an object.
    pub(super) fn object(&self, path: &Path, value: Value) -> Result<Dict, ConfigError> {
        match value {
            Value::Dict(dict) => Ok(dict),
            other => Err(self.wrong(path, format!("line 1, column 1: holds {}", other.kind()))),
        }
    }

    /// Returns the string of a key, or `None` if the key is missing or null.
    ///
    /// # Errors
    /// The value is not a string, or is empty.
    pub(super) fn string(&self, path: &Path, dict: &Dict, key: &str) -> Result<Option<String>, ConfigError> {
        match dict.get(key) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) if !text.is_empty() => Ok(Some(text.to_owned())),
                Some(_) => Err(self.wrong(path, format!("the key {key:?} is empty"))),
                None => Err(self.wrong(path, format!("the key {key:?} is {}, not a string", value.kind()))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FileKind;

    const KIND: FileKind = FileKind { expected: "an object", if_missing: "make it" };

    #[test]
    fn every_kind_of_bad_file_is_reported_in_one_form_with_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        let mut cases: Vec<(&[u8], &str)> = vec![
            (b"", "is empty"),
            (b" \n", "is empty"),
            (b"{", "line 1, column 2: expected a key in double quotes, found the end of the text"),
            (b"{\n  'a': 1}", "line 2, column 3: expected a key in double quotes, found a single quote"),
            (b"[1]", "line 1, column 1: holds a list"),
            (b"null", "line 1, column 1: holds null"),
            (b"{\"a\": 1, \"a\": 2}", "line 1, column 10: the key \"a\" comes twice"),
            (b"\xEF\xBB\xBF{}", "line 1, column 1: begins with a byte-order mark (U+FEFF)"),
            (b"{\"a\":\n \"\xff\"}", "line 2, byte 3: is not UTF-8"),
            (b"\xff\xfe{\0}\0", "line 1, byte 1: is not UTF-8"),
        ];
        let deep = "[".repeat(1_000_000);
        cases.push((deep.as_bytes(), "line 1, column 501: nested deeper than 500 levels"));
        for (content, problem) in cases {
            std::fs::write(&path, content).expect("written");
            let error = KIND.read(&path).and_then(|value| KIND.object(&path, value)).expect_err(problem).to_string();
            let expected = format!("{}: {problem}; expected an object; correct what writes this file", path.display());
            assert_eq!(error, expected);
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(
            KIND.read(&path).expect_err("missing").to_string().ends_with("is missing; expected an object; make it")
        );
        std::fs::create_dir(&path).expect("a folder");
        let error = KIND.read(&path).expect_err("a folder").to_string();
        assert!(error.contains("cannot be read: it is a folder"), "{error}");
    }
}
