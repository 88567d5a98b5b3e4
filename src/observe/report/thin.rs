//! Curves of few points that keep their extremes, made from any number of points.

/// The maximum number of points of a curve.
use super::order::sort_by_number;
pub(super) const MOST: usize = 220;

/// The number of buckets at which the buckets of a growing curve are merged in pairs.
const LIMIT: usize = 2048;

/// A point: a position on the x axis, and a finite value.
pub(super) type Point = (f64, f64);

/// A rule for choosing the points that represent many others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinning {
    /// The minimum and the maximum, so that peaks survive.
    Extremes,
    /// The mean, for colours.
    Means,
}

/// A curve that grows point by point in bounded memory.
#[derive(Clone, Debug)]
pub(super) struct GrowingCurve {
    rule: Thinning,
    /// The points that represent `stride` points each: a single one twice, or two in order.
    buckets: Vec<[Point; 2]>,
    stride: u64,
    /// The bucket that is still being filled, with the number of its points.
    pending: Option<([Point; 2], u64)>,
}

impl GrowingCurve {
    pub(super) fn new(rule: Thinning) -> GrowingCurve {
        GrowingCurve { rule, buckets: Vec::new(), stride: 1, pending: None }
    }

    /// Adds a point. A point that is not finite is left out.
    pub(super) fn add(&mut self, x: f64, y: f64) {
        if !x.is_finite() || !y.is_finite() {
            return;
        }
        let (bucket, count) = match self.pending.take() {
            None => ([(x, y); 2], 1),
            Some((bucket, count)) => (self.rule.merged(bucket, count, [(x, y); 2], 1), count + 1),
        };
        if count < self.stride {
            self.pending = Some((bucket, count));
            return;
        }
        self.buckets.push(bucket);
        if self.buckets.len() >= LIMIT {
            let pairs = self.buckets.chunks_exact(2);
            self.buckets = pairs.map(|pair| self.rule.merged(pair[0], 1, pair[1], 1)).collect();
            self.stride *= 2;
        }
    }

    /// Returns the curve in the order of x, with at most [`MOST`] points.
    pub(super) fn finish(mut self) -> Vec<Point> {
        self.buckets.extend(self.pending.map(|(bucket, _)| bucket));
        let is_one = |[one, other]: &[Point; 2]| one == other;
        let of_bucket = |bucket: &[Point; 2]| bucket[usize::from(is_one(bucket))..].to_vec();
        let mut points: Vec<Point> = self.buckets.iter().flat_map(of_bucket).collect();
        sort_by_number(&mut points, |point| point.0);
        thinned(&points, self.rule)
    }
}

impl Thinning {
    /// Returns the bucket that represents two other buckets. `of_one` and `of_other` are their numbers of points.
    fn merged(self, one: [Point; 2], of_one: u64, other: [Point; 2], of_other: u64) -> [Point; 2] {
        match self {
            Thinning::Extremes => match extremes(&[one[0], one[1], other[0], other[1]])[..] {
                [first, second] => [first, second],
                _ => [one[0]; 2],
            },
            Thinning::Means => {
                let share = of_other as f64 / (of_one + of_other) as f64;
                let mean = |one: f64, other: f64| one * (1.0 - share) + other * share;
                [(mean(one[0].0, other[0].0), mean(one[0].1, other[0].1)); 2]
            }
        }
    }
}

/// Returns a curve of at most [`MOST`] points. The points must be in the order of x.
fn thinned(points: &[Point], rule: Thinning) -> Vec<Point> {
    let ([first, .., last], true) = (points, points.len() > MOST) else { return points.to_vec() };
    // The first and the last point are kept, and each bucket gives two points or one.
    let buckets = match rule {
        Thinning::Extremes => MOST / 2 - 1,
        Thinning::Means => MOST - 2,
    };
    let span = last.0 - first.0;
    let bucket = |point: &Point| {
        let share = if span > 0.0 { (point.0 - first.0) / span } else { 0.0 };
        ((share * buckets as f64) as usize).min(buckets - 1)
    };
    let mut kept = vec![*first];
    for chunk in points[1..points.len() - 1].chunk_by(|one, other| bucket(one) == bucket(other)) {
        match rule {
            Thinning::Extremes => kept.extend(extremes(chunk)),
            Thinning::Means => kept.push(mean(chunk)),
        }
    }
    kept.push(*last);
    kept
}

