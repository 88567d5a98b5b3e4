//! The values of Python's `json` module.

use std::collections::HashMap;

use super::text::Text;

/// A Python value that a JSON text can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of any size, as its decimal digits with a sign if it is negative.
    Int(String),
    /// A float.
    Float(f64),
    /// A string.
    Str(Text),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Dict(Dict),
}

impl Value {
    /// Returns the text of a string; `None` for another type, or if the string holds a surrogate.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => text.as_str(),
            _ => None,
        }
    }

    /// Returns the dictionary; `None` for another type.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// Returns the items of a list; `None` for another type.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns the integer; `None` for another type, a float included, or if it exceeds 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Returns `bool(value)`.
    pub fn is_true(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(digits) => digits != "0",
            Value::Float(number) => *number != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
        }
    }

    /// Returns the name of the JSON type for a message, with its article: `a list`, `null`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "null",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Str(_) => "a string",
            Value::List(_) => "a list",
            Value::Dict(_) => "an object",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(Text::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(Text::from(text))
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Value {
        Value::Str(text.clone())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::Int(number.to_string())
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Value {
        Value::Dict(dict)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

impl<V: Into<Value>> FromIterator<V> for Value {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

/// A dictionary with strings as keys, in insertion order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(Vec<(Text, Value)>);

impl Dict {
    /// Returns an empty dictionary.
    pub fn new() -> Dict {
        Dict::default()
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets the value of a key. An existing key keeps its position, as in Python.
    pub fn set(&mut self, key: impl Into<Text>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some(pair) => pair.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Returns the keys and values in insertion order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Returns the keys in insertion order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Returns the keys and values, sorted by key as Python sorts: by code points.
    pub fn sorted(&self) -> Vec<(&Text, &Value)> {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_unstable_by(|a, b| a.0.cmp(b.0));
        pairs
    }

    /// Returns a dictionary of the pairs whose key meets the condition.
    pub fn filtered(&self, mut condition: impl FnMut(&Text) -> bool) -> Dict {
        Dict(self.0.iter().filter(|(key, _)| condition(key)).cloned().collect())
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Text, Value)> for Dict {
    /// Collects pairs. If a key occurs twice, the last value counts, at the position of the first.
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(pairs: I) -> Dict {
        let mut builder = DictBuilder::default();
        for (key, value) in pairs {
            builder.set(key, value);
        }
        builder.finish()
    }
}

/// The number of keys from which a hash table finds duplicates. A linear search for each key would be too slow: a file
/// can hold half a million keys.
const INDEXED_KEYS: usize = 16;

/// A dictionary under construction. If a key is set twice, the last value counts, at the position of the first.
#[derive(Default)]
pub(super) struct DictBuilder {
    pairs: Vec<(Text, Value)>,
    /// The positions of all keys, once there are [`INDEXED_KEYS`].
    index: HashMap<Text, usize>,
}

impl DictBuilder {
    /// Sets the value of a key.
    pub fn set(&mut self, key: Text, value: Value) {
        if let Some(earlier) = self.position(&key) {
            self.pairs[earlier].1 = value;
            return;
        }
        if !self.index.is_empty() {
            self.index.insert(key.clone(), self.pairs.len());
        }
        self.pairs.push((key, value));
    }

    /// Returns true if a key is set.
    pub fn has(&mut self, key: &Text) -> bool {
        self.position(key).is_some()
    }

    /// Returns the dictionary.
    pub fn finish(self) -> Dict {
        Dict(self.pairs)
    }

    fn position(&mut self, key: &Text) -> Option<usize> {
        if self.pairs.len() < INDEXED_KEYS {
            return self.pairs.iter().position(|(name, _)| name == key);
        }
        if self.index.is_empty() {
            self.index = self.pairs.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        }
        self.index.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dict, Text, Value};

    #[test]
    fn a_duplicate_key_keeps_its_position_and_takes_the_last_value() {
        let pairs = [("b", 1), ("a", 2), ("b", 3)].map(|(key, value)| (Text::from(key), Value::from(value as usize)));
        let mut expected = Dict::new();
        expected.set("b", 3);
        expected.set("a", 2);
        assert_eq!(pairs.into_iter().collect::<Dict>(), expected);
    }
}
