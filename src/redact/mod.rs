//! Removal of secrets from everything that footplate prints or writes, by one function: [`Redactor::clean`].
//!
//! Names decide what is a secret: the value of a variable, of a hyperparameter or in `name=value` is one if the name contains one
//! of [`WORDS`]. These values are collected once, at the start, and removed from every text wherever they occur. The user part
//! of a URL (`https://user:token@host/`) is removed as well.
//!
//! It must not decide where texts go. Every text of the user's that leaves footplate passes through it, but the script's own
//! output, which is the user's, does not.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The words by which a name, in upper or lower case, is recognized as that of a secret.
pub const WORDS: [&str; 6] = ["secret", "password", "passwd", "token", "key", "credential"];

/// The replacement of a secret in a text.
pub const HIDDEN: &str = "******";

/// The minimum length, in bytes, of a secret that is searched for in all text. Shorter ones are hidden only beside their name:
/// `key=1` must not turn every 1 of a log into stars.
const SEARCHED_LENGTH: usize = 6;

/// The minimum length, in bytes, of a line that is searched for by itself if a secret has several lines.
const SEARCHED_LINE: usize = 16;

/// The user part of a URL, `scheme://user:password@host`, up to the last `@` before the path.
static URL_USER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#\s'\x22]+)@").expect("a valid pattern"));

/// A secret beside its name: `NAME=value`, `"name": "value"`, or `"--name", "value"` as in a list of arguments. The quotes may be
/// escaped, as in JSON within JSON. The groups are the name and the text up to the value, for each form, and the value.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    const QUOTE: &str = r#"\\*["']"#;
    let name = format!("[A-Z0-9_.-]*(?:{})[A-Z0-9_.-]*", WORDS.join("|"));
    Regex::new(&format!(
        r#"(?i)(?:({name})(=["']?)|{QUOTE}({name})({QUOTE}\s*:\s*(?:{QUOTE})?)|{QUOTE}(--?{name})({QUOTE}\s*,\s*{QUOTE}))([^\s"',;&}}\])\\\[{{]+)"#
    ))
    .expect("a valid pattern")
});

/// Parts of names that contain one of [`WORDS`] but do not indicate a secret.
const PLAIN_WORDS: [&str; 9] =
    ["tokeniz", "tokens", "keyerror", "keypoint", "keyword", "keyboard", "keyframe", "monkey", "turkey"];

/// Returns true if a text contains one of [`WORDS`], in upper or lower case, in a name that `=`, a quote or a backslash follows.
///
/// It is a cheap test that is true for every text in which [`NAMED`] matches.
fn holds_named_value(text: &str) -> bool {
    let text = text.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    (0..text.len()).any(|at| {
        WORDS.iter().any(|word| {
            let found = text[at..].get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()));
            let after = || text[at..].iter().find(|byte| !is_name(byte));
            found && matches!(after(), Some(b'=' | b'"' | b'\'' | b'\\'))
        })
    })
}

/// Returns true if a variable or hyperparameter of this name contains a secret.
///
/// Names such as `tokenizer`, `max_tokens`, `num_keypoints` and `KeyError` do not.
pub fn is_secret_name(name: &str) -> bool {
    let mut name = name.to_lowercase();
    for plain in PLAIN_WORDS {
        if name.contains(plain) {
            name = name.replace(plain, ".");
        }
    }
    WORDS.iter().any(|word| name.contains(word))
}

/// A remover of secrets from text. A job has one, made from its variables and hyperparameters.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// The secret values in all their spellings. The longest is first, because a shorter one may be part of it.
    values: Vec<String>,
}

