//! Axes: ranges with round ends, and the positions of their marks.

use super::thin::Point;

/// The maximum magnitude of a value on an axis. Differences and squares of such values are finite.
pub(super) const LARGEST: f64 = 1e150;

/// The possible intervals between two marks of a time axis, in seconds.
const TIMES: [f64; 22] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
    21_600.0, 43_200.0, 86_400.0, 172_800.0,
];

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// The value at the beginning.
    pub(super) from: f64,
    /// The value at the end, which is greater.
    pub(super) to: f64,
    /// The values that are marked, in order.
    pub(super) marks: Vec<f64>,
}

impl Axis {
    /// Returns an axis that covers these values. Both of its ends are marks.
    pub(super) fn around(least: f64, greatest: f64, marks: usize) -> Axis {
        let (least, greatest) = (least.clamp(-LARGEST, LARGEST), greatest.clamp(-LARGEST, LARGEST));
        let (least, greatest) = match greatest - least {
            span if span > greatest.abs() * 1e-9 => (least, greatest),
            // A single value is in the middle.
            _ if greatest == 0.0 => (0.0, 1.0),
            _ => (least - least.abs() / 2.0, greatest + greatest.abs() / 2.0),
        };
        let step = round_step((greatest - least) / marks.max(1) as f64);
        let (first, last) = ((least / step).floor(), (greatest / step).ceil());
        let count = (last - first).clamp(1.0, 20.0) as usize;
        let marks: Vec<f64> = (0..=count).map(|at| (first + at as f64) * step).collect();
        Axis { from: marks[0], to: marks[count], marks }
    }

    /// Returns an axis of seconds from `from` to `to`, with round marks counted from the beginning.
    pub(super) fn of_time(from: f64, to: f64, marks: usize) -> Axis {
        let to = to.max(from + 0.1);
        let span = to - from;
        let wanted = span / marks.max(1) as f64;
        let step =
            TIMES.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| (wanted / 86_400.0).ceil() * 86_400.0);
        let count = (span / step) as usize;
        Axis { from, to, marks: (0..=count.min(40)).map(|at| from + at as f64 * step).collect() }
    }

    /// Returns an axis from `from` to `to`, with round marks in between.
    pub(super) fn within(from: f64, to: f64, marks: usize) -> Axis {
        let (from, to) = (from.clamp(-LARGEST, LARGEST), to.clamp(-LARGEST, LARGEST));
        let around = Axis::around(from, to, marks);
        let (from, to) = if to > from { (from, to) } else { (around.from, around.to) };
        let slack = (to - from) * 1e-9;
        let inside = around.marks.into_iter().filter(|mark| *mark >= from - slack && *mark <= to + slack);
        Axis { from, to, marks: inside.collect() }
    }

    /// Returns the position of a value as a share of the axis, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// Returns the smallest step of the form 1, 2 or 5 times a power of ten that is not below `wanted`.
fn round_step(wanted: f64) -> f64 {
    let wanted = wanted.max(1e-150);
    let power = 10f64.powf(wanted.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= wanted * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// Returns the minimum and the maximum value of curves.
pub(super) fn extent<'a>(points: impl IntoIterator<Item = &'a Point>) -> Option<(f64, f64)> {
    points.into_iter().fold(None, |extent, (_, y)| match extent {
        None => Some((*y, *y)),
        Some((least, greatest)) => Some((least.min(*y), greatest.max(*y))),
    })
}

#[cfg(test)]
mod tests {
    use super::{Axis, extent};

    #[test]
    fn ends_and_marks_are_round() {
        for (least, greatest, marks) in [
            (0.587, 0.9176, &[0.5, 0.6, 0.7, 0.8, 0.9, 1.0][..]),
            (0.0, 100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
            (0.54, 5.5, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            (-3.0, 12.0, &[-5.0, 0.0, 5.0, 10.0, 15.0]),
            (0.0, 0.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            let axis = Axis::around(least, greatest, 5);
            let near = axis.marks.iter().zip(marks).all(|(one, other)| (one - other).abs() < 1e-9);
            assert!(near && axis.marks.len() == marks.len(), "{least} to {greatest}: {axis:?}");
        }
    }

    #[test]
    fn every_value_has_a_place_on_its_axis() {
        let odd = [0.0, -0.0, 1e-300, 5e-324, 1e308, -1e308, 1e150, 0.1, 1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE];
        for least in odd {
            for greatest in odd.into_iter().filter(|greatest| *greatest >= least) {
                for axis in [
                    Axis::around(least, greatest, 5),
                    Axis::within(least, greatest, 5),
                    Axis::of_time(least.clamp(0.0, 1e10), greatest.clamp(0.0, 1e10), 6),
                ] {
                    assert!(axis.from < axis.to && (axis.to - axis.from).is_finite(), "{least} {greatest}: {axis:?}");
                    assert!(axis.marks.len() <= 41 && axis.marks.iter().all(|mark| mark.is_finite()), "{axis:?}");
                    assert!((0.0..=1.0).contains(&axis.place(least)), "{least} {greatest}: {axis:?}");
                }
            }
        }
    }

    #[test]
    fn times_have_marks_that_people_count_in() {
        assert_eq!(Axis::of_time(0.0, 4320.0, 8).marks, [0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0, 3600.0, 4200.0]);
        assert_eq!(Axis::of_time(0.0, 0.0, 5).to, 0.1);
        assert_eq!(extent(&[(0.0, 2.0), (1.0, -1.0)]), Some((-1.0, 2.0)));
        assert_eq!(extent(&[]), None);
    }
}
