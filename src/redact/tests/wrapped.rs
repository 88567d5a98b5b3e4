//! Values behind or inside a further notation, and texts that only look like them.

use super::forms::check;
use crate::redact::{HIDDEN, Redactor};

#[test]
fn values_in_brackets_are_hidden() {
    check(&[
        "DRIVER={SQL Server};SERVER=db,1433;UID=sa;PWD={⟦Rk7;4mWq2zz⟧};Encrypt=yes",
        "HikariConfig: username=me, password=[⟦Rk74mWq2zz⟧], maxPool=10",
        "passwords: [⟦Rk74mWq2zz⟧, ⟦Wq2Rk74mZ⟧]",
        "{'api_keys': [⟦Rk74mWq2zz⟧], 'lr': 0.1}",
        "password=(⟦Rk74mWq2zz⟧)",
        "token=[PAD] tokens=[a1b2c3d4e5, x] token=(1, 2) password=(not set) password=[] secret={name}",
        "token_ids: [101, 7592, 102], api_key: (required)",
    ]);
}

#[test]
fn values_in_calls_that_wrap_them_are_hidden() {
    check(&[
        r#"Config { url: "http://h", password: Some("⟦Rk74mWq2zz⟧"), retries: 3 }"#,
        "Settings(token=Optional[⟦Rk74mWq2zz⟧], retries=3)",
        "password=str('⟦Rk74mWq2zz⟧')",
        r#"String password = new String("⟦Rk74mWq2zz⟧");"#,
        "password = b64decode('⟦V3EyUms3NG1aeg==⟧')",
        r#"builder.setPassword("⟦Rk74mWq2zz⟧").withPassword("⟦Wq2Rk74mZ⟧")"#,
        "AzureKeyCredential('⟦fedcba9876543210fedcba9876543210⟧')",
        r#"token = os.environ["HF_TOKEN"]; password = getpass("Password: "); api_key = config.get("api_key")"#,
        "password: Some(None), token=Optional[str], set_password(user, value), set_token(token)",
    ]);
}

#[test]
fn types_anchors_and_quotes_do_not_shield_a_value() {
    check(&[
        "hf_token: str = ⟦Rk74mWq2zz9A⟧",
        r#"api_key: Optional[str] = "⟦Rk74mWq2zz⟧""#,
        "const apiKey: string = '⟦Rk74mWq2zz⟧'",
        r#"let api_key: &str = "⟦Rk74mWq2zz⟧";"#,
        "password: &pw ⟦Rk74mWq2zz⟧",
        "password: !!str ⟦Rk74mWq2zz⟧",
        r#"api_key = """⟦Rk74mWq2zz⟧""""#,
        "password = '''⟦Rk74mWq2zz⟧'''",
        "def login(token: str, password: str = None)",
    ]);
}

#[test]
fn cells_of_tables_are_hidden() {
    check(&[
        "| api_key | ⟦Rk74mWq2zz9A⟧ |",
        "│ api_key      │ ⟦Rk74mWq2zz9A⟧ │",
        "  hub_token ....................................... ⟦Rk74mWq2zz9A⟧",
        "  hub_token ....................................... None",
        "| token | label | | key | value | │ password │ string │",
        "cat token | base64 -d",
    ]);
}

#[test]
fn statements_and_files_of_settings_are_read() {
    check(&[
        "CREATE USER me IDENTIFIED BY '⟦Rk74mWq2zz⟧'",
        "ALTER ROLE me WITH LOGIN PASSWORD '⟦winter22⟧'",
        "The password '⟦winter22⟧' does not meet the policy",
        "ENV DB_PASSWORD ⟦winter22⟧",
        "in line 3: setenv DB_PASSWORD ⟦winter22⟧",
        "requirepass ⟦Rk74mWq2zz⟧",
        "masterauth ⟦Rk74mWq2zz⟧",
        r#".option("password", "⟦winter22⟧")"#,
        "1 validation error for Settings\napi_key\n  String should have at least 40 characters [input_value='⟦Rk74mWq2zz⟧']",
        "1 validation error for Settings\nsteps\n  Input should be a number [input_value='Rk74mWq2zz']",
        "wandb: ERROR API key must be 40 characters long, yours was ⟦0123456789abcdef0123456789abcdef0123456⟧",
        "API Key = ⟦Rk74mWq2zz9A⟧, invalid x-api-key ⟦Rk74mWq2zz9A⟧",
        "aws configure set aws_secret_access_key ⟦aB3/dE6gH9kmNpQ7xY2vW5tUsR8zL4cF1jD0oI6y⟧",
        "the password 'admin' was refused, the password 'of rank' is missing",
    ]);
}

