//! The layout of Python's structures in memory, for each release of CPython on 64-bit machines.
//!
//! The layouts follow CPython's own headers. Since 3.13, Python states them itself, in a table at the start of
//! `_PyRuntime`.

use super::lines::LineTable;
use super::memory::Memory;

/// The positions of the fields that are read, as offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// In `_PyRuntime`: the first interpreter.
    pub(super) interpreters: u64,
    /// In an interpreter: the next interpreter, and the thread that was started last.
    pub(super) next_interpreter: u64,
    pub(super) threads: u64,
    /// In a thread: the thread that was started before it, and its number in the kernel, if Python stores it.
    pub(super) next_thread: u64,
    pub(super) kernel_thread: Option<u64>,
    /// In a thread: the innermost frame, or the structure that contains the frame at the second offset.
    pub(super) frame: (u64, Option<u64>),
    /// In a frame: the calling frame, its code, and the present instruction.
    pub(super) caller: u64,
    pub(super) code: u64,
    pub(super) instruction: Instruction,
    /// In a frame: the byte that states its owner, in releases in which C calls have frames too.
    pub(super) owner: Option<u64>,
    /// In code: the file, the function, the first line and the table of lines.
    pub(super) file: u64,
    pub(super) function: u64,
    pub(super) first_line: u64,
    pub(super) lines: u64,
    /// The form of the table of lines.
    pub(super) line_table: LineTable,
    /// In a text: its state and length, and the size of the header before its characters, for ASCII texts and for
    /// others.
    pub(super) text_state: u64,
    pub(super) text_length: u64,
    pub(super) text_start: [u64; 2],
    /// In bytes: their length and start.
    pub(super) bytes_count: u64,
    pub(super) bytes_start: u64,
}

/// The position of a frame's present instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    /// In a frame: the index of the instruction, as 32 bits, which is multiplied by the second number to get bytes.
    Number(u64, u64),
    /// In a frame: the address of the instruction. In code: the address of the first instruction.
    Address(u64, u64),
}

impl Layout {
    /// Returns the layout of Python 3.`minor`, for releases without Python's own table.
    pub(super) fn of_release(minor: u32) -> Option<Layout> {
        let before_11 = Layout {
            interpreters: 32,
            next_interpreter: 0,
            threads: 8,
            next_thread: 8,
            kernel_thread: None,
            frame: (24, None),
            caller: 24,
            code: 32,
            instruction: Instruction::Number(104, 1),
            owner: None,
            file: 104,
            function: 112,
            first_line: 40,
            lines: 120,
            line_table: LineTable::Steps,
            text_state: 32,
            text_length: 16,
            text_start: [48, 72],
            bytes_count: 16,
            bytes_start: 32,
        };
        let since_11 = Layout {
            interpreters: 40,
            threads: 16,
            kernel_thread: Some(160),
            frame: (56, Some(8)),
            caller: 48,
            instruction: Instruction::Address(56, 184),
            file: 112,
            function: 128,
            first_line: 72,
            lines: 136,
            line_table: LineTable::Locations,
            ..before_11
        };
        Some(match minor {
            7 => Layout { interpreters: 24, file: 96, function: 104, first_line: 36, lines: 112, ..before_11 },
            8 | 9 => before_11,
            10 => Layout { instruction: Instruction::Number(96, 2), line_table: LineTable::Ranges, ..before_11 },
            11 => since_11,
            12 => Layout {
                threads: 72,
                kernel_thread: Some(144),
                frame: (56, Some(0)),
                caller: 8,
                code: 0,
                instruction: Instruction::Address(56, 192),
                owner: Some(70),
                first_line: 68,
                text_start: [40, 56],
                ..since_11
            },
            _ => return None,
        })
    }

    /// Reads Python's own table, `_Py_DebugOffsets`, at the start of `_PyRuntime`. `None` if there is no table, or if its
    /// form is not known. Without the global lock, each thread has its own copy of the code since 3.14. The places of
    /// these copies are not read.
    pub(super) fn of_table(memory: &impl Memory, runtime: u64) -> Option<Layout> {
        const TITLE: &[u8; 8] = b"xdebugpy";
        if memory.array(runtime, 0)? != *TITLE {
            return None;
        }
        let word = |at: u64| memory.word(runtime, 8 * at);
        let (version, is_without_lock) = (word(1)?, word(2)? != 0);
        // The indexes of the words: thread and frame, code, text and bytes.
        let ([next_thread, frame, kernel_thread], caller, code, text) = match version >> 16 {
            0x030d => ([21, 23, 25], 29, [35, 37, 38, 39, 43], 65),
            _ if is_without_lock => return None,
            0x030e => ([24, 26, 28], 32, [40, 42, 43, 44, 48], 75),
            0x030f => ([24, 26, 31], 40, [48, 50, 51, 52, 56], 87),
            _ => return None,
        };
        let [file, function, lines, first_line, instructions] = code;
        let characters = word(text + 5)?;
        Some(Layout {
            interpreters: word(5)?,
            next_interpreter: word(8)?,
            threads: word(9)?,
            next_thread: word(next_thread)?,
            kernel_thread: Some(word(kernel_thread)?),
            frame: (word(frame)?, None),
            caller: word(caller)?,
            code: word(caller + 1)?,
            instruction: Instruction::Address(word(caller + 2)?, word(instructions)?),
            owner: Some(word(caller + 4)?),
            file: word(file)?,
            function: word(function)?,
            first_line: word(first_line)?,
            lines: word(lines)?,
            line_table: LineTable::Locations,
            text_state: word(text + 3)?,
            text_length: word(text + 4)?,
            text_start: [characters, characters.wrapping_add(16)],
            bytes_count: word(text)?,
            bytes_start: word(text + 1)?,
        })
    }
}
