//! A lenient view of JSON. A key that is missing or has a value of an unexpected type counts as one without a value.

use serde_json::Value;

use crate::observe::report::scale::LARGEST;
use crate::observe::report::words::LATEST;
use crate::redact::{Redactor, visible, visible_lines};

/// The maximum length of a name or a line, in bytes.
const LONGEST_LINE: usize = 2000;

/// The maximum length of a text of several lines, in bytes.
const LONGEST_TEXT: usize = 32 << 10;

/// A part of a JSON document that may be missing.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe::report) struct Node<'a>(Option<&'a Value>);

impl<'a> Node<'a> {
    pub(in crate::observe::report) fn of(value: &'a Value) -> Node<'a> {
        Node(Some(value))
    }

    /// Returns the value of a key.
    pub(in crate::observe::report) fn get(&self, key: &str) -> Node<'a> {
        Node(self.0.and_then(|value| value.get(key)).filter(|value| !value.is_null()))
    }

    /// Returns this part if it is an object.
    pub(super) fn object(self) -> Option<Node<'a>> {
        self.0.is_some_and(Value::is_object).then_some(self)
    }

    /// Returns the items of a list.
    pub(in crate::observe::report) fn items(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.0.and_then(Value::as_array).into_iter().flatten().map(Node::of)
    }

    /// Returns the keys of an object with their values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + use<'a> {
        self.0.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), Node::of(value)))
    }

    /// Returns the finite number of a key.
    pub(in crate::observe::report) fn number(&self, key: &str) -> Option<f64> {
        self.get(key).as_number()
    }

    /// Returns this finite number, limited to the range that an axis can show.
    pub(super) fn as_number(&self) -> Option<f64> {
        self.0.and_then(Value::as_f64).filter(|number| number.is_finite()).map(|number| number.clamp(-LARGEST, LARGEST))
    }

    /// Returns the time of a key, in Unix seconds.
    pub(super) fn time(&self, key: &str) -> Option<f64> {
        self.number(key).filter(|time| (0.0..=LATEST).contains(time))
    }

    /// Returns the natural number of a key.
    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.get(key).as_count()
    }

    /// Returns this natural number.
    pub(super) fn as_count(&self) -> Option<u64> {
        let of_float = |number: f64| (0.0..1e15).contains(&number).then_some(number as u64);
        self.0.and_then(|value| value.as_u64().or_else(|| value.as_f64().and_then(of_float)))
    }

    /// Returns the integer of a key.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        self.get(key).0.and_then(Value::as_i64)
    }

    /// Returns true if a key is true.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).0.and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns the text of a key unchanged.
    pub(super) fn plain(&self, key: &str) -> Option<&'a str> {
        self.get(key).as_plain()
    }

    /// Returns this text unchanged.
    pub(super) fn as_plain(&self) -> Option<&'a str> {
        self.0.and_then(Value::as_str)
    }

    /// Returns this value as text: a text unchanged, any other value as JSON.
    pub(super) fn as_text(&self) -> String {
        match self.0 {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

/// Cleans texts from records before they are shown. They should be clean already, but a record can come from
/// anywhere.
#[derive(Debug, Default)]
pub(super) struct Cleaner(Redactor);

impl Cleaner {
    /// Returns a text on one line, shortened, without secrets and control characters.
    pub(super) fn line(&self, text: &str) -> String {
        visible(&self.0.clean(cut(text, LONGEST_LINE))).into_owned()
    }

    /// Returns a text of several lines, shortened, without secrets and control characters.
    pub(super) fn text(&self, text: &str) -> String {
        let text = cut(text, LONGEST_TEXT).replace("\r\n", "\n").replace('\t', "    ");
        visible_lines(&self.0.clean(&text)).into_owned()
    }

    /// Returns a value on one line, cleaned. A value whose name marks it as a secret is hidden.
    pub(super) fn value(&self, name: &str, value: &str) -> String {
        visible(&self.0.clean_value(name, cut(value, LONGEST_LINE))).into_owned()
    }
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Cleaner, Node};

    #[test]
    fn what_is_not_expected_is_like_nothing() {
        let value = json!({"a": {"b": [1, "x", null]}, "time": -3, "n": 1e308, "f": 2.0, "s": 5, "t": true});
        let node = Node::of(&value);
        assert_eq!(node.get("a").get("b").items().filter_map(|item| item.as_number()).collect::<Vec<_>>(), [1.0]);
        assert_eq!((node.number("a"), node.time("time"), node.number("n")), (None, None, Some(1e150)));
        assert_eq!(
            (node.count("f"), node.count("time"), node.plain("s"), node.plain("x")),
            (Some(2), None, None, None)
        );
        assert_eq!((node.flag("t"), node.flag("s"), node.integer("time")), (true, false, Some(-3)));
        assert_eq!((node.get("a").get("b").as_text().as_str(), node.get("s").entries().count()), ("[1,\"x\",null]", 0));
        assert!(node.get("s").object().is_none() && node.get("a").object().is_some());
    }

    #[test]
    fn texts_are_shown_without_secrets_and_without_what_reorders_them() {
        let cleaner = Cleaner::default();
        assert_eq!(cleaner.line("a\u{202e}b\nc\u{1b}[1m"), "a\\u{202e}b\\nc\\u{1b}[1m");
        assert_eq!(
            cleaner.text("a\tb\r\nAuthorization: Bearer abcdefghijklmnop0123"),
            "a    b\nAuthorization: Bearer ******"
        );
        assert_eq!(cleaner.value("api_key", "0123abcd4567"), "******");
        assert!(cleaner.line(&"é".repeat(9999)).len() <= 2000);
    }
}
