//! The program that runs an entry point that Python does not run: the kernel, or an interpreter.
//!
//! The kernel executes a file that begins with `#!`, or that is a program. Users also name files that are neither: a
//! script that an editor saved with a byte-order mark or with the line ends of Windows, an R or Julia script without
//! `#!`, a notebook. A shell would read such a file as its own language and report nonsense. So the file's first
//! bytes and its extension decide: its interpreter runs it, or an error describes the file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::entry::{EntryError, EntryKind, EntryPoint};
use super::shebang::InterpreterLine;
use crate::machine::{is_program, which};
use crate::system::files;

/// The number of bytes at the beginning of a file that are inspected.
const READ: u64 = 64 << 10;

/// The byte-order mark of UTF-8, which some editors write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The path of the shell in every image that has one.
pub const SHELL: &str = "/bin/sh";

/// The names of shells, which cannot read lines that end with CRLF, nor a byte-order mark.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"];

/// The program of a shell that runs the script `$0` without its byte-order mark.
const WITHOUT_MARK: &str = r#"script=$(tail -c +4 "$0") || exit; eval "$script""#;

/// The program that runs an entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The kernel executes the file.
    Kernel,
    /// An interpreter: the words of its command before the path of the file.
    Interpreter(Vec<String>),
}

/// A language whose scripts run without a `#!` line.
struct Language {
    /// The extensions of its files, in lower case.
    extensions: &'static [&'static str],
    /// A description of such a file, with an article.
    found: &'static str,
    /// The interpreter.
    program: &'static str,
    /// The options of the interpreter before the path of the file.
    options: &'static [&'static str],
    /// The name under which the interpreter is installed.
    name: &'static str,
}

impl Language {
    const fn new(
        extensions: &'static [&'static str],
        found: &'static str,
        program: &'static str,
        name: &'static str,
    ) -> Language {
        Language { extensions, found, program, options: &[], name }
    }
}

/// The languages whose scripts run without a `#!` line.
const LANGUAGES: [Language; 11] = [
    Language::new(&["r"], "an R script", "Rscript", "R"),
    Language::new(&["jl"], "a Julia script", "julia", "Julia"),
    Language::new(&["pl"], "a Perl script", "perl", "Perl"),
    Language::new(&["rb"], "a Ruby script", "ruby", "Ruby"),
    Language::new(&["js", "mjs", "cjs"], "a JavaScript file", "node", "Node.js"),
    Language::new(&["lua"], "a Lua script", "lua", "Lua"),
    Language::new(&["php"], "a PHP script", "php", "PHP"),
    Language::new(&["bash"], "a Bash script", "bash", "Bash"),
    Language::new(&["zsh"], "a Zsh script", "zsh", "Zsh"),
    Language::new(&["ksh"], "a Korn shell script", "ksh", "ksh"),
    Language { options: &["-jar"], ..Language::new(&["jar"], "a Java archive", "java", "Java") },
];

/// The extensions of files that Python runs: `.py`, other spellings of it, compiled files and applications.
const PYTHON: [&str; 5] = ["py", "py3", "pyw", "pyc", "pyz"];

/// The extensions of files that no program can run, each with a description of such a file and the remedy.
const NO_PROGRAMS: [(&[&str], &str, &str); 5] = [
    (
        &["ipynb"],
        "a notebook, not a script",
        "save it as a script (jupyter nbconvert --to script), or name a script that runs it with papermill or \
         `jupyter nbconvert --execute`",
    ),
    (&["rmd", "qmd"], "an R Markdown or Quarto document, not a script", "name a script that renders it"),
    (
        &["c", "cc", "cpp", "cxx", "cu", "rs", "go", "java", "scala", "kt", "f90", "ts", "pyx", "cs"],
        "source code, not a program",
        "name the compiled program, or a script that compiles and runs it",
    ),
    (
        &["json", "yaml", "yml", "toml", "ini", "cfg", "conf", "csv", "tsv", "md", "rst", "html", "xml", "lock", "log"],
        "a file of data or text, not a program",
        "name a script",
    ),
    (&["gz", "tgz", "zip", "tar", "bz2", "xz", "whl"], "an archive, not a program", "name a script in it"),
];

/// Returns true if a file that begins with these bytes is a program, for example one for another machine. A shell
/// would misread it as a script. Bash uses the same rule: a NUL byte in the first line.
pub fn is_binary(start: &[u8]) -> bool {
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    start.starts_with(b"\x7fELF") || first_line.contains(&0)
}

