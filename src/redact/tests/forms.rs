//! Secrets by their form, in texts of many programs.

use crate::redact::{HIDDEN, Redactor};

/// Returns the text without the brackets that mark its secrets, and the text with the secrets hidden.
fn marked(text: &str) -> (String, String) {
    let plain = text.replace(['⟦', '⟧'], "");
    let mut hidden = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('⟦') {
        let (_, end) = after.split_once('⟧').expect("a closing bracket");
        hidden = hidden + before + HIDDEN;
        rest = end;
    }
    (plain, hidden + rest)
}

#[track_caller]
pub(super) fn check(texts: &[&str]) {
    let mut wrong = Vec::new();
    for text in texts {
        let (plain, expected) = marked(text);
        let cleaned = Redactor::default().clean(&plain).into_owned();
        if cleaned != expected {
            wrong.push(format!("{plain}\n    became {cleaned}\n    not    {expected}"));
        }
        let again = Redactor::default().clean(&cleaned).into_owned();
        assert_eq!(again, cleaned, "cleaning twice changes nothing more");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

#[test]
fn secrets_beside_their_names_are_hidden() {
    check(&[
        "MY_PASSWORD=⟦abc1⟧ x",
        "export DB_PASS=⟦x9y8⟧; run",
        r#"{"api_key": "⟦zz9⟧", "n": 1}"#,
        r#"{"api_key":"⟦zz9⟧","x":1}"#,
        r#"["--api_key","⟦zz9⟧","-n"]"#,
        r#""{\"api_key\": \"⟦zz9⟧\"}""#,
        r#""{\\\"api_key\\\": \\\"⟦zz9⟧\\\"}""#,
        "{'hub_token': '⟦a1b2⟧', 'lr': 0.1}",
        "{b'hub_token': b'⟦a1b2⟧'}",
        "aws_secret_access_key = ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
        "aws_session_token=⟦a1/b2+c3==⟧",
        "Server=db;Uid=sa;Pwd=⟦x9!y8⟧;Encrypt=yes",
        "DRIVER={ODBC};UID=sa;PWD=⟦x9y8⟧",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=⟦Zm9vYmFyMTIz+/==⟧;EndpointSuffix=x",
        "password: ⟦x9y8⟧",
        "  password: \"⟦two words 7⟧\"",
        "X-Api-Key: ⟦x9y8z7⟧",
        "'x-api-key': '⟦x9y8z7⟧'",
        "headers={'X-Auth-Token': '⟦x9y8z7⟧'}",
        "login(user='me', password='⟦x 9⟧')",
        "login(user=\"me\", api_key=\"⟦x9⟧\", retries=3)",
        "Config(token='⟦a1b2c3⟧')",
        "run --password ⟦x9y8⟧ --lr 0.1",
        "run --api-key=⟦x9y8⟧",
        "Command '['train', '--hub-token', '⟦a1b2⟧']' returned",
        "['train', '--hub-token=⟦a1b2⟧']",
        "sshpass -p ⟦x9y8⟧ ssh h",
        "curl -u ⟦me:x9y8⟧ https://h/",
        "Command '['curl', '-u', '⟦me:x9y8⟧']'",
        "mysql -ume -p⟦x9y8⟧ db",
        "docker login -u me -p ⟦x9y8⟧",
        "https://h/x?token=⟦a1b2⟧&y=1",
        "https://h/x?key=⟦a1b2c3d4e5f6g7h8⟧&y=1",
        "GET /v1?api_key=⟦a1b2⟧ HTTP/1.1",
        "invalid password: ⟦x9y8⟧",
        "secret => ⟦x9y8⟧",
        "api_key := ⟦x9y8⟧",
        "password = '⟦it is 9⟧'",
        "a.b.client_secret=⟦x9y8⟧",
        "my.cnf: password=⟦x9y8⟧\n",
        "user=me&password=⟦x9y8⟧&next=1",
        "password=⟦a&b9⟧ x",
        "machine h login me password ⟦hunter2-Zx81+/ab=cd&e⟧",
        "credentials: {\"user\": \"⟦a1b2⟧\", \"and\": [\"⟦c3d4⟧\", \"more\"]}",
        "passwords=['⟦a1b2⟧', '⟦c3d4⟧']",
        "session_id=⟦a1b2c3d4e5f6a7b8⟧",
        "`password`: `⟦x9y8⟧`",
        "password=⟦x9y8⟧.",
        "set PGPASSWORD=⟦x9y8⟧&& psql",
        "token: ⟦abcdef0123456789abcdef0123456789⟧",
        "('client_secret', '⟦a1b2c3d4e5f6a7b8⟧')",
    ]);
}

#[test]
fn values_apart_from_their_names_are_hidden() {
    check(&[
        "<password>⟦b9x8⟧</password>",
        "<add key=\"Password\" value=\"⟦b9x8⟧\" />",
        r#"{"name": "DB_PASSWORD", "value": "⟦b9x8⟧"}, {"name": "HOME", "value": "/root9"}"#,
        r#"{\"name\": \"DB_PASSWORD\", \"value\": \"⟦b9x8⟧\"}"#,
        "{'Name': 'DB_PASSWORD', 'Value': '⟦b9x8⟧'}",
        "- name: DB_PASSWORD\n  value: ⟦b9x8⟧\n- name: EPOCHS9",
        "password: |\n  ⟦b9x8y7⟧\nnext: x9",
        "a:\n  api_key: >-\n    ⟦b9x8\n    y7⟧\n  next: x9",
        "DB_PASSWORD%3D⟦x9y8z7w6⟧%26next%3D1",
        "token%22%3A%22⟦x9y8z7w6⟧%22",
        "%22password%22%3A+%22⟦x9%20y8⟧%22",
        "&quot;password&quot;: &quot;⟦x9y8⟧&quot;",
        r"api_key\u003d⟦x9y8⟧\u0026n\u003d1",
        r"{\u0022api_key\u0022:\u0022⟦x9y8⟧\u0022}",
        "requests.get(url, auth=('me', '⟦x9y8⟧'), timeout=3)",
        "HTTPBasicAuth('me', '⟦x9y8⟧')",
        "Config(key=SecretStr('⟦b9x8⟧'))",
        "machine h login me password ⟦x9y8⟧",
        "machine h\n  login me\n  password ⟦x9y8⟧\n",
        "aws configure set aws_secret_access_key ⟦x9y8z7w6v5u4/abc⟧",
        "curl -su ⟦a:b9x⟧ https://h",
        "curl -u⟦a:b9x⟧ https://h",
        "sshpass -p⟦b9x⟧ ssh -p2222 h",
        "mongosh -u me -p ⟦b9x8⟧ db",
        "ldapsearch -D cn=me -w ⟦x9y8⟧",
        "unzip -P ⟦x9y8z⟧ a.zip",
        "7z x -p⟦x9y8z⟧ a.7z",
        "keytool -storepass ⟦x9y8⟧ -keypass ⟦x8y9⟧",
        "https://⟦x-access-token:b9x⟧@github.com/o/r",
        "https://hooks.slack.com/services/⟦T0A1B2C3D/B0A1B2C3D/a1b2c3d4e5f6g7h8⟧.",
        "https://discord.com/api/webhooks/⟦123456789012345678/AbCdEf-GhIjKl_MnOp9⟧?wait=true",
        "https://api.telegram.org/bot⟦123456789:AAabcdefghijklmnopqrstu9⟧/getMe",
        "xoxd ⟦xoxd-a1B2c3D4e5F6g7H8i9J0⟧ ⟦xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTAtMTIz⟧",
    ]);
}

#[test]
fn headers_are_hidden_without_their_scheme() {
    check(&[
        "Authorization: Bearer ⟦x9y8z7⟧",
        "authorization: bearer ⟦abcdef0⟧",
        "Authorization: Basic ⟦dXNlcjpwYXNzd29yZA==⟧",
        "Authorization: Token ⟦x9y8z7⟧",
        "Authorization: ⟦x9y8z7⟧",
        "Proxy-Authorization: Basic ⟦dXNlcjpwYXNzd29yZA==⟧",
        "{'Authorization': 'Bearer ⟦a1.b2-c3⟧'}",
        r#"{"authorization": "ApiKey ⟦x9 y8 z7⟧"}"#,
        r#"{\"authorization\": \"Bearer ⟦x9y8⟧\"}"#,
        "('authorization', 'Bearer ⟦x9y8z7⟧')",
        "-H 'Authorization: Bearer ⟦x9y8z7⟧'",
        "authorization=Bearer ⟦x9y8z7⟧, x",
        "b'authorization': b'Bearer ⟦x9y8z7⟧'",
        "Cookie: ⟦a=b1; c=d2⟧",
        "'Set-Cookie': '⟦session=x9y8; HttpOnly⟧'",
        "sent Bearer ⟦eyJhbGciOiJIUzI1NiJ9.x9⟧ and failed",
        "sent Basic ⟦dXNlcjpwYXNzd29yZA==⟧ and failed",
        "Authorization: Digest ⟦username=\"me\", realm=\"x\", response=\"6629fae49393a053\"⟧ and more",
        "Authorization: OAuth ⟦oauth_consumer_key=\"x9y8\",oauth_signature=\"a%2B9\"⟧\nnext: x9",
        "Authorization: AWS4-HMAC-SHA256 Credential=⟦AKIA2E0A8F3B244C9986/20240101/eu/s3/aws4_request⟧, SignedHeaders=host, \
         Signature=⟦5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7⟧",
    ]);
}

#[test]
fn tokens_with_a_known_form_are_hidden_anywhere() {
    check(&[
        "bad token ⟦ghp_16C7e42F292c6912E7710c838347Ae178B4a⟧!",
        "(⟦gho_abcdefghijklmnopqrstuvwxyz0123456789⟧)",
        "⟦github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789⟧",
        "x/⟦glpat-ABCdef123456ghiJKL78⟧/y",
        "⟦hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh⟧ is not valid",
        "id ⟦AKIAIOSFODNN7EXAMPLE⟧,",
        "id ⟦ASIAIOSFODNN7EXAMPLE⟧",
        "⟦sk-proj-abc123DEF456ghi789JKL012mno345⟧",
        "⟦sk-ant-api03-abc123DEF456ghi789JKL012⟧",
        "⟦sk_live_4eC39HqLyjWDarjtT1zdp7dc⟧",
        "⟦xoxb-123456789012-1234567890123-a1b2c3d4e5f6g7h8i9j0k1l2⟧",
        "⟦npm_1234567890abcdefGHIJKLMNOPqrstuv123456⟧",
        "⟦pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMA⟧",
        "⟦AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY⟧",
        "⟦ya29.a0AfH6SMBx1y2z3-abcDEF_ghi⟧",
        "⟦GOCSPX-1a2b3c4d5e6f7g8h9i0j1k2l⟧",
        "⟦SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKcfq⟧",
        "⟦hvs.CAESIJ1a2b3c4d5e6f7g8h9i0j⟧",
        "⟦dckr_pat_a1b2c3d4e5f6g7h8⟧",
        "⟦dapi0123456789abcdef0123456789abcdef⟧",
        "⟦nvapi-a1b2c3d4e5f6g7h8i9j0⟧",
        "⟦gsk_a1b2c3d4e5f6g7h8i9j0⟧",
        "⟦r8_a1b2c3d4e5f6g7h8i9j0⟧",
        "⟦AGE-SECRET-KEY-1QQPQQPZLQF0X9Y8Z7⟧",
        "jwt ⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧.",
        "jwe ⟦eyJhbGciOiJkaXIifQ..x9y8z7.a1b2c3.d4e5f6⟧",
        "⟦IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDz1a2b3c4d5e6f7g8h9i0j==⟧ x",
    ]);
}

#[test]
fn user_parts_of_urls_and_signatures_are_hidden() {
    check(&[
        "get https://⟦me:pw⟧@host/x and https://host/y",
        "https://⟦me:p@ss⟧@host/x?mail=a@b",
        "https://⟦ghp_16C7e42F292c6912E7710c838347Ae178B4a⟧@github.com/x",
        "https://⟦x9y8z7⟧@host/x",
        "git+https://⟦oauth2:x9y8⟧@gitlab.com/a.git",
        "postgresql+psycopg2://⟦me:x9⟧@db:5432/x",
        "redis://⟦:x9y8⟧@cache:6379/0",
        "mongodb+srv://⟦me:x9⟧@cluster.mongodb.net/",
        "HTTPS://⟦me:x9⟧@HOST",
        "'https://⟦me:x9⟧@host'",
        "s3.amazonaws.com/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=⟦AKIA2E0A8F3B244C9986%2F2024%2Fs3⟧\
         &X-Amz-Date=20240101T000000Z&X-Amz-Security-Token=⟦IQoJb3JpZ2lu%2Fx9⟧&X-Amz-Signature=⟦0f1e2d3c4b5a⟧",
        "https://b.s3.amazonaws.com/k?AWSAccessKeyId=⟦AKIAIOSFODNN7EXAMPLE⟧&Signature=⟦vjbyPxybdZaNmGa%2ByT272YEAiv4%3D⟧&Expires=1",
        "https://a.blob.core.windows.net/c?sv=2020-08-04&sp=r&sig=⟦AbC123%2Bxyz%3D⟧",
        "https://storage.googleapis.com/b/k?X-Goog-Signature=⟦0a1b2c3d4e⟧&x=1",
        "https://h/?code=1&access_token=⟦x9⟧&z=1",
    ]);
}

#[test]
fn private_keys_are_hidden_over_several_lines() {
    check(&[
        "-----BEGIN PRIVATE KEY-----⟦\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n⟧-----END PRIVATE KEY-----\nx",
        "-----BEGIN RSA PRIVATE KEY-----⟦\\nMIIEowIBAAKCAQEA7\\n⟧-----END RSA PRIVATE KEY-----",
        r#"{"private_key": "⟦-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n⟧"}"#,
        "-----BEGIN OPENSSH PRIVATE KEY-----⟦ b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA AAAEbm9uZQ ⟧-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----⟦\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0A\n\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtL\n⟧-----END EC PRIVATE KEY-----",
        "cut off: -----BEGIN PRIVATE KEY-----⟦\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAg⟧\n(and then it ended)",
        "│ -----BEGIN PRIVATE KEY-----⟦ │\n│ MIIEvQIBADANBgkqhkiG9w0BAQEFAASC │\n│ ⟧-----END PRIVATE KEY----- │",
    ]);
}

#[test]
fn texts_without_a_secret_stay() {
    check(&[
        "KeyError: 'loss'",
        "sorted(xs, key=len)",
        "max(xs, KEY=len)",
        "f() missing key='loss'",
        "max_tokens=5",
        "max_token_length=512 is too small",
        "a = b: c",
        "Unexpected token: x",
        "/run/secrets/hf_token: InvalidTokenFormatError",
        "cannot read ./config/password: NotADirectoryError",
        "web identity at /run/token: InvalidIdentityToken",
        "token: InvalidClientTokenIdException: The security token is invalid",
        "Unexpected token < in JSON at position 0",
        "unexpected token '}' at line 3",
        "got token=None",
        "api_key=None is not set",
        "token=<your_token>",
        "token='<your token>'",
        "hidden_key=False",
        "expected pad_token=0",
        "num_key_value_heads=8 must divide 12",
        r#"{"api_key":12, "x":1}"#,
        r#"{"api_key": null, "password": ""}"#,
        "password=os.environ['DB_PASSWORD']",
        "token=os.environ.get(\"HF_TOKEN\")",
        "password=getpass.getpass()",
        "api_key=self.config.api_key,",
        "login(token=token, password=password)",
        "error: argument --api-key: expected one argument",
        "usage: train.py [-h] [--password PASSWORD] [--hub-token HUB_TOKEN]",
        "the following arguments are required: --api-key, --password",
        "missing columns ['password', 'username', 'token']",
        "Access denied for user 'me'@'h' (using password: YES)",
        "password must contain 8 characters",
        "Bearer token is missing",
        "WWW-Authenticate: Bearer realm=\"x\", error=\"invalid_token\"",
        "WWW-Authenticate: Basic realm=\"private\"",
        "Basic training of models",
        "no Authorization: header",
        "Authorization: none",
        "tokenizer=bert-base-uncased2 tokenizer_path=/a/b3",
        "label_key=y1 sort_key=z2 primary_key=id3",
        "git@github.com:org/repo.git",
        "ssh://git@github.com/org/repo.git",
        "ssh://ec2-user@10.0.0.1/",
        "https://host/@scope/pkg@1.2.3",
        "https://host/a?b=c@d",
        "https://${USER}:${PASSWORD}@host/",
        "https://me:****@host/simple",
        "s3://bucket/keys/a1b2c3",
        "hf_transfer hf_hub_download hf_model_id sk-learn npm_config_cache xoxb dapiX",
        "scikit-learn-1.2.3 sk-learn-contrib-0.1",
        "AKIA and ASIA begin identifiers",
        "eyJ begins a web token",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkq\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n-----END PUBLIC KEY-----",
        "no line -----BEGIN PRIVATE KEY----- was found in the file",
        "if '-----BEGIN PRIVATE KEY-----' in text: use(text)",
        "std::token::Kind",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "key=layers.0.attention.wq.weight",
        "token == 'abc123'",
        "CUDA error in /usr/local/lib/python3.11/site-packages/torch",
        "secret santa, passes 3 of 5, compass=north9, author=me9",
        "bypass=x9 num_passes=3 patience=x9 patch=x9",
        "PWD=/opt/ml/code OLDPWD=/",
        "SSH_AUTH_SOCK=/tmp/ssh-x9y8/agent.1 XAUTHORITY=/root/.Xauthority9",
        "PIP_KEYRING_PROVIDER=subprocess",
        "mysql -p -h host",
        "run -p 8080 -u me",
        "Signature=(x, y) signature: f(a1, b2)",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "{'input_ids': [101, 2023], 'token_type_ids': [0, 0]}",
        "tokens=['▁the', '##ing'], token='▁a1', pad_token='[PAD]'",
        "Cookie: none",
        "cookiecutter: x9",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-a1B2c3 not found",
        "session: boto3.Session(region_name='us-east-1')",
        "session = my_lib2.Session(url='http://h9')",
        r#"{"name": "password", "type": "string9"}, {"name": "epochs", "value": "a9b8"}"#,
        "<token>\n<token>text</token> <n_tokens>x9</n_tokens>",
        "prompt: |\n  a9b8\nmax_new_tokens: >\n  x9y8z7",
        "num_tokens%3Dx9y8%26a%3Db9 patience&quot;: &quot;x9",
        "HTTPBasicAuth(user, pw) Secretary('x9') compute(auth=(a, b))",
        "api_key parameter9 is missing, hub_token was None",
        "curl -su x https://h; mysql -P 3306; zip -r a9.zip b9; ssh -p2222 h",
        "password incorrect\nlogin: password expired",
        "https://api.telegram.org/bots9 https://hooks.slack.com/services/ https://discord.com/api/v9/x",
        "RuntimeError: size mismatch for embed_tokens.weight: torch.Size([32000, 4096])",
    ]);
}
