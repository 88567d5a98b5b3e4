//! Programs that take a password with an option whose name does not show it.

/// A program whose short options hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Programs with `-p`, and nothing else.
    Sshpass,
    /// The clients of MySQL, with the password right after `-p`.
    Mysql,
    Curl,
    Redis,
    /// The word `login`, as in a `.netrc` file.
    Login,
    /// The subcommand `login` of container engines, of Helm and of Azure's client.
    RegistryLogin,
    /// The programs whose `login` is [`Program::RegistryLogin`].
    Registry,
    /// The subcommand `login` of a service that takes a key as its argument.
    KeyLogin,
    /// The programs whose `login` is [`Program::KeyLogin`].
    Service,
    Mongo,
    /// The clients of LDAP.
    Ldap,
    Zip,
    /// `ssh-keygen`, with a passphrase after `-N` and `-P`.
    Keygen,
    /// GitHub's client.
    GitHub,
    /// The subcommand `secret` of GitHub's client, with the secret after `--body`.
    GitHubSecret,
    /// The client `lftp`, with user and password joined by a comma.
    Lftp,
    /// 7-Zip and RAR, with the password right after `-p`.
    SevenZip,
    Openssl,
    /// The clients of SMB, with user and password joined by a percent sign.
    Smb,
    /// Clients with `-P` for the password: of SQL Server, MQTT and IPMI.
    CapitalP,
    /// Oracle's client, with `user/password@database` as an argument.
    Oracle,
}

impl Program {
    /// Returns the program of this name, which appears after the name of `before`.
    pub(super) fn named(name: &str, before: Option<Program>) -> Option<Program> {
        Some(match name {
            "sshpass" => Program::Sshpass,
            "mysql" | "mysqldump" | "mysqladmin" | "mysqlimport" | "mysqlcheck" | "mysqlsh" | "mariadb"
            | "mariadb-dump" | "mariadb-admin" => Program::Mysql,
            "curl" => Program::Curl,
            "redis-cli" => Program::Redis,
            "login" if before == Some(Program::Service) => Program::KeyLogin,
            "login" if before == Some(Program::Registry) => Program::RegistryLogin,
            "docker" | "podman" | "nerdctl" | "buildah" | "skopeo" | "helm" | "crane" | "oras" | "az" => {
                Program::Registry
            }
            "login" => Program::Login,
            "wandb" | "comet" | "neptune" | "hf" | "huggingface-cli" | "vault" => Program::Service,
            "gh" => Program::GitHub,
            "secret" if before == Some(Program::GitHub) => Program::GitHubSecret,
            "ssh-keygen" => Program::Keygen,
            "twine" => Program::Sshpass,
            "mongo" | "mongosh" | "mongodump" | "mongorestore" | "mongoexport" | "mongoimport" => Program::Mongo,
            "ldapsearch" | "ldapadd" | "ldapmodify" | "ldapdelete" | "ldapwhoami" => Program::Ldap,
            "zip" | "unzip" => Program::Zip,
            "7z" | "7za" | "7zr" | "rar" | "unrar" => Program::SevenZip,
            "lftp" => Program::Lftp,
            "openssl" => Program::Openssl,
            "smbclient" | "rpcclient" | "smbget" | "smbmap" => Program::Smb,
            "sqlcmd" | "bcp" | "mosquitto_pub" | "mosquitto_sub" | "ipmitool" => Program::CapitalP,
            "sqlplus" | "expdp" | "impdp" | "sqlldr" => Program::Oracle,
            _ => return None,
        })
    }

    /// Returns true if the word after this option is a password, or consists of a user and a password.
    pub(super) fn takes_password(self, option: &str) -> bool {
        // The last of several joined short options can take a value: `curl -su me:x9y8`.
        let ends_with = |letters: &str| is_short(option) && option.ends_with(|letter| letters.contains(letter));
        match self {
            Program::Sshpass | Program::Mongo => option == "-p",
            Program::Login | Program::RegistryLogin => option == "-p" || option.eq_ignore_ascii_case("password"),
            Program::Curl => ends_with("uU") || matches!(option, "--user" | "--proxy-user"),
            Program::Redis => matches!(option, "-a" | "--pass"),
            Program::Ldap => option == "-w",
            Program::Keygen => matches!(option, "-N" | "-P"),
            Program::GitHubSecret => matches!(option, "--body" | "-b"),
            Program::Zip | Program::CapitalP => option == "-P",
            Program::Openssl => matches!(option, "-k" | "-K") || option.starts_with("-pass"),
            Program::Smb => matches!(option, "-U" | "--user"),
            Program::Lftp => matches!(option, "-u" | "--user"),
            Program::Mysql
            | Program::SevenZip
            | Program::Service
            | Program::Registry
            | Program::KeyLogin
            | Program::GitHub
            | Program::Oracle => false,
        }
    }

    /// Returns true if a value that this program takes with an option, or as its argument, holds a password, even if it
    /// is a word. `None` if the value does not decide this.
    pub(super) fn holds_password(self, option: &str, value: &str) -> Option<bool> {
        let is_written = |password: &str| !password.is_empty() && !password.starts_with(['$', '<', '{', '*']);
        let joined = |sign: char| value.split_once(sign).map(|(_, password)| is_written(password));
        match self {
            _ if value.starts_with(['$', '<', '{', '-', '*']) => Some(false),
            Program::Curl => joined(':'),
            Program::Smb => Some(joined('%') == Some(true)),
            Program::Lftp => Some(joined(',') == Some(true)),
            Program::Openssl if option.starts_with("-pass") => {
                Some(value.strip_prefix("pass:").is_some_and(is_written))
            }
            Program::Login | Program::RegistryLogin if !option.starts_with('-') => None,
            _ => Some(value.len() > 1 && !value.starts_with(['/', '~'])),
        }
    }

    /// Returns true if a password, or a user and a password, directly follows the two characters of this option.
    pub(super) fn has_password(self, option: &str) -> bool {
        let Some(begin) = self.option_before_password() else { return false };
        let Some(value) = option.strip_prefix(begin) else { return false };
        !value.is_empty() && self.holds_password(begin, value) == Some(true)
    }

    /// Returns the short option that a password can follow without a blank.
    pub(super) fn option_before_password(self) -> Option<&'static str> {
        match self {
            Program::Mysql | Program::SevenZip | Program::Sshpass | Program::Mongo | Program::RegistryLogin => {
                Some("-p")
            }
            Program::Curl => Some("-u"),
            Program::Smb => Some("-U"),
            _ => None,
        }
    }
}

/// Returns true for joined short options: `-su`.
fn is_short(option: &str) -> bool {
    option.strip_prefix('-').is_some_and(|letters| {
        (1..=6).contains(&letters.len()) && letters.bytes().all(|letter| letter.is_ascii_alphabetic())
    })
}
