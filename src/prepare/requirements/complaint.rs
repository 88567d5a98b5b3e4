//! What pip complains about: the line of all that it wrote that tells a user what to change.
//!
//! pip prints several lines that begin with `ERROR:`, and the first is not always the one, nor the last. What it prints
//! differs little from pip 20 to 26.

/// How many characters a complaint may have.
const LONGEST: usize = 700;
/// pip runs pip to install what a build needs: how many outputs within one another are looked into.
const NESTED: usize = 3;

/// Lines that pip prints with `ERROR:` and that say nothing by themselves.
const EMPTY_WORDS: [&str; 7] = [
    "ResolutionImpossible",
    "Failed building",
    "Failed to build",
    "Could not build wheels",
    "Exception:",
    "Command errored out",
    "pip's dependency resolver does not currently", // a warning, after which it goes on
];

/// pip's own words for why it failed, on one line, from its standard output and standard error in any order; `None` if
/// there are none.
///
/// Of a build that failed it is the build's error, of an index that was not reached the reason, of a conflict who wants
/// what. It may hold URLs with passwords: the caller has to take them out.
pub fn failure_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let line = complaint(&lines, NESTED)?;
    Some(match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    })
}

fn complaint(lines: &[&str], nested: usize) -> Option<String> {
    build(lines, nested)
        .or_else(|| error_line(lines))
        .or_else(|| lines.iter().find(|line| line.contains("No module named pip")).map(|line| no_pip(line)))
        .or_else(|| exception(lines))
        .or_else(|| {
            let mut other = lines.iter().map(|line| line.trim());
            let telling = |line: &&str| ["error: ", "fatal: "].iter().any(|word| line.contains(word));
            other.rfind(telling).map(str::to_owned)
        })
        // Better little than nothing.
        .or_else(|| {
            lines.iter().find_map(|line| line.strip_prefix("ERROR: Failed ")).map(|rest| format!("Failed {rest}"))
        })
}

fn no_pip(line: &str) -> String {
    format!("{}; install pip in the image, or set FOOTPLATE_PYTHON to a Python that has it", line.trim())
}

/// The error of a program that pip ran: a build, or git.
fn build(lines: &[&str], nested: usize) -> Option<String> {
    let nested = nested.checked_sub(1)?;
    let begins = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("Complete output (") || (line.starts_with("╰─> [") && line.ends_with("of output]"))
    };
    let Some(start) = lines.iter().position(begins) else {
        let ran = lines.iter().any(|line| line.trim() == "error: subprocess-exited-with-error");
        return lines
            .iter()
            .filter(|_| ran)
            .map(|line| line.trim())
            .find(|line| line.starts_with("fatal: "))
            .map(str::to_owned);
    };
    let ends = |line: &&str| line.trim() == "[end of output]" || line.trim_start().starts_with("----------");
    let inner: Vec<&str> = lines[start + 1..].iter().take_while(|line| !ends(line)).copied().collect();
    let indent = inner.iter().filter(|line| !line.is_empty()).map(|line| line.len() - line.trim_start().len()).min()?;
    let inner: Vec<&str> = inner.iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
    let compiler = || {
        let from_compiler = |line: &&&str| line.contains(": fatal error: ") || line.contains(": error: ");
        inner.iter().find(from_compiler).map(|line| line.trim().to_owned())
    };
    let last = || inner.iter().map(|line| line.trim()).rfind(|line| !line.is_empty()).map(str::to_owned);
    let cause = compiler().or_else(|| complaint(&inner, nested)).or_else(last)?;
    let of = |line: &&str| {
        let words = ["Collecting ", "Processing ", "Obtaining "];
        let package = words.iter().find_map(|word| line.strip_prefix(word))?;
        Some(package.split(" (from ").next().unwrap_or(package).to_owned())
    };
    match lines[..start].iter().rev().find_map(of) {
        Some(package) => Some(format!("{cause} (building {package})")),
        None => Some(cause),
    }
}

/// The first telling line that begins with `ERROR:`, with what belongs to it.
fn error_line(lines: &[&str]) -> Option<String> {
    let errors = || lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("ERROR: ")?)));
    let (at, error) = errors().find(|(_, error)| !EMPTY_WORDS.iter().any(|word| error.starts_with(word)))?;
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
    if error.contains("conflicting dependencies") {
        // Informal, and so on standard output, which may come first.
        let causes = lines.iter().skip_while(|line| !line.starts_with("The conflict is caused by")).skip(1);
        let causes: Vec<&str> = causes.take_while(|line| line.starts_with(' ')).map(|line| line.trim()).collect();
        return Some(match causes.is_empty() {
            true => error.to_owned(),
            false => format!("{}: {}", error.trim_end_matches('.'), causes.join("; ")),
        });
    }
    if error.starts_with("Invalid requirement") {
        return Some(invalid(error, after));
    }
    Some(error.trim().to_owned())
}

/// A requirement that pip cannot read: newer ones draw an arrow under it, and say the line number after that.
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

/// Why the index was not reached, from the warnings about it.
fn unreached(lines: &[&str]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        if let Some((_, broken)) = line.split_once("after connection broken by ") {
            let why = broken.split_once("Failed to establish a new connection: ").map_or(broken, |(_, why)| why);
            return Some(why.split("')'").next()?.split("\")'").next()?.trim_matches('\'').to_owned());
        }
        let refused = line.strip_prefix("WARNING: ")?;
        let telling = refused.starts_with("401 Error") || refused.starts_with("403 Error") || refused.contains("SSL");
        telling.then(|| refused.to_owned())
    })
}

/// Which package has another hash than the requirements file says.
fn hashes(after: &[&str]) -> Option<String> {
    let package = after.first()?.trim().split(" (from ").next()?;
    let value = |word: &str| after.iter().take(8).find_map(|line| line.trim().strip_prefix(word)).map(str::trim);
    let (expected, got) = (value("Expected ")?, value("Got ")?);
    Some(format!(
        "the hash of {} is not the expected one: expected {expected}, got {got}",
        package.trim_end_matches(':')
    ))
}

/// The last exception of a Python traceback.
fn exception(lines: &[&str]) -> Option<String> {
    let start = lines.iter().rposition(|line| line.starts_with("Traceback (most recent call last)"))?;
    let named = |line: &&&str| {
        let name = line.split(':').next().unwrap_or_default();
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    lines[start + 1..].iter().find(named).map(|line| (*line).to_owned())
}

#[cfg(test)]
mod tests;
