//! The curves of metrics.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{MetricView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::scale::extent;
use crate::observe::report::words::{count, grouped, number};

use super::plot::{Plot, PlotAxis, PlotCurve};
use super::tiles::{BetterDirection, better, main_metric};

/// Adds the section of metrics.
pub(super) fn add(page: &mut Html, run: &RunView) {
    if run.metrics.is_empty() {
        return;
    }
    let values: u64 = run.metrics.iter().map(|metric| metric.facts.count).sum();
    html!(
        page,
        "<section id=\"metrics\"><h2>Metrics</h2><p>{} in {}.",
        count(values as usize, "value"),
        count(run.metrics.len(), "metric")
    );
    html!(
        page,
        "<span class=\"js\"> Move over a curve, or use the arrow keys, to read values.</span></p><div class=\"charts\">"
    );
    let with_curves = || run.metrics.iter().filter(|metric| metric.curves.iter().any(|(_, curve)| !curve.is_empty()));
    // All plots share one axis, so that a moment is at one position in all of them.
    let steps = with_curves().filter(|metric| metric.by_step).flat_map(|metric| &metric.curves);
    let steps = steps.flat_map(|(_, curve)| curve.iter().map(|point| point.0));
    let range = steps.fold((f64::MAX, f64::MIN), |(from, to), step| (from.min(step), to.max(step)));
    // The metric of the first screen comes first.
    let main = main_metric(run).map(|metric| metric.name.as_str());
    let mut shown: Vec<&MetricView> = with_curves().collect();
    sort_by_number(&mut shown, |metric| f64::from(Some(metric.name.as_str()) != main));
    for (at, metric) in shown.into_iter().enumerate() {
        plot(run, metric, at, range).add_to(page);
    }
    html!(page, "</div>");
    add_empty(page, run);
    html!(page, "</section>\n");
}

fn plot(run: &RunView, metric: &MetricView, at: usize, steps: (f64, f64)) -> Plot {
    let curves = metric.curves.iter().enumerate().map(|(colour, (name, points))| PlotCurve {
        name: name.clone(),
        colour,
        points: if metric.by_step {
            points.clone()
        } else {
            points.iter().map(|(time, value)| (run.since_start(*time), *value)).collect()
        },
    });
    let curves: Vec<PlotCurve> = curves.filter(|curve| !curve.points.is_empty()).collect();
    let (axis, range) = if metric.by_step { (PlotAxis::Step, steps) } else { (PlotAxis::Time, (0.0, run.length())) };
    Plot {
        key: format!("metric-{at}"),
        title: metric.name.clone(),
        sentence: sentence(run, metric),
        axis,
        range,
        height: None,
        unit: "",
        curves,
        limit: None,
    }
}

/// Returns the sentence about a metric.
fn sentence(run: &RunView, metric: &MetricView) -> String {
    let facts = &metric.facts;
    let mut parts = Vec::new();
    if run.objective().is_some_and(|objective| objective.name == metric.name) {
        parts.push("The tuning objective.".to_owned());
    }
    let best = match better(&metric.name) {
        Some(BetterDirection::Lower) => facts.min.map(|least| format!(", lowest {}", number(least))),
        Some(BetterDirection::Higher) => facts.max.map(|greatest| format!(", highest {}", number(greatest))),
        None => None,
    };
    let extent = extent(metric.curves.iter().flat_map(|(_, curve)| curve));
    match (facts.first, facts.last) {
        (Some(first), Some(last)) if facts.count > 1 && extent.is_some_and(|(least, greatest)| greatest > least) => {
            parts.push(format!("From {} to {}{}.", number(first), number(last), best.unwrap_or_default()));
        }
        (_, Some(last)) if facts.count > 1 => parts.push(format!("Always {}.", number(last))),
        (_, Some(last)) => parts.push(format!("One value, {}.", number(last))),
        _ => {}
    }
    if facts.not_finite > 0 {
        parts.push(format!(
            "{} of {} values are NaN or infinite.",
            grouped(facts.not_finite as f64),
            grouped(facts.count as f64)
        ));
    }
    if metric.left_out > 0 {
        parts.push(format!("The first {} of {} ranks.", metric.curves.len(), metric.curves.len() + metric.left_out));
    }
    if let Some(problem) = &facts.problem {
        parts.push(format!("Mind that {problem}."));
    }
    parts.join(" ")
}

/// Adds the metrics without a curve, with the reason.
fn add_empty(page: &mut Html, run: &RunView) {
    let empty: Vec<&MetricView> =
        run.metrics.iter().filter(|metric| metric.curves.iter().all(|(_, curve)| curve.is_empty())).collect();
    if empty.is_empty() {
        return;
    }
    html!(page, "<ul class=\"panel plain\">");
    for metric in empty {
        let facts = &metric.facts;
        let why = match (&facts.problem, facts.count, facts.last) {
            (Some(problem), ..) => problem.clone(),
            (None, 0, _) => "no value: no line of the output matches its pattern".to_owned(),
            (None, count, Some(last)) => {
                format!("{count} values, the last {}; metrics.jsonl is not here", number(last))
            }
            (None, count, None) => format!("none of its {count} values is finite"),
        };
        html!(page, "<li><b>{}</b>: {}</li>", metric.name, why);
    }
    html!(page, "</ul>");
}
