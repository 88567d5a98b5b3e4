//! Several jobs side by side: a table of their differences, and their curves on common axes.

use std::collections::{BTreeMap, BTreeSet};

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{MetricView, RunView};
use crate::observe::report::thin::Point;
use crate::observe::report::words::{count, date, duration, number, shortened};

use super::first::{add_failure, add_sign, add_theme_button, title};
use super::plot::{COLOURS, Plot, PlotAxis, PlotCurve};
use super::strip::{self, Names};
use super::tiles::{BetterDirection, better, main_metric};
use super::verdict::{PageStatus, status, verdict};

/// The maximum number of hyperparameters that have a column.
const MOST_COLUMNS: usize = 12;

/// Adds the page of several jobs.
pub(super) fn add(page: &mut Html, runs: &[RunView], now: f64) {
    let names = names(runs);
    let best = best(runs);
    let count_of = |wanted: PageStatus| runs.iter().filter(|run| status(run, now) == wanted).count();
    let sign = if count_of(PageStatus::Completed) > 0 { PageStatus::Completed } else { PageStatus::Failed };
    html!(
        page,
        "<header class=\"{}\"><div class=\"in\"><p class=\"job\"><b>{}</b>",
        if sign == PageStatus::Completed { "ok" } else { "bad" },
        count(runs.len(), "job")
    );
    html!(page, "<span>{}</span></p>", date(runs.iter().map(|run| run.span.0).fold(f64::MAX, f64::min)));
    add_theme_button(page);
    html!(page, "<div class=\"verdict\">");
    add_sign(page, sign);
    let ends = [
        (PageStatus::Completed, "completed"),
        (PageStatus::Failed, "failed"),
        (PageStatus::Stopped, "stopped"),
        (PageStatus::Running, "still running"),
        (PageStatus::Vanished, "ended without a word"),
    ];
    let ends: Vec<String> = ends
        .into_iter()
        .map(|(status, word)| (count_of(status), word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    match &best {
        Some((at, metric, value)) => html!(
            page,
            "<div><h1>Best: <span>{}</span> with {}</h1><p>{} of all, by {}. {}.</p></div>",
            names[*at],
            number(*value),
            if better(metric) == Some(BetterDirection::Lower) { "The lowest" } else { "The highest" },
            metric,
            ends.join(", ")
        ),
        None => html!(page, "<div><h1>{}</h1><p>{}.</p></div>", count(runs.len(), "job"), ends.join(", ")),
    }
    html!(page, "</div></div></header>\n<main id=\"main\">");
    add_table(page, runs, &names, best.as_ref(), now);
    add_metrics(page, runs, &names);
    add_hardware(page, runs, &names);
    add_each(page, runs, &names, now);
}

/// Returns names that distinguish the jobs. Words that all names begin with are removed.
fn names(runs: &[RunView]) -> Vec<String> {
    let full: Vec<String> = runs.iter().map(title).collect();
    let distinct: BTreeSet<&String> = full.iter().collect();
    let full: Vec<String> = if distinct.len() == full.len() {
        full
    } else {
        runs.iter().zip(&full).map(|(run, name)| format!("{name} ({})", run.place)).collect()
    };
    let shared = full.iter().skip(1).fold(full[0].as_str(), |shared, name| {
        let length = shared.char_indices().zip(name.chars()).take_while(|((_, one), other)| one == other).count();
        &shared[..shared.char_indices().nth(length).map_or(shared.len(), |(at, _)| at)]
    });
    // Only whole words are cut off.
    let cut = shared.rfind(['-', '_', '/', ' ', '.']).map_or(0, |at| at + 1);
    if cut < 8 || full.iter().any(|name| name.len() <= cut) {
        return full;
    }
    full.iter().map(|name| format!("…{}", &name[cut..])).collect()
}

/// Returns the job with the best value of a metric that all jobs with values have, with its name and the value.
fn best(runs: &[RunView]) -> Option<(usize, String, f64)> {
    let name = &main_metric(runs.iter().find(|run| main_metric(run).is_some())?)?.name;
    let better = better(name)?;
    let values = runs.iter().enumerate().filter_map(|(at, run)| Some((at, best_value(metric(run, name)?, better)?)));
    let best = values.reduce(|one, other| {
        let is_better = match better {
            BetterDirection::Lower => other.1 < one.1,
            BetterDirection::Higher => other.1 > one.1,
        };
        if is_better { other } else { one }
    })?;
    Some((best.0, name.clone(), best.1))
}

fn metric<'a>(run: &'a RunView, name: &str) -> Option<&'a MetricView> {
    run.metrics.iter().find(|metric| metric.name == name)
}

