//! Ranks grouped by the places where they are, and the ranks that keep the others waiting.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use crate::event::{RankGroup, StackPlace};

/// The maximum number of groups that are distinguished.
const MAX_GROUPS: usize = 64;

/// The maximum number of ranks that a text names.
const MAX_NAMED: usize = 8;

/// Adds groups to others. A rank that several groups contain stays in the first one only.
pub fn merge(groups: &mut Vec<RankGroup>, others: impl IntoIterator<Item = RankGroup>) {
    let mut seen: BTreeSet<usize> = groups.iter().flat_map(|group| group.ranks.iter().copied()).collect();
    for mut other in others {
        other.ranks.retain(|rank| seen.insert(*rank));
        if other.ranks.is_empty() {
            continue;
        }
        match groups.iter().position(|group| group.stack == other.stack) {
            Some(at) => {
                let group = &mut groups[at];
                group.ranks.extend(other.ranks);
                group.ranks.sort_unstable();
                group.silent_ms = group.silent_ms.max(other.silent_ms);
            }
            None if groups.len() < MAX_GROUPS => groups.push(other),
            None => {}
        }
    }
}

/// Returns the number of the group that keeps the others waiting. `None` if all ranks are at one place.
///
/// A group that waits for other ranks does not keep others waiting, unless every group waits. Among the remaining
/// groups, the smallest one keeps the others waiting. If several are smallest, it is the one that has been silent
/// longest.
pub fn odd(groups: &[RankGroup]) -> Option<usize> {
    if groups.len() < 2 {
        return None;
    }
    let all_wait = groups.iter().all(|group| group.wait.is_some());
    let suspects = groups.iter().enumerate().filter(|(_, group)| all_wait || group.wait.is_none());
    suspects.min_by_key(|(_, group)| (group.ranks.len(), std::cmp::Reverse(group.silent_ms))).map(|(at, _)| at)
}

/// Returns the headline of a hang: `Hang: no progress for 600 s. Rank 5 is in read_shard (data.py:88), the other 7
/// wait for it in all_reduce`. `missing` is the missing sign, such as `no progress`. `unheard` are the hosts that
/// have not reported their stacks.
pub fn headline(missing: &str, groups: &[RankGroup], after: Duration, unheard: &[&str]) -> String {
    let mut text = format!("Hang: {missing} for {} s", (after.as_secs_f64() * 10.0).round() / 10.0);
    // Writing to a string cannot fail.
    let _ = match unheard {
        [] => Ok(()),
        [host] => write!(text, ". Host {host} does not tell the stacks of its ranks"),
        [first, rest @ ..] => {
            write!(text, ". {first} and {} more hosts do not tell the stacks of their ranks", rest.len())
        }
    };
    let ranks: usize = groups.iter().map(|group| group.ranks.len()).sum();
    let Some(at) = odd(groups) else {
        let Some(group) = groups.first() else { return text };
        let Some(place) = place(group) else { return text };
        let _ = match ranks {
            _ if !unheard.is_empty() => {
                write!(text, "; {} {} in {place}", named(&group.ranks), if ranks == 1 { "is" } else { "are" })
            }
            1 => write!(text, ". The script is in {place}"),
            2 => write!(text, ". Both ranks are in {place}"),
            _ => write!(text, ". All {ranks} ranks are in {place}"),
        };
        return text;
    };
    let group = &groups[at];
    let is_one = group.ranks.len() == 1;
    let verb = if is_one { "is" } else { "are" };
    let place_of_group = place(group).map_or_else(|| "an unknown place".to_owned(), |place| place.to_string());
    let _ = write!(text, ". {} {verb} in {place_of_group}", capitalized(&named(&group.ranks)));
    let others = groups.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, group)| group);
    let Some(most) = others.max_by_key(|group| group.ranks.len()) else { return text };
    let (all, most_ranks) = (ranks - group.ranks.len(), most.ranks.len());
    let of_others =
        if most_ranks == all { format!("the other {all}") } else { format!("{most_ranks} of the other {all}") };
    let (of_others, is_one_other) =
        if all == 1 { ("the other one".to_owned(), true) } else { (of_others, most_ranks == 1) };
    let pronoun = if is_one { "it" } else { "them" };
    let _ = match (&most.wait, place(most)) {
        (Some(wait), _) => {
            write!(text, ", {of_others} {} for {pronoun} in {wait}", if is_one_other { "waits" } else { "wait" })
        }
        (None, Some(place)) => write!(text, ", {of_others} {} in {place}", if is_one_other { "is" } else { "are" }),
        (None, None) => Ok(()),
    };
    text
}

/// Returns the place of a group as a text shows it: the user's call, or the collective that the user has called
/// there.
fn place(group: &RankGroup) -> Option<StackPlace> {
    let place = group.place.clone()?;
    Some(match &group.wait {
        Some(wait) => StackPlace { function: wait.clone(), ..place },
        None => place,
    })
}

