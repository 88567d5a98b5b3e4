//! Tables of the words in names that show if a value is a secret. Each table is a text of words in alphabetical order.

/// Returns true if a table holds a word.
pub(super) fn holds(table: &str, word: &str) -> bool {
    table.split_ascii_whitespace().any(|other| other == word)
}

/// Neutral additions to the name of a secret: `API_KEY_PROD`.
pub(super) const NEUTRAL: &str = "
    b64 backup base64 code current data default dev development env header json list live main new old payload pem
    prev previous primary prod production qa raw secondary stage staging str string test val value values
";

/// Words after the word of a secret that make the value a description of the secret: `password_file`.
pub(super) const DESCRIPTORS: &str = "
    alg algorithm allowed arn attempts audience axis backend batch budget bytes cache chars class classes col cols
    column columns count counts dim dims dir directory dirs domain dropout dtype embed embedding embeddings
    enabled encoding endpoint error errors expires expiry fetcher field fields file filename files folder format
    frequency group handler head heads helper host idx index indices interval issuer kind label labels len length
    lengths level lifetime limit location loss manager map mapping mask max memory method metric min mode model
    module name names num optional order origin pad padding pairs param params path paths pattern per plugin
    policy port prefix prob process profile prompt provider range rate ratio realm regex region required retries
    role rules scale schema scheme scope scopes seed separator server service shape size sizes sock socket source
    split status stdin step steps store strategy suffix table template threshold through timeout ttl type types uri url
    user username version weight width
";

/// Words before `key` that make the value a secret, even if it is a word.
pub(super) const BEFORE_PASSWORD_KEY: &str = "
    access api cluster encryption licence license priv private secret signing ssh
";

/// Words before `key` that make the value a secret.
pub(super) const BEFORE_SECRET_KEY: &str = "
    account admin aes app application auth authentication bot client consumer cosmos crypto decrypt decryption
    deploy deployment developer encrypt fernet function hmac ingest instrumentation integration jwt master pem
    pkcs8 root rsa sas security server service shared ssl storage subscription symmetric tls webhook x509
";

/// Words before `key` with which the value is not a secret.
pub(super) const BEFORE_PLAIN_KEY: &str = "
    alias arrow artifact authorized batch blob bucket cache checkpoint col column composite config correlation data
    dataset dedup dict experiment feature field file foreign gpg group hash hot i18n idempotency image index input join kms label lookup map mask merge
    message meta metric metrics natural no num object of output partition pgp primary prng prompt public query range
    record registry rng routing row run s3 shard sort source state surrogate target text translation unique upload
";

/// Words before `token` with which the token belongs to the vocabulary of a language model.
pub(super) const OF_VOCABULARY: &str = "
    additional audio bad begin blank bos box byte char class cls concept context decoded decoder dummy encoder end
    eod eos eot extra fim first forced good image initializer input instance label language last mask masked max min
    next num output pad padding patch per placeholder prefix rare sentinel sep separator sot special speech start step
    stop sub subject suffix target task text think tool trigger unk unknown video vision vocab word
";

/// Words before `pass` with which it means a run through something.
pub(super) const BEFORE_RUN: &str = "
    all backward band by compiler dry each eval final first forward fx graph high inference last low max min multi
    n next num one onnx opt optimization per post pre quant second single test third training two warm warmup
";

/// Ends of words that name passwords: `pgpassword`.
pub(super) const ENDS_OF_PASSWORDS: &str = "
    passcode passphrase passwd password secret
";

/// Ends of words that name keys.
pub(super) const ENDS_OF_KEYS: &str = "
    accesskey accountkey apikey authkey encryptionkey privatekey secretkey signingkey sshkey wandbkey
";

/// Beginnings of words that end in `token` and name secrets.
pub(super) const BEFORE_TOKEN: &str = "
    access api auth bearer bot csrf deploy gh git github gitlab hf hub jwt oauth refresh session slack user wandb xsrf
";

/// Beginnings of words that end in `pass`, `pwd` or `pw` and name passwords.
pub(super) const BEFORE_PASS: &str = "
    admin bind db ftp http key keystore ldap mail mongo my mysql pg postgres proxy redis require root smtp sql ssh
    store sudo truststore user
";

/// Names of methods and algorithms that hold digits.
pub(super) const ALGORITHMS: &str = "
    aes128 aes192 aes256 argon2 argon2d argon2i argon2id ed25519 es256 es384 es512 hs256 hs384 hs512 imdsv1 imdsv2 md4
    md5 ntlmv1 ntlmv2 oauth1 oauth2 pbkdf2 ps256 ps384 ps512 rs256 rs384 rs512 rsa2048 rsa4096 s3v2 s3v4 sha sha1 sha2
    sha224 sha256 sha3 sha384 sha512 sigv4 v1 v2 v3 v4 x509
";
