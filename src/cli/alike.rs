//! The choice of hosts to show of a large job: those whose plan differs from their neighbours', and the first and the
//! last of hosts with equal plans.

/// The maximum number of hosts for which every host is shown.
const ALL_SHOWN: usize = 64;

/// A host that is shown, or the hosts between two that are shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlannedPart<T> {
    /// A host, by its index, and its plan.
    Host(usize, T),
    /// The hosts from index `first` to index `last`, whose plans equal that of the host before them.
    Alike {
        /// The first of them.
        first: usize,
        /// The last of them.
        last: usize,
    },
}

/// Divides `count` hosts into parts. `kind` returns a value that is equal for hosts that may run the same. `plan`
/// makes the plan of a host, and `same` returns true if two plans differ only by the ranks. `must` is a host that is
/// always shown.
///
/// If two hosts of one kind have equal plans, all hosts between them are assumed to have that plan too. This holds
/// because, in the order of node ranks, the plan changes only at the host where the ranks of the job end.
pub(super) fn parts<K: PartialEq, T>(
    count: usize,
    must: usize,
    kind: impl Fn(usize) -> K,
    plan: impl Fn(usize) -> T,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<PlannedPart<T>> {
    if count <= ALL_SHOWN {
        return (0..count).map(|index| PlannedPart::Host(index, plan(index))).collect();
    }
    // The first hosts of the job, the hosts at which the kind changes, and the host that must be shown.
    let is_edge = |index: &usize| {
        let index = *index;
        let changes = |before: usize| kind(before) != kind(before + 1);
        index < 2 || index + 1 == count || index == must || changes(index - 1) || changes(index)
    };
    let mut parts: Vec<PlannedPart<T>> = Vec::new();
    let mut before: Option<(usize, T)> = None;
    for index in (0..count).filter(is_edge) {
        let next = (index, plan(index));
        if let Some(host) = before.take() {
            let first = host.0;
            parts.push(PlannedPart::Host(first, host.1));
            between(&mut parts, first, &next, &plan, &same);
        }
        before = Some(next);
    }
    parts.extend(before.map(|(index, plan)| PlannedPart::Host(index, plan)));
    parts
}

/// Adds the parts between the host `from`, whose plan was added last, and the host `to`.
fn between<T>(
    parts: &mut Vec<PlannedPart<T>>,
    from: usize,
    to: &(usize, T),
    plan: &impl Fn(usize) -> T,
    same: &impl Fn(&T, &T) -> bool,
) {
    if to.0 - from < 2 {
        return;
    }
    let is_same = parts.iter().rev().find_map(|part| match part {
        PlannedPart::Host(_, plan) => Some(same(plan, &to.1)),
        PlannedPart::Alike { .. } => None,
    });
    if is_same == Some(true) {
        parts.push(PlannedPart::Alike { first: from + 1, last: to.0 - 1 });
        return;
    }
    let middle = from + (to.0 - from) / 2;
    let host = (middle, plan(middle));
    between(parts, from, &host, plan, same);
    parts.push(PlannedPart::Host(host.0, host.1));
    between(parts, middle, to, plan, same);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{PlannedPart, parts};

    /// Returns the parts as text, and the number of plans that were made. `plan` returns the plan of a host.
    fn shown(count: usize, must: usize, plan: impl Fn(usize) -> usize) -> (String, usize) {
        let made = Cell::new(0);
        let plan = |index| {
            made.set(made.get() + 1);
            plan(index)
        };
        let parts = parts(count, must, |index| index >= 5000, plan, |one, other| one == other);
        let text = parts.iter().map(|part| match part {
            PlannedPart::Host(index, _) => index.to_string(),
            PlannedPart::Alike { first, last } => format!("{first}-{last}"),
        });
        (text.collect::<Vec<_>>().join(" "), made.get())
    }

    #[test]
    fn a_large_job_is_shown_by_the_hosts_that_differ() {
        assert_eq!(shown(3, 0, |_| 1), ("0 1 2".to_owned(), 3));
        assert_eq!(shown(64, 0, |_| 1).1, 64);
        assert_eq!(shown(65, 0, |index| usize::from(index > 0)).0, "0 1 2-63 64");
        assert_eq!(shown(10_000, 700, |_| 1).0, "0 1 2-699 700 701-4998 4999 5000 5001-9998 9999");
        // The ranks end in the middle. The host where they end is found, and all others are alike.
        let (text, made) = shown(4000, 0, |index| index.clamp(1, 1234) / 1234);
        assert!(text.starts_with("0 1 2-") && text.contains(" 1233 1234 ") && text.ends_with("-3998 3999"), "{text}");
        assert!(made < 40, "{made}");
    }
}
