//! Values that are JSON texts inside strings.

use super::parse::parse;
use super::value::Value;

impl Value {
    /// Decodes a string that holds JSON. Returns any other value, and a string that is not JSON, unchanged.
    ///
    /// Framework estimators encode every hyperparameter as JSON. The generic estimator and Step Functions send raw
    /// strings (platform contract, section 6).
    pub fn decoded(&self) -> Value {
        self.as_str().and_then(|text| parse(text).ok()).unwrap_or_else(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn a_string_that_holds_json_is_decoded_once() {
        for (text, decoded) in [
            ("3", Value::Int("3".to_owned())),
            ("true", Value::Bool(true)),
            ("\"a\"", Value::from("a")),
            ("\"3\"", Value::from("3")),
            ("a", Value::from("a")),
            ("", Value::from("")),
        ] {
            assert_eq!(Value::from(text).decoded(), decoded, "{text}");
        }
        assert_eq!(Value::Bool(false).decoded(), Value::Bool(false));
    }
}
