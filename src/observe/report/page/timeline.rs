//! The phases of all hosts on a common time axis, with their ranks.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{HostView, RankView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::scale::Axis;
use crate::observe::report::words::{clock, count, duration, number};

use super::plot::{percent, x_class};
use super::strip::{self, Names};
use super::verdict::{ending, is_failed};

/// The maximum number of hosts whose rows are shown at first.
const OPEN_HOSTS: usize = 24;

/// The maximum number of hosts whose rows are high enough for the names of phases.
const NAMED_HOSTS: usize = 10;

/// The maximum number of ranks for which every rank has a row.
const ALL_RANKS: usize = 32;

/// The share of the job above which the time before the script is not shown enlarged.
const LARGE: f64 = 0.15;

/// The form of the rows of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowStyle {
    /// With the names of phases, and the ranks below.
    Full,
    /// With the names of phases.
    Hosts,
    /// Without names, for many hosts.
    Small,
}

/// Adds the timeline.
pub(super) fn add(page: &mut Html, run: &RunView) {
    html!(
        page,
        "<section id=\"time\"><h2>Time</h2><p>{} on one clock.</p><div class=\"panel\">",
        if run.hosts.len() > 1 { "All hosts" } else { "The phases" }
    );
    let order = order(run);
    let (open, rest) = order.split_at(order.len().min(OPEN_HOSTS));
    let style = if run.hosts.len() > NAMED_HOSTS { RowStyle::Small } else { RowStyle::Full };
    add_rows(page, run, open, run.span, style);
    add_axis(page, run, run.span);
    html!(page, "<div class=\"key\">");
    strip::add_key(page, &run.hosts, run.span);
    html!(page, "</div>");
    if !rest.is_empty() {
        html!(
            page,
            "<details><summary>{} that are not among the first, the slowest or the failed</summary>",
            count(rest.len(), "more host")
        );
        add_rows(page, run, rest, run.span, RowStyle::Small);
        html!(page, "</details>");
    }
    html!(page, "</div>");
    add_beginning(page, run, open);
    html!(page, "</section>\n");
}

/// Returns the hosts in the order in which they are shown: in their own order or, if there are many, the most
/// informative ones first.
fn order(run: &RunView) -> Vec<&HostView> {
    let all: Vec<&HostView> = run.hosts.iter().collect();
    if all.len() <= OPEN_HOSTS {
        return all;
    }
    let start = |host: &HostView| host.phase("script").map_or(f64::MAX, |phase| phase.start);
    let mut slowest: Vec<usize> = (0..all.len()).collect();
    sort_by_number(&mut slowest, |at| -start(all[*at]));
    let failed = (0..all.len()).filter(|at| all[*at].ranks.iter().any(is_failed));
    let mut chosen: Vec<usize> = failed.take(8).chain(0..8).chain(slowest.into_iter().take(8)).collect();
    let mut is_chosen = vec![false; all.len()];
    chosen.retain(|at| !std::mem::replace(&mut is_chosen[*at], true));
    chosen.sort_unstable();
    let others: Vec<usize> = (0..all.len()).filter(|at| !is_chosen[*at]).collect();
    // Further hosts fill the remaining open rows.
    chosen.extend(others);
    chosen.into_iter().map(|at| all[at]).collect()
}

fn add_rows(page: &mut Html, run: &RunView, hosts: &[&HostView], span: (f64, f64), style: RowStyle) {
    let all = run.ranks().count();
    html!(page, "<div class=\"{}\">", if style == RowStyle::Small { "tl small" } else { "tl" });
    for host in hosts {
        html!(page, "<div class=\"l h\">{}</div>", host.name);
        let names = if style == RowStyle::Small { Names::Hidden } else { Names::Shown };
        page.add(&strip::bar(host, span, run, names));
        if style == RowStyle::Hosts || all < 2 {
            continue;
        }
        let shown = host.ranks.iter().filter(|rank| all <= ALL_RANKS || is_failed(rank) || is_odd(run, rank));
        for rank in shown.take(ALL_RANKS) {
            add_rank(page, run, rank, span);
        }
    }
    html!(page, "</div>");
}

