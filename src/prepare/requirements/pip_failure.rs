//! The reason why pip failed: the line of its output that shows a user what to change.
//!
//! pip has no machine-readable errors, so this module follows its wording. pip prints several lines that begin with
//! `ERROR:`, and neither the first nor the last is always the most informative one. The wording was read from pip
//! 22.0.4, 23.2.1 and 26.3, which differ little, and from pip 20 for builds with `setup.py egg_info`. The tests hold
//! recorded outputs of these releases, and run the pip of the machine, so that they fail if its wording changes.

use super::build_failure::{build_error, exception, git_error, without_indent};

/// The maximum length of a complaint, in characters.
const MAX_LENGTH: usize = 700;
/// The maximum depth of outputs within outputs: pip runs another pip to install the requirements of a build.
const MAX_NESTED: usize = 3;

/// The beginnings of errors that are useless without the lines around them (pip 20 to 26).
const UNINFORMATIVE: [&str; 7] = [
    "ResolutionImpossible",
    "Failed building",
    "Failed to build",
    "Could not build wheels",
    "Exception:",
    "Command errored out",
    "pip's dependency resolver does not currently", // a warning: pip continues
];

/// Returns pip's own error as one line, from its standard output and standard error in any order; `None` if there is
/// none.
///
/// If a build failed, the line is the error of the build. If an index could not be reached, it includes the reason. If
/// requirements conflict, it names the packages that require each version. The line can hold URLs with passwords, which
/// the caller must redact.
pub fn pip_failure_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let line = complaint(&lines, MAX_NESTED)?;
    Some(match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    })
}

/// Returns the most informative error in the lines. `nested` is the number of outputs within this one that may be
/// searched.
fn complaint(lines: &[&str], nested: usize) -> Option<String> {
    build(lines, nested)
        .or_else(|| error_line(lines))
        .or_else(|| lines.iter().find(|line| line.contains("No module named pip")).map(|line| without_pip(line)))
        .or_else(|| circle(lines))
        .or_else(|| exception(lines))
        .or_else(|| {
            let mut other = lines.iter().map(|line| line.trim());
            let telling = |line: &&str| ["error: ", "fatal: "].iter().any(|word| line.contains(word));
            other.rfind(telling).map(str::to_owned)
        })
        // These errors are less informative, but nothing better was found.
        .or_else(|| {
            lines.iter().find_map(|line| line.strip_prefix("ERROR: Failed ")).map(|rest| format!("Failed {rest}"))
        })
}

/// Adds the remedy to the error of a Python that has no pip.
fn without_pip(line: &str) -> String {
    format!("{}; install pip in the image, or set FOOTPLATE_PYTHON to a Python that has it", line.trim())
}

/// Returns the error about requirements files that include each other. pip before 24.3 reports them by Python's limit of
/// nested calls in its own reader.
fn circle(lines: &[&str]) -> Option<String> {
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    (has("RecursionError: ") && has("/req/req_file.py")).then(|| {
        "the requirements files include each other; remove the line (-r or -c) that leads back to an earlier file"
            .to_owned()
    })
}

/// Returns the error of a program that pip ran: a build, or git.
///
/// The output of a build is between `╰─> [N lines of output]` and `[end of output]` (pip 22 to 26), or between
/// `Complete output (N lines):` and a line of dashes (pip 20). git's output has no such frame.
fn build(lines: &[&str], nested: usize) -> Option<String> {
    let nested = nested.checked_sub(1)?;
    let begins = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("Complete output (") || (line.starts_with("╰─> [") && line.ends_with("of output]"))
    };
    let package_of = |line: &&str| {
        let words = ["Collecting ", "Processing ", "Obtaining "];
        let package = words.iter().find_map(|word| line.strip_prefix(word))?;
        Some(package.split(" (from ").next().unwrap_or(package).to_owned())
    };
    let Some(start) = lines.iter().position(begins) else {
        let end = lines.iter().position(|line| line.trim() == "error: subprocess-exited-with-error")?;
        let reason = git_error(&lines[..end])?;
        let named = lines.iter().rev().find_map(package_of);
        let package = named.filter(|package| !reason.contains(package.trim_start_matches("git+")));
        return Some(match package {
            Some(package) => format!("{reason} (fetching {package})"),
            None => reason,
        });
    };
    let ends = |line: &&str| line.trim() == "[end of output]" || line.trim_start().starts_with("----------");
    let inner: Vec<&str> = lines[start + 1..].iter().take_while(|line| !ends(line)).copied().collect();
    let inner = without_indent(&inner);
    let last = || inner.iter().map(|line| line.trim()).rfind(|line| !line.is_empty()).map(str::to_owned);
    let is_git = inner.iter().any(|line| line.trim_start().starts_with("fatal: "));
    let git = || git_error(&inner).filter(|_| is_git);
    let own = || build_error(&inner).filter(|_| !begins_pip(&inner));
    let cause = git().or_else(own).or_else(|| complaint(&inner, nested)).or_else(last)?;
    match lines[..start].iter().rev().find_map(package_of) {
        Some(package) => Some(format!("{cause} (building {package})")),
        None => Some(cause),
    }
}