/// Returns ranks in words: `rank 5`, `ranks 2 and 3`, or `ranks 0, 1, 2, 3, 4, 5, 6, 7 and 24 more`.
pub fn named(ranks: &[usize]) -> String {
    let texts: Vec<String> = ranks.iter().take(MAX_NAMED).map(usize::to_string).collect();
    match texts.as_slice() {
        [one] => format!("rank {one}"),
        many if ranks.len() > MAX_NAMED => format!("ranks {} and {} more", many.join(", "), ranks.len() - MAX_NAMED),
        [rest @ .., last] => format!("ranks {} and {last}", rest.join(", ")),
        [] => "no rank".to_owned(),
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::time::Duration;

    use super::{MAX_GROUPS, RankGroup, StackPlace, headline, merge, named, odd};

    fn group(ranks: Range<usize>, place: &str, wait: Option<&str>) -> RankGroup {
        let (function, rest) = place.split_once(" (").expect("a file");
        let (file, line) = rest.trim_end_matches(')').split_once(':').expect("a line");
        let place = StackPlace { function: function.into(), file: file.into(), line: line.parse().expect("a number") };
        let stack = vec![wait.unwrap_or_default().to_owned(), place.to_string()];
        RankGroup { ranks: ranks.collect(), stack, place: Some(place), wait: wait.map(str::to_owned), silent_ms: 0 }
    }

    fn said(groups: &[RankGroup]) -> String {
        let text = headline("no progress", groups, Duration::from_secs(600), &[]);
        text.strip_prefix("Hang: no progress for 600 s").expect("the beginning").to_owned()
    }

    #[test]
    fn the_rank_that_keeps_the_others_waiting_is_named() {
        let waiting = |ranks| group(ranks, "step (train.py:25)", Some("all_reduce"));
        let reading = |ranks| group(ranks, "read_shard (data.py:88)", None);
        let elsewhere = |ranks| group(ranks, "step (train.py:31)", Some("broadcast"));
        for (groups, expected) in [
            (vec![], ""),
            (vec![reading(0..1)], ". The script is in read_shard (data.py:88)"),
            (vec![waiting(0..2)], ". Both ranks are in all_reduce (train.py:25)"),
            (vec![waiting(0..8)], ". All 8 ranks are in all_reduce (train.py:25)"),
            (
                vec![waiting(0..7), reading(7..8)],
                ". Rank 7 is in read_shard (data.py:88), the other 7 wait for it in all_reduce",
            ),
            // The larger group can keep a single rank waiting.
            (
                vec![reading(0..3), waiting(3..4)],
                ". Ranks 0, 1 and 2 are in read_shard (data.py:88), the other one waits for them in all_reduce",
            ),
            (
                vec![waiting(0..3), elsewhere(3..4)],
                ". Rank 3 is in broadcast (train.py:31), the other 3 wait for it in all_reduce",
            ),
            (
                vec![elsewhere(0..1), waiting(1..4), reading(4..5)],
                ". Rank 4 is in read_shard (data.py:88), 3 of the other 4 wait for it in all_reduce",
            ),
            (
                vec![reading(0..1), group(1..4, "compute (train.py:9)", None)],
                ". Rank 0 is in read_shard (data.py:88), the other 3 are in compute (train.py:9)",
            ),
        ] {
            assert_eq!(said(&groups), expected);
        }
        assert!(headline("no progress", &[], Duration::from_millis(2540), &[]).ends_with(" 2.5 s"));
    }

    #[test]
    fn hosts_without_stacks_are_named_before_the_ranks_of_others() {
        let waiting = group(0..2, "step (train.py:25)", Some("all_reduce"));
        let reading = group(2..3, "read_shard (data.py:88)", None);
        let said =
            |groups: &[RankGroup], unheard: &[&str]| headline("no progress", groups, Duration::from_secs(9), unheard);
        assert_eq!(
            said(std::slice::from_ref(&waiting), &["algo-2"]),
            "Hang: no progress for 9 s. Host algo-2 does not tell the stacks of its ranks; ranks 0 and 1 are in all_reduce \
             (train.py:25)"
        );
        assert_eq!(
            said(&[waiting, reading], &["algo-2", "algo-3"]),
            "Hang: no progress for 9 s. algo-2 and 1 more hosts do not tell the stacks of their ranks. Rank 2 is in read_shard \
             (data.py:88), the other 2 wait for it in all_reduce"
        );
    }

    #[test]
    fn of_groups_of_one_size_the_one_that_was_silent_first_is_odd() {
        let mut groups = vec![group(0..1, "a (t.py:1)", None), group(1..2, "b (t.py:2)", None)];
        groups[1].silent_ms = 9;
        assert_eq!(odd(&groups), Some(1));
        groups[0].silent_ms = 10;
        assert_eq!(odd(&groups), Some(0));
        assert_eq!(odd(&groups[..1]), None);
    }

    #[test]
    fn the_groups_of_hosts_are_merged_and_no_rank_is_taken_twice() {
        let mut groups = vec![group(0..2, "a (t.py:1)", None)];
        merge(&mut groups, [group(1..4, "b (t.py:2)", None), group(4..6, "a (t.py:1)", None)]);
        let ranks: Vec<&[usize]> = groups.iter().map(|group| &group.ranks[..]).collect();
        assert_eq!(ranks, [&[0, 1, 4, 5][..], &[2, 3]]);
        let many = (0..1000).map(|rank| group(rank..rank + 1, &format!("f{rank} (t.py:1)"), None));
        merge(&mut groups, many);
        assert_eq!(groups.len(), MAX_GROUPS);
    }

    #[test]
    fn many_ranks_are_named_in_part() {
        assert_eq!(named(&[5]), "rank 5");
        assert_eq!(named(&(0..32).collect::<Vec<_>>()), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 24 more");
    }
}
