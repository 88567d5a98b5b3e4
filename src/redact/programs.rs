//! Programs that take a password by an option whose name does not say so.

/// A program whose short options hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Sshpass,
    /// The clients of MySQL, with the password right after `-p`.
    Mysql,
    Curl,
    Redis,
    /// The subcommand `login` of container engines and of Helm.
    Login,
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
            _ => return None,
        })
    }

    /// Returns true if the word after this option is a password, or a user and a password.
    pub(super) fn takes_password(self, option: &str) -> bool {
        match self {
            Program::Sshpass | Program::Login => option == "-p",
            Program::Curl => matches!(option, "-u" | "-U" | "--user" | "--proxy-user"),
            Program::Redis => option == "-a",
            Program::Mysql => false,
        }
    }

    /// Returns true if a password follows the two characters of this option without a blank.
    pub(super) fn has_password(self, option: &str) -> bool {
        self == Program::Mysql && option.len() > 2 && option.starts_with("-p")
    }
}