impl Redactor {
    /// Creates a redactor from names and values. Only the values with a secret's name are kept.
    pub fn new<N, V>(named_values: impl IntoIterator<Item = (N, V)>) -> Redactor
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let secrets = named_values.into_iter().filter(|(name, _)| is_secret_name(name.as_ref()));
        Redactor::of(secrets.flat_map(|(_, value)| spellings(&value.into())))
    }

    /// Returns a redactor that removes one more secret, whatever its name.
    pub fn and(&self, secret: &str) -> Redactor {
        Redactor::of(self.values.iter().cloned().chain(spellings(secret)))
    }

    /// Creates a redactor from all spellings of its secrets.
    fn of(spellings: impl Iterator<Item = String>) -> Redactor {
        let mut values: Vec<String> = spellings.filter(|value| value.len() >= SEARCHED_LENGTH).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Redactor { values }
    }

    /// Returns `text` without secrets. Every text that footplate prints or writes goes through this function.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), HIDDEN));
            }
        }
        if text.contains("://") && text.contains('@') {
            text = Cow::Owned(URL_USER.replace_all(&text, format!("${{1}}{HIDDEN}@")).into_owned());
        }
        // The test comes first because the pattern takes a millisecond to compile, which most jobs never need.
        if holds_named_value(&text) {
            let cleaned = NAMED.replace_all(&text, |found: &Captures<'_>| {
                let name = [1, 3, 5].into_iter().find_map(|group| found.get(group)).map_or("", |found| found.as_str());
                // A bare `key=` is how Python code passes a sorting function, and is common in tracebacks.
                if name.eq_ignore_ascii_case("key") || !is_secret_name(name) {
                    return found[0].to_owned();
                }
                let value = found.get(7).map_or(0, |value| value.len());
                format!("{}{HIDDEN}", &found[0][..found[0].len() - value])
            });
            if let Cow::Owned(cleaned) = cleaned {
                text = Cow::Owned(cleaned);
            }
        }
        text
    }

    /// Returns `value` as it may be shown beside `name`: hidden if the name is a secret's, else cleaned.
    pub fn clean_value<'t>(&self, name: &str, value: &'t str) -> Cow<'t, str> {
        if is_secret_name(name) && !value.is_empty() { Cow::Borrowed(HIDDEN) } else { self.clean(value) }
    }

    /// Returns the words of a command, with the value after an option such as `--secret-name` hidden.
    pub fn clean_words<A: AsRef<str>>(&self, words: &[A]) -> Vec<String> {
        let mut is_value = false;
        let clean = |word: &A| {
            let word = word.as_ref();
            if is_value && !word.starts_with("--") {
                is_value = false;
                return HIDDEN.to_owned();
            }
            is_value = word.starts_with('-') && !word.contains('=') && is_secret_name(word);
            self.clean(word).into_owned()
        };
        words.iter().map(clean).collect()
    }

    /// Returns a command as one line that a shell can read, with the value after an option such as `--secret-name` hidden.
    pub fn clean_command<A: AsRef<str>>(&self, words: &[A]) -> String {
        let words: Vec<String> = self.clean_words(words).iter().map(|word| quoted(word).into_owned()).collect();
        words.join(" ")
    }
}

/// The number of times that a secret may be quoted: a hyperparameter that is JSON in a string can be an argument in a JSON list,
/// in a variable, in a message.
const SEARCHED_DEPTH: usize = 4;

/// Returns the spellings of a secret: unchanged, quoted in strings of JSON and Python and these within each other, and each of
/// its lines.
fn spellings(value: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([value.to_owned()]);
    let mut newest: Vec<String> = found.iter().cloned().collect();
    for _ in 0..SEARCHED_DEPTH {
        let wrapped = newest.iter().flat_map(|text| {
            let json = in_json(text);
            let repr = json.replace(r#"\""#, "\"");
            [ascii(&json), repr.replace('\'', r"\'"), json, repr]
        });
        newest = wrapped.filter(|text| !found.contains(text)).collect();
        found.extend(newest.iter().cloned());
    }
    found.extend(value.lines().map(str::trim).filter(|line| line.len() >= SEARCHED_LINE).map(str::to_owned));
    found
}

/// Returns `text` as it stands between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let string = serde_json::Value::from(text).to_string();
    string[1..string.len() - 1].to_owned()
}

