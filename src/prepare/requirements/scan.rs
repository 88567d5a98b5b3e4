//! Reading requirements files: the packages and versions that they require, the indexes that they list, and the lines
//! that uv cannot read.
//!
//! The format is that of pip's requirements files. Lines that this module cannot evaluate are left to the installer.

use std::path::{Path, PathBuf};

use super::file_text::{DeceptiveCharacter, FileText, logical_lines};
use super::requirement::Requirement;
use super::uv_syntax;
use crate::system::files;

/// The maximum depth of files that include files. A deeper one, such as a file that includes itself, is left to the
/// installer, which reports it.
const MAX_DEPTH: usize = 20;

/// The maximum number of files. A file beyond that is left to the installer. Files that include each other several
/// times multiply quickly.
const MAX_FILES: usize = 1000;

/// The content of a requirements file and of the files that it includes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// The packages that are required by name and version.
    pub requirements: Vec<Requirement>,
    /// The constraints: conditions on packages that apply only if something requires them.
    pub constraints: Vec<Requirement>,
    /// The first line, or file, that only an installer can evaluate.
    pub undecided: Option<String>,
    /// The reason why uv cannot read a file, or would install something other than pip does.
    pub not_for_uv: Option<String>,
    /// The requirements by path.
    pub paths: Vec<String>,
    /// The first line with a deceptive character, which looks like another one or is invisible, and that character.
    pub deceptive: Option<String>,
    /// The index that replaces the default one, if a file names one.
    pub index: Option<String>,
    /// The URLs of further indexes.
    pub extra_indexes: Vec<String>,
    /// True if no index may be used.
    pub no_index: bool,
    /// Other sources of packages: folders, and URLs of pages with links.
    pub find_links: Vec<String>,
    /// Hosts whose certificates are not verified.
    pub trusted_hosts: Vec<String>,
    /// True if pre-releases may be installed.
    pub pre: bool,
    /// The first file that no installer may be given, and the reason: it is a FIFO, a device or far too large, or its
    /// file system does not answer.
    pub dangerous: Option<String>,
    /// The number of files that were read.
    pub files: usize,
}

impl Scan {
    /// Reads a requirements file and the files that it includes. `variable` returns the values for `${NAME}`.
    pub fn of_file(path: &Path, variable: &impl Fn(&str) -> Option<String>) -> Scan {
        let mut scan = Scan::default();
        scan.file(path, false, variable, MAX_DEPTH);
        scan
    }

    /// Adds the content of a constraints file.
    pub fn add_constraints(&mut self, path: &Path, variable: &impl Fn(&str) -> Option<String>) {
        self.file(path, true, variable, MAX_DEPTH);
    }

    /// Returns the path of a requirement by path, if there is only one.
    pub fn only_path(&self) -> Option<&str> {
        match &self.paths[..] {
            [path] => Some(path),
            _ => None,
        }
    }

    /// Leaves a line or a file to the installer. Only the first one is recorded.
    fn leave_to_installer(&mut self, line: String) {
        self.undecided.get_or_insert(line);
    }

