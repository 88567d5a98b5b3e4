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
    alias arrow authorized batch bucket cache col column composite config correlation data dedup dict feature
    field foreign gpg group hash hot i18n idempotency image index input join kms label lookup map mask merge
    message meta metric metrics natural no num object of output partition pgp primary prng public query range
    record registry rng routing row s3 shard sort state surrogate target text translation unique
";

/// Words before `token` with which the token belongs to the vocabulary of a language model.
pub(super) const OF_VOCABULARY: &str = "
    additional audio begin blank bos box byte char class cls context decoder dummy encoder end eod eos eot extra
    fim first forced image input language last mask masked max min next num output pad padding patch per placeholder
    prefix rare sentinel sep separator sot special speech start stop sub suffix target task text think tool unk
    unknown video vision vocab word
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
    accesskey accountkey apikey authkey encryptionkey privatekey secretkey signingkey sshkey
";

/// Beginnings of words that end in `token` and name secrets.
pub(super) const BEFORE_TOKEN: &str = "
    access api auth bearer csrf deploy git github gitlab hf hub oauth refresh session xsrf
";

/// Beginnings of words that end in `pass`, `pwd` or `pw` and name passwords.
pub(super) const BEFORE_PASS: &str = "
    admin bind db ftp http key keystore ldap mail mongo mysql pg postgres proxy redis require root smtp sql ssh
    store sudo truststore user
";
