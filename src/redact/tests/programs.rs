//! Secrets on command lines and in sentences, and words there that are not secrets.

use super::forms::check;
use crate::redact::Redactor;

#[test]
fn passwords_on_command_lines_are_hidden_though_they_are_words() {
    check(&[
        "openssl enc -aes-256-cbc -k ⟦swordfish⟧ -in a.bin",
        "openssl enc -pass ⟦pass:swordfish⟧ -in a.bin",
        "openssl rsa -passin ⟦pass:x9y8⟧ -passout ⟦pass:swordfish⟧ -in a.pem",
        "curl -u ⟦user:swordfish⟧ https://h/",
        "curl --user ⟦me:swordfish⟧ https://h/",
        "Command '['curl', '-u', '⟦me:swordfish⟧', 'https://h/']' returned",
        "sshpass -p ⟦swordfish⟧ ssh h",
        "mysql -ume -p⟦swordfish⟧ db",
        "mysqlimport -p⟦x9y8⟧ db t.csv",
        "docker login -u me -p ⟦swordfish⟧ h",
        "redis-cli -h h -a ⟦swordfish⟧ ping",
        "smbclient -U ⟦me%swordfish⟧ //h/share",
        "sqlcmd -S h -U sa -P ⟦Sword9fish⟧ -Q x",
        "sqlplus scott/⟦tiger⟧@db @run.sql",
        "jdbc:oracle:thin:scott/⟦tiger⟧@//h:1521/db",
        "jdbc:oracle:thin:sys/⟦x9y8⟧@h",
        "psql postgresql://⟦me:x9y8⟧@h/db",
        "az storage blob list --account-key ⟦Zm9vYmFyMTIz+/==⟧ --account-name a",
        "az login -u me -p ⟦x9y8⟧",
        "gcloud sql users set-password me --password=⟦x9y8⟧",
        "huggingface-cli login --token ⟦x9y8z7⟧",
        "wandb login ⟦0123456789abcdef0123456789abcdef01234567⟧",
        "wandb login --relogin ⟦0123456789abcdef0123456789abcdef01234567⟧",
    ]);
    let clean = |words: &[&str]| Redactor::default().clean_words(words).join(" ");
    for (words, expected) in [
        (&["openssl", "enc", "-k", "swordfish"][..], "openssl enc -k ******"),
        (&["smbclient", "-U", "me%swordfish", "//h"], "smbclient -U ****** //h"),
        (&["smbclient", "-U", "me", "//h"], "smbclient -U me //h"),
        (&["openssl", "rsa", "-passin", "env:KEY"], "openssl rsa -passin env:KEY"),
    ] {
        assert_eq!(clean(words), expected);
    }
}

#[test]
fn words_on_command_lines_that_are_no_passwords_stay() {
    check(&[
        "openssl enc -pass file:/run/key9 -in a.bin",
        "openssl rsa -passin env:KEY_9 -in a.pem; openssl x509 -in a.pem -k 3",
        "curl -u me https://h/",
        "curl -u $NAME:$WORD9 https://h/",
        "curl -u me:$WORD9 https://h/",
        "sshpass -p $WORD9 ssh h",
        "smbclient -U me //h/share9",
        "sqlplus @/opt/run9/a.sql",
        "sqlplus me@db9",
        "jdbc:oracle:thin:@//h:1521/db9",
        "wandb login --host https://h9.example.com",
        "wandb: run 0123456789abcdef0123456789abcdef01234567 is done",
        "wandb login failed for run 0123456789abcdef0123456789abcdef01234567",
        "login failed for commit 0123456789abcdef0123456789abcdef01234567",
        "mysql -p -h host9; redis-cli -a; ssh -p 2222 h",
        "sshpass -p 1234 ssh h",
    ]);
}

#[test]
fn secrets_in_sentences_are_hidden() {
    check(&[
        "Your API key is ⟦a1b2c3d4e5f6g7h8⟧.",
        "Incorrect API key provided: ⟦a1b2c3d4e5f6g7h8⟧. You can find yours at https://h",
        "invalid access key: ⟦a1b2c3d4e5f6g7h8i9⟧",
        "AWS Secret Access Key [None]: ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
        "The token is '⟦a1b2c3d4e5f6g7h8⟧'",
        "token: ⟦a1b2c3d4e5f6g7h8⟧",
        "the password was ⟦Tr0ub4dor&3x9⟧, and was refused",
        "API key ⟦a1b2c3d4e5f6g7h8⟧ is not active",
    ]);
    check(&[
        "Your API key is missing",
        "the API key is required: see https://h/keys/a1b2c3d4e5f6",
        "API key for model Meta-Llama-3.1-8B-Instruct",
        "the token is invalid (request 3fa85f64-5717-4562-b3fc-2c963f66afa6)",
        "token of length 512, password is too short, secret was not found",
        "the cache key is 0a1b2c3d4e5f6a7b8c9d",
        "the sort key was a1b2c3d4e5f6g7h8",
        "Unexpected token a1b2c3d4e5f6g7h8",
        "access key Meta-Llama-3.1-8B-Instruct was refused",
        "the key is layers.0.attention.wq",
    ]);
}

#[test]
fn the_secret_beside_the_identifier_of_an_access_key_is_hidden() {
    check(&[
        "keys ⟦AKIAIOSFODNN7EXAMPLE⟧ ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧ eu-west-1",
        "⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧,⟦ASIAIOSFODNN7EXAMPLE⟧",
        "⟦AKIAIOSFODNN7EXAMPLE⟧ at commit 0123456789abcdef0123456789abcdef01234567",
        "⟦AKIAIOSFODNN7EXAMPLE⟧ may not read s3://bucket9/data/images/train/part/aBcD/x",
        "⟦AKIAIOSFODNN7EXAMPLE⟧\n⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧\n",
        "⟦AKIAIOSFODNN7EXAMPLE⟧\n\nwJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ]);
}

#[test]
fn a_value_that_stands_before_its_name_is_hidden() {
    check(&[
        r#"{"value": "⟦b9x8⟧", "name": "DB_PASSWORD"}, {"value": "/root9", "name": "HOME"}"#,
        r#"{"Value":"⟦b9x8⟧","Key":"API_KEY"}"#,
        r#"{\"value\": \"⟦b9x8⟧\", \"name\": \"DB_PASSWORD\"}"#,
        "{'value': '⟦b9x8⟧', 'name': 'DB_PASSWORD'}",
        "{\n  \"value\": \"⟦b9x8⟧\",\n  \"name\": \"DB_PASSWORD\"\n}",
        "- value: ⟦b9x8⟧\n  name: DB_PASSWORD\n- value: x9\n  name: EPOCHS",
        r#"{"value": "x9y8", "name": "EPOCHS"}, {"name": "DB_PASSWORD"}"#,
        r#"{"value": "x9y8", "kind": "a", "name": "DB_PASSWORD"}"#,
        r#"{"value": 3, "name": "eos_token_id"}, {"value": "true", "name": "use_token"}"#,
        r#"{"value": "None", "name": "DB_TOKEN"}, {"value": 512, "name": "API_KEY"}"#,
    ]);
}
