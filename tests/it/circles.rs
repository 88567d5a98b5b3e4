//! No file of the source imports itself by way of others.
//!
//! An import is a path that starts with `crate`, `super` or `self`, in a `use` or in code. A name that a module only passes
//! on by a `use` of its own counts as an import of the file that defines it. `mod x;`, re-exports, and paths from a module
//! to its own children do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use super::structure::sources;

/// The segments of a path, such as `["super", "table", "Table"]`.
type Segments = Vec<String>;

/// Returns the paths in a text that starts with a path or a group of paths, each with the name that it gets in the module:
/// `a::{b, c as d}` is `a::b` as b and `a::c` as d. Also returns the length of what was read.
fn paths(text: &str) -> (Vec<(Segments, String)>, usize) {
    let mut found = Vec::new();
    let mut own: Segments = Vec::new();
    let mut at = 0;
    let skip = |at: usize| at + text[at..].len() - text[at..].trim_start().len();
    loop {
        at = skip(at);
        if text[at..].starts_with('{') {
            at += 1;
            loop {
                at = skip(at);
                match text[at..].chars().next() {
                    None => return (found, at),
                    Some('}') => return (found, at + 1),
                    Some(',') => at += 1,
                    Some(_) => {
                        let (inner, length) = paths(&text[at..]);
                        if length == 0 {
                            return (found, at);
                        }
                        at += length;
                        found.extend(inner.into_iter().map(|(path, name)| {
                            // `a::{self}` is a itself.
                            let is_self = path == ["self"];
                            let path = own.iter().cloned().chain(path.into_iter().filter(|_| !is_self)).collect();
                            let name = if name == "self" { own.last().cloned().unwrap_or_default() } else { name };
                            (path, name)
                        }));
                    }
                }
            }
        }
        let word: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '*').collect();
        if word.is_empty() {
            break;
        }
        at += word.len();
        own.push(word);
        match text[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => break,
        }
    }
    let mut name = own.last().cloned().unwrap_or_default();
    if let Some(rest) = text[at..].strip_prefix(" as ") {
        name = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        at += 4 + name.len();
    }
    if !own.is_empty() {
        found.push((own, name));
    }
    (found, at)
}

/// The modules of the crate.
struct Modules {
    files: BTreeMap<Segments, PathBuf>,
    /// For each module the names that its `use` statements bring, with the absolute paths of what they stand for.
    names: BTreeMap<Segments, BTreeMap<String, Segments>>,
    sources: BTreeMap<PathBuf, String>,
}

impl Modules {
    fn new(sources: BTreeMap<PathBuf, String>) -> Modules {
        let mut modules = Modules { files: BTreeMap::new(), names: BTreeMap::new(), sources };
        for path in modules.sources.keys() {
            modules.files.insert(module_of(path), path.clone());
        }
        let statement = Regex::new(r"(?m)^\s*(?:pub(?:\([^)]*\))? )?use ").expect("a pattern");
        for (path, code) in &modules.sources {
            let module = module_of(path);
            let mut names = BTreeMap::new();
            for found in statement.find_iter(code) {
                for (path, name) in paths(&code[found.end()..]).0 {
                    if let Some(path) = modules.absolute(&module, &path) {
                        names.insert(name, path);
                    }
                }
            }
            modules.names.insert(module, names);
        }
        modules
    }