/// Returns the minimum and the maximum of some points, in the order of x. Returns all points if there are at most
/// two.
fn extremes(points: &[Point]) -> Vec<Point> {
    if points.len() <= 2 {
        return points.to_vec();
    }
    let (mut least, mut greatest) = (0, 0);
    for (at, point) in points.iter().enumerate() {
        if point.1 < points[least].1 {
            least = at;
        }
        if point.1 > points[greatest].1 {
            greatest = at;
        }
    }
    if least == greatest {
        return vec![points[least]];
    }
    vec![points[least.min(greatest)], points[least.max(greatest)]]
}

fn mean(points: &[Point]) -> Point {
    let count = points.len().max(1) as f64;
    (points.iter().map(|point| point.0 / count).sum(), points.iter().map(|point| point.1 / count).sum())
}

#[cfg(test)]
mod tests {
    use super::{GrowingCurve, MOST, Point, Thinning};

    fn curve(rule: Thinning, points: impl IntoIterator<Item = Point>) -> Vec<Point> {
        let mut curve = GrowingCurve::new(rule);
        points.into_iter().for_each(|(x, y)| curve.add(x, y));
        curve.finish()
    }

    #[test]
    fn few_points_are_kept_as_they_are_in_order() {
        let points = [(2.0, 1.0), (1.0, 5.0), (f64::NAN, 1.0), (3.0, f64::INFINITY), (3.0, -1.0)];
        for rule in [Thinning::Extremes, Thinning::Means] {
            assert_eq!(curve(rule, points), [(1.0, 5.0), (2.0, 1.0), (3.0, -1.0)]);
        }
    }

    #[test]
    fn peaks_survive_among_a_million_points() {
        let wave = |x: f64| (x / 1e5).sin();
        let points = (0..1_000_000).map(|at| match at {
            123_456 => (f64::from(at), 9.0),
            777_777 => (f64::from(at), -9.0),
            _ => (f64::from(at), wave(f64::from(at))),
        });
        let kept = curve(Thinning::Extremes, points);
        assert!(kept.len() <= MOST && kept.len() > MOST / 2, "{}", kept.len());
        assert!(kept.contains(&(123_456.0, 9.0)) && kept.contains(&(777_777.0, -9.0)), "{kept:?}");
        assert!(kept.is_sorted_by(|one, other| one.0 < other.0), "{kept:?}");
        let longest_gap = kept.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
        assert!(longest_gap < 30_000.0, "the points are spread over the whole curve: {longest_gap}");
    }

    #[test]
    fn means_of_a_long_series_are_even() {
        let kept = curve(Thinning::Means, (0..100_003).map(|at| (f64::from(at), f64::from(at % 2))));
        assert!(kept.len() <= MOST && kept.len() > MOST / 2, "{}", kept.len());
        assert!(kept[1..kept.len() - 1].iter().all(|(_, y)| (y - 0.5).abs() < 0.02), "{kept:?}");
    }

    #[test]
    fn equal_and_extreme_places_do_no_harm() {
        let same = curve(Thinning::Extremes, (0..10_000).map(|at| (1.0, f64::from(at))));
        assert!(same.len() <= MOST && same.contains(&(1.0, 9999.0)), "{}", same.len());
        let wide = curve(Thinning::Extremes, (0..1000).map(|at| (f64::from(at) * 1e300, 1e150)));
        assert!(wide.len() <= MOST, "{}", wide.len());
    }
}
