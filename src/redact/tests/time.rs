//! The time and the memory for texts and secrets that are designed to take long.

use std::time::{Duration, Instant};

use crate::redact::Redactor;

/// The length of the texts, in bytes. A removal that takes quadratic time needs minutes for one of them.
const LENGTH: usize = 1 << 17;

/// The maximum time that a text may take in a debug build on a busy machine.
const HANG: Duration = Duration::from_secs(20);

/// Returns texts of repeated parts: the beginnings of every form, without ends and with them.
fn texts() -> Vec<String> {
    let parts = [
        "token",
        "token=",
        "token%3D",
        "token%22%3A%22",
        "session%3D",
        "name:session\"value:",
        "session: |\n  ",
        "token%3Dhttp://",
        "<token>",
        "token: |\n ",
        "token: |\n",
        "token: |\n  a\n",
        "name: token, value: ",
        "name: token, value: '",
        "token\\u0022:\\u0022",
        "my_password ",
        "password ",
        "passwords:\n- ",
        "passwords:\n- a\n",
        "- passwords:\n",
        "password\n",
        "echo a | b --password-stdin ",
        "--password-stdin <<< ",
        "a:bbbbbbbbbbbbb:1:0:",
        "Private-Lines: 9999\nabc\n",
        "Private-Lines: 9",
        "<password value=\"",
        "password: !a ",
        "\"username\":\"a\",\"key\":\"",
        "HTTPBasicAuth(",
        "HTTPBasicAuth('",
        "authorization: Digest a=\"",
        "authorization: Digest a=b, ",
        "a=b, ",
        "arn:",
        "arn:aws",
        "hooks.slack.com/services/",
        "token='",
        "token=\"",
        "token=\\\"",
        "password: ",
        "--password ",
        "'--password', ",
        "a_b_c_d_e_f_g=",
        "session=",
        "session_id=http://",
        "token=/tmp/",
        "token=http://",
        "cookie: ",
        "cookie: '",
        "authorization: ",
        "Bearer ",
        "Bearer a",
        "Basic ",
        "Basic dXNl",
        "https://",
        "https://a:b",
        "x://a@",
        "a://b:c@d/",
        "credentials: {",
        "passwords=[",
        "token={'a': ",
        "token={'a': '",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----aaaa ",
        "-----BEGIN",
        "eyJ",
        "eyJ.",
        "eyJaaaaaaaa",
        "eyJaaaaaaaa.",
        "hf_",
        "hf_-",
        "hf_ ",
        "AKIA",
        "sk-",
        "IQoJb3JpZ2lu",
        "<",
        "token=<",
        "token=(",
        "\\",
        "\\n",
        "\\\\'",
        "\\u0041",
        "%41",
        "%",
        "&amp;",
        "&",
        "\n",
        " \n",
        "│\n",
        "a",
        "A",
        "0",
        ".",
        "-",
        "_",
        "=",
        "'",
        "é",
        "sshpass -p ",
        "mysql -p",
        "curl -u ",
        "a.",
        "a-",
        "token=a.",
        "token=a. ",
        "key=a1b2c3d4&",
        "?sig=",
        "a%3A%2F%2F",
        "a%3A%2F%2Fb%3Ac",
        "a:\\/\\/",
        "x['token']=",
        "$6$",
        "$6$a",
        "pbkdf2:",
        "{SSHA}",
        "abc1Q~",
        "1//0",
        "mc ",
        "mc alias set a http://h ",
        "rclone obscure ",
        "lftp -u a,",
        "a:5432:",
        "*:a:",
        "machine h.x login a password ",
        "--from-literal=password=",
        "login(",
        "login('",
        "password for ",
        "<name>password</name><value>",
        "key=\"password\">",
        "name: password, a: b, ",
        "key-",
    ];
    parts.iter().map(|part| part.repeat(LENGTH / part.len())).collect()
}

#[test]
fn the_time_for_a_text_grows_with_its_length_only() {
    let redactor = Redactor::new([
        ("HF_TOKEN", "aaaaaaaaaaaaaaaaaaaa"),
        ("A_TOKEN", "tokentoken1"),
        ("B_TOKEN", &"a1".repeat(9000)),
    ]);
    for text in texts() {
        let begun = Instant::now();
        let _ = redactor.clean(&text);
        assert!(begun.elapsed() < HANG, "{:?} repeated takes {:?}", &text[..20], begun.elapsed());
    }
}

#[test]
fn secrets_of_any_size_and_number_are_ready_soon() {
    let many: Vec<(String, String)> =
        (0..20_000).map(|number| ("api_keys".to_owned(), format!("prefix-{number}-{number:x}x"))).collect();
    let json = r#"{"a": "b"}, "#.repeat(LENGTH / 12);
    let quotes = "\"\\".repeat(LENGTH / 2);
    let lines = "0123456789abcdef\n".repeat(LENGTH / 17);
    for secrets in [many, [json, quotes, lines].map(|text| ("api_key".to_owned(), text)).to_vec()] {
        let begun = Instant::now();
        let redactor = Redactor::new(secrets);
        assert!(redactor.clean("prefix-19999-4e1fx").len() < 19);
        assert!(begun.elapsed() < HANG, "{:?}", begun.elapsed());
    }
}
