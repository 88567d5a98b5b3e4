//! The first line of a script, which names the program that the kernel runs it with.

use std::io;
use std::path::{Path, PathBuf};

use crate::system::files;

/// The number of bytes of a script in which the kernel looks for the first line (Linux 5.1 and later).
const READ: usize = 256;

/// The meaning of a script's first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shebang {
    /// The script has no `#!` line, or the line names no program.
    None,
    /// The program that runs the script, and the argument that it gets before the script's name.
    Interpreter(PathBuf, Option<String>),
    /// The line ends with CRLF, as on Windows. The kernel looks for a program whose name ends with a carriage return, and
    /// reports "no such file or directory" for a script that exists.
    WindowsLineEnds(PathBuf),
    /// The program that the line names does not exist.
    Missing(PathBuf),
}

/// The `#!` line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InterpreterLine {
    /// The program. It may not exist.
    pub program: PathBuf,
    /// The argument that the program gets before the script's name.
    pub argument: Option<String>,
    /// True if the line ends with CRLF.
    pub ends_with_crlf: bool,
}

impl InterpreterLine {
    /// Parses the first line of a script, which begins with these bytes. Returns `None` if it has no `#!` line, or if
    /// the line names no program.
    pub fn parse(start: &[u8]) -> Option<InterpreterLine> {
        let start = &start[..start.len().min(READ)];
        let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let (line, ends_with_crlf) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let line = String::from_utf8_lossy(line);
        let line = line.trim_matches([' ', '\t']);
        let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let argument = argument.trim_start_matches([' ', '\t']);
        let argument = (!argument.is_empty()).then(|| argument.to_owned());
        (!program.is_empty()).then(|| InterpreterLine { program: program.into(), argument, ends_with_crlf })
    }
}

/// Reads a script's first line.
///
/// # Errors
///
/// The file cannot be read.
pub fn shebang(script: &Path) -> io::Result<Shebang> {
    let start = files::start(script, READ as u64)?;
    Ok(match InterpreterLine::parse(&start) {
        None => Shebang::None,
        Some(line) if line.ends_with_crlf => Shebang::WindowsLineEnds(line.program),
        Some(line) if !line.program.is_file() => Shebang::Missing(line.program),
        Some(line) => Shebang::Interpreter(line.program, line.argument),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Shebang, shebang};

    #[test]
    fn first_lines_are_parsed_as_the_kernel_parses_them() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("x.sh");
        let long = format!("#!/bin/sh {}", "x".repeat(1000));
        let sh = |argument: Option<&str>| Shebang::Interpreter(PathBuf::from("/bin/sh"), argument.map(str::to_owned));
        for (text, expected) in [
            ("", Shebang::None),
            ("echo", Shebang::None),
            ("#!", Shebang::None),
            ("#!\n/bin/sh", Shebang::None),
            ("#!/bin/sh", sh(None)),
            ("#! /bin/sh \t\necho\r\n", sh(None)),
            ("#!/bin/sh -e -x\n", sh(Some("-e -x"))),
            ("#!/bin/sh\r\n", Shebang::WindowsLineEnds(PathBuf::from("/bin/sh"))),
            ("#!/bin/sh -e\r\n", Shebang::WindowsLineEnds(PathBuf::from("/bin/sh"))),
            ("#!/no/such/bash\necho", Shebang::Missing(PathBuf::from("/no/such/bash"))),
            ("#!/bin\n", Shebang::Missing(PathBuf::from("/bin"))),
            (&long, sh(Some(&"x".repeat(256 - 10)))),
        ] {
            fs::write(&script, text).unwrap();
            assert_eq!(shebang(&script).unwrap(), expected, "{text:?}");
        }
        assert!(shebang(&folder.path().join("none")).is_err());
    }
}
