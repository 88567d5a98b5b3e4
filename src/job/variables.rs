//! The environment variables with which this process was started.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A snapshot of environment variables. It is taken once, so that every question gets an answer from the same time.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    /// Takes a snapshot of the variables of this process.
    pub fn of_this_process() -> Variables {
        std::env::vars_os().collect()
    }

    /// Returns the value of a variable, with U+FFFD in place of bytes that are not UTF-8.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(OsStr::new(name)).map(|value| value.to_string_lossy())
    }

    /// Returns the value of a variable, or `None` if it is not set or empty.
    pub fn get_non_empty(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable, byte for byte.
    pub fn get_os(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns all variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Returns names and values as text, for [`crate::redact::Redactor::new`].
    pub fn texts(&self) -> impl Iterator<Item = (String, String)> {
        self.iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
    }

    /// Returns the number of bytes that the kernel counts for the variables when a program is executed (execve(2)).
    pub fn exec_size(&self) -> usize {
        self.iter().map(|(name, value)| name.as_bytes().len() + value.as_bytes().len() + 2 + size_of::<usize>()).sum()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Variables {
        let mut variables = Variables::default();
        pairs.into_iter().for_each(|(name, value)| variables.set(name, value));
        variables
    }
}