fn best_value(metric: &MetricView, better: BetterDirection) -> Option<f64> {
    match better {
        BetterDirection::Lower => metric.facts.min,
        BetterDirection::Higher => metric.facts.max,
    }
}

fn add_table(page: &mut Html, runs: &[RunView], names: &[String], best: Option<&(usize, String, f64)>, now: f64) {
    let differing = differing(runs);
    let used = |run: &RunView, key: &str| {
        run.hardware.panels.iter().find(|panel| panel.resource.key == key).map(|panel| panel.mean)
    };
    let key = if runs.iter().any(|run| used(run, "gpu-busy").is_some()) { "gpu-busy" } else { "cpu" };
    html!(
        page,
        "<section id=\"runs\"><h2>Jobs</h2><p>What differs.<span class=\"js\"> Click a heading to sort.</span></p><div class=\"panel scroll\"><table class=\"sorted\"><thead><tr><th scope=\"col\" class=\"tx\">job<th scope=\"col\" class=\"tx\">end<th scope=\"col\">time"
    );
    if let Some((_, name, _)) = best {
        html!(page, "<th scope=\"col\">best {}", name);
    }
    html!(page, "<th scope=\"col\">{}", if key == "cpu" { "processors busy" } else { "GPU busy" });
    for name in &differing {
        html!(page, "<th scope=\"col\">{}", name);
    }
    html!(page, "</thead><tbody>");
    for (at, (run, name)) in runs.iter().zip(names).enumerate() {
        let verdict = verdict(run, now);
        let tone = if verdict.status == PageStatus::Completed { "ok" } else { "bad" };
        html!(
            page,
            "<tr><th scope=\"row\" class=\"tx\"><i class=\"line c{}\"></i><a href=\"#run-{}\">{}</a>",
            at % COLOURS,
            at,
            name
        );
        html!(
            page,
            "<td class=\"tx\"><i class=\"chip {}\">{}</i><td data-v=\"{}\">{}",
            tone,
            verdict.word.to_lowercase(),
            run.length().round(),
            duration(run.length())
        );
        if let Some((winner, metric_name, _)) = best {
            let value = metric(run, metric_name).and_then(|metric| best_value(metric, better(metric_name)?));
            let class = if *winner == at { "good" } else { "" };
            html!(
                page,
                "<td class=\"{}\" data-v=\"{}\">{}",
                class,
                value.unwrap_or_default(),
                value.map(number).unwrap_or_default()
            );
        }
        let share = used(run, key);
        html!(page, "<td data-v=\"{}\">", share.map_or(-1.0, f64::round));
        if let Some(share) = share {
            strip::add_share(page, share / 100.0);
        }
        for name in &differing {
            html!(page, "<td class=\"mono\">{}", shortened(hyperparameter(run, name).unwrap_or("–"), 40));
        }
    }
    html!(page, "</tbody></table></div></section>\n");
}

fn hyperparameter<'a>(run: &'a RunView, name: &str) -> Option<&'a str> {
    run.lead().hyperparameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

/// Returns the hyperparameters that differ between jobs.
fn differing(runs: &[RunView]) -> Vec<String> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in runs.iter().flat_map(|run| &run.lead().hyperparameters) {
        // The platform's own hyperparameters describe where a job is, not what it does.
        if !names.contains(&name) && !name.starts_with("sagemaker_") {
            names.push(name);
        }
    }
    let differs = |name: &&&String| runs.iter().any(|run| hyperparameter(run, name) != hyperparameter(&runs[0], name));
    names.iter().filter(differs).take(MOST_COLUMNS).map(|name| (*name).clone()).collect()
}

