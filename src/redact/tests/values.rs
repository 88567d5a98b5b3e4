//! Values that cannot be secrets, commands, and the values of variables.

use crate::redact::{HIDDEN, Redactor};

/// A value that looks like neither a word nor a number.
const RANDOM: &str = "hunter2-Zx81+/ab=cd&e";

#[test]
fn a_value_that_cannot_be_a_secret_is_shown_whatever_its_name() {
    for value in [
        "",
        "0",
        "1",
        "512",
        "151645",
        "-1",
        "0.15",
        "1e-5",
        "123456789012345",
        "2023-24",
        "2024-01-31 12:00:00",
        "3.11.4",
        "true",
        "false",
        "True",
        "False",
        "none",
        "None",
        "null",
        "yes",
        "no",
        "nan",
        "undefined",
        "<your_token>",
        "<YOUR-API-KEY>",
        "your_token_here",
        "${HF_TOKEN}",
        "$HF_TOKEN",
        "$(cat file)",
        "{token}",
        "{{ token }}",
        "%(token)s",
        "%s",
        "xxxx",
        "XXXXXXXX",
        "****",
        "******",
        "...",
        "<|endoftext|>",
        "<s>",
        "</s>",
        "<image>",
        "[PAD]",
        "[MASK]",
        "/opt/ml/code",
        "/usr/local/lib",
        "/run/secrets/x9",
        "~/.netrc",
        "./keys/a1.pem",
        "../b2c3",
        "/",
        "https://host/path",
        "https://host:8080/a?b=1",
        "s3://bucket/a1b2c3",
        "file:///tmp/x",
        "arn:aws:iam::123456789012:role/x1",
        "self.config.token",
        "certs/server.pem",
    ] {
        let redactor = Redactor::new([("HF_TOKEN", value), ("DB_PASSWORD", value)]);
        for name in ["HF_TOKEN", "DB_PASSWORD"] {
            assert_eq!(redactor.clean_value(name, value), value, "{name}");
        }
        assert_eq!(redactor.clean(&format!("got {value}!")), format!("got {value}!"));
    }
}

