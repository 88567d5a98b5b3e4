//! Plots: curves in a stretched SVG, with marks in per cent, so that texts keep their size on every screen.

use std::fmt::Write;

use crate::observe::report::markup::{Html, html};
use crate::observe::report::scale::{Axis, extent};
use crate::observe::report::thin::Point;
use crate::observe::report::words::{clock, exact, number, shortened};

/// The number of different colours for curves. Further curves repeat them.
pub(super) const COLOURS: usize = 8;

/// The meaning of the x axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlotAxis {
    /// Seconds since the start of the job.
    Time,
    /// The step of the script.
    Step,
}

/// A curve with its name.
#[derive(Clone, Debug)]
pub(super) struct PlotCurve {
    pub(super) name: String,
    /// The index of its colour.
    pub(super) colour: usize,
    pub(super) points: Vec<Point>,
}

/// A figure with one plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// The key in links and tests.
    pub(super) key: String,
    pub(super) title: String,
    /// The sentence below the title.
    pub(super) sentence: String,
    pub(super) axis: PlotAxis,
    /// The range of the x axis.
    pub(super) range: (f64, f64),
    /// The range of the y axis, if it is not determined by the curves alone.
    pub(super) height: Option<(f64, f64)>,
    pub(super) unit: &'static str,
    pub(super) curves: Vec<PlotCurve>,
    /// A limit that the values must stay below, with its name.
    pub(super) limit: Option<(f64, String)>,
}

impl Plot {
    /// Adds the figure to a page.
    pub(super) fn add_to(&self, page: &mut Html) {
        let (least, greatest) = self.height.or_else(|| self.extent()).unwrap_or((0.0, 1.0));
        let y = Axis::around(least, greatest, 5);
        let x = match self.axis {
            PlotAxis::Time => Axis::of_time(self.range.0, self.range.1, 6),
            // If the first step is near 0, the axis begins at 0.
            PlotAxis::Step if (0.0..=0.1 * self.range.1).contains(&self.range.0) => Axis::within(0.0, self.range.1, 5),
            PlotAxis::Step => Axis::within(self.range.0, self.range.1, 5),
        };
        html!(page, "<figure class=\"chart\" id=\"{}\"><div class=\"head\"><h3>{}</h3>", self.key, self.title);
        if self.can_be_logarithmic() {
            html!(page, "<button type=\"button\" class=\"log js\" aria-pressed=\"false\">log</button>");
        }
        html!(page, "</div><p class=\"say\">{}</p>", self.sentence);
        self.add_plot(page, &x, &y);
        self.add_legend(page);
        self.add_numbers(page);
        html!(page, "<p class=\"live sr\" aria-live=\"polite\"></p></figure>\n");
    }

    fn extent(&self) -> Option<(f64, f64)> {
        extent(self.curves.iter().flat_map(|curve| &curve.points))
    }

    /// Returns true if a logarithmic scale would be clearer: the values are positive and span two powers of ten.
    fn can_be_logarithmic(&self) -> bool {
        self.height.is_none() && self.extent().is_some_and(|(least, greatest)| least > 0.0 && greatest / least >= 8.0)
    }

