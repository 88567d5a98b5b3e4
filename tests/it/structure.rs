//! The structure of the source: the order of imports between folders, the place of `unsafe`, and the length of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The maximum number of lines of code in a file, without tests. A longer file deals with more than one thing.
const LONGEST: usize = 400;

/// Returns all Rust files below a folder of the repository with their texts, by their paths below that folder.
pub fn rust_files(folder: &str) -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                found.insert(path.strip_prefix(&root).expect("a source").to_owned(), text);
            }
        }
    }
    assert!(found.len() > 30, "the source was not found");
    found
}

/// Returns the source files by their paths below `src`, without comments and tests.
pub fn sources() -> BTreeMap<PathBuf, String> {
    let is_test =
        |path: &Path| path.components().any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name));
    let files = rust_files("src").into_iter().filter(|(path, _)| !is_test(path));
    files.map(|(path, text)| (path, code_of(&text))).collect()
}

/// Returns a source text without comments and test modules. A test module with a body must be the last item of its file.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            match lines.next() {
                Some(module) if module.trim_end().ends_with(';') => continue,
                _ => break,
            }
        }
        if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Returns the folders in the order of the crate's documentation. Each may import those after it.
fn order() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let section = text.split("# Who may import whom").nth(1).expect("the section");
    let lines = section.lines().filter(|line| line.contains('→')).collect::<String>();
    let name = Regex::new("`([a-z_]+)`").expect("a pattern");
    let order: Vec<String> = name.captures_iter(&lines).map(|found| found[1].to_owned()).collect();
    let mut declared: Vec<String> = Regex::new("(?m)^pub mod ([a-z_]+);")
        .expect("a pattern")
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect();
    let mut sorted = order.clone();
    sorted.sort();
    declared.sort();
    assert_eq!(sorted, declared, "the list in lib.rs and its modules differ");
    order
}

/// Returns the top-level folders that a file imports by `crate::x`, by `crate::{x, y}`, or by enough `super` to reach them.
fn imports(path: &Path, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        found.extend(heads(part));
    }
    // The number of `super` from the file to the root of the crate. A `mod.rs` is the folder itself.
    let parts = path.with_extension("");
    let mut depth = parts.components().count();
    if parts.ends_with("mod") {
        depth -= 1;
    }
    let up = "super::".repeat(depth);
    for part in code.split(&up).skip(1) {
        found.extend(heads(part));
    }
    found
}

/// Returns the first names of a path or a group of paths: a for `a::b`, a and c for `{a::b, c}`.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut heads, mut at_start) = (1, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                heads.push(name(&group[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

/// Returns the imports that violate the order.
fn backward(path: &Path, code: &str, order: &[String]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|folder| folder == name);
    let first = path.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    // main.rs and lib.rs stand above all folders.
    let Some(own) = place(&first) else { return Vec::new() };
    let imported = imports(path, code).into_iter();
    imported
        .filter(|name| place(name).is_some_and(|place| place < own))
        .map(|name| format!("{} imports {name}", path.display()))
        .collect()
}

#[test]
fn folders_import_only_folders_after_them() {
    let order = order();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, code) in sources() {
        seen += imports(&path, &code).len();
        wrong.extend(backward(&path, &code, &order));
    }
    assert!(seen > 100, "the imports were not seen");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_import_against_the_order_is_found_however_it_is_written() {
    let order = order();
    for (path, code) in [
        ("system/mod.rs", "use crate::cli::run;"),
        ("job/python/deep/file.rs", "use crate::{system::kernel::exit, run::{Outcome, train}};"),
        ("system/mod.rs", "use super::cli;"),
        ("job/config/reader.rs", "fn f() { super::super::super::launch::plan() }"),
        ("prepare/code/deep.rs", "use super::super::super::run;"),
        ("job/mod.rs", "pub fn f(x: &crate::machine::Hardware) {}"),
    ] {
        assert_eq!(backward(Path::new(path), code, &order).len(), 1, "{path}: {code}");
    }
    for (path, code) in [
        ("cli/mod.rs", "use crate::{system::kernel, run};\nuse super::local;"),
        ("code/archive.rs", "use super::run;"),
        ("main.rs", "footplate::cli::run();"),
    ] {
        assert_eq!(backward(Path::new(path), code, &order), [] as [&str; 0], "{path}: {code}");
    }
    let with_tests = "use crate::job;\n// crate::cli\n#[cfg(test)]\nmod more;\nuse crate::run;\n#[cfg(test)]\nmod tests {\n    \
                      use crate::cli;\n}\n";
    assert_eq!(imports(Path::new("system/mod.rs"), &code_of(with_tests)), ["job", "run"]);
}

#[test]
fn unsafe_stands_only_in_the_kernel_folder() {
    let word = Regex::new(r"\bunsafe\b").expect("a pattern");
    let mut in_kernel = 0;
    for (path, code) in sources() {
        // The last one is a term of uv.
        let mut others = code.clone();
        for harmless in ["deny(unsafe_code)", "allow(unsafe_code)", "unsafe-best-match"] {
            others = others.replace(harmless, "");
        }
        let count = word.find_iter(&others).count();
        if path.starts_with("system/kernel") {
            in_kernel += count
        } else {
            assert_eq!(count, 0, "{}", path.display())
        }
        let allows = code.contains("allow(unsafe_code)");
        assert!(!allows || path.starts_with("system/kernel"), "{} allows unsafe", path.display());
    }
    assert!(in_kernel > 0, "nothing was seen");
}

#[test]
fn the_documentation_of_each_folder_says_what_it_must_not_do() {
    for folder in order() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(&folder).join("mod.rs");
        let text = fs::read_to_string(&path).expect("a module");
        let documentation: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        assert!(documentation.join("").contains("must not "), "{}", path.display());
    }
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let lengths = sources().into_iter().map(|(path, code)| (code.lines().count(), path));
    let long: Vec<_> = lengths.filter(|(length, _)| *length > LONGEST).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn every_test_module_is_named_in_the_index_of_the_integration_tests() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/main.rs")).expect("main.rs");
    for module in text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{module}.rs"));
        let tests = fs::read_to_string(&source).expect("a module").contains("#[test]");
        assert!(!tests || text.contains(&format!("//! - `{module}`: ")), "{module} is not in the index");
    }
}
