//! The layout of what the helper writes: 64-bit words in the byte order of the machine.
//!
//! An answer is a header of [`HEADER_WORDS`] words and, for each GPU, [`GPU_WORDS`] words, of which the last ones are its name.

/// The request for what changes from moment to moment.
pub const SHORT: u8 = b's';

/// The request for everything.
pub const FULL: u8 = b'f';

/// The maximum number of GPUs in an answer. With the header they fit into what a pipe takes in one piece.
pub const MAX_GPUS: usize = 16;

/// The value of a word that is not known.
pub const MISSING: u64 = u64::MAX;

/// The word of the header with the error of the library, 0 if there is none. No GPU follows an error.
pub const ERROR: usize = 0;
/// The word of the header with the processor time that the helper has used so far, in nanoseconds.
pub const PROCESSOR_TIME: usize = 1;
/// The word of the header with the number of GPUs that follow.
pub const COUNT: usize = 2;
/// The number of words of the header.
pub const HEADER_WORDS: usize = 3;

/// The error that stands for a function that the library does not have.
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
/// The limit of the power, in milliwatts.
pub const POWER_LIMIT: usize = 5;
/// The temperature, in degrees Celsius.
pub const TEMPERATURE: usize = 6;
/// The clock of the multiprocessors, in MHz.
pub const CLOCK: usize = 7;
/// The reasons why the clock is not higher, a bit each.
pub const REASONS: usize = 8;
/// The greatest clock of the multiprocessors, in MHz. Only in answers to [`FULL`].
pub const MAX_CLOCK: usize = 9;
/// The number of memory errors since the start of the driver that could not be corrected. Only in answers to [`FULL`].
pub const MEMORY_ERRORS: usize = 10;
/// The first word of the name, which ends with a zero byte. Only in answers to [`FULL`].
pub const NAME: usize = 11;
/// The number of words of the name.
pub const NAME_WORDS: usize = 12;
/// The number of words of a GPU.
pub const GPU_WORDS: usize = NAME + NAME_WORDS;
