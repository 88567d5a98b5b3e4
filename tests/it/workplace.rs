//! A folder of a user that contains code, for `footplate local`.

use std::fs;
use std::path::PathBuf;

/// A folder of a user that contains code.
pub struct Workplace(pub tempfile::TempDir);

impl Workplace {
    /// Makes a folder with a script, `src/train.py`.
    pub fn new(script: &str) -> Workplace {
        let workplace = Workplace(tempfile::tempdir().expect("a folder"));
        workplace.write("src/train.py", script);
        workplace
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("written");
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }
}
