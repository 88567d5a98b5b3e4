//! Control characters and their escapes.

use crate::redact::{visible, visible_json, visible_lines, visible_message};

/// Characters that a terminal or a viewer acts on.
fn unsafe_characters() -> Vec<char> {
    let ranges = [0..0x20, 0x7f..0xa0, 0x200e..0x2010, 0x2028..0x202f, 0x2066..0x206a, 0x61c..0x61d];
    ranges.into_iter().flatten().filter_map(char::from_u32).collect()
}

#[test]
fn every_unsafe_character_becomes_a_visible_escape() {
    let all = unsafe_characters();
    assert_eq!(all.len(), 32 + 33 + 2 + 7 + 4 + 1);
    for c in all {
        let text = format!("a{c}b");
        for (shown, keeps_lines) in [
            (visible(&text), false),
            (visible_message(&text), false),
            (visible_lines(&text), true),
            (visible_json(&text), true),
        ] {
            let is_kept = keeps_lines && c == '\n';
            assert_eq!(shown.contains(c), is_kept, "{c:?} became {shown:?}");
            assert!(shown.starts_with('a') && shown.ends_with('b'));
        }
    }
}

#[test]
fn other_characters_stay() {
    let text = "ä 中 ✓ 👩‍🚀 │ עברית \\ \u{a0} \u{feff}";
    for shown in [visible(text), visible_lines(text), visible_message(text), visible_json(text)] {
        assert_eq!(shown, text);
    }
}

#[test]
fn escapes_name_the_character() {
    assert_eq!(visible("a\x1b[2J\u{202e}\u{9b}\n\t\r"), r"a\u{1b}[2J\u{202e}\u{9b}\n\t\r");
    assert_eq!(visible_lines("a\x1b\nb\r"), "a\\u{1b}\nb\\u{d}");
    assert_eq!(visible_message("a\n\tb\x07"), r"a  b\u{7}");
}

#[test]
fn json_keeps_its_values() {
    let value = serde_json::json!({"a\u{202e}b": ["x\u{7f}\u{9b}\u{2028}\u{1b}\n"]});
    let json = format!("{value:#}");
    let shown = visible_json(&json);
    assert!(shown.is_ascii(), "{shown}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
}