impl EntryPoint {
    /// Returns the program that runs this file. `is_executable` is true if the kernel may execute it, `path` is the
    /// value of PATH, and `python` the image's Python.
    ///
    /// # Errors
    ///
    /// [`EntryError::NotAProgram`], [`EntryError::NoInterpreter`] and [`EntryError::WindowsLineEnds`].
    pub fn runner(
        &self,
        is_executable: bool,
        path: Option<&OsStr>,
        python: Option<&Path>,
    ) -> Result<Runner, EntryError> {
        let by_kernel = || if is_executable { Runner::Kernel } else { Runner::Interpreter(vec![SHELL.to_owned()]) };
        if !matches!(self.kind(), EntryKind::ShellScript | EntryKind::Executable) {
            return Ok(Runner::Kernel);
        }
        // A program may be executable but not readable.
        let Ok(start) = files::start(&self.path(), READ) else { return Ok(by_kernel()) };
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            let (found, remedy) = ("a text in UTF-16", "save it in UTF-8 without a byte-order mark");
            return Err(EntryError::NotAProgram { path: self.path(), found, remedy });
        }
        let text = start.strip_prefix(BYTE_ORDER_MARK);
        let has_mark = text.is_some();
        let text = text.unwrap_or(&start);
        let Some(line) = InterpreterLine::parse(text) else {
            let found = match self.kind() {
                EntryKind::Executable => self.by_extension(path, python)?,
                _ => None,
            };
            let shell = Interpreter { program: SHELL.into(), options: Vec::new() };
            let otherwise = || match has_mark {
                true => Runner::Interpreter(shell.words_without_mark()),
                // The kernel would refuse a text without `#!`, and then the shell would read it anyway.
                false if !is_binary(text) => Runner::Interpreter(shell.words()),
                false => by_kernel(),
            };
            return Ok(found.unwrap_or_else(otherwise));
        };
        if !has_mark && !line.ends_with_crlf && is_executable {
            return Ok(Runner::Kernel);
        }
        let Some(interpreter) = Interpreter::of(&line, path) else {
            if !has_mark && !line.ends_with_crlf {
                return Ok(by_kernel());
            }
            let named = format!("{} {}", line.program.display(), line.argument.unwrap_or_default());
            return Err(EntryError::NoInterpreter {
                path: self.path(),
                found: format!("its first line names the interpreter {}, which does not exist", named.trim()),
                remedy: "install it in the image, or correct the line".to_owned(),
            });
        };
        let rest = text.iter().position(|&byte| byte == b'\n').map_or(&text[..0], |end| &text[end + 1..]);
        if interpreter.is_shell() && line.ends_with_crlf && rest.windows(2).any(|pair| pair == b"\r\n") {
            return Err(EntryError::WindowsLineEnds { path: self.path() });
        }
        Ok(Runner::Interpreter(if interpreter.is_shell() && has_mark {
            interpreter.words_without_mark()
        } else {
            interpreter.words()
        }))
    }

    /// Returns the program for the file's extension. `None` if the extension does not decide it.
    fn by_extension(&self, path: Option<&OsStr>, python: Option<&Path>) -> Result<Option<Runner>, EntryError> {
        let extension = Path::new(self.name()).extension().and_then(OsStr::to_str).unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let missing = |found: String, remedy: String| EntryError::NoInterpreter { path: self.path(), found, remedy };
        let runner = |program: &Path, options: &[&str]| {
            let options = options.iter().map(|word| (*word).to_owned());
            Some(Runner::Interpreter([program.to_string_lossy().into_owned()].into_iter().chain(options).collect()))
        };
        if PYTHON.contains(&extension.as_str()) {
            let python = python.ok_or_else(|| {
                let remedy = "install Python in the image, or set FOOTPLATE_PYTHON to its path";
                missing("it is a Python file, and the image has no Python".to_owned(), remedy.to_owned())
            })?;
            return Ok(runner(python, &[]));
        }
        if let Some(&(_, found, remedy)) = NO_PROGRAMS.iter().find(|(extensions, ..)| extensions.contains(&&*extension))
        {
            return Err(EntryError::NotAProgram { path: self.path(), found, remedy });
        }
        let language = LANGUAGES.iter().find(|language| language.extensions.contains(&&*extension));
        let Some(Language { found, program, options, name, .. }) = language else { return Ok(None) };
        match which(program, path).found() {
            Some(program) => Ok(runner(&program, options)),
            None => Err(missing(
                format!("it is {found} without #!, and {program} is not on PATH"),
                format!("install {name} in the image, or name the interpreter in a first line that begins with #!"),
            )),
        }
    }
}

/// An interpreter that exists, with the options before the path of the script.
struct Interpreter {
    program: PathBuf,
    options: Vec<String>,
}

impl Interpreter {
    /// Returns the interpreter in a `#!` line, which may use `env`. `None` if the interpreter does not exist.
    fn of(line: &InterpreterLine, path: Option<&OsStr>) -> Option<Interpreter> {
        if !is_program(&line.program) {
            return None;
        }
        if !line.program.ends_with("env") {
            return Some(Interpreter {
                program: line.program.clone(),
                options: line.argument.iter().cloned().collect(),
            });
        }
        // `env` splits its argument into words only if it begins with -S.
        let argument = line.argument.as_deref()?;
        let mut words = argument.strip_prefix("-S").unwrap_or(argument).split_whitespace();
        let program = which(words.next()?, path).found()?;
        Some(Interpreter { program, options: words.map(str::to_owned).collect() })
    }

    fn is_shell(&self) -> bool {
        self.program.file_name().is_some_and(|name| SHELLS.iter().any(|shell| name == *shell))
    }

    /// Returns the words of the command before the script.
    fn words(self) -> Vec<String> {
        [self.program.to_string_lossy().into_owned()].into_iter().chain(self.options).collect()
    }

    /// Returns the words of a shell's command that runs the script without its byte-order mark.
    fn words_without_mark(self) -> Vec<String> {
        self.words().into_iter().chain(["-c".to_owned(), WITHOUT_MARK.to_owned()]).collect()
    }
}
