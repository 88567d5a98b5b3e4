//! The step that a line contains beside a value.

/// The words for a step, the most exact first.
const WORDS: [&str; 5] = ["global_step", "step", "iteration", "iter", "epoch"];

/// The maximum number of characters between the word and its number, such as `": ` or ` [`.
const MAX_BETWEEN: usize = 4;

/// Returns the step that a line contains, such as 100 for `Epoch [1/10], Step [100/600]`.
pub(super) fn step_of(line: &str) -> Option<u64> {
    WORDS.iter().find_map(|word| after_word(line.as_bytes(), word.as_bytes()))
}

fn after_word(line: &[u8], word: &[u8]) -> Option<u64> {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memchr2_iter(word[0], word[0].to_ascii_uppercase(), line).find_map(|start| {
        let end = start + word.len();
        let is_word = line.get(start..end).is_some_and(|found| found.eq_ignore_ascii_case(word));
        if !is_word || (start > 0 && is_part(line.get(start - 1))) {
            return None;
        }
        let between = line[end..].iter().take_while(|byte| b"\"' =:[(#".contains(byte)).count();
        let digits = &line[end + between..];
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_fraction = digits.get(length) == Some(&b'.') && digits.get(length + 1).is_some_and(u8::is_ascii_digit);
        if between == 0 || between > MAX_BETWEEN || length == 0 || is_fraction || is_part(digits.get(length)) {
            return None;
        }
        std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::step_of;

    #[test]
    fn the_most_exact_step_of_a_line_is_taken() {
        for (line, step) in [
            ("Epoch [1/10], Step [100/600], Loss: 0.5", Some(100)),
            ("{'loss': 2.3, 'epoch': 0.02}", None),
            ("{\"epoch\": 3, \"global_step\": 12, \"step\": 4}", Some(12)),
            ("epoch 12/90 loss 0.5", Some(12)),
            ("iter=7 loss=1", Some(7)),
            ("iteration #8", Some(8)),
            ("time_step: 3 loss: 1", None),
            ("steps: 3", None),
            ("step", None),
            ("step 3s", None),
            ("step 99999999999999999999", None),
        ] {
            assert_eq!(step_of(line), step, "{line}");
        }
    }
}
