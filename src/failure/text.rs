//! The layout of lines as a text of bounded length, which keeps the important parts.

/// The part of a line that is kept when the line is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The beginning.
    Head,
    /// The beginning and the end. The end is half as long as the beginning.
    Ends,
}

/// One line of a text.
#[derive(Clone, Debug)]
pub(super) struct TextPart {
    pub(super) text: String,
    /// The number of characters that are kept if the text has that many.
    pub(super) least: usize,
    /// The position of the part when the remaining characters are distributed. The smallest number comes first.
    pub(super) turn: usize,
    pub(super) keep: Keep,
}

/// Returns the parts, one per line, in at most `most` characters.
///
/// Every part first gets [`TextPart::least`] characters. The remaining characters are given to the parts in the order
/// of their turns, as many as each part can use.
pub(super) fn lay_out(parts: &[TextPart], most: usize) -> String {
    let parts: Vec<&TextPart> = parts.iter().filter(|part| !part.text.is_empty()).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.text.chars().count()).collect();
    let mut given: Vec<usize> = parts.iter().zip(&lengths).map(|(part, &length)| length.min(part.least)).collect();
    let used = given.iter().sum::<usize>() + parts.len().saturating_sub(1);
    let mut left = most.saturating_sub(used);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_unstable_by_key(|&index| (parts[index].turn, index));
    for index in order {
        let more = left.min(lengths[index] - given[index]);
        given[index] += more;
        left -= more;
    }
    let lines: Vec<String> =
        parts.iter().zip(given).map(|(part, length)| shortened(&part.text, length, part.keep)).collect();
    shortened(&lines.join("\n"), most, Keep::Head)
}

/// Returns `text` in at most `length` characters, with `…` in place of what was removed.
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

/// Returns `text` on one line, with every run of white space replaced by one blank.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Keep, TextPart, one_line, shortened};

    const LENGTH: usize = 1024;

    fn lay_out(parts: &[TextPart]) -> String {
        super::lay_out(parts, LENGTH)
    }

    fn part(length: usize, least: usize, turn: usize) -> TextPart {
        TextPart { text: "é".repeat(length), least, turn, keep: Keep::Ends }
    }

    #[test]
    fn the_remaining_characters_go_to_the_parts_in_turn() {
        let lengths = |parts: &[TextPart]| -> Vec<usize> {
            lay_out(parts).split('\n').map(|line| line.chars().count()).collect()
        };
        assert_eq!(lengths(&[part(10, 5, 0), part(20, 5, 1)]), [10, 20]);
        assert_eq!(lengths(&[part(5000, 240, 0), part(100, 100, 2), part(900, 80, 1)]), [842, 100, 80]);
        assert_eq!(lengths(&[part(500, 240, 1), part(0, 9, 0), part(900, 80, 2)]), [500, 523]);
        assert_eq!(lengths(&[part(700, 50, 1), part(800, 50, 0)]), [223, 800]);
        assert_eq!(lay_out(&[part(5000, 4000, 0), part(50, 50, 1)]).chars().count(), LENGTH);
    }

    #[test]
    fn a_shortened_text_has_whole_characters_and_shows_the_gap() {
        assert_eq!(shortened("abcdefghij", 10, Keep::Ends), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10, Keep::Ends), "abcdef…ijk");
        assert_eq!(shortened("ä b cdefghijk", 6, Keep::Head), "ä b c…");
        assert_eq!(shortened("abc", 1, Keep::Ends), "…");
        assert_eq!(shortened("abc", 0, Keep::Ends), "");
    }

    #[test]
    fn white_space_is_collapsed() {
        assert_eq!(one_line(" a\n\t b  c\r\n"), "a b c");
    }
}
