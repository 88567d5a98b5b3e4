//! Splitting a text into words as a shell does, without expanding anything.

/// The words of a text: blanks separate them, quotes and backslashes keep blanks in them, as in `sh`. None if a quote is not
/// closed or a backslash stands last.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // None between words: '' is a word, too.
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("  --a 1\n--b=2 ", Some(vec!["--a", "1", "--b=2"])),
            ("--a='x y'z \"\"", Some(vec!["--a=x yz", ""])),
            (r#"a\ b "c\"d\e" 'f\g'"#, Some(vec!["a b", r#"c"d\e"#, r"f\g"])),
            ("'open", None),
            ("\"open", None),
            ("open\\", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