fn add_metrics(page: &mut Html, runs: &[RunView], names: &[String]) {
    let mut order: Vec<&String> = Vec::new();
    for metric in runs.iter().flat_map(|run| &run.metrics) {
        if !order.contains(&&metric.name) && metric.curves.iter().any(|(_, curve)| !curve.is_empty()) {
            order.push(&metric.name);
        }
    }
    if order.is_empty() {
        return;
    }
    html!(
        page,
        "<section id=\"metrics\"><h2>Metrics, laid over each other</h2><p>One curve for each job.</p><div class=\"charts\">"
    );
    for (at, name) in order.into_iter().enumerate() {
        let by_step =
            runs.iter().filter_map(|run| metric(run, name)).all(|metric| metric.by_step || metric.curves.is_empty());
        let curve = |run: &RunView| -> Vec<Point> {
            let points = metric(run, name).and_then(|metric| metric.curves.first().map(|(_, curve)| curve.clone()));
            let points = points.unwrap_or_default().into_iter();
            if by_step {
                points.collect()
            } else {
                points.map(|(time, value)| (run.since_start(time), value)).collect()
            }
        };
        let sentence = match better(name) {
            Some(BetterDirection::Lower) => "Lower is better.",
            Some(BetterDirection::Higher) => "Higher is better.",
            None => "",
        };
        let axis = if by_step { PlotAxis::Step } else { PlotAxis::Time };
        add_plot(
            page,
            (format!("metric-{at}"), name.clone(), sentence.to_owned()),
            axis,
            runs.iter().map(curve).zip(names),
            "",
            None,
        );
    }
    html!(page, "</div></section>\n");
}

fn add_hardware(page: &mut Html, runs: &[RunView], names: &[String]) {
    let mut panels: BTreeMap<usize, (&str, &str, &'static str, Option<f64>)> = BTreeMap::new();
    for panel in runs.iter().flat_map(|run| &run.hardware.panels) {
        if let Some(place) =
            ["gpu-busy", "neuron-busy", "gpu-memory", "cpu", "memory"].iter().position(|key| *key == panel.resource.key)
        {
            panels.entry(place).or_insert((
                panel.resource.key,
                panel.resource.title,
                panel.resource.unit,
                panel.resource.full,
            ));
        }
    }
    if panels.is_empty() {
        return;
    }
    html!(
        page,
        "<section id=\"hardware\"><h2>Hardware</h2><p>The first host of each job, since its start.</p><div class=\"charts\">"
    );
    for (key, title, unit, full) in panels.into_values() {
        let curve = |run: &RunView| -> Vec<Point> {
            let panel = run.hardware.panels.iter().find(|panel| panel.resource.key == key);
            let points =
                panel.and_then(|panel| panel.curves.first()).map(|(_, points)| points.as_slice()).unwrap_or_default();
            points.iter().map(|(time, value)| (run.since_start(*time), *value)).collect()
        };
        add_plot(
            page,
            (key.to_owned(), title.to_owned(), String::new()),
            PlotAxis::Time,
            runs.iter().map(curve).zip(names),
            unit,
            Some(full),
        );
    }
    html!(page, "</div></section>\n");
}

fn add_plot<'a>(
    page: &mut Html,
    (key, title, sentence): (String, String, String),
    axis: PlotAxis,
    curves: impl Iterator<Item = (Vec<Point>, &'a String)>,
    unit: &'static str,
    full: Option<Option<f64>>,
) {
    let curves: Vec<PlotCurve> = curves
        .enumerate()
        .map(|(colour, (points, name))| PlotCurve { name: name.clone(), colour, points })
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let places = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
    let from = if axis == PlotAxis::Time { 0.0 } else { places().fold(f64::MAX, f64::min) };
    let range = (from, places().fold(from, f64::max));
    let peak = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.1)).fold(1e-3, f64::max);
    let height = full.map(|full| (0.0, full.unwrap_or_else(peak)));
    Plot { key, title, sentence, axis, range, height, unit, curves, limit: None }.add_to(page);
}

/// Adds a section for each job, with its failure and its phases.
fn add_each(page: &mut Html, runs: &[RunView], names: &[String], now: f64) {
    html!(page, "<section><h2>Each job</h2>");
    for (at, (run, name)) in runs.iter().zip(names).enumerate() {
        let verdict = verdict(run, now);
        let class = if verdict.status == PageStatus::Completed { "ok" } else { "bad" };
        html!(
            page,
            "<div class=\"panel each {}\" id=\"run-{}\"><h3><i class=\"line c{}\"></i>{}</h3>",
            class,
            at,
            at % COLOURS,
            name
        );
        html!(page, "<p><b>{}</b>{}. {}</p>", verdict.word, verdict.rest, verdict.sentence);
        page.add(&strip::bar(&run.hosts[0], run.span, run, Names::Shown));
        add_failure(page, run);
        for problem in &run.problems {
            html!(page, "<p>Not read: {}</p>", problem);
        }
        html!(page, "<p class=\"none\">{}</p></div>", run.place);
    }
    html!(page, "</section>\n");
}