    fn add_plot(&self, page: &mut Html, x: &Axis, y: &Axis) {
        let axis = match self.axis {
            PlotAxis::Time => "time",
            PlotAxis::Step => "step",
        };
        html!(
            page,
            "<div class=\"plot\" tabindex=\"0\" role=\"img\" aria-label=\"{}\" data-axis=\"{}\" data-x0=\"{}\" data-x1=\"{}\" \
             data-y0=\"{}\" data-y1=\"{}\" data-unit=\"{}\"><svg class=\"frame\" aria-hidden=\"true\">",
            self.in_words(),
            axis,
            x.from,
            x.to,
            y.from,
            y.to,
            self.unit
        );
        for mark in &y.marks {
            let place = percent(1.0 - y.place(*mark));
            html!(page, "<line class=\"gl\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", place, place);
            let unit = if self.unit == " %" { "%" } else { "" };
            html!(page, "<text class=\"y\" x=\"-8\" y=\"{}\" dy=\"4\">{}{}</text>", place, number(clean(*mark)), unit);
        }
        for (at, mark) in x.marks.iter().enumerate() {
            let place = x.place(*mark);
            let text = match self.axis {
                PlotAxis::Time if x.to < 10.0 => format!("{} s", number(clean(*mark))),
                PlotAxis::Time => clock(*mark),
                PlotAxis::Step if at == 0 => format!("step {}", number(*mark)),
                PlotAxis::Step => number(*mark),
            };
            let class = x_class(place, at);
            html!(page, "<text class=\"{}\" x=\"{}\" y=\"100%\" dy=\"19\">{}</text>", class, percent(place), text);
        }
        if let Some((limit, name)) = self.limit.as_ref().filter(|(limit, _)| *limit <= y.to) {
            let place = percent(1.0 - y.place(*limit));
            html!(page, "<line class=\"limit\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", place, place);
            html!(page, "<text class=\"limit\" x=\"100%\" y=\"{}\" dy=\"-5\">{}</text>", place, name);
        }
        html!(
            page,
            "</svg><svg class=\"curves\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        );
        for curve in &self.curves {
            let points = points(&curve.points, x, y);
            let colour = curve.colour % COLOURS;
            html!(page, "<polyline class=\"c{}\" data-name=\"{}\" points=\"{}\"/>", colour, curve.name, points);
        }
        html!(page, "</svg><svg class=\"frame\" aria-hidden=\"true\">");
        for curve in self.curves.iter().filter(|curve| self.curves.len() <= 2 || curve.points.len() == 1) {
            if let Some((last_x, last_y)) = curve.points.last() {
                let (left, top) = (percent(x.place(*last_x)), percent(1.0 - y.place(*last_y)));
                html!(page, "<circle class=\"c{}\" cx=\"{}\" cy=\"{}\" r=\"3.5\"/>", curve.colour % COLOURS, left, top);
            }
        }
        html!(page, "</svg><div class=\"cross\"></div><div class=\"tip\"></div></div>");
    }

    fn add_legend(&self, page: &mut Html) {
        if self.curves.len() < 2 {
            return;
        }
        html!(page, "<div class=\"legend\">");
        for (at, curve) in self.curves.iter().enumerate() {
            let name = shortened(&curve.name, 40);
            html!(page, "<span data-curve=\"{}\"><i class=\"c{}\"></i>{}</span>", at, curve.colour % COLOURS, name);
        }
        html!(page, "</div>");
    }

    fn add_numbers(&self, page: &mut Html) {
        html!(page, "<details><summary>Numbers</summary><div class=\"scroll\"><table><thead><tr>");
        for heading in ["", "first", "last", "lowest", "highest"] {
            html!(page, "<th scope=\"col\">{}", heading);
        }
        html!(page, "</thead><tbody>");
        for curve in &self.curves {
            let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) else { continue };
            let (least, greatest) = extent(&curve.points).unwrap_or_default();
            html!(page, "<tr><th scope=\"row\">{}", curve.name);
            for value in [first.1, last.1, least, greatest] {
                html!(page, "<td>{}{}", if self.unit.is_empty() { exact(value) } else { number(value) }, self.unit);
            }
        }
        html!(page, "</tbody></table></div></details>");
    }

    /// Returns a sentence for people who use a screen reader.
    fn in_words(&self) -> String {
        let mut text = format!("Plot of {}.", self.title);
        for curve in self.curves.iter().take(COLOURS) {
            if let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) {
                let (least, greatest) = extent(&curve.points).unwrap_or_default();
                let name = if self.curves.len() > 1 { format!("{}: ", curve.name) } else { String::new() };
                let [first, last, least, greatest] = [first.1, last.1, least, greatest].map(number);
                let unit = self.unit;
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    " {name}first {first}{unit}, last {last}{unit}, lowest {least}{unit}, highest {greatest}{unit}."
                );
            }
        }
        text.push_str(" Arrow keys read values.");
        text
    }
}

