//! The lines of requirements files that uv reads as pip does. Every other line is left to pip.
//!
//! The forms were found by giving lines to uv 0.13.9 and pip 26.3. The integration test
//! `installers::every_line_that_is_left_to_uv_is_read_by_it` gives them to the uv of the tests, and `tests/newest` to the
//! newest one.

use super::file_text::LogicalLine;
use super::requirement::{Requirement, is_well_formed_marker};

/// The options with a value that may be on their own line and that both installers support.
const WITH_VALUE: [&str; 13] = [
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--trusted-host",
    "--use-feature",
    "--no-binary",
    "--only-binary",
];
/// The options without a value that may be on their own line.
const WITHOUT_VALUE: [&str; 4] = ["--no-index", "--pre", "--prefer-binary", "--require-hashes"];
/// The ends of the names of archives that both installers unpack.
const ARCHIVES: [&str; 10] =
    [".whl", ".tar.gz", ".tgz", ".zip", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.lzma"];
/// The schemes of Git repositories that uv fetches.
const GIT: [&str; 4] = ["git+https://", "git+http://", "git+ssh://", "git+file://"];

/// Returns the reason why uv may not read a line as pip does; `None` if it does. `expanded` is the line with the values of
/// its variables.
pub(super) fn obstacle(line: &LogicalLine, expanded: &str) -> Option<String> {
    if line.is_for_pip {
        return Some(format!("uv does not read line {} as pip does", line.number));
    }
    let found = if expanded.starts_with('-') { option(expanded) } else { requirement(&line.text, expanded) };
    found.err().map(|obstacle| match obstacle {
        Obstacle::Feature(feature) => format!("uv does not read {feature}"),
        Obstacle::Form => format!("uv does not read line {}", line.number),
    })
}

/// The reason why uv does not read a line.
enum Obstacle {
    /// A feature that uv lacks.
    Feature(String),
    /// The line has a form that no rule here knows.
    Form,
}

fn feature(feature: impl Into<String>) -> Result<(), Obstacle> {
    Err(Obstacle::Feature(feature.into()))
}

/// Checks an option that is on a line of its own.
fn option(line: &str) -> Result<(), Obstacle> {
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let value = rest.trim_start_matches('=').trim();
    match name {
        "-e" | "--editable" => editable(value),
        "--no-binary" | "--only-binary" if !is_package_or_all(value) => {
            feature(format!("lists of packages after {name}"))
        }
        _ if WITH_VALUE.contains(&name) && is_one_word(value) => Ok(()),
        _ if WITHOUT_VALUE.contains(&name) && value.is_empty() => Ok(()),
        _ if WITH_VALUE.contains(&name) || WITHOUT_VALUE.contains(&name) => Err(Obstacle::Form),
        // The value can be a secret, and a short option may be joined to its value.
        _ if name.starts_with("--") => feature(name),
        _ => feature(format!("{} as it is written", name.chars().take(2).collect::<String>())),
    }
}

/// Returns true if a text is one word of a shell, or a text in quotes.
fn is_one_word(text: &str) -> bool {
    let quoted = |quote: char| text.len() > 1 && text.starts_with(quote) && text.find(quote) < text.rfind(quote);
    let has_special = |text: &str| text.contains(['\'', '"', '\\']) || text.contains(char::is_whitespace);
    let inner = |text: &str| text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned();
    match () {
        () if text.is_empty() => false,
        () if quoted('"') && text.ends_with('"') => !inner(text).contains(['\'', '"', '\\']),
        () if quoted('\'') && text.ends_with('\'') => !inner(text).contains(['\'', '"', '\\']),
        () => !has_special(text),
    }
}

fn is_package_or_all(text: &str) -> bool {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    matches!(text, ":all:" | ":none:") || !text.is_empty() && is_name(text)
}

/// Checks the value of `--editable`.
fn editable(value: &str) -> Result<(), Obstacle> {
    let (scheme, _) = value.split_once(':').unwrap_or(("", value));
    match scheme {
        _ if value.is_empty() || value.contains(['\'', '"', '\\', '#']) || value.contains(char::is_whitespace) => {
            // An option after it, such as --config-settings, or the name of a repository.
            if scheme.contains('+') { feature(format!("editable {scheme} requirements")) } else { Err(Obstacle::Form) }
        }
        _ if scheme.contains('+') => feature(format!("editable {scheme} requirements")),
        "http" | "https" => feature("editable archives"),
        _ if ARCHIVES.iter().any(|end| value.ends_with(end)) => feature("editable archives"),
        _ => Ok(()),
    }
}

/// Checks a requirement: by name, by URL or by path. `raw` is the line before variables were replaced by their
/// values.
fn requirement(raw: &str, expanded: &str) -> Result<(), Obstacle> {
    let mut words = expanded.split_whitespace();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        match name {
            "--hash" if word == "--hash" => {
                words.next();
            }
            "--hash" => {}
            _ if word.starts_with("--") => return feature(name),
            _ if word.starts_with('-') && word.len() > 1 => return Err(Obstacle::Form),
            _ => {}
        }
    }
    let plain = expanded.split(" --hash").next().unwrap_or(expanded).trim();
    if let Some((name, target)) = plain.split_once('@')
        && is_name_with_extras(name.trim())
    {
        return target_of(target.trim(), true);
    }
    if is_path_or_url(plain) {
        return target_of(plain, false);
    }
    if raw.contains("${") {
        return feature("variables in names and versions");
    }
    named(plain)
}