    /// Returns a path from the root of the crate, or `None` if it leads to another crate.
    fn absolute(&self, module: &Segments, path: &[String]) -> Option<Segments> {
        let mut base = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            // A path without a prefix leads to a child, to a name that the module has, or to another crate.
            child => {
                base.push(child.to_owned());
                if !self.files.contains_key(&base) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// Returns the file that an absolute path leads to, through the names that modules pass on.
    fn file_of(&self, path: &[String], depth: usize) -> Option<&Path> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        if let (Some(name), true) = (path.get(length), depth < 8)
            && let Some(target) = self.names.get(&path[..length]).and_then(|names| names.get(name))
        {
            return self.file_of(target, depth + 1);
        }
        self.files.get(&path[..length]).map(PathBuf::as_path)
    }

    /// Returns the files that each file imports.
    fn imports(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let prefix = Regex::new(r"\b(?:crate|super|self)::").expect("a pattern");
        let mut imports = BTreeMap::new();
        for (file, code) in &self.sources {
            let module = module_of(file);
            let mut targets = BTreeSet::new();
            for found in prefix.find_iter(code) {
                let before = &code[..found.start()];
                let is_continued = before.ends_with("::") || before.ends_with("in ");
                let statement = before.rsplit(['\n', ';']).next().unwrap_or_default().trim();
                let is_passed_on =
                    file.ends_with("mod.rs") && statement.starts_with("pub") && statement.ends_with("use");
                if is_continued || is_passed_on {
                    continue;
                }
                for (path, _) in paths(&code[found.start()..]).0 {
                    let path = self.absolute(&module, &path);
                    targets.extend(path.and_then(|path| self.file_of(&path, 0)));
                }
            }
            targets.remove(file.as_path());
            imports.insert(file.as_path(), targets);
        }
        imports
    }
}

/// Returns the path of the module that a file holds: `run/mod.rs` is `run`, `run/train.rs` is `run::train`.
fn module_of(file: &Path) -> Segments {
    let file = file.with_extension("");
    let mut parts: Segments = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Returns the groups of files that import each other, each sorted: the strongly connected components of more than one
/// file.
fn circles(imports: &BTreeMap<&Path, BTreeSet<&Path>>) -> Vec<Vec<String>> {
    let reached = |start: &Path| -> BTreeSet<&Path> {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&Path> = imports.get(start).into_iter().flatten().copied().collect();
        while let Some(file) = left.pop() {
            if reached.insert(file) {
                left.extend(imports.get(file).into_iter().flatten());
            }
        }
        reached
    };
    let all: BTreeMap<&Path, BTreeSet<&Path>> = imports.keys().map(|file| (*file, reached(file))).collect();
    let mut found = BTreeSet::new();
    for (file, reached) in all.iter().filter(|(file, reached)| reached.contains(*file)) {
        let with_it = reached.iter().filter(|other| all[*other].contains(file));
        found.insert(with_it.map(|file| file.display().to_string()).collect::<Vec<_>>());
    }
    found.into_iter().collect()
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let modules = Modules::new(sources());
    let imports = modules.imports();
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 300, "the imports were not seen: {count}");
    let found = circles(&imports);
    let shown: Vec<String> = found
        .iter()
        .map(|circle| {
            let within = |file: &String| -> Vec<String> {
                let targets = imports[Path::new(file)].iter().map(|target| target.display().to_string());
                targets.filter(|target| circle.contains(target)).collect()
            };
            circle.iter().map(|file| format!("{file} imports {}\n", within(file).join(", "))).collect::<String>()
        })
        .collect();
    assert!(found.is_empty(), "{} circles; move what two files need below both:\n\n{}", found.len(), shown.join("\n"));
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let circles_of = |files: &[(&str, &str)]| {
        let sources = files.iter().map(|(path, code)| (PathBuf::from(path), (*code).to_owned())).collect();
        circles(&Modules::new(sources).imports())
    };
    let root = ("lib.rs", "pub mod a;\npub mod b;");
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b::B;", "fn f(a: &super::a::A) {}"),
        ("use crate::{\n    b::{B, C as D},\n};", "use super::{a};"),
        ("use crate::b;", "use crate::a::{self, A};"),
    ] {
        assert_eq!(circles_of(&[root, ("a.rs", a), ("b.rs", b)]), [["a.rs", "b.rs"]], "{a} {b}");
    }
    // By way of a name that the folder passes on, and by way of a third file.
    let folder = ("x/mod.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\nuse self::b::B;\npub(super) use c::{C, D as E};");
    let a = ("x/a.rs", "use super::B;");
    let b = ("x/b.rs", "use crate::x::{E};");
    assert_eq!(circles_of(&[folder, a, b, ("x/c.rs", "use super::A;")]), [["x/a.rs", "x/b.rs", "x/c.rs"]]);
    assert_eq!(circles_of(&[folder, a, b, ("x/c.rs", "use super::super::y::Y;")]), [[""; 0]; 0]);
    // A folder and its children, what only names a module, and comments are no circle.
    let folder = ("x/mod.rs", "mod a;\npub use self::a::A;\npub(crate) struct T;\nfn f() { a::g() }");
    assert_eq!(circles_of(&[folder, ("x/a.rs", "use super::T;\npub(super) fn g() {}")]), [[""; 0]; 0]);
}