/// Returns the class of a mark on the x axis. A text at an edge stays inside, and every second text is hidden on a
/// phone.
pub(super) fn x_class(place: f64, at: usize) -> &'static str {
    match place {
        _ if at == 0 && place < 0.03 => "x first",
        0.97.. => "x last",
        _ if at % 2 == 1 => "x odd",
        _ => "x",
    }
}

/// Returns a small picture of a curve, without marks.
pub(super) fn spark(points: &[Point], class: &'static str, floor: Option<f64>) -> Html {
    let mut picture = Html::default();
    let Some((least, greatest)) = extent(points).filter(|_| points.len() > 1) else { return picture };
    let (least, greatest) =
        (floor.unwrap_or(least).min(least), if floor.is_some() { greatest.max(1e-9) } else { greatest });
    let slack = if greatest > least { 0.0 } else { 1.0 };
    let y = Axis { from: least - slack, to: greatest + slack, marks: Vec::new() };
    let x = Axis { from: points[0].0, to: points[points.len() - 1].0.max(points[0].0 + 1e-9), marks: Vec::new() };
    let line = self::points(points, &x, &y);
    html!(
        picture,
        "<svg class=\"spark {}\" viewBox=\"0 -4 1000 108\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><polygon \
         points=\"0,104 {} 1000,104\"/><polyline points=\"{}\"/></svg>",
        class,
        line,
        line
    );
    picture
}

/// Returns points in the notation of SVG, in a box of 1000 by 100.
fn points(points: &[Point], x: &Axis, y: &Axis) -> String {
    let mut text = String::with_capacity(points.len() * 11);
    for (at_x, at_y) in points {
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{},{}", short(1000.0 * x.place(*at_x), 1), short(100.0 * (1.0 - y.place(*at_y)), 2));
    }
    text
}

/// Returns a number with a few decimals and without trailing zeros.
fn short(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns a share in the notation of SVG.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", short(100.0 * share, 2))
}

/// Returns a mark without rounding errors.
fn clean(mark: f64) -> f64 {
    if mark.abs() < 1e-12 { 0.0 } else { format!("{mark:.12e}").parse().unwrap_or(mark) }
}

#[cfg(test)]
mod tests {
    use super::{Html, Plot, PlotAxis, PlotCurve, spark};

    fn plot(points: Vec<(f64, f64)>) -> String {
        let plot = Plot {
            key: "m0".into(),
            title: "a<b".into(),
            sentence: String::new(),
            axis: PlotAxis::Step,
            range: (0.0, 100.0),
            height: None,
            unit: "",
            curves: vec![PlotCurve { name: "rank 0".into(), colour: 9, points }],
            limit: None,
        };
        let mut page = Html::default();
        plot.add_to(&mut page);
        page.into_text()
    }

    #[test]
    fn a_curve_is_its_own_data() {
        let text = plot(vec![(0.0, 0.0), (50.0, 5.0), (100.0, 10.0)]);
        assert!(text.contains("data-x0=\"0\" data-x1=\"100\" data-y0=\"0\" data-y1=\"10\""), "{text}");
        assert!(
            text.contains("<polyline class=\"c1\" data-name=\"rank 0\" points=\"0,100 500,50 1000,0\"/>"),
            "{text}"
        );
        assert!(text.contains("Plot of a&lt;b. first 0, last 10, lowest 0, highest 10."), "{text}");
    }

    #[test]
    fn every_number_of_a_plot_is_finite() {
        for points in [
            vec![],
            vec![(5.0, 1e150)],
            vec![(0.0, 1e150), (100.0, -1e150)],
            vec![(0.0, 5e-324), (1e300, 1e-300)],
            vec![(0.0, 3.0); 4],
        ] {
            let text = plot(points.clone());
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            let spark = spark(&points, "", Some(0.0)).into_text();
            assert!(!spark.contains("NaN") && !spark.contains("inf"), "{spark}");
        }
    }
}
