//! The kernel's limits for arguments and variables (execve(2)): no NUL byte, no `=` in a name, 128 KiB per string, and a
//! quarter of the stack's limit in total.

use nix::sys::resource::{Resource, getrlimit};
use thiserror::Error;

use super::variable::VariableTable;

/// The maximum size of one argument or variable, in bytes, with its final NUL (the kernel's MAX_ARG_STRLEN).
const MAX_STRING: usize = 32 * 4096;

/// The kernel's own bounds of the total size, in bytes: at least ARG_MAX, at most 3/4 of _STK_LIM.
const SPACE_BOUNDS: (usize, usize) = (128 << 10, 6 << 20);

/// The space left free for variables that the script adds before it starts programs, in bytes.
const RESERVE: usize = 64 << 10;

/// The maximum length of an argument's name in an error, in characters.
const SHOWN: usize = 80;

/// A variable that could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmittedVariable {
    /// The name.
    pub name: String,
    /// The value that it would have had.
    pub value: Vec<u8>,
    /// The reason why it could not be set.
    pub reason: &'static str,
}

/// The error for arguments that exceed the kernel's limits. Holds the argument, its size and the limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "too large for a command line: {0}; pass large values in a channel, or set FOOTPLATE_ARGUMENTS=none and read \
     hyperparameters.json"
)]
pub struct ArgumentsTooLarge(String);

/// Returns the number of bytes that arguments and variables may take together, from the limit of the stack.
pub(super) fn exec_space() -> usize {
    let stack = getrlimit(Resource::RLIMIT_STACK).map_or(8 << 20, |(soft, _)| soft);
    usize::try_from(stack / 4).unwrap_or(usize::MAX).clamp(SPACE_BOUNDS.0, SPACE_BOUNDS.1)
}

/// Returns the reason why the kernel or a C library does not accept a name and value, or `None` if both are accepted.
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

/// Removes NUL bytes from an argument, which cannot hold any.
pub(super) fn without_nul(mut argument: Vec<u8>) -> Vec<u8> {
    argument.retain(|byte| *byte != 0);
    argument
}

/// Removes variables, the largest first, until all strings fit into `space` bytes. Returns the removed variables.
///
/// `given` is the size of the container's variables in bytes.
///
/// # Errors
///
/// An argument, or all of them together, exceed the limit. Arguments are never removed.
pub(super) fn fit(
    variables: &mut VariableTable,
    arguments: &[Vec<u8>],
    given: usize,
    space: usize,
) -> Result<Vec<OmittedVariable>, ArgumentsTooLarge> {
    // The kernel counts a final NUL and a pointer for each string.
    let counted = |length: usize| length + 1 + size_of::<usize>();
    if let Some(at) = arguments.iter().position(|argument| argument.len() + 1 > MAX_STRING) {
        let argument = &arguments[at];
        let before = at.checked_sub(1).map(|before| String::from_utf8_lossy(&arguments[before]));
        let what = match before.filter(|before| before.starts_with('-') && !argument.starts_with(b"-")) {
            Some(name) => format!("the value of {}", name.chars().take(SHOWN).collect::<String>()),
            None => "a name or value".to_owned(),
        };
        let size = argument.len();
        return Err(ArgumentsTooLarge(format!("{what} has {size} bytes of at most {MAX_STRING}")));
    }
    let argument_bytes: usize = arguments.iter().map(|argument| counted(argument.len())).sum();
    let room = space.saturating_sub(given + RESERVE);
    if argument_bytes > room {
        let count = arguments.len();
        return Err(ArgumentsTooLarge(format!("{count} arguments have {argument_bytes} bytes of at most {room}")));
    }
    let size = |name: &[u8], value: &[u8]| counted(name.len() + 1 + value.len());
    let mut total: usize = variables.iter().map(|(name, value)| size(name, value)).sum();
    let mut omitted = Vec::new();
    if argument_bytes + total <= room {
        return Ok(omitted);
    }
    let mut by_size: Vec<(usize, Vec<u8>)> =
        variables.iter().map(|(name, value)| (size(name, value), name.clone())).collect();
    by_size.sort_unstable_by(|a, b| b.cmp(a));
    for (size, name) in by_size {
        if argument_bytes + total <= room {
            break;
        }
        let value = variables.remove(&name).unwrap_or_default();
        total -= size;
        let reason = "all variables together exceed the kernel's limit";
        omitted.push(OmittedVariable { name: String::from_utf8_lossy(&name).into_owned(), value, reason });
    }
    Ok(omitted)
}

#[cfg(test)]
mod tests {
    use super::{MAX_STRING, fit, why_not_a_variable};
    use crate::prepare::environment::VariableTable;

    #[test]
    fn a_string_that_cannot_be_a_variable_has_a_reason() {
        assert_eq!(why_not_a_variable(b"A", b"1"), None);
        assert_eq!(why_not_a_variable(b"A=B", b"1"), Some("its name holds ="));
        assert_eq!(why_not_a_variable(b"A", b"\0"), Some("it holds a NUL character"));
        assert_eq!(why_not_a_variable(b"A", &vec![b'x'; MAX_STRING - 3]), None);
        assert!(why_not_a_variable(b"A", &vec![b'x'; MAX_STRING - 2]).is_some());
    }

    #[test]
    fn the_largest_variables_are_left_out_first_and_arguments_never() {
        let mut variables = VariableTable::new();
        for (name, length) in [("SMALL", 10), ("LARGE", 90_000), ("MIDDLE", 50_000)] {
            variables.insert(name.into(), vec![b'x'; length]);
        }
        let arguments = [b"--lr".to_vec(), b"1".to_vec()];
        let omitted = fit(&mut variables, &arguments, 1000, 128 << 10).expect("fits without one");
        assert_eq!(omitted.len(), 1);
        assert_eq!(omitted[0].name, "LARGE");
        assert_eq!(variables.len(), 2);
        let arguments = [b"--text".to_vec(), vec![b'x'; MAX_STRING]];
        let error = fit(&mut variables, &arguments, 1000, 6 << 20).expect_err("too large").to_string();
        assert!(error.contains("the value of --text has 131072 bytes of at most 131072"), "{error}");
        let arguments = vec![vec![b'x'; 1000]; 1000];
        let error = fit(&mut variables, &arguments, 1000, 128 << 10).expect_err("too large").to_string();
        assert!(error.contains("1000 arguments have 1009000 bytes of at most 64536"), "{error}");
    }
}