/// Checks a requirement by name.
fn named(text: &str) -> Result<(), Obstacle> {
    let (package, marker) = text.split_once(';').unwrap_or((text, ""));
    if text.contains(';') && !is_well_formed_marker(marker) {
        return Err(Obstacle::Form);
    }
    // uv and pip both compare `===` as texts, which the parser leaves undecided.
    let package = package.replace("===", "==");
    if Requirement::parse(&package).is_some() { Ok(()) } else { Err(Obstacle::Form) }
}

fn is_name_with_extras(text: &str) -> bool {
    let name = text.split('[').next().unwrap_or_default().trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let ends_well = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    ends_well && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_part)
}

/// Returns true if a requirement is one by path or URL, without a name before it.
pub(super) fn is_path_or_url(text: &str) -> bool {
    let word = text.split([' ', '\t', ';']).next().unwrap_or_default();
    word.contains('/')
        || word.starts_with(['.', '~'])
        || word.contains("://")
        || has_archives_name(word)
        || word.starts_with("file:")
        || word.contains('+') && word.contains(':')
}

fn has_archives_name(path: &str) -> bool {
    let path = path.strip_suffix(']').and_then(|path| path.split_once('[')).map_or(path, |(path, _)| path);
    ARCHIVES.iter().any(|end| path.to_ascii_lowercase().ends_with(end))
}

