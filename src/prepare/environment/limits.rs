//! What the kernel takes (execve(2)): no NUL, no `=` in a name, 128 KiB a string, a quarter of the stack in all.

use std::fmt;

use nix::sys::resource::{Resource, getrlimit};

use super::Environment;

/// MAX_ARG_STRLEN: the most bytes of one argument or variable, its final NUL counted in.
const MAX_STRING: usize = 32 * 4096;

/// The kernel's own bounds of the space for arguments and variables: at least ARG_MAX, at most 3/4 of _STK_LIM.
const SPACE_BOUNDS: (usize, usize) = (128 << 10, 6 << 20);

/// Left free for what the script adds before it starts programs itself.
const RESERVE: usize = 64 << 10;

/// A variable that could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// Its name.
    pub name: String,
    /// The value that it would have had.
    pub value: Vec<u8>,
    /// Why it could not be set.
    pub reason: &'static str,
}

/// Arguments that the kernel does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge(String);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "too large for a command line: {}; pass large values in a channel, or set \
             FOOTPLATE_ARGUMENTS=none and read hyperparameters.json",
            self.0
        )
    }
}

impl std::error::Error for TooLarge {}

/// How many bytes arguments and variables may take together, from the limit of the stack.
pub fn exec_space() -> usize {
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(8 << 20, |(soft, _)| soft);
    usize::try_from(stack / 4).unwrap_or(usize::MAX).clamp(SPACE_BOUNDS.0, SPACE_BOUNDS.1)
}

/// Why a name and value cannot be an environment variable at all.
pub(super) fn why_not_a_variable(name: &[u8], value: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        Some("its name is empty")
    } else if name.contains(&b'=') {
        Some("its name holds =")
    } else if name.contains(&0) || value.contains(&0) {
        Some("it holds a NUL character")
    } else if name.len() + value.len() + 2 > MAX_STRING {
        Some("it is larger than the kernel's limit of 128 KiB a variable")
    } else {
        None
    }
}

/// An argument cannot hold NUL: without it the script still gets the rest.
pub(super) fn without_nul(mut argument: Vec<u8>) -> Vec<u8> {
    argument.retain(|byte| *byte != 0);
    argument
}

/// Leaves out variables, the largest first, until all fits into `space` beside the `given` bytes of variables.
pub(super) fn fit(environment: &mut Environment, given: usize, space: usize) -> Result<(), TooLarge> {
    let counted = |length: usize| length + 1 + size_of::<usize>();
    if let Some(at) = environment.arguments.iter().position(|argument| argument.len() + 1 > MAX_STRING) {
        let argument = &environment.arguments[at];
        let before = at.checked_sub(1).map(|before| String::from_utf8_lossy(&environment.arguments[before]));
        let what = match before.filter(|before| before.starts_with('-') && !argument.starts_with(b"-")) {
            Some(name) => format!("the value of {}", name.chars().take(80).collect::<String>()),
            None => "a name or value".to_owned(),
        };
        return Err(TooLarge(format!("{what} has {} bytes of at most {MAX_STRING}", argument.len())));
    }
    let arguments: usize = environment.arguments.iter().map(|argument| counted(argument.len())).sum();
    let room = space.saturating_sub(given + RESERVE);
    if arguments > room {
        let count = environment.arguments.len();
        return Err(TooLarge(format!("{count} arguments have {arguments} bytes of at most {room}")));
    }
    let size = |name: &[u8], value: &[u8]| counted(name.len() + 1 + value.len());
    let mut total: usize = environment.variables.iter().map(|(name, value)| size(name, value)).sum();
    if arguments + total <= room {
        return Ok(());
    }
    let mut names: Vec<(usize, Vec<u8>)> =
        environment.variables.iter().map(|(name, value)| (size(name, value), name.clone())).collect();
    names.sort_by(|a, b| b.cmp(a));
    for (size, name) in names {
        if arguments + total <= room {
            break;
        }
        let value = environment.variables.remove(&name).unwrap_or_default();
        total -= size;
        let reason = "all variables together exceed the kernel's limit";
        environment.omitted.push(Omitted { name: String::from_utf8_lossy(&name).into_owned(), value, reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MAX_STRING, fit, why_not_a_variable};
    use crate::prepare::environment::Environment;

    #[test]
    fn what_cannot_be_a_variable_is_told_why() {
        assert_eq!(why_not_a_variable(b"A", b"1"), None);
        assert_eq!(why_not_a_variable(b"A=B", b"1"), Some("its name holds ="));
        assert_eq!(why_not_a_variable(b"A", b"\0"), Some("it holds a NUL character"));
        assert_eq!(why_not_a_variable(b"A", &vec![b'x'; MAX_STRING - 3]), None);
        assert!(why_not_a_variable(b"A", &vec![b'x'; MAX_STRING - 2]).is_some());
    }

    #[test]
    fn the_largest_variables_are_left_out_first_and_arguments_never() {
        let mut environment = Environment::default();
        for (name, length) in [("SMALL", 10), ("LARGE", 90_000), ("MIDDLE", 50_000)] {
            environment.variables.insert(name.into(), vec![b'x'; length]);
        }
        environment.arguments = vec![b"--lr".to_vec(), b"1".to_vec()];
        fit(&mut environment, 1000, 128 << 10).expect("fits without one");
        assert_eq!(environment.omitted.len(), 1);
        assert_eq!(environment.omitted[0].name, "LARGE");
        environment.arguments = vec![b"--text".to_vec(), vec![b'x'; MAX_STRING]];
        let error = fit(&mut environment, 1000, 6 << 20).expect_err("too large").to_string();
        assert!(error.contains("the value of --text has 131072 bytes of at most 131072"), "{error}");
        environment.arguments = vec![vec![b'x'; 1000]; 1000];
        assert!(fit(&mut environment, 1000, 128 << 10).is_err());
    }
}
