//! The tables with which Python finds the line of an instruction.

/// The form of such a table, which has changed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineTable {
    /// Until Python 3.9: increments of the instruction and of the line.
    Steps,
    /// Python 3.10: ranges of instructions, some without a line.
    Ranges,
    /// Since Python 3.11: ranges of instructions with lines and columns, in several forms.
    Locations,
}

/// The size of an instruction and of each of its caches, in bytes.
const UNIT: u64 = 2;

impl LineTable {
    /// Returns the line of the instruction at an offset, in bytes. `first` is the first line of the function. `None`
    /// if the table has no line for the instruction.
    pub(super) fn line(self, table: &[u8], first: i64, offset: u64) -> Option<u64> {
        let line = match self {
            LineTable::Steps => Some(by_steps(table, first, offset)),
            LineTable::Ranges => by_ranges(table, first, offset),
            LineTable::Locations => by_locations(table, first, offset),
        };
        u64::try_from(line?).ok()
    }
}

fn by_steps(table: &[u8], first: i64, offset: u64) -> i64 {
    let (mut at, mut line) = (0, first);
    for step in table.chunks_exact(2) {
        at += u64::from(step[0]);
        if at > offset {
            break;
        }
        line += i64::from(step[1].cast_signed());
    }
    line
}

fn by_ranges(table: &[u8], first: i64, offset: u64) -> Option<i64> {
    const NO_LINE: i8 = -128;
    let (mut end, mut line) = (0, first);
    for range in table.chunks_exact(2) {
        let step = range[1].cast_signed();
        if step != NO_LINE {
            line += i64::from(step);
        }
        end += u64::from(range[0]);
        if offset < end {
            return (step != NO_LINE).then_some(line);
        }
    }
    None
}

fn by_locations(table: &[u8], first: i64, offset: u64) -> Option<i64> {
    let (mut bytes, mut end, mut line) = (table.iter().copied(), 0, first);
    while let Some(head) = bytes.next() {
        let units = u64::from(head & 7) + 1;
        let form = head >> 3 & 15;
        match form {
            // Short forms on the same line, with one byte of columns.
            0..=9 => {
                bytes.next();
            }
            // Forms on this line or one of the next two, with two bytes of columns.
            10..=12 => {
                line += i64::from(form - 10);
                bytes.next();
                bytes.next();
            }
            // A line without columns, and the form with everything: the line, the last line and two columns.
            13 => line += signed(&mut bytes)?,
            14 => {
                line += signed(&mut bytes)?;
                for _ in 0..3 {
                    number(&mut bytes)?;
                }
            }
            // The form without a line.
            _ => {}
        }
        end += units * UNIT;
        if offset < end {
            return (form != 15).then_some(line);
        }
    }
    None
}

/// Reads a number. Each byte has six bits, the lowest bits first, and its seventh bit is set if another byte follows.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..60).step_by(6) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a number whose lowest bit is its sign.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = number(bytes)?;
    let size = i64::try_from(value >> 1).ok()?;
    Some(if value & 1 == 1 { -size } else { size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LineTable;

    #[test]
    fn each_form_of_table_tells_the_line_of_an_instruction() {
        let lines = |form: LineTable, table: &[u8], offsets: &[u64]| -> Vec<Option<u64>> {
            offsets.iter().map(|offset| form.line(table, 10, *offset)).collect()
        };
        let minus_two = (-2i8).cast_unsigned();
        // The line number decreases after a loop.
        let steps = [4, 1, 6, 2, 4, minus_two];
        assert_eq!(
            lines(LineTable::Steps, &steps, &[0, 4, 9, 10, 14, 900]),
            [Some(10), Some(11), Some(11), Some(13), Some(11), Some(11)]
        );
        let no_line = (-128i8).cast_unsigned();
        let ranges = [4, 1, 2, no_line, 6, 2];
        assert_eq!(
            lines(LineTable::Ranges, &ranges, &[0, 3, 4, 6, 11, 12]),
            [Some(11), Some(11), None, Some(13), Some(13), None]
        );
        // Two units on line 10, one on 12, one without a line, one back on 2 (in the long form), and one on 3.
        let locations = [0x81, 0x07, 0xe0, 1, 2, 0xf8, 0xf0, 21, 0, 1, 1, 0xe8, 2];
        assert_eq!(
            lines(LineTable::Locations, &locations, &[0, 2, 4, 6, 8, 10, 12]),
            [Some(10), Some(10), Some(12), None, Some(2), Some(3), None]
        );
    }

    proptest! {
        #[test]
        fn any_table_is_read_to_its_end(table in proptest::collection::vec(any::<u8>(), 0..200), offset in 0u64..1000) {
            for form in [LineTable::Steps, LineTable::Ranges, LineTable::Locations] {
                let _ = form.line(&table, 1, offset);
            }
        }
    }
}