/// Returns JSON with characters beyond ASCII escaped, as Python writes it.
fn ascii(json: &str) -> String {
    json.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
        text
    })
}

/// Returns `text` quoted for a POSIX shell: unquoted if that is safe, else in single quotes.
fn quoted(text: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_alphanumeric() || "_@%+=:,./-*".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::{HIDDEN, Redactor, is_secret_name};

    #[test]
    fn names_of_secrets_are_distinguished_from_names_that_contain_their_words() {
        for name in ["hub_token", "AWS_SECRET_ACCESS_KEY", "apiKey", "DB-PASSWORD", "credentials", "wandb.key"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["tokenizer", "max_tokens", "num_keypoints", "lr", "KeyError", "KeyboardInterrupt"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_removed_wherever_they_occur() {
        let redactor = Redactor::new([("hub_token", "hf_0123456789"), ("lr", "0.12345678"), ("key", "1")]);
        let clean = |text: &str| redactor.clean(text).into_owned();
        assert_eq!(clean("401 for hf_0123456789, lr 0.12345678"), format!("401 for {HIDDEN}, lr 0.12345678"));
        assert_eq!(
            clean("get https://me:pw@host/x and https://host/y"),
            format!("get https://{HIDDEN}@host/x and https://host/y")
        );
        assert_eq!(clean("MY_PASSWORD=abc x"), format!("MY_PASSWORD={HIDDEN} x"));
        assert_eq!(clean(r#"{"api_key": "zz", "n": 1}"#), format!(r#"{{"api_key": "{HIDDEN}", "n": 1}}"#));
        assert_eq!(clean("https://me:p@ss@host/x?mail=a@b"), format!("https://{HIDDEN}@host/x?mail=a@b"));
        assert_eq!(clean(r#"{"api_key":12, "x":1}"#), format!(r#"{{"api_key":{HIDDEN}, "x":1}}"#));
        assert_eq!(clean(r#"["--api_key","zz","-n"]"#), format!(r#"["--api_key","{HIDDEN}","-n"]"#));
        assert_eq!(clean(r#""{\"api_key\": \"zz\"}""#), format!(r#""{{\"api_key\": \"{HIDDEN}\"}}""#));
        for innocent in ["KeyError: 'loss'", "sorted(xs, key=len)", "max_tokens=5", "a = b: c", "Unexpected token: x"] {
            assert_eq!(clean(innocent), innocent);
        }
        assert_eq!(
            redactor.clean_command(&["python3", "train.py", "--api-key", "a b", "--note", "it's", ""]),
            format!(r"python3 train.py --api-key {HIDDEN} --note 'it'\''s' ''")
        );
        assert_eq!(redactor.clean_value("SECRET", "x"), HIDDEN);
    }

    #[test]
    fn secrets_are_found_in_every_spelling() {
        let secret = "a \"quote\", a 'tick', a \\, é 😀\nand a second line";
        let redactor = Redactor::new([("PRIVATE_KEY", secret)]);
        let json = serde_json::json!([secret]).to_string();
        let twice = serde_json::json!([json]).to_string();
        let ascii = r#"a \"quote\", a 'tick', a \\, \u00e9 \ud83d\ude00\nand a second line"#.to_owned();
        let repr = r#"a "quote", a \'tick\', a \\, é 😀\nand a second line"#.to_owned();
        for text in [secret.to_owned(), json, twice, ascii, repr, "and a second line".to_owned()] {
            let cleaned = redactor.clean(&text);
            assert!(!cleaned.contains("second") && cleaned.contains(HIDDEN), "{text} became {cleaned}");
        }
    }

    #[test]
    fn a_secret_of_six_bytes_is_searched_for_and_a_shorter_one_is_not() {
        let redactor = Redactor::new([("A_TOKEN", "abc123"), ("B_TOKEN", "xyz12")]);
        assert_eq!(redactor.clean("abc123 xyz12"), format!("{HIDDEN} xyz12"));
    }

    #[test]
    fn a_line_of_sixteen_bytes_is_searched_for_by_itself_and_a_shorter_one_is_not() {
        let redactor = Redactor::new([("PRIVATE_KEY", "-- begin --\n  0123456789abcdef \n0123456789ABCDE\n")]);
        assert_eq!(redactor.clean("x 0123456789abcdef x"), format!("x {HIDDEN} x"), "without the blanks around it");
        for kept in ["a -- begin -- b", "0123456789ABCDE"] {
            assert_eq!(redactor.clean(kept), kept);
        }
    }

    #[test]
    fn a_secret_that_is_part_of_another_leaves_nothing_of_that() {
        for secrets in [["abcdef", "abcdefghij"], ["abcdefghij", "abcdef"]] {
            let redactor = Redactor::new(secrets.map(|secret| ("token", secret)));
            assert_eq!(redactor.clean("abcdefghij, abcdef"), format!("{HIDDEN}, {HIDDEN}"));
        }
    }

    #[test]
    fn a_secret_is_found_after_it_was_quoted_four_times() {
        let secret = r#"say "SEKRIT" aloud"#;
        let redactor = Redactor::new([("token", secret)]);
        let mut text = secret.to_owned();
        for times in 1..=4 {
            text = serde_json::Value::from(text).to_string();
            assert!(!redactor.clean(&text).contains("SEKRIT"), "quoted {times} times: {text}");
        }
    }

    #[test]
    fn a_bare_key_is_shown_in_upper_and_lower_case() {
        for code in ["sorted(xs, key=len)", "max(xs, KEY=len)"] {
            assert_eq!(Redactor::default().clean(code), code);
        }
        assert_eq!(Redactor::default().clean("my_key=len"), format!("my_key={HIDDEN}"));
    }

    #[test]
    fn only_the_word_after_a_secret_option_is_hidden() {
        let clean = |words: &[&str]| Redactor::default().clean_words(words).join(" ");
        assert_eq!(clean(&["--api-key", "a", "b"]), format!("--api-key {HIDDEN} b"));
        assert_eq!(clean(&["-token", "a", "b"]), format!("-token {HIDDEN} b"));
        assert_eq!(clean(&["--api-key", "-x", "b"]), format!("--api-key {HIDDEN} b"));
        assert_eq!(clean(&["--use-token", "--lr", "1"]), "--use-token --lr 1", "an option without a value");
        assert_eq!(clean(&["--token", "--api-key", "a"]), format!("--token --api-key {HIDDEN}"));
        assert_eq!(clean(&["--api-key=a", "b"]), format!("--api-key={HIDDEN} b"));
        assert_eq!(clean(&["token", "a"]), "token a", "a word that is not an option");
    }

    #[test]
    fn a_value_is_hidden_by_its_name_or_cleaned() {
        let redactor = Redactor::new([("token", "abc123")]);
        assert_eq!(redactor.clean_value("token", ""), "", "an empty value is shown to be empty");
        assert_eq!(redactor.clean_value("TOKEN", "x"), HIDDEN);
        assert_eq!(redactor.clean_value("url", "?q=abc123"), format!("?q={HIDDEN}"));
    }

    #[test]
    fn one_more_secret_is_removed_beside_the_others() {
        let redactor = Redactor::new([("token", "abc123")]).and("login-42");
        assert_eq!(redactor.clean("abc123 login-42 other"), format!("{HIDDEN} {HIDDEN} other"));
    }

    #[test]
    fn words_that_contain_a_secrets_word_are_not_secret() {
        for plain in
            ["tokenizer", "n_tokens", "keyerror", "keypoints", "keywords", "keyboard", "keyframes", "monkeys", "turkey"]
        {
            assert!(!is_secret_name(plain), "{plain}");
            assert!(is_secret_name(&format!("{plain}_password")), "{plain}_password");
        }
    }
}
