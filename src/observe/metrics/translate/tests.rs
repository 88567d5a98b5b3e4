//! Patterns that must be translated, and those that must be refused.

use super::{PatternError, translate};

#[test]
fn patterns_that_the_crate_writes_in_another_way_are_translated() {
    for (pattern, text, value) in [
        (r"{'f1': ([0-9.]+)}", "{'f1': 0.75}", "0.75"),
        (r"a{,3}=(\d+)", "aa=7", "7"),
        (r"a{2}=(\d+)", "aa=7", "7"),
        (r"a{x=(\d+)", "a{x=7", "7"),
        (r"loss=(\S+)\Z", "loss=1.5", "1.5"),
        (r"loss(?#the loss)=(\S+)", "loss=1.5", "1.5"),
        (r"[[a]loss[]]=(\d+)", "[loss]=3", "3"),
        (r"\075(\d+)", "=3", "3"),
        (r"\x3d(\d+)", "=3", "3"),
        (r"\u003d(\d+)", "=3", "3"),
        (r"[a&&b]=(\d)", "&=3", "3"),
        (r"\<(\d)\>", "<3>", "3"),
        (r"(?P<value>\d)", "a 3", "3"),
        (r"(?i)LOSS: (\d)", "loss: 3", "3"),
        (r"(?x) loss : \  (\d) # the loss", "loss: 3", "3"),
        (r"(?i:LOSS)=(\d)", "loss=3", "3"),
        (r"[\w-]+=(\d)", "a-b=3", "3"),
        (r"a\sb=(\d)", "a\u{1f}b=3", "3"),
        (r"(?a)\d=(\d)", "١=3 4=5", "5"),
        ("#011loss:(\\d)", "#011loss:3", "3"),
        ("#011loss:(\\d)", "\tloss:3", "3"),
        ("#011?loss:(\\d)", "#01loss:3", "3"),
    ] {
        let translated = translate(pattern).expect(pattern);
        let regex = regex::Regex::new(&translated).expect(&translated);
        let captures = regex.captures(text).unwrap_or_else(|| panic!("{pattern} as {translated} finds nothing"));
        assert_eq!(&captures[1], value, "{pattern}");
    }
}

#[test]
fn patterns_that_the_crate_has_nothing_for_are_refused_by_name() {
    for (pattern, name) in [
        ("(?=a)(b)", "a look-ahead"),
        ("(?!a)(b)", "a look-ahead"),
        ("(?<=a)(b)", "a look-behind"),
        (r"(a)\1", "a back reference"),
        ("(?P<x>a)(?P=x)", "a back reference"),
        ("(a)?(?(1)b|c)", "a conditional group"),
        ("(?>a)", "an atomic group"),
        ("a++", "a possessive quantifier"),
        (r"\N{DASH}", "a character by its name"),
    ] {
        assert_eq!(translate(pattern), Err(PatternError::Unsupported(name)), "{pattern}");
    }
}

#[test]
fn patterns_that_python_refuses_are_refused() {
    for pattern in [
        "(",
        ")",
        "[",
        "[z-a]",
        r"[\w-a]",
        "*a",
        "a**",
        "^*",
        r"\b+",
        r"\q",
        r"\x1",
        "a{3,2}",
        "(?P<1>a)",
        "(?P<a>b)(?P<a>c)",
        "a(?i)",
        "(?L)a",
        "\\",
        r"\777",
        "(?",
        "(?#",
        r"[\8]",
    ] {
        assert!(matches!(translate(pattern), Err(PatternError::Invalid { .. })), "{pattern}: {:?}", translate(pattern));
    }
}

#[test]
fn groups_beyond_measure_are_refused() {
    assert_eq!(translate(&"(".repeat(500)), Err(PatternError::TooLarge));
}
