//! Laying lines out as a text of bounded length, in which nothing that matters is crowded out.

/// Which end of a part survives when it has to be shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The beginning.
    Head,
    /// The beginning and, half as long, the end.
    Ends,
}

/// One line of the text.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) text: String,
    /// How many characters of it must survive, if it has as many.
    pub(super) least: usize,
    /// Who gets what is left over: the smallest number first.
    pub(super) turn: usize,
    pub(super) keep: Keep,
}

/// The parts, a line each, in no more than `most` characters.
///
/// Every part first gets its least; what is left over goes to the parts in turn, as much as each can use.
pub(super) fn lay_out(parts: &[Part], most: usize) -> String {
    let parts: Vec<&Part> = parts.iter().filter(|part| !part.text.is_empty()).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.text.chars().count()).collect();
    let mut given: Vec<usize> = parts.iter().zip(&lengths).map(|(part, &length)| length.min(part.least)).collect();
    let used = given.iter().sum::<usize>() + parts.len().saturating_sub(1);
    let mut left = most.saturating_sub(used);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&index| parts[index].turn);
    for index in order {
        let more = left.min(lengths[index] - given[index]);
        given[index] += more;
        left -= more;
    }
    let lines: Vec<String> =
        parts.iter().zip(given).map(|(part, length)| shortened(&part.text, length, part.keep)).collect();
    shortened(&lines.join("\n"), most, Keep::Head)
}

/// `text` in no more than `length` characters, with `…` where something was taken out.
pub(super) fn shortened(text: &str, length: usize, keep: Keep) -> String {
    let count = text.chars().count();
    if count <= length {
        return text.to_owned();
    }
    let room = length.saturating_sub(1);
    let tail = if keep == Keep::Ends { room / 3 } else { 0 };
    let mut short: String = text.chars().take(room - tail).collect();
    short.truncate(short.trim_end().len());
    if length > 0 {
        short.push('…');
    }
    let end: String = text.chars().skip(count - tail).collect();
    short + end.trim_start()
}

/// `text` on one line: every run of white space is one space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Keep, Part, one_line, shortened};

    const LENGTH: usize = 1024;

    fn lay_out(parts: &[Part]) -> String {
        super::lay_out(parts, LENGTH)
    }

    fn part(length: usize, least: usize, turn: usize) -> Part {
        Part { text: "é".repeat(length), least, turn, keep: Keep::Ends }
    }

    #[test]
    fn what_is_left_over_goes_to_the_parts_in_turn() {
        let lengths =
            |parts: &[Part]| -> Vec<usize> { lay_out(parts).split('\n').map(|line| line.chars().count()).collect() };
        assert_eq!(lengths(&[part(10, 5, 0), part(20, 5, 1)]), [10, 20]);
        assert_eq!(lengths(&[part(5000, 240, 0), part(100, 100, 2), part(900, 80, 1)]), [842, 100, 80]);
        assert_eq!(lengths(&[part(500, 240, 1), part(0, 9, 0), part(900, 80, 2)]), [500, 523]);
        assert_eq!(lengths(&[part(700, 50, 1), part(800, 50, 0)]), [223, 800]);
        assert_eq!(lay_out(&[part(5000, 4000, 0), part(50, 50, 1)]).chars().count(), LENGTH);
    }

    #[test]
    fn shortening_keeps_whole_characters_and_says_that_it_happened() {
        assert_eq!(shortened("abcdefghij", 10, Keep::Ends), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10, Keep::Ends), "abcdef…ijk");
        assert_eq!(shortened("ä b cdefghijk", 6, Keep::Head), "ä b c…");
        assert_eq!(shortened("abc", 1, Keep::Ends), "…");
        assert_eq!(shortened("abc", 0, Keep::Ends), "");
    }

    #[test]
    fn white_space_collapses() {
        assert_eq!(one_line(" a\n\t b  c\r\n"), "a b c");
    }
}