/// Returns the first informative line that begins with `ERROR:`, with details from the lines around it.
fn error_line(lines: &[&str]) -> Option<String> {
    let mut errors = lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("ERROR: ")?)));
    let (at, error) = errors.find(|(_, error)| !UNINFORMATIVE.iter().any(|beginning| error.starts_with(beginning)))?;
    let after = &lines[at + 1..];
    if error.contains("(from versions: none)") {
        return Some(match unreached(lines) {
            Some(why) => format!("{error}: the index could not be reached: {why}"),
            None => error.to_owned(),
        });
    }
    if error.starts_with("THESE PACKAGES DO NOT MATCH THE HASHES") {
        return Some(hashes(after).unwrap_or_else(|| error.to_owned()));
    }
    if error.contains("--require-hashes mode") || error.starts_with("Can't verify hashes") {
        return Some(unhashed(error, after));
    }
    if error.contains("conflicting dependencies") {
        // pip prints the causes to standard output, which may come before this error.
        let causes = lines.iter().skip_while(|line| !line.starts_with("The conflict is caused by")).skip(1);
        let causes: Vec<&str> = causes.take_while(|line| line.starts_with(' ')).map(|line| line.trim()).collect();
        return Some(if causes.is_empty() {
            error.to_owned()
        } else {
            format!("{}: {}", error.trim_end_matches('.'), causes.join("; "))
        });
    }
    if error.starts_with("Invalid requirement") {
        return Some(invalid(error, after));
    }
    Some(error.trim().to_owned())
}

/// Returns the error about a requirement that pip cannot read, with the details after it. Releases with `packaging` 22
/// and later (pip 24.1) draw an arrow under the requirement and print the line number after the arrow.
fn invalid(error: &str, after: &[&str]) -> String {
    let mut text = error.to_owned();
    for line in after.iter().take(4) {
        let line = line.trim();
        if let Some(place) = line.strip_prefix('^') {
            text = format!("{text} {}", place.trim_start_matches(['^', '~', ' '])).trim_end().to_owned();
        } else if line.starts_with("Hint:") {
            text = format!("{text}; {line}");
        } else if let Some((_, option)) = line.split_once(": error: ") {
            text = format!("{text}: {option}");
        }
    }
    text
}

/// Returns the reason why the index could not be reached, from pip's warnings.
fn unreached(lines: &[&str]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        if let Some((_, broken)) = line.split_once("after connection broken by ") {
            let why = broken.split_once("Failed to establish a new connection: ").map_or(broken, |(_, why)| why);
            return Some(why.split("')'").next()?.split("\")'").next()?.trim_matches('\'').to_owned());
        }
        line.strip_prefix("WARNING: ").filter(|warning| warning.contains("SSL")).map(str::to_owned)
    })
}

/// Returns the package whose hash differs from the one in the requirements file, with both hashes.
fn hashes(after: &[&str]) -> Option<String> {
    let package = after.first()?.trim().split(" (from ").next()?;
    let value = |word: &str| after.iter().take(8).find_map(|line| line.trim().strip_prefix(word)).map(str::trim);
    let (expected, got) = (value("Expected ")?, value("Got ")?);
    Some(format!(
        "the hash of {} is not the expected one: expected {expected}, got {got}",
        package.trim_end_matches(':')
    ))
}

/// Returns the error about requirements whose hashes cannot be checked, with the requirements, which are listed below it.
fn unhashed(error: &str, after: &[&str]) -> String {
    let listed = after.iter().take_while(|line| line.starts_with(' ')).map(|line| line.trim());
    let names: Vec<&str> = listed.filter_map(|line| line.split([' ', '(']).next()).collect();
    let reason = error.split(". Here is a list of ").next().unwrap_or(error).trim_end_matches([':', '.', ' ']);
    if names.is_empty() { reason.to_owned() } else { format!("{reason}: {}", names.join(", ")) }
}

/// Returns true if the output of a build is that of another pip, which has its own form.
fn begins_pip(lines: &[&str]) -> bool {
    lines.iter().any(|line| line.starts_with("ERROR: "))
}

#[cfg(test)]
mod tests;