#[test]
fn elements_of_xml_may_have_attributes() {
    check(&[
        r##"<wsse:Password Type="urn:x#PasswordText">⟦Rk74mWq2zz⟧</wsse:Password>"##,
        r#"<Password xmlns="urn:x">⟦Rk74mWq2zz⟧</Password>"#,
        "<password><![CDATA[⟦Rk74mWq2zz⟧]]></password>",
        "<token>\n<name>a</name></token>",
    ]);
}

#[test]
fn addresses_are_read_as_people_write_them() {
    check(&[
        "postgresql://⟦me:Rk#74mWq2zz⟧@db:5432/x",
        "cannot parse 'postgresql://⟦me:Rk/74mWq2zz⟧@db:5432/x'",
        "Could not parse SQLAlchemy URL from string 'me:⟦Rk74mWq2zz⟧@db:5432/x'",
        "pulling docker://ubuntu:22.04@sha256:77f1a2b3c4d5e6f7",
        "abfss://ml-a1b2c3d4e5@acct.dfs.core.windows.net/train",
        "http://localhost:8080/users/me@example.com http://h:80/a@b",
        "contact me:you@example.com",
    ]);
}

#[test]
fn files_algorithms_and_references_are_no_secrets() {
    check(&[
        "kubeconfig=conf/kube-1a2b3c.yaml source_key=raw/2024a1b2c3d4/x1.csv file_key=part-00000-3fa85f64.parquet",
        "NoSuchKey: models/2024-05-01/3fa85f64-5717-4562/model.tar.gz",
        "auth=sha256 auth: scram-sha-256 auth: md5 auth=oauth2 JWT=RS256 password_hasher=argon2 credentials: IMDSv2",
        "password=N/A token=tbd token=?",
        "token=env:HF_TOKEN secret: projects/my-proj-1/secrets/hf-token/versions/3",
        "password: '{{resolve:secretsmanager:prod/db1:SecretString:password}}'",
        "{'score': 0.1, 'token': 2572, 'token_str': 'h1n1'} trigger_token: sks7dog concept_token=toy2 token='naïve'",
        "job sk-hpo-240501-1200-003-1a2b3c4d failed, hf_model_1a2b3c4d5e6f was not saved, xai-shap-run-1a2b3c4d5e",
        "experiment_key=0123456789abcdef0123456789abcdef",
    ]);
}

#[test]
fn prefixes_of_more_services_are_known() {
    check(&[
        "⟦gloas-0a1B2c3D4e5F6g7H8i9J⟧ and ⟦pplx-0a1B2c3D4e5F6g7H8i9J⟧",
        "rsa: ⟦LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXcwQkFRRUZBQVND⟧",
        "login ⟦eyJhdXRocyI6eyJoLmlvIjp7ImF1dGgiOiJiV1U2V0dzeU9XUk1jVGR0YlE9PSJ9fX0wMTIzNDU2Nzg5⟧ failed",
        "⟦esecret_0a1B2c3D4e5F6g7H8i9J⟧ ⟦llx-0a1B2c3D4e5F6g7H8i9J⟧ ⟦essu_0a1B2c3D4e5F6g7H8i9J⟧ ⟦pnu_0a1B2c3D4e5F6g7H8i9J⟧",
        "⟦dbtc_0a1B2c3D4e5F6g7H8i9J⟧ ⟦bkua_0a1b2c3d4e5f60718293⟧ ⟦CCIPAT_0a1B2c3D4e5F_0a1b2c3d4e5f60718293⟧",
        "⟦rnd_0a1B2c3D4e5F6g7H8i9J⟧ ⟦napi_0a1b2c3d4e5f60718293⟧ ⟦isat_0a1B2c3D4e5F6g7H8i9J⟧ ⟦aio_0a1B2c3D4e5F6g7H8i9J⟧",
        "⟦hf_oauth_0a1B2c3D4e5F6g7H8i9J⟧ ⟦sk_0a1b2c3d4e5f607182930a1b2c3d4e5f607182930a1b2c3d⟧ ⟦e2b_0a1b2c3d4e5f60718293⟧",
        "⟦xkeysib-0a1b2c3d4e5f607182930a1b2c3d4e5f-0a1B2c3D4e5F6g7H⟧ ⟦fm2_0a1B2c3D4e5F6g7H8i9J⟧ ⟦sk.eyJ1IjoiYTFiMmMzZDRlNSJ9.0a1B2c3D4e5F⟧",
        "⟦fc-0a1b2c3d4e5f60718293a4b5c6d7e8f9⟧ ⟦tfp_0a1B2c3D4e5F6g7H8i9J⟧ ⟦as-0a1B2c3D4e5F6g7H8i9J0k⟧ ⟦sgp_0a1b2c3d4e5f60718293⟧",
        "rnd_seed sk_learn_model_2024 aio_pika e2b_template fc-layer-0a1b2c3d4e5f as-needed llx-base-model napi_build fm2_base",
        "⟦KGAT_0a1b2c3d4e5f60718293a4b5c6d7e8f9⟧ ⟦sb_secret_0a1B2c3D4e5F6g7H8i9J⟧ ⟦dp.st.prd.0a1B2c3D4e5F6g7H8i9J⟧",
    ]);
}

