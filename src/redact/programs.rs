//! Programs that take a password by an option whose name does not say so.

/// A program whose short options hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Sshpass,
    /// The clients of MySQL, with the password right after `-p`.
    Mysql,
    Curl,
    Redis,
    /// The subcommand `login` of container engines and of Helm, and the word in a file `.netrc`.
    Login,
    Mongo,
    /// The clients of LDAP.
    Ldap,
    Zip,
    /// 7-Zip, with the password right after `-p`.
    SevenZip,
}

impl Program {
    /// Returns the program of this name.
    pub(super) fn named(name: &str) -> Option<Program> {
        Some(match name {
            "sshpass" => Program::Sshpass,
            "mysql" | "mysqldump" | "mysqladmin" | "mariadb" => Program::Mysql,
            "curl" => Program::Curl,
            "redis-cli" => Program::Redis,
            "login" => Program::Login,
            "mongo" | "mongosh" | "mongodump" | "mongorestore" | "mongoexport" | "mongoimport" => Program::Mongo,
            "ldapsearch" | "ldapadd" | "ldapmodify" | "ldapdelete" | "ldapwhoami" => Program::Ldap,
            "zip" | "unzip" => Program::Zip,
            "7z" | "7za" | "7zr" => Program::SevenZip,
            _ => return None,
        })
    }

    /// Returns true if the word after this option is a password, or a user and a password.
    pub(super) fn takes_password(self, option: &str) -> bool {
        // The last of several short options can take a value: `curl -su me:x9y8`.
        let ends_with = |letters: &str| is_short(option) && option.ends_with(|letter| letters.contains(letter));
        match self {
            Program::Sshpass | Program::Mongo => option == "-p",
            Program::Login => option == "-p" || option.eq_ignore_ascii_case("password"),
            Program::Curl => ends_with("uU") || matches!(option, "--user" | "--proxy-user"),
            Program::Redis => option == "-a",
            Program::Ldap => option == "-w",
            Program::Zip => option == "-P",
            Program::Mysql | Program::SevenZip => false,
        }
    }

    /// Returns true if a password follows the two characters of this option without a blank.
    pub(super) fn has_password(self, option: &str) -> bool {
        let begins = match self {
            Program::Mysql | Program::SevenZip | Program::Sshpass | Program::Mongo => "-p",
            Program::Curl => "-u",
            _ => return false,
        };
        option.len() > begins.len() && option.starts_with(begins)
    }
}

/// Returns true for short options that stand together: `-su`.
fn is_short(option: &str) -> bool {
    option.strip_prefix('-').is_some_and(|letters| {
        (1..=6).contains(&letters.len()) && letters.bytes().all(|letter| letter.is_ascii_alphabetic())
    })
}
