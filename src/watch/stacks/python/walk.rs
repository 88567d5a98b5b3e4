//! The threads of a Python interpreter and their calls.

use super::super::call::StackCall;
use super::super::process::{MAX_FRAMES, MAX_THREADS};
use super::layout::{Instruction, Layout};
use super::memory::Memory;

/// The maximum number of interpreters, of threads per interpreter, and of frames, C calls included.
const MAX_INTERPRETERS: usize = 16;
const MAX_LISTED: usize = 4096;
const MAX_WALKED: usize = 4 * MAX_FRAMES;

/// The maximum length of a text, in characters, and of a table of lines, in bytes.
const MAX_TEXT: u64 = 4096;
const MAX_TABLE: u64 = 1 << 20;

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PythonThread {
    /// The thread's number in the kernel, if Python stores it.
    pub(super) number: Option<u64>,
    /// The thread's calls, the innermost first.
    pub(super) frames: Vec<StackCall>,
}

/// Lists threads. Those that were started last come first, and the main thread comes last. If there are too many
/// threads, those in between are left out. `None` if the memory does not look like Python's structures.
pub(super) fn threads(memory: &impl Memory, runtime: u64, layout: &Layout) -> Option<Vec<PythonThread>> {
    let chain = |first: u64, next: u64, most: usize| {
        std::iter::successors((first != 0).then_some(first), move |at| memory.pointer(*at, next)).take(most)
    };
    let first = memory.pointer(runtime, layout.interpreters)?;
    let mut listed = Vec::new();
    for interpreter in chain(first, layout.next_interpreter, MAX_INTERPRETERS) {
        listed.extend(chain(memory.word(interpreter, layout.threads)?, layout.next_thread, MAX_LISTED));
    }
    if listed.len() > MAX_THREADS {
        listed.drain(MAX_THREADS - 1..listed.len() - 1);
    }
    let threads: Option<Vec<PythonThread>> = listed.into_iter().map(|at| thread(memory, at, layout)).collect();
    threads.filter(|threads| threads.iter().any(|thread| !thread.frames.is_empty()))
}

fn thread(memory: &impl Memory, at: u64, layout: &Layout) -> Option<PythonThread> {
    let number = match layout.kernel_thread {
        Some(offset) => Some(memory.word(at, offset)?),
        None => None,
    };
    let (place, within) = layout.frame;
    let mut frame = memory.word(at, place)?;
    if let Some(offset) = within {
        frame = memory.word(frame, offset)?;
    }
    let mut frames = Vec::new();
    for _ in 0..MAX_WALKED {
        if frame == 0 || frames.len() == MAX_FRAMES {
            break;
        }
        if is_of_python(memory, frame, layout)? {
            frames.push(call(memory, frame, layout)?);
        }
        frame = memory.word(frame, layout.caller)?;
    }
    Some(PythonThread { number, frames })
}

/// Returns false for a frame that represents a call of C code.
fn is_of_python(memory: &impl Memory, frame: u64, layout: &Layout) -> Option<bool> {
    /// The lowest owner value of frames that are not Python functions.
    const INTERPRETER: u8 = 3;
    let Some(offset) = layout.owner else { return Some(true) };
    memory.array(frame, offset).map(|[owner]| owner < INTERPRETER)
}

fn call(memory: &impl Memory, frame: u64, layout: &Layout) -> Option<StackCall> {
    // The two lowest bits of the address can hold flags for reference counting.
    let code = memory.pointer(frame, layout.code)? & !3;
    let offset = match layout.instruction {
        Instruction::Number(place, size) => u64::from(memory.half(frame, place)?).wrapping_mul(size),
        Instruction::Address(place, first) => memory.word(frame, place)?.wrapping_sub(code).wrapping_sub(first),
    };
    let first = i64::from(memory.half(code, layout.first_line)?.cast_signed());
    let table = memory.pointer(code, layout.lines)?;
    let size = memory.word(table, layout.bytes_count)?;
    if size > MAX_TABLE {
        return None;
    }
    let table = memory.bytes(table, layout.bytes_start, usize::try_from(size).ok()?)?;
    let function = text(memory, memory.pointer(code, layout.function)?, layout)?;
    // A nested function is named without the functions around it, and a method with its class.
    let function = function.rsplit("<locals>.").next().unwrap_or_default().to_owned();
    let file = text(memory, memory.pointer(code, layout.file)?, layout)?;
    Some(StackCall { function, file, line: layout.line_table.line(&table, first, offset).unwrap_or_default() })
}

/// Reads a `str`.
fn text(memory: &impl Memory, at: u64, layout: &Layout) -> Option<String> {
    let state = memory.half(at, layout.text_state)?;
    let length = memory.word(at, layout.text_length)?;
    let (width, is_compact, is_ascii) = (state >> 2 & 7, state & 1 << 5 != 0, state & 1 << 6 != 0);
    if !is_compact || length > MAX_TEXT || !matches!(width, 1 | 2 | 4) {
        return None;
    }
    let start = layout.text_start[usize::from(!is_ascii)];
    let width = usize::try_from(width).ok()?;
    let bytes = memory.bytes(at, start, usize::try_from(length).ok()? * width)?;
    let character = |bytes: &[u8]| {
        let number = bytes.iter().rev().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    Some(bytes.chunks_exact(width).map(character).collect())
}