#[test]
fn a_word_is_hidden_only_as_the_value_of_a_password() {
    for word in ["subword", "customer_id", "true_value", "Endpoint", "KeyError", "swordfish"] {
        let redactor = Redactor::new([("HF_TOKEN", word), ("DB_PASSWORD", word)]);
        assert_eq!(redactor.clean_value("HF_TOKEN", word), word);
        assert_eq!(redactor.clean_value("DB_PASSWORD", word), HIDDEN);
        let json = format!(r#"{{"db_password": "{word}", "pad_token": "{word}"}}"#);
        let shown = json.replacen(word, HIDDEN, 1);
        assert_eq!(redactor.clean_value("SM_HPS", &json), shown, "the values of hyperparameters");
        assert_eq!(redactor.clean_words(&["--config", &json])[1], shown);
        let text = format!("password={word} is not {word}");
        assert_eq!(redactor.clean(&text), text, "a word is everywhere");
    }
}

#[test]
fn a_value_that_can_be_a_secret_is_hidden_beside_its_name_and_everywhere() {
    for value in [
        RANDOM,
        "abc123",
        "hf_0123456789",
        "correct horse battery staple",
        "pa$$w0rd",
        "1234567890123456",
        "p4ss/word",
        "aB3dE6gH9",
        "/abc+def/ghi=",
        "deadbeefdeadbeef0",
        "a\nb2\nc3",
        "é😀üß12",
        "0123456789abcdef0123456789abcdef01234567",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "Tr0ub4dor&3",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "qwrtpsdfghjkl",
    ] {
        let redactor = Redactor::new([("HF_TOKEN", value)]);
        assert_eq!(redactor.clean_value("DB_PASSWORD", value), HIDDEN, "{value}");
        assert_eq!(redactor.clean(&format!("a {value} b")), format!("a {HIDDEN} b"));
    }
}

#[test]
fn a_secret_of_six_bytes_is_searched_for_and_a_shorter_one_is_not() {
    let redactor = Redactor::new([("A_TOKEN", "abc123"), ("B_TOKEN", "xyz12")]);
    assert_eq!(redactor.clean("abc123 xyz12"), format!("{HIDDEN} xyz12"));
    assert_eq!(redactor.clean_value("B_TOKEN", "xyz12"), HIDDEN);
}

#[test]
fn a_doubtful_name_hides_only_what_looks_random() {
    let redactor = Redactor::default();
    for (value, is_hidden) in [
        (RANDOM, true),
        ("0123456789abcdef0123", true),
        ("a1b2c3d4", true),
        ("aB3dE6gH9k", true),
        ("timestamp", false),
        ("resnet50", false),
        ("val_loss", false),
        ("layers.0.attention.wq", false),
        ("bert-base-uncased", false),
        ("Meta-Llama-3.1-8B-Instruct", false),
        ("vit_base_patch16_224", false),
        ("validation:accuracy", false),
        ("{\"a\": 1}", false),
        ("2024-01-31", false),
        ("ctrl+x", false),
        ("abc123", false),
    ] {
        let shown = redactor.clean_value("my_key", value);
        assert_eq!(shown == HIDDEN, is_hidden, "{value} became {shown}");
    }
}

#[test]
fn only_the_secret_after_an_option_is_hidden() {
    let clean = |words: &[&str]| Redactor::default().clean_words(words).join(" ");
    for (words, expected) in [
        (&["--api-key", "a1b2", "b"][..], "--api-key ****** b"),
        (&["-token", "a1", "b"], "-token ****** b"),
        (&["--api-key", "-x1", "b"], "--api-key ****** b"),
        (&["--use-token", "--lr", "1"], "--use-token --lr 1"),
        (&["--token", "--api-key", "a1"], "--token --api-key ******"),
        (&["--api-key=a1", "b"], "--api-key=****** b"),
        (&["token", "a1"], "token a1"),
        (&["hub_token=a1b2", "lr=0.1"], "hub_token=****** lr=0.1"),
        (&["--db_password", "swordfish"], "--db_password ******"),
        (&["--password", "True", "--pin_memory", "True"], "--password True --pin_memory True"),
        (&["--max_token_length", "512", "--pad_token", "<pad>"], "--max_token_length 512 --pad_token <pad>"),
        (
            &["--token_dropout", "0.1", "--key_metric", "validation:accuracy"],
            "--token_dropout 0.1 --key_metric validation:accuracy",
        ),
        (&["/usr/bin/sshpass", "-p", "x9y8", "ssh", "-p", "22"], "/usr/bin/sshpass -p ****** ssh -p 22"),
        (&["curl", "-u", "me:x9y8", "https://h/"], "curl -u ****** https://h/"),
        (&["mysql", "-u", "me", "-px9y8z"], "mysql -u me -p******"),
        (&["docker", "login", "-u", "me", "-p", "x9y8"], "docker login -u me -p ******"),
        (&["git", "clone", "https://me:x9@h/r"], "git clone https://******@h/r"),
        (&["run.sh", "-p", "x9y8"], "run.sh -p x9y8"),
    ] {
        assert_eq!(clean(words), expected);
    }
}

#[test]
fn a_command_is_one_line_for_a_shell_without_secrets() {
    assert_eq!(
        Redactor::default().clean_command(&["python3", "train.py", "--api-key", "a b2", "--note", "it's", ""]),
        format!(r"python3 train.py --api-key {HIDDEN} --note 'it'\''s' ''")
    );
}

#[test]
fn secrets_in_values_are_known_whatever_the_variables_name() {
    let redactor = Redactor::new([
        ("DATABASE_URL", "postgres://me:Xy12Zw34@db/x"),
        ("CONNECTION", "Server=db;Uid=me;Pwd=Ab12Cd34;"),
        ("EXTRA_ARGS", "--api-key Ef56Gh78 --lr 0.1"),
        ("CONFIG", r#"{"client_secret": "Ij90Kl12", "lr": 1}"#),
        ("PIP_EXTRA_INDEX_URL", "https://host/simple"),
    ]);
    for secret in ["Xy12Zw34", "Ab12Cd34", "Ef56Gh78", "Ij90Kl12"] {
        assert_eq!(redactor.clean(&format!("no {secret}.")), format!("no {HIDDEN}."));
    }
    assert_eq!(redactor.clean("https://host/simple of db for me"), "https://host/simple of db for me");
}

#[test]
fn what_a_redactor_knows_is_not_in_its_debug_form() {
    let redactor = Redactor::new([("token", "abc123")]);
    assert_eq!(format!("{redactor:?}"), "Redactor of 1 secrets");
}
