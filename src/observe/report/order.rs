//! The order of what a page shows.

/// Sorts items by a number, the smallest first. Items with equal numbers keep their order.
///
/// One sort serves items of all types: each further one would add 5 kB to the binary.
pub(super) fn sort_by_number<T>(items: &mut Vec<T>, number: impl Fn(&T) -> f64) {
    let mut places: Vec<(f64, usize)> = items.iter().map(number).zip(0..).collect();
    sort(&mut places);
    let mut unsorted: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(places.into_iter().filter_map(|(_, at)| unsorted[at].take()));
}

fn sort(places: &mut [(f64, usize)]) {
    places.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
}

#[cfg(test)]
mod tests {
    use super::sort_by_number;

    #[test]
    fn equal_items_keep_their_order() {
        let mut items = vec![("a", 2.0), ("b", 1.0), ("c", 2.0), ("d", -1.0), ("e", f64::NAN), ("f", 1.0)];
        sort_by_number(&mut items, |item| item.1);
        let names: Vec<&str> = items.iter().map(|item| item.0).collect();
        assert_eq!(names, ["d", "b", "f", "a", "c", "e"]);
    }
}
