//! The layout of the helper's output: 64-bit words in the byte order of the machine.
//!
//! An answer is a header of [`HEADER_WORDS`] words, followed by [`GPU_WORDS`] words for each GPU. The last words of a
//! GPU are its name.

/// The request for the values that change all the time.
pub const SHORT: u8 = b's';

/// The request for all values.
pub const FULL: u8 = b'f';

/// The maximum number of GPUs in an answer. With the header, they fit into a single atomic write to a pipe.
pub const MAX_GPUS: usize = 16;

/// The value of a word that is not known.
pub const MISSING: u64 = u64::MAX;

/// The header word with the error of the library. 0 if there is none. No GPU follows an error.
pub const ERROR: usize = 0;
/// The header word with the processor time that the helper has used so far, in nanoseconds.
pub const PROCESSOR_TIME: usize = 1;
/// The header word with the number of GPUs that follow.
pub const COUNT: usize = 2;
/// The number of words of the header.
pub const HEADER_WORDS: usize = 3;

/// The error for a function that the library does not have.
pub const NO_FUNCTION: u64 = 13;

/// The share of the time in which a kernel ran, in per cent.
pub const BUSY: usize = 0;
/// The share of the time in which memory was read or written, in per cent.
pub const MEMORY_BUSY: usize = 1;
/// The memory in use, in bytes.
pub const MEMORY_USED: usize = 2;
/// The size of the memory, in bytes.
pub const MEMORY_TOTAL: usize = 3;
/// The power, in milliwatts.
pub const POWER: usize = 4;
/// The power limit, in milliwatts.
pub const POWER_LIMIT: usize = 5;
/// The temperature, in degrees Celsius.
pub const TEMPERATURE: usize = 6;
/// The clock of the multiprocessors, in MHz.
pub const CLOCK: usize = 7;
/// The reasons why the clock is not higher, with one bit for each.
pub const REASONS: usize = 8;
/// The maximum clock of the multiprocessors, in MHz. Only in answers to [`FULL`].
pub const MAX_CLOCK: usize = 9;
/// The number of uncorrectable memory errors since the driver was loaded. Only in answers to [`FULL`].
pub const MEMORY_ERRORS: usize = 10;
/// The first word of the name, which ends with a zero byte. Only in answers to [`FULL`].
pub const NAME: usize = 11;
/// The length of the name, in words.
pub const NAME_WORDS: usize = 12;
/// The number of words of a GPU.
pub const GPU_WORDS: usize = NAME + NAME_WORDS;
