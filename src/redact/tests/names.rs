//! Names of secrets, and names that only look like one.

use crate::redact::{NameKind, name_kind};

/// Names whose values are secrets unless that is impossible.
const SECRET: &str = "
    HF_TOKEN HUGGING_FACE_HUB_TOKEN hub_token GITHUB_TOKEN GH_TOKEN gitlab_token NPM_TOKEN SLACK_BOT_TOKEN DISCORD_TOKEN
    AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CONTAINER_AUTHORIZATION_TOKEN ACCESS_TOKEN accessToken refresh_token idToken
    csrf_token CODEARTIFACT_AUTH_TOKEN X-Auth-Token PRIVATE-TOKEN token TOKEN_V2 HF_TOKEN_1 api_tokens sas_token
    AWS_SECRET_ACCESS_KEY AWS_SECRET_KEY WANDB_API_KEY OPENAI_API_KEY ANTHROPIC_API_KEY COHERE_API_KEY COMET_API_KEY
    X-Api-Key apiKey APIKey apikey api.key openaiApiKey API_KEY_PROD API_KEY_2 API_KEY_OPENAI FOOTPLATE_CLUSTER_KEY
    ACCESS_KEY ssh_private_key SIGNING_KEY ENCRYPTION_KEY AZURE_STORAGE_ACCOUNT_KEY AccountKey SharedAccessKey LICENSE_KEY
    MASTER_KEY FERNET_KEY subscription_key Ocp-Apim-Subscription-Key ssl_key client_key accesskey secretkey privatekey
    DB_PASSWORD password PASSWORD passwd userPassword PGPASSWORD MYSQL_ROOT_PASSWORD password2 new_password SMTP_PASSWD
    MYSQL_PWD Pwd dbpwd DB_PASS PGPASS SMTP_PASS mysqlpass PASS user.pass RABBITMQ_DEFAULT_PASS DB_PW PASSPHRASE
    GPG_PASSPHRASE ssh_passphrase pass_phrase PASSCODE VPN_PASSCODE LICENCE_PIN card_pin
    SECRET CLIENT_SECRET clientSecret clientsecret SECRET_STUFF APP_SECRET SECRET_KEY_BASE DJANGO_SECRET_KEY webhook_secret
    JWT_SECRET JWT auth_jwt COOKIE SESSION_COOKIE Set-Cookie AUTHORIZATION Proxy-Authorization BEARER bearer_token
    HTTP_AUTH BASIC_AUTH REDISCLI_AUTH DOCKER_AUTH_CONFIG NPM_CONFIG__AUTH basicauth auth
    CREDENTIALS AWS_CREDENTIALS GOOGLE_APPLICATION_CREDENTIALS_JSON db_cred creds awsCredentials service_account_credentials
    GITHUB_PAT GH_PAT AZURE_DEVOPS_PAT personal_pat SNOWFLAKE_PAT AZURE_STORAGE_SAS blob_sas CONN_STR DB_CONN_STR
    AZURE_STORAGE_CONNECTION_STRING connectionString connstr SENTRY_DSN database_dsn NETRC KUBECONFIG HTPASSWD MNEMONIC OTP
    totp MY_OTP jwttoken slacktoken usertoken wandbkey mypass DB_PSWD WIFI_PSK GITHUB_OAUTH SEED_PHRASE RECOVERY_CODE
";

/// Names whose values are secrets only if they look random.
const DOUBTFUL: &str = "
    WANDB_KEY OPENAI_KEY my_key user_key wandb.key TOKEN_GITHUB session_id SESSION sessionid_session secret_id client_secret_id
    X-Amz-Signature Signature sig nonce PASSWORD_ID csrf PAT file_pat
";

