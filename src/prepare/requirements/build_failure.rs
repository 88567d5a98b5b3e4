//! The error of a program that an installer ran: a build of a package, or git. Both installers print its output whole.

/// The maximum number of lines of an exception's message that are used.
const MAX_MESSAGE: usize = 4;
/// The beginnings of lines of git that contain no reason.
const GIT_NOISE: [&str; 13] = [
    "Cloning into",
    "Running command",
    "warning: ",
    "hint: ",
    "remote: Enumerating",
    "remote: Counting",
    "remote: Compressing",
    "remote: Total",
    "Receiving objects",
    "Resolving deltas",
    "Please make sure you have the correct access",
    "and the repository exists",
    "From ",
];

/// Returns the error of a build from the lines of its output, without the lines around it. `None` if there is none.
/// The error of a compiler is more informative than the exception after it.
pub(super) fn build_error(lines: &[&str]) -> Option<String> {
    let from_compiler = |line: &&&str| {
        let is_python = line.trim_start().starts_with("File \"");
        !is_python && (line.contains(": fatal error: ") || line.contains(": error: "))
    };
    let compiler = lines.iter().find(from_compiler).map(|line| line.trim().to_owned());
    compiler.or_else(|| cmake(lines)).or_else(|| exception(lines))
}

/// Returns the first error of CMake. Its message is on the lines below.
fn cmake(lines: &[&str]) -> Option<String> {
    let start = lines.iter().position(|line| line.trim_start().starts_with("CMake Error"))?;
    let message = lines[start + 1..].iter().map(|line| line.trim()).skip_while(|line| line.is_empty());
    let message: Vec<&str> = message.take_while(|line| !line.is_empty()).take(MAX_MESSAGE).collect();
    let place = lines[start].trim().trim_end_matches(':');
    Some(if message.is_empty() { place.to_owned() } else { format!("{place}: {}", message.join(" ")) })
}

/// Returns lines without the indentation that all of them have.
pub(super) fn without_indent<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    let own = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = own.map(|line| line.len() - line.trim_start().len()).min().unwrap_or_default();
    lines.iter().map(|line| line.get(indent..).unwrap_or_default()).collect()
}

/// Returns the exception of the last Python traceback, with the further lines of its message.
pub(super) fn exception(lines: &[&str]) -> Option<String> {
    let start = lines.iter().rposition(|line| line.trim_start().starts_with("Traceback (most recent call last)"))?;
    let is_named = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    let at = start + 1 + lines[start + 1..].iter().position(|line| is_named(&line.trim_end()))?;
    let ends = |line: &str| {
        let line = line.trim();
        let is_other = ["[", "hint:", "note:", "error:", "ERROR:", "---", "╰─>", "×"];
        line.is_empty() || is_other.iter().any(|beginning| line.starts_with(beginning))
    };
    let message = lines[at + 1..].iter().take_while(|line| !ends(line)).map(|line| line.trim()).take(MAX_MESSAGE);
    Some([lines[at].trim()].into_iter().chain(message).collect::<Vec<_>>().join(" "))
}

/// Returns git's own reason from the lines of its output. `None` if git states none. The last line is often only
/// "Could not read from remote repository", and ssh has printed the reason before it.
pub(super) fn git_error(lines: &[&str]) -> Option<String> {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let is_telling = |line: &&str| {
        ["fatal: ", "error: ", "ssh: "].iter().any(|beginning| line.starts_with(beginning))
            && !line.starts_with("error: subprocess-exited")
    };
    let end = lines.iter().rposition(is_telling)?;
    let is_noise = |line: &&&str| GIT_NOISE.iter().any(|beginning| line.starts_with(beginning));
    let own: Vec<&str> =
        lines[..=end].iter().rev().take_while(|line| !is_noise(line)).take(MAX_MESSAGE).copied().collect();
    Some(own.into_iter().rev().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::{build_error, git_error};

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn a_compilers_error_precedes_the_exception_that_follows_it() {
        for (output, expected) in [
            (
                "x.c:1:10: fatal error: a/b.h: No such file or directory\ncompilation terminated.\nTraceback (most recent call \
                 last):\n  File \"<string>\", line 3, in <module>\nsubprocess.CalledProcessError: Command 'gcc' returned 1.",
                Some("x.c:1:10: fatal error: a/b.h: No such file or directory"),
            ),
            (
                "-- Looking\nCMake Error at CMakeLists.txt:12 (find_package):\n  By not providing \"FindTorch.cmake\"\n  we \
                 stop.\n\n-- Done\nTraceback (most recent call last):\nRuntimeError: cmake failed",
                Some("CMake Error at CMakeLists.txt:12 (find_package): By not providing \"FindTorch.cmake\" we stop."),
            ),
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1\n    x()\n    ^^^\nRuntimeError: one\ntwo\n\nother",
                Some("RuntimeError: one two"),
            ),
            (
                "Traceback (most recent call last):\n  File\n\"/a/b.py\",\nline 1, in f\nOSError: CUDA_HOME is not\nset.\n\nhint: x",
                Some("OSError: CUDA_HOME is not set."),
            ),
            ("Traceback (most recent call last):\n  File \"a\"\nAssertionError\n", Some("AssertionError")),
            ("need cmake >= 3.18\n", None),
        ] {
            assert_eq!(build_error(&lines(output)).as_deref(), expected, "{output}");
        }
    }

    #[test]
    fn gits_reason_stands_before_its_last_line() {
        for (output, expected) in [
            (
                "  Running command git clone 'ssh://x'\n  Host key verification failed.\n  fatal: Could not read from remote \
                 repository.\n\n  Please make sure you have the correct access rights\n  and the repository exists.\n  error: \
                 subprocess-exited-with-error",
                Some("Host key verification failed. fatal: Could not read from remote repository."),
            ),
            (
                "Cloning into 'x'...\nwarning: x\nremote: Invalid username or token.\nfatal: Authentication failed for 'https://h/'",
                Some("remote: Invalid username or token. fatal: Authentication failed for 'https://h/'"),
            ),
            (
                "error: pathspec 'v9' did not match any file(s) known to git",
                Some("error: pathspec 'v9' did not match any file(s) known to git"),
            ),
            ("Cloning into 'x'...\n", None),
        ] {
            assert_eq!(git_error(&lines(output)).as_deref(), expected, "{output}");
        }
    }
}