/// Checks a URL or a path, with a marker after it.
fn target_of(text: &str, has_name: bool) -> Result<(), Obstacle> {
    let (target, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (target, rest) = match target.strip_suffix(';') {
        Some(target) => (target, format!(";{rest}")),
        None => (target, rest.trim().to_owned()),
    };
    if target.contains(['\'', '"', '\\', ';']) {
        return Err(Obstacle::Form);
    }
    match rest.trim_start().strip_prefix(';') {
        Some(marker) if is_well_formed_marker(marker) => {}
        None if rest.is_empty() => {}
        _ => return Err(Obstacle::Form),
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = path.split('?').next().unwrap_or(path);
    match target.split_once("://") {
        Some((scheme, rest)) if scheme.contains('+') => {
            let authority = rest.split('/').next().unwrap_or_default();
            let port = authority.rsplit('@').next().unwrap_or_default().split_once(':').map_or("", |(_, port)| port);
            if !GIT.iter().any(|git| target.starts_with(git)) || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return feature(format!("{scheme} URLs like this one"));
            }
            Ok(())
        }
        Some(("http" | "https", _)) if !has_archives_name(path) => feature("URLs without the name of an archive"),
        Some(("http" | "https", _)) => {
            let digest = fragment.strip_prefix("sha256=");
            if digest.is_some_and(|digest| digest.len() != 64) { Err(Obstacle::Form) } else { Ok(()) }
        }
        Some(("file", _)) if has_name || fragment.is_empty() => Ok(()),
        Some((scheme, _)) if !scheme.contains('/') => feature(format!("{scheme} URLs like this one")),
        // For pip, a path after a name is not a valid target.
        _ if has_name || !fragment.is_empty() || target.starts_with('~') => Err(Obstacle::Form),
        _ if target.contains(':') && !target.starts_with("file:") => Err(Obstacle::Form),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::obstacle;
    use crate::prepare::requirements::file_text::logical_lines;

    fn obstacles(text: &str) -> Option<String> {
        logical_lines(text).iter().find_map(|line| obstacle(line, &line.text))
    }

    #[test]
    fn common_lines_are_left_to_uv() {
        for line in [
            "numpy",
            "Torch[x, y]>=2.1,<3 ; python_version >= '3.9' and (sys_platform == \"linux\")",
            "a (==1.2)",
            "a==1.*",
            "a===1.2",
            "a\u{a0}>=1",
            "a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11",
            "a @ https://u:p@host/a-1.0-py3-none-any.whl",
            "a@git+https://host/x.git@main#egg=a",
            "git+ssh://git@host:22/x/y.git@v1#subdirectory=z",
            "https://host/a.tar.gz?x=1#egg=a ; python_version>'3'",
            "./local[dev]",
            "../x/a-1.0-py3-none-any.whl",
            "a-1.0-py3-none-any.whl",
            "file:./local",
            "-e .",
            "-e ./local[dev]",
            "--editable=file:///x/local",
            "-r more.txt",
            "-c \"with space.txt\"",
            "--requirement='x.txt'",
            "-i https://host/simple",
            "--extra-index-url=https://host",
            "--find-links\t./wheels # c",
            "--trusted-host host",
            "--only-binary :all:",
            "--no-binary=numpy",
            "--pre",
            "--no-index",
        ] {
            assert_eq!(obstacles(line), None, "{line}");
        }
    }

    #[test]
    fn lines_that_uv_does_not_read_as_pip_does_are_left_to_pip() {
        for (line, reason) in [
            ("-e git+https://host/x.git@main#egg=x", "editable git+https requirements"),
            ("-e git+ssh://git@host/x.git#egg=x --config-settings a=b", "editable git+ssh requirements"),
            ("--editable=hg+https://host/x#egg=x", "editable hg+https requirements"),
            ("-e https://host/x.tar.gz", "editable archives"),
            ("-e x.whl", "editable archives"),
            ("-e 'local'", "line 1"),
            ("-e./local", "-e as it is written"),
            ("-rmore.txt", "-r as it is written"),
            ("-ihttps://u:secret@host", "-i as it is written"),
            ("-r more.txt -c c.txt", "line 1"),
            ("--index-url https://host --pre", "line 1"),
            ("--no-binary a,b", "lists of packages after --no-binary"),
            ("--index https://host", "--index"),
            ("--no-deps", "--no-deps"),
            ("--use-pep517", "--use-pep517"),
            ("--upgrade", "--upgrade"),
            ("a --global-option=x", "--global-option"),
            ("a --install-option='--x'", "--install-option"),
            ("a --config-settings a=b", "--config-settings"),
            ("a --hash=sha256:00 --no-binary a", "--no-binary"),
            ("a -C a=b", "line 1"),
            ("a==1.2-legacy", "line 1"),
            ("a>=1.*", "line 1"),
            ("a>=1+local", "line 1"),
            ("a~=1", "line 1"),
            ("a=>1", "line 1"),
            ("a b", "line 1"),
            ("=>=1", "line 1"),
            ("a;", "line 1"),
            ("a; python_version==3.11", "line 1"),
            ("a; colour=='x'", "line 1"),
            ("a; (python_version>'3'", "line 1"),
            ("a \\\n  ==1", "line 1 as pip does"),
            ("\u{3000}a", "line 1 as pip does"),
            ("a\u{200b}==1", "line 1"),
            ("a @ ./x.whl", "line 1"),
            ("svn+https://host/x", "svn+https URLs like this one"),
            ("a @ bzr+https://host/x", "bzr+https URLs like this one"),
            ("git+ssh://git@host:org/x.git", "git+ssh URLs like this one"),
            ("git+git://host/x.git", "git+git URLs like this one"),
            ("git://host/x.git", "git URLs like this one"),
            ("git+git@host:org/x.git", "line 1"),
            ("https://host/archive/main", "URLs without the name of an archive"),
            ("file:///x/a.whl#egg=a", "file URLs like this one"),
            ("~/x", "line 1"),
        ] {
            assert_eq!(obstacles(line), Some(format!("uv does not read {reason}")), "{line}");
        }
        let line = &logical_lines("${NAME}==1")[0];
        assert_eq!(obstacle(line, "fix==1").as_deref(), Some("uv does not read variables in names and versions"));
    }
}
