//! The style sheet of CONTRIBUTING.md, as far as a test can check it: how doc comments begin, and that one name has one
//! meaning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::structure::{rust_files, sources};

/// Returns all Rust files of `src` and `tests/it` with their texts.
fn files() -> Vec<(PathBuf, String)> {
    let below = |folder: &str| -> Vec<(PathBuf, String)> {
        rust_files(folder).into_iter().map(|(path, text)| (Path::new(folder).join(path), text)).collect()
    };
    [below("src"), below("tests/it")].concat()
}

/// Returns the first line of each doc comment, with its line number.
fn starts_of_docs(text: &str) -> Vec<(usize, &str)> {
    let doc = |line: &'_ str| -> Option<usize> {
        let line = line.trim_start();
        (line.starts_with("//!") || line.starts_with("///") && !line.starts_with("////")).then_some(3)
    };
    let mut starts = Vec::new();
    let mut was_doc = false;
    for (line, number) in text.lines().zip(1..) {
        let is_doc = doc(line).is_some();
        if is_doc && !was_doc {
            starts.push((number, line.trim_start()[3..].trim()));
        }
        was_doc = is_doc;
    }
    starts
}

/// Returns true if a doc comment starts with a noun clause, or with what belongs to its end.
fn is_clause(start: &str) -> bool {
    let words = ["What", "How", "Whether", "Where", "That", "Which", "Who", "Whose", "Why", "When"];
    let first = start.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    words.contains(&first) || start.starts_with("Of a ") || start.starts_with("Of an ")
}

#[test]
fn doc_comments_start_with_a_verb_or_a_noun_phrase() {
    let mut found = Vec::new();
    let mut seen = 0;
    for (path, text) in files() {
        let starts = starts_of_docs(&text);
        seen += starts.len();
        let clauses = starts.into_iter().filter(|(_, start)| is_clause(start));
        found.extend(clauses.map(|(line, start)| format!("{}:{line}: {start}", path.display())));
    }
    assert!(seen > 1500, "the doc comments were not seen: {seen}");
    assert!(found.is_empty(), "{} doc comments are clauses (see CONTRIBUTING.md):\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_doc_comment_that_is_a_clause_is_found() {
    let text = "//! Whether it is.\n//! What more.\n\n/// Returns it.\n/// Where more.\nfn f() {\n    // What.\n}\n    /// Of a job.\n";
    let starts = starts_of_docs(text);
    assert_eq!(starts, [(1, "Whether it is."), (4, "Returns it."), (9, "Of a job.")]);
    assert_eq!(starts.iter().map(|(_, start)| is_clause(start)).collect::<Vec<_>>(), [true, false, true]);
    assert!(is_clause("What's left.") && is_clause("Of an image.") && !is_clause("Whatever is left."));
}

/// Returns the names of the types that a file shows to others.
fn types(code: &str) -> Vec<String> {
    let pattern = Regex::new(r"(?m)^\s*pub(?:\([^)]*\))? (?:struct|enum|trait|type|union) (\w+)").expect("a pattern");
    pattern.captures_iter(code).map(|found| found[1].to_owned()).collect()
}

#[test]
fn no_two_types_that_other_files_see_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, code) in sources() {
        for name in types(&code) {
            places.entry(name).or_default().push(path.display().to_string());
        }
    }
    assert!(places.len() > 150, "the types were not seen: {}", places.len());
    let twice = places.into_iter().filter(|(_, files)| files.len() > 1);
    let shown: Vec<String> = twice.map(|(name, files)| format!("{name}: {}", files.join(", "))).collect();
    assert!(shown.is_empty(), "name each by its role:\n{}", shown.join("\n"));
}

#[test]
fn types_are_seen_however_public_they_are() {
    let code =
        "pub struct A;\n    pub(super) enum B {}\npub(crate) trait C {}\npub type D = u8;\nstruct E;\npub fn f() {}\n";
    assert_eq!(types(code), ["A", "B", "C", "D"]);
}
