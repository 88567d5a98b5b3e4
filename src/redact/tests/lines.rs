//! Secrets that their place in a line, or their shape, makes certain.

use super::forms::check;
use crate::redact::Redactor;

#[test]
fn secrets_among_the_arguments_of_programs_are_hidden() {
    check(&[
        "lftp -u user,⟦word⟧ ftp.example.com",
        "lftp -u user,⟦x9y8⟧ -e 'mirror a b' ftp://h",
        "lftp -e 'open -u me,⟦swordfish⟧ sftp://h'",
        "lftp -u 'me,⟦swordfish⟧' sftp://h",
        "mc alias set store https://minio.example.com ⟦minioadmin⟧ ⟦minioadmin⟧",
        "mc alias set store http://h:9000 ⟦AKX9Y8Z7⟧ ⟦x9y8z7w6v5⟧ --api s3v4",
        "mc config host add store http://h:9000 ⟦swordfish⟧ ⟦sesame⟧",
        "Command '['mc', 'alias', 'set', 'store', 'http://h', '⟦swordfish⟧', '⟦sesame⟧']' returned",
        "htpasswd -b users me ⟦swordfish⟧",
        "htpasswd -nb me ⟦swordfish⟧",
        "rclone obscure ⟦swordfish⟧",
        "poetry config http-basic.index me ⟦swordfish⟧",
        "rabbitmqctl add_user me ⟦swordfish⟧",
        "twine upload -u me -p ⟦swordfish⟧ dist/*",
        "ssh-keygen -t rsa -N ⟦swordfish⟧ -f k",
        "gh secret set DB_PASSWORD --body ⟦swordfish⟧",
        "\"run\" \"--password\" \"⟦x9y8⟧\"",
        "DB_PASSWORD -> ⟦x9y8⟧",
        "openssl pkcs12 -in a.p12 -password ⟦pass:swordfish⟧",
        "smbclient -U'⟦me%swordfish⟧' //h/s",
        "smbclient -U⟦me%swordfish⟧ //h/s",
        "mysql -p'⟦sword fish⟧' db",
        "curl -u\"⟦me:swordfish⟧\" https://h/",
        "vault login ⟦s.abcDEF123456ghiJKL789mno⟧",
        "kubectl create secret generic db --from-literal=password=⟦swordfish⟧ --from-literal=user=me",
        "kubectl create secret generic db --from-literal 'api_key=⟦x9y8⟧'",
    ]);
    check(&[
        "mc alias set store https://h $KEY $SECRET",
        "mc: alias set to https://h/x y9 z8",
        "mc cp --recursive store/a9 b8",
        "gh pr create --body text9",
        "ssh-keygen -t rsa -N '' -f k9",
        "docker login --password-stdin h9",
        "gh auth login --with-token < a9",
        "poetry config virtualenvs.path a9",
        "\"--use-token\" \"--lr\" \"x9\"",
        "token -> x9",
        "htpasswd -b users me",
        "curl -ume https://h/",
        "smbclient -Ume //h/s",
        "lftp -u me sftp://h,9",
        "lftp -u me,$WORD9 sftp://h",
        "kubectl get secret db --from-literal password",
    ]);
    let clean = |words: &[&str]| Redactor::default().clean_words(words).join(" ");
    for (words, expected) in [
        (
            &["/bin/mc", "alias", "set", "s", "http://h", "sesame", "swordfish", "--quiet"][..],
            "/bin/mc alias set s http://h ****** ****** --quiet",
        ),
        (&["lftp", "-u", "me,swordfish", "ftp://h"], "lftp -u ****** ftp://h"),
        (&["lftp", "-u", "me", "ftp://h"], "lftp -u me ftp://h"),
        (&["mc", "alias", "set", "s"], "mc alias set s"),
        (&["curl", "-ume", "https://h"], "curl -ume https://h"),
    ] {
        assert_eq!(clean(words), expected);
    }
}

#[test]
fn passwords_in_the_lines_of_password_files_are_hidden() {
    check(&[
        "machine h.example.com login me password ⟦swordfish⟧",
        "machine localhost login me password ⟦swordfish⟧ account x",
        "default login anonymous password ⟦swordfish⟧",
        "machine h login me password ⟦x9y8⟧",
        "db.example.com:5432:mydb:me:⟦x9y8z7⟧",
        "*:*:*:postgres:⟦swordfish⟧",
        "localhost:5432:*:me:⟦swordfish⟧",
        "no requirement: 'db.example.com:5433:mydb:me:⟦x9y8z7⟧'",
    ]);
    check(&[
        "machine learning login page password reset",
        "machine h.example.com login password expired",
        "127.0.0.1:5432:algo:1:2x9",
        "12:5432:first:second:x9y8z7",
        "main.py:5432:first:second:third",
        "src/a.cc:5432:first:second:x9y8z7",
        "algo-1:8080:rank:zero:x9y8z7",
        "h:5432:db:me:$WORD9",
        "h:5432:db:me:x9y8:z7",
    ]);
}