fn is_odd(run: &RunView, rank: &RankView) -> bool {
    run.hang().is_some_and(|hang| rank.rank.is_some_and(|rank| hang.odd_ranks.contains(&rank)))
}

fn add_rank(page: &mut Html, run: &RunView, rank: &RankView, (start, end): (f64, f64)) {
    let (Some(number), Some(from)) = (rank.rank, rank.started) else { return };
    let to = rank.ended.unwrap_or(run.span.1);
    let is_odd = is_odd(run, rank);
    let class = if is_odd || is_failed(rank) { "l bad" } else { "l" };
    // In a job that hung, a rank waited between its last output and the end.
    let quiet = rank.last_line.filter(|last| run.hang().is_some() && *last > from && *last < to);
    html!(page, "<div class=\"{}\">rank {}</div>", class, number);
    html!(
        page,
        "<svg class=\"bar rank\" role=\"img\" aria-label=\"rank {}: {}, {}\">",
        number,
        duration(to - from),
        ending(rank).0
    );
    let mut part = |from: f64, to: f64, class: &'static str| {
        let (from, to) = (from.clamp(start, end), to.clamp(start, end));
        let (place, width) = ((from - start) / (end - start), (to - from) / (end - start));
        if width > 0.0 {
            html!(
                page,
                "<rect class=\"{}\" x=\"{}\" width=\"{}\" height=\"100%\"/>",
                class,
                percent(place),
                percent(width.max(0.002))
            );
        }
    };
    match quiet {
        Some(last) => {
            part(from, last, "r-run");
            part(last, to, if is_odd { "r-odd" } else { "r-wait" });
        }
        None => part(from, to, if is_failed(rank) { "r-odd" } else { "r-run" }),
    }
    html!(page, "</svg>");
}

fn add_axis(page: &mut Html, run: &RunView, (start, end): (f64, f64)) {
    let axis = Axis::of_time(0.0, end - start, 7);
    let checkpoints = run.hosts.iter().filter_map(|host| host.checkpoints.as_ref()?.last.as_ref()?.time);
    let checkpoint = checkpoints.filter(|time| (start..=end).contains(time)).reduce(f64::max);
    html!(page, "<div class=\"tl axis\"><div class=\"l\"></div><svg class=\"axis\" aria-hidden=\"true\">");
    for (at, mark) in axis.marks.iter().enumerate() {
        let place = axis.place(*mark);
        let text = if end - start < 10.0 { format!("{} s", number(*mark)) } else { clock(*mark) };
        html!(page, "<text class=\"{}\" x=\"{}\" y=\"16\">{}</text>", x_class(place, at), percent(place), text);
    }
    if let Some(time) = checkpoint {
        let place = percent((time - start) / (end - start));
        html!(
            page,
            "<svg x=\"{}\" class=\"mark\"><path d=\"M0-4l4 4-4 4-4-4z\"/><title>last checkpoint</title></svg>",
            place
        );
    }
    html!(page, "</svg></div>");
}

/// Adds an enlarged view of the time before the script, if that is a small part of a long job.
fn add_beginning(page: &mut Html, run: &RunView, hosts: &[&HostView]) {
    let starts = hosts.iter().filter_map(|host| Some(host.phase("script")?.start));
    let Some(last) = starts.reduce(f64::max).map(|last| last - run.span.0) else { return };
    if last < 0.5 || last > LARGE * run.length() {
        return;
    }
    let hosts = &hosts[..hosts.len().min(NAMED_HOSTS)];
    let span = (run.span.0, run.span.0 + last * 1.2);
    html!(page, "<div class=\"panel second\"><h3>The first {}</h3>", duration(last * 1.2));
    add_rows(page, run, hosts, span, RowStyle::Hosts);
    add_axis(page, run, span);
    html!(page, "</div>");
}