    /// Reads a file and, up to `depth` levels, the files that it includes.
    fn file(&mut self, path: &Path, are_constraints: bool, variable: &impl Fn(&str) -> Option<String>, depth: usize) {
        self.files += 1;
        if self.files > MAX_FILES {
            return self.leave_to_installer("files include each other".to_owned());
        }
        let bytes = match files::read(path, files::TEXT_SIZE) {
            Ok(bytes) => bytes,
            Err(error) => {
                if files::is_dangerous(&error) {
                    self.dangerous.get_or_insert(format!("{}: {error}", path.display()));
                }
                return self.leave_to_installer(format!("{} cannot be read", path.display()));
            }
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let FileText { text, is_for_pip } = FileText::decode(&bytes);
        if is_for_pip {
            self.not_for_uv.get_or_insert(format!("{} is not UTF-8", path.display()));
        }
        let Some(text) = text else {
            return self.leave_to_installer(format!("{} is not UTF-8", path.display()));
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        for line in logical_lines(&text) {
            let expanded = expanded(&line.text, variable);
            if let Some(obstacle) = uv_syntax::obstacle(&line, &expanded) {
                self.not_for_uv.get_or_insert(format!("{obstacle} ({name})"));
            }
            if let Some(character) = DeceptiveCharacter::first_in(&line.text) {
                self.deceptive.get_or_insert(format!("line {} of {name} holds {character}", line.number));
            }
            let Some(depth) = depth.checked_sub(1) else {
                return self.leave_to_installer("files include each other".to_owned());
            };
            match included(&expanded) {
                Some((name, _)) if name.contains("://") => {
                    self.leave_to_installer(expanded);
                }
                Some((name, constraints)) => {
                    let path: PathBuf = folder.join(name);
                    self.file(&path, are_constraints || constraints, variable, depth);
                }
                None => self.line(&expanded, are_constraints),
            }
        }
    }

    /// Reads a line that includes no other file.
    fn line(&mut self, line: &str, is_constraint: bool) {
        if line.starts_with('-') {
            return self.option(line);
        }
        // pip does not verify the hash of a version that is already installed.
        let plain = line.split(" --hash").next().unwrap_or(line).trim();
        match Requirement::parse(plain) {
            Some(requirement) if is_constraint => self.constraints.push(requirement),
            Some(requirement) => self.requirements.push(requirement),
            None => {
                self.paths.extend(uv_syntax::is_path_or_url(plain).then(|| plain.to_owned()));
                self.leave_to_installer(line.to_owned());
            }
        }
    }

    /// Reads a line that is an option of the whole file.
    fn option(&mut self, line: &str) {
        let value = |names: &[&str]| {
            let (name, value) = split_option(line);
            names.contains(&name).then(|| unquoted(value).to_owned())
        };
        if let Some(url) = value(&["-i", "--index-url"]) {
            self.index = Some(url);
        } else if let Some(url) = value(&["--extra-index-url"]) {
            self.extra_indexes.push(url);
        } else if let Some(place) = value(&["-f", "--find-links"]) {
            self.find_links.push(place);
        } else if let Some(host) = value(&["--trusted-host"]) {
            self.trusted_hosts.push(host);
        } else if let Some(path) = value(&["-e", "--editable"]) {
            self.paths.push(path);
            self.leave_to_installer(line.to_owned());
        } else if line == "--no-index" {
            self.no_index = true;
        } else if line == "--pre" {
            self.pre = true;
        } else if !["--no-binary", "--only-binary", "--prefer-binary", "--require-hashes", "--use-feature"]
            .contains(&split_option(line).0)
        {
            self.leave_to_installer(line.to_owned());
        }
    }
}

/// Returns the file that a line includes, and true if it is a constraints file.
fn included(line: &str) -> Option<(&str, bool)> {
    let (name, value) = split_option(line);
    match name {
        "-r" | "--requirement" => Some((unquoted(value), false)),
        "-c" | "--constraint" => Some((unquoted(value), true)),
        _ => None,
    }
}

/// Returns a value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// Splits an option into its name and its value. They are separated by `=` or white space, or by nothing after a short
/// option such as `-r`.
fn split_option(line: &str) -> (&str, &str) {
    if !line.starts_with("--") && line.starts_with('-') && line.len() > 2 && line.is_char_boundary(2) {
        return (&line[..2], line[2..].trim().trim_start_matches('='));
    }
    match line.split_once(|c: char| c == '=' || c.is_whitespace()) {
        Some((name, value)) => (name, value.trim()),
        None => (line, ""),
    }
}

/// Replaces variables such as `${TOKEN}` by their values. A variable that is unset or empty is not replaced, as in
/// pip.
fn expanded(line: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut parts = line.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split('}').next().unwrap_or_default();
        match variable(name).filter(|value| !value.is_empty() && part.len() > name.len()) {
            Some(value) => text.push_str(&format!("{value}{}", &part[name.len() + 1..])),
            None => text.push_str(&format!("${{{part}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Scan;

    fn scan(files: &[(&str, &str)]) -> Scan {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        Scan::of_file(&folder.path().join(files[0].0), &|name| (name == "TOKEN").then(|| "t0k".to_owned()))
    }

    fn names(scan: &Scan) -> Vec<&str> {
        scan.requirements.iter().map(|requirement| requirement.name.as_str()).collect()
    }

    #[test]
    fn included_requirements_and_constraints_are_read() {
        let found = scan(&[
            (
                "requirements.txt",
                "# all\r\nnumpy>=1 \\\n  ,<3 # why\n-r env/more.txt\n--constraint=c.txt\nTorch[x] ; python_version>'3'",
            ),
            ("env/more.txt", "-rdeeper.txt\n"),
            ("env/deeper.txt", "scipy==1.0 --hash=sha256:00 \\\n --hash=sha256:11\n"),
            ("c.txt", "attrs<30\n"),
        ]);
        assert_eq!((names(&found), found.undecided.as_deref()), (vec!["numpy", "scipy", "torch"], None));
        assert_eq!(found.constraints[0].name, "attrs");
    }

    #[test]
    fn a_space_of_several_bytes_separates_as_any_other() {
        let found = scan(&[(
            "r.txt",
            "numpy\u{a0}>=1\n--index-url\u{3000}https://a/simple\n--extra-index-url\u{2003}https://b",
        )]);
        assert_eq!(found.index.as_deref(), Some("https://a/simple"));
        assert_eq!(found.extra_indexes, ["https://b"]);
    }

    #[test]
    fn a_line_with_a_deceptive_character_is_named_wherever_it_stands() {
        let spaces = "\u{85}\u{a0}\u{ad}\u{1680}\u{180e}\u{2000}\u{2003}\u{200a}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202e}\u{202f}\
                      \u{205f}\u{2060}\u{2066}\u{3000}\u{feff}\u{ff1d}\u{2013}\u{201c}\u{e0020}";
        for line in [
            "numpy==1.2; python_version > '3'",
            "a[b] @ https://u:p@host/a.whl#sha256=00",
            "--index-url https://host/simple",
            "-r more.txt",
            "-e git+https://host/x@v1#egg=x",
            "./x.whl --hash=sha256:00",
        ] {
            for space in spaces.chars() {
                for at in 0..=line.len() {
                    let found = scan(&[("r.txt", &format!("# one\n{}{space}{}\n", &line[..at], &line[at..]))]);
                    let says = format!("(U+{:04X})", space as u32);
                    let is_stripped = at == 0 || at == line.len();
                    assert!(
                        found.deceptive.is_some_and(|said| said.ends_with(&says))
                            || is_stripped
                            || space.is_whitespace(),
                        "{line} {at} {says}"
                    );
                }
            }
        }
        let found = scan(&[("r.txt", "# one\nnumpy\u{a0}==1\n# a\u{a0}b\n")]);
        assert_eq!(found.deceptive.as_deref(), Some("line 2 of r.txt holds a no-break space (U+00A0)"));
        assert_eq!(scan(&[("r.txt", "# one\u{a0}two\nnumpy # \u{2013}\n")]).deceptive, None);
    }

    #[test]
    fn options_of_indexes_are_found_with_the_values_of_variables() {
        let found = scan(&[(
            "r.txt",
            "-i https://u:${TOKEN}@a/simple\n--extra-index-url=https://${NONE}b\n--extra-index-url https://c\n-f ./w\n--find-links=/x\n\
             --trusted-host a\n--pre\n--prefer-binary\n--no-binary :all:",
        )]);
        assert_eq!(found.index.as_deref(), Some("https://u:t0k@a/simple"));
        assert_eq!(found.extra_indexes, ["https://${NONE}b", "https://c"]);
        assert_eq!(
            (found.find_links, found.trusted_hosts),
            (vec!["./w".to_owned(), "/x".to_owned()], vec!["a".to_owned()])
        );
        assert!(found.pre && !found.no_index && found.undecided.is_none() && found.not_for_uv.is_none());
        assert!(scan(&[("r.txt", "--no-index")]).no_index);
    }

    #[test]
    fn lines_that_only_an_installer_can_evaluate_are_left_to_it() {
        for line in [
            "-e .",
            "--editable=./x",
            "./x.whl",
            "x @ https://a/x.whl",
            "-r https://a/r.txt",
            "-r missing.txt",
            "-r r.txt",
        ] {
            let found = scan(&[("r.txt", &format!("a\n{line}"))]);
            assert!(found.undecided.is_some() && found.not_for_uv.is_none(), "{line}: {found:?}");
        }
        for line in ["--no-deps", "a --config-settings x=y", "-e git+https://a/x#egg=x", "--no-build-isolation", "=>=1"]
        {
            assert!(scan(&[("r.txt", line)]).not_for_uv.is_some(), "{line}");
        }
    }
}