#[test]
fn hashes_of_passwords_are_hidden() {
    check(&[
        "root:⟦$6$saltsalt$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./abcdef⟧:19000:0:99999:7:::",
        "root:⟦$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7⟧:19000:0:99999:7:::",
        "me:⟦$1$abcdefgh$0123456789abcdefghij12⟧:19000",
        "me:⟦$5$rounds=5000$saltsalt$0123456789abcdefghij0123456789abcdefghij123⟧:19000",
        "me:⟦$apr1$abcdefgh$0123456789abcdefghij12⟧",
        "hash ⟦$2b$12$abcdefghijklmnopqrstuuxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234⟧.",
        "⟦$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG⟧",
        "⟦pbkdf2_sha256$600000$abcdefgh$0123456789abcdefghij0123456789abcdefghij012=⟧ of me",
        "⟦scrypt:32768:8:1$abcdefgh$0123456789abcdefghij0123456789abcdefghij012⟧",
        "userPassword: ⟦{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9gabcd=⟧",
        "Invalid requirement: 'root:⟦$6$salt$abcdefghijklmnop0123456789⟧:1::': Expected end",
    ]);
    check(&[
        "root:x:0:0:root:/root:/bin/bash",
        "nobody:*:19000:0:99999:7:::",
        "$1 $2 ${3} $6$ $y$x $2b$3",
        "price $5$ and $6$abc",
        "awk '{print $1$2$3}'",
        "pbkdf2: 600000 rounds of sha256, scrypt:32768:8:1",
        "{SHA} hash, {MD5}x9",
    ]);
}

#[test]
fn keys_with_a_shape_of_their_own_are_hidden() {
    check(&[
        "azure ⟦abC8Q~x1y2z3x4y5z6x7y8z9x0y1z2x3y4z5x6y7⟧",
        "⟦1//0gabcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQ⟧",
        "⟦key-0123456789abcdef0123456789abcdef⟧",
        "⟦lsv2_pt_0123456789abcdef0123456789abcdef_0123456789⟧",
        "⟦glpat-ABCdef123456ghiJKL78.01.abc123def⟧.",
        "⟦ATATT3xFfGF0abcDEF123456ghiJKL789mnoPQR_x=ABCDEF12⟧",
        "⟦dp.pt.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG⟧",
        "⟦sbp_0123456789abcdef0123456789abcdef01234567⟧",
        "⟦rpa_ABCDEFGHIJ0123456789ABCDEFGHIJ0123456789abcd⟧",
        "⟦tvly-abcDEF123456ghiJKL789mnoPQR012⟧ ⟦jina_0123456789abcdef0123456789abcdefABCDEFGHIJ⟧",
        "⟦bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbg⟧",
        "⟦NRAK-ABCDEFGHIJ0123456789ABCDEFG⟧ ⟦CFPAT-abcDEF123456ghiJKL789mnoPQR012stuVWX345abcd⟧",
        "⟦pul-0123456789abcdef0123456789abcdef01234567⟧ ⟦pscale_tkn_abcDEF123456ghiJKL789mnoPQR012⟧",
        "⟦ops_eyJabcDEF123456ghiJKL789mnoPQR012stuVWX345⟧ ⟦secret_abcDEF123456ghiJKL789mnoPQR012stuVWX345⟧",
        "wandb.login(key=\"⟦0123456789abcdef0123456789abcdef01234567⟧\")",
        "wandb.login('⟦0123456789abcdef0123456789abcdef01234567⟧', relogin=True)",
    ]);
}

#[test]
fn secrets_in_longer_sentences_are_hidden() {
    check(&[
        "The password for user me is ⟦x9y8Z7w6⟧!",
        "password of 'me' was '⟦x9y8Z7w6⟧'",
        "Using token ⟦x9y8z7w6v5u4t3s2r1⟧ for the hub",
        "sent access token ⟦x9y8z7w6v5u4t3s2r1⟧",
        "invalid token '⟦x9y8z7w6v5u4t3s2⟧'",
        "bad secret \"⟦x9y8z7w6v5u4t3s2⟧\"",
        "invalid token 'resnet50' at line 3, bad secret value, wrong password for me9",
    ]);
}

#[test]
fn secrets_in_code_and_in_encoded_addresses_are_hidden() {
    check(&[
        "os.environ[\"API_KEY\"] = \"⟦x9y8z7⟧\"",
        "config['db']['password']='⟦x9y8⟧'",
        "config['db']['password'] == '⟦x9y8⟧'",
        "config['max_tokens'] = 'x9y8', tokens['token'][0] = 'x9y8'",
        "os.environ['TOKEN'] = os.getenv('OTHER9')",
        "https%3A%2F%2F⟦me%3Ax9y8⟧%40h%2Fp%3Fa%40b",
        "?to=https%3a%2f%2f⟦me%3ax9y8⟧%40h&next=1",
        "https%3A%2F%2Fh%2Fp%40x9%3Ay8, https%3A%2F%2Fme%40h9",
        r#""https:\/\/⟦me:x9y8⟧@h\/p", "https:\/\/h9\/p@x9y8:z7""#,
    ]);
}