/// Names that only look like the name of a secret.
const PLAIN: &str = "
    tokenizer tokenizer_name tokenizer_path TOKENIZERS_PARALLELISM num_tokens max_tokens max_new_tokens tokens_per_batch
    tokens token_budget max_token_length token_dropout token_type token_type_ids eos_token eos_token_id pad_token bos_token
    pad_token_id image_token mask_token unk_token special_tokens additional_special_tokens token_embedding_dim cls_token
    token_str decoded_token trigger_token concept_token experiment_key checkpoint_key source_key upload_key
    label_key primary_key sort_key foreign_key partition_key feature_keys target_key image_key cache_key s3_key object_key
    group_key join_key public_key GPG_KEY kms_key volume_kms_key kms_key_id key key_dim key_column key_size hotkeys no_of_keys
    num_key_value_heads key_padding_mask key_metric keyed_by keynote keyboard keyboard_layout keyframe keypoint num_keypoints
    keyword keywords KeyError KeyboardInterrupt monkey turkey whiskey hockey_season donkey keras keep keepalive
    AWS_ACCESS_KEY_ID api_key_file API_KEY_NAME ssh_key_path secret_key_length
    author authors authority authored author_email authenticated auth_mode AUTH_TYPE auth_method auth_url SSH_AUTH_SOCK
    XAUTHORITY authorized_keys AUTH_SERVER auth_provider
    compass bypass passes num_passes n_pass first_pass forward_pass backward_pass two_pass high_pass_cutoff pass_through
    pass_rate passthrough passenger passive passage surpass class_pass_threshold encompass
    pathlib path patience patch patch_size pattern pat_size spatial dispatch pathway patient_id compatible
    secretary secretion secret_name SECRET_ARN secrets_manager_region secrets_dir
    password_file PASSWORD_FILE password_length password_policy passwordless min_password_length password_field
    cookiecutter cookie_name cookie_domain cookies_file credentials_path AWS_CONTAINER_CREDENTIALS_FULL_URI
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI credential_process credential_helper AWS_SHARED_CREDENTIALS_FILE
    AWS_WEB_IDENTITY_TOKEN_FILE token_url TOKEN_DIR token_map PIP_KEYRING_PROVIDER keyring GIT_ASKPASS SSH_ASKPASS
    pin_memory pinned spin opinion pinning sas_version saskatchewan asset disk_assets session_name session_timeout
    SESSION_MANAGER bearer_type jwt_algorithm jwt_issuer dsn_name bearing forbearer credit credo incredible accredited
    signature_version signature_name designature lr epochs batch_size learning_rate model hidden_size warmup_steps seed
    HOME PATH USER LANG HOSTNAME SHLVL SM_MODEL_DIR SM_CHANNELS SM_HPS NCCL_DEBUG MASTER_ADDR MASTER_PORT WORLD_SIZE
";

fn each(names: &str) -> impl Iterator<Item = &str> {
    names.split_whitespace()
}

#[test]
fn names_of_secrets_are_recognized() {
    let wrong: Vec<_> = each(SECRET).filter(|name| name_kind(name) < NameKind::Secret).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(each(SECRET).count() >= 120);
}

#[test]
fn names_of_what_may_be_a_secret_are_doubtful() {
    let wrong: Vec<_> = each(DOUBTFUL).filter(|name| name_kind(name) != NameKind::Doubtful).collect();
    assert_eq!(wrong, ["PAT"], "a name of one word says more");
    assert_eq!(name_kind("PAT"), NameKind::Secret);
}

#[test]
fn names_with_the_letters_of_a_secrets_word_are_plain() {
    let wrong: Vec<_> = each(PLAIN).filter(|name| name_kind(name) != NameKind::Plain).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(each(PLAIN).count() >= 180);
}

#[test]
fn the_words_of_passwords_say_so_in_every_spelling() {
    for name in ["db_password", "DB_PASSWORD", "db-password", "db.password", "dbPassword", "DBPassword", "db password"]
    {
        assert_eq!(name_kind(name), NameKind::Password, "{name}");
    }
}

#[test]
fn a_long_name_is_read_from_its_end() {
    let long = "a_b_".repeat(100_000);
    assert_eq!(name_kind(&format!("{long}api_key")), NameKind::Password);
    assert_eq!(name_kind(&long), NameKind::Plain);
    assert_eq!(name_kind("é_password"), NameKind::Password);
    assert_eq!(name_kind(""), NameKind::Plain);
}