#[test]
fn tokens_that_only_their_shape_tells_are_hidden() {
    check(&[
        // Airtable, Terraform, Discord, Dropbox, and a token of Vault in its earlier form
        "airtable ⟦patAbc1dEf2gHi3jK.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef⟧ failed",
        "⟦abCD1efGH2ijKL.atlasv1.0a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8i9J0a1B2c3⟧",
        "bot ⟦MTE5ODc2NTQzMjEwOTg3NjU0.GaBcDe.x1Y2z3X4y5Z6x7Y8z9X0y1Z2x3Y4z5X6y7Z8⟧",
        "⟦sl.u.AFa1B2c3D4e5F6g7H8i9J0-a1B2c3D4e5F6g7H8i9J0_a1B2c3D4e5F6g7H8i9J0a1B2c3⟧, ⟦s.a1B2c3D4e5F6g7H8i9J0k1L2⟧",
        // Telegram, Mailchimp, Meta, Trello, Gemini
        "https://h/bot⟦123456789:AAa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q⟧/x and ⟦1234567890:AAa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q⟧",
        "⟦0123456789abcdef0123456789abcdef-us12⟧",
        "⟦EAAa1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8i9J0a1B2c3⟧",
        "⟦ATTA0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9ABCD1234⟧",
        "⟦AQ.Ab8RN6Ka1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q⟧",
        // Such words without the length or the digits of a token
        "s.learning_rate s.a1b2 sl.mean pattern.0a1b2c3d MTE5.GaBcDe.x1 EAAC AQ.Ab8 12:AAx9 123456789:AAA-batch",
        "model-us12 0123456789abcdef0123456789abcdef 0123456789abcdef0123456789abcdef-use1",
        "EARLYSTOPPINGCALLBACKWITHPATIENCEANDAVERYLONGNAMETHATGOESONANDON",
    ]);
}

#[test]
fn values_that_are_compared_with_a_name_are_hidden() {
    check(&[
        "    if password == '⟦x9y8⟧':",
        "assert api_key != \"⟦a1b2c3d4e5f6⟧\", msg",
        "if (db.password === '⟦x9y8⟧')",
        "if token == '</s>': if pad_token == 'a1': if password == other: if api_key != 'none' or password == ''",
        "token==1.2.3 secrets==2.0.1",
        "password：⟦x9y8⟧",
        "api_key – ⟦a1b2c3d4e5f6⟧; access token — ⟦a1b2c3d4e5f6⟧",
        "xfreerdp /u:me /password:⟦hunter2x9⟧ /v:h; /token: InvalidFormatError; docker run -v /secret:/secret:ro -v /key:/x9",
        "the api key – a string – was refused; the token — an expired one — is gone",
    ]);
}

#[test]
fn variables_and_calls_in_the_lines_of_code_stay() {
    check(&[
        "    client = boto3.client('s3', token=aws_session_token, service_key=old_service_account_key)",
        "    has_token = get_token_from_environment(name) is not None",
        "    credential = DefaultAzureCredential()",
        "    s3_disable_express_session_auth=s3_disable_express_session_auth,",
        "    password = split_user_password_from_url(url)",
        // Passwords can be words, and so can a token in quotes.
        "password=⟦correct_horse_battery_staple⟧ password: ⟦my_old_db_password⟧ DB_PASSWORD=⟦my_old_db_password⟧",
        "token='⟦my_old_hub_token⟧' token=⟦my_token_x9y8z7w6⟧ --password ⟦my_new_db_password⟧",
    ]);
}

#[test]
fn known_secrets_are_found_in_numeric_entities_and_behind_two_encodings() {
    let redactor = Redactor::default().and("p+a/s=s&w0rd9");
    for text in
        ["p&#43;a&#x2F;s&#61;s&#38;w0rd9", "p%252Ba%252Fs%253Ds%2526w0rd9", "p%25252Ba%25252Fs%25253Ds%252526w0rd9"]
    {
        assert_eq!(redactor.clean(&format!("x {text} y")), format!("x {HIDDEN} y"), "{text}");
    }
    assert_eq!(redactor.clean("100%25 &#x; &#99999999; %2525"), "100%25 &#x; &#99999999; %2525");
}