#[test]
fn values_in_items_and_properties_are_hidden() {
    check(&[
        r#"{"Name": "API_KEY", "Type": "String", "Value": "⟦b9x8⟧"}"#,
        r#"{"ParameterKey": "DBPassword", "ParameterValue": "⟦b9x8⟧"}"#,
        r#"{"key": "HF_TOKEN", "val": "⟦b9x8⟧"}"#,
        "- value: ⟦b9x8⟧\n  name: DB_PASSWORD",
        "<entry key=\"password\">⟦x9y8⟧</entry>",
        "<property>\n <name>fs.s3a.secret.key</name>\n <value>⟦x9y8⟧</value>\n</property>",
    ]);
}

#[test]
fn secrets_below_their_names_are_hidden() {
    check(&[
        "passwords:\n  - ⟦x9y8z7w6⟧\n  - \"⟦q1w2e3r4⟧\" # old\nusers:\n  - me9y8z7",
        "api_keys:\n- ⟦x9y8z7w6⟧\n- ⟦q1w2e3r4⟧\nlr: 3",
        "db:\n  secrets:\n    - ⟦x9y8⟧\n    - none\n  shards:\n    - x9y8",
        "password\n⟦x9y8z7w6q5⟧\n",
        "Password:\n⟦x9y8z7w6⟧\n",
        "api_key:\n    ⟦x9y8⟧\n",
        "AWS_SECRET_ACCESS_KEY=\r\n⟦x9y8z7w6v5u4⟧\r\n",
        "password: !vault ⟦x9y8⟧",
        "PuTTY-User-Key-File-2: ssh-rsa\nPublic-Lines: 1\nAAAAB3NzaC1yc2EAAAABJQAAAQEA\nPrivate-Lines: 2\n⟦AAAAgQDkr6xzNn1QnmWNpQ7xY2vW\nAAAAgQDkr6xz=⟧\nPrivate-MAC: a1b2c3",
        "Private-Lines: 3\\n⟦AAAAgQDkr6xzNn1QnmWNpQ7xY2vW\\nAAAAgQDkr6xz=⟧\\nPrivate-MAC: a1b2c3",
    ]);
    check(&[
        "passwords:\n  - none\n  - <password1>\n  - $WORD9\n",
        "passwords:\n  - user: me9\n    file: a9\n",
        "tokens:\n  - [CLS]\n  - x9y8z7w6\n",
        "password\nis required for user9x8y7z",
        "password:\nTraceback (most recent call last):",
        "the password\nx9y8z7w6q5",
        "token\n12345\nsecret\n/opt/ml/code/train9.py",
        "api_key:\nlr9x8: 3",
        "Private-Lines: 3",
    ]);
}

#[test]
fn passwords_that_a_shell_passes_on_and_hashes_of_crypt_are_hidden() {
    check(&[
        "echo ⟦x9y8⟧ | docker login -u me --password-stdin h",
        "echo '⟦two words⟧' | helm registry login h --password-stdin",
        "printf '%s' ⟦swordfish⟧ | podman login --password-stdin",
        "docker login --password-stdin h <<< \"⟦swordfish⟧\"",
        "cat <<< ⟦swordfish⟧ | docker login --password-stdin",
        "echo ⟦x9y8⟧ | gh auth login --with-token",
        "echo \"⟦swordfish⟧\" | sudo -S apt-get install a",
        "me:⟦abJnggxhB/yWI⟧:19000:0:99999:7:::",
        "grep root /etc/shadow: root:⟦abJnggxhB/yWI⟧:19000:0:99999:7:::",
        "docker login -p⟦x9y8⟧ -u me h",
        "docker login -u me -p⟦swordfish⟧ h",
        "unrar x -p⟦x9y8⟧ a.rar",
        "spark.hadoop.fs.s3a.secret.key ⟦x9y8z7w6V5U4T3S2⟧",
        "{\"username\":\"me\",\"key\":\"⟦0a1b2c3d4e5f60718293a4b5c6d7e8f9⟧\"}",
        "<password value=\"⟦x9y8⟧\"/>",
        "<secret id='3' value='⟦x9y8⟧' kind='b9'/>",
    ]);
    check(&[
        "echo $WORD9 | docker login --password-stdin h",
        "echo $(cat /run/k9) | docker login --password-stdin h",
        "cat /run/secrets/reg9 | docker login -u me --password-stdin",
        "echo done9 | tee a; train -S 3",
        "docker run -p8080:80 login9",
        "user login -partition9",
        "me:x:1000:1000:Me:/home/me9:/bin/bash",
        "root:*:19000:0:99999:7:::",
        "model:ResNet50Large:3",
        "Wrong token. 3f786850e387550fdab836ed7e6dc881de23001b is the commit",
        "{\"name\":\"me\",\"key\":\"0a1b2c3d4e5f60718293a4b5c6d7e8f9\"}",
        "<password value=\"\"/><token value=\"3\"/><item value=\"x9y8z7w6\"/>",
        "password is $SECRET9",
        "token=$HF_TOKEN2 key=\"$API_KEY_2\"",
    ]);
    check(&["password=⟦$P4ssw0rd9⟧"]);
}
