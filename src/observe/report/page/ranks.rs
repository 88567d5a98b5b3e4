//! The table of ranks.

use std::collections::BTreeMap;

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{DeviceRow, HostView, RankView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::resource::DeviceKind;
use crate::observe::report::words::{count, duration, grouped, number, percent};

use super::strip;
use super::verdict::{ending, is_failed};

/// The maximum number of ranks in one table.
const ONE_TABLE: usize = 200;

/// The number of ranks in each table if there are many. These tables are closed at first.
const PART: usize = 500;

/// The maximum number of ranks in the table of those that stand out.
const ODD: usize = 50;

const GIB: f64 = (1u64 << 30) as f64;

/// A rank with its host and its GPU.
type Row<'a> = (&'a HostView, &'a RankView, Option<&'a DeviceRow>);

/// Adds the section of ranks.
pub(super) fn add(page: &mut Html, run: &RunView) {
    let mut by_place = BTreeMap::new();
    for gpu in run.hardware.devices.iter().filter(|device| device.kind == DeviceKind::Gpu) {
        by_place.insert((gpu.host.as_str(), gpu.index), gpu);
    }
    let gpu = |host: &HostView, rank: &RankView| by_place.get(&(host.name.as_str(), rank.gpu?)).copied();
    let services = run.hosts.iter().flat_map(|host| host.services.iter().map(move |service| (host, service, None)));
    let mut rows: Vec<Row<'_>> = run.ranks().map(|(host, rank)| (host, rank, gpu(host, rank))).collect();
    sort_by_number(&mut rows, |(_, rank, _)| rank.rank.map_or(-1.0, |rank| rank as f64));
    let services: Vec<Row<'_>> = services.collect();
    if rows.is_empty() && services.is_empty() {
        return;
    }
    let failed: Vec<Row<'_>> = rows.iter().copied().filter(|(_, rank, _)| is_failed(rank)).collect();
    let good = rows.iter().filter(|(_, rank, _)| rank.exit_code == Some(0)).count();
    html!(
        page,
        "<section id=\"ranks\"><h2>Ranks</h2><p>{}: {} ended with 0",
        count(rows.len(), "rank"),
        grouped(good as f64)
    );
    if !failed.is_empty() {
        html!(page, ", {} failed", grouped(failed.len() as f64));
    }
    html!(page, ".<span class=\"js\"> Click a heading to sort.</span></p>");
    if rows.len() <= ONE_TABLE {
        rows.splice(0..0, services);
        html!(page, "<div class=\"panel scroll\">");
        add_table(page, &rows);
        html!(page, "</div>");
    } else {
        let odd: Vec<Row<'_>> = services.into_iter().chain(failed).chain(slowest(&rows)).take(ODD).collect();
        html!(page, "<div class=\"panel scroll\"><h3>Those that failed, and the quickest and the slowest to end</h3>");
        add_table(page, &odd);
        html!(page, "</div>");
        for part in rows.chunks(PART) {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            html!(
                page,
                "<details class=\"panel part\"><summary>Ranks {}–{} ({} to {})</summary><div class=\"scroll\">",
                name(first.1),
                name(last.1),
                first.0.name,
                last.0.name
            );
            add_table(page, part);
            html!(page, "</div></details>");
        }
    }
    html!(page, "</section>\n");
}

/// Returns the ranks that ended first and last.
fn slowest<'a>(rows: &[Row<'a>]) -> Vec<Row<'a>> {
    let mut ended: Vec<Row<'a>> =
        rows.iter().copied().filter(|(_, rank, _)| rank.ended.is_some() && !is_failed(rank)).collect();
    sort_by_number(&mut ended, |(_, rank, _)| rank.ended.unwrap_or_default());
    let last = ended.split_off(ended.len() - ended.len().min(4));
    ended.truncate(4);
    ended.extend(last);
    ended
}

fn name(rank: &RankView) -> String {
    rank.rank.map_or_else(|| rank.name.clone().unwrap_or_default(), |rank| rank.to_string())
}

fn add_table(page: &mut Html, rows: &[Row<'_>]) {
    let has_gpu = rows.iter().any(|(_, rank, _)| rank.gpu.is_some());
    let has_use = rows.iter().any(|(_, _, gpu)| gpu.is_some());
    let class = if has_gpu { "sorted ranks gpu" } else { "sorted ranks" };
    html!(page, "<table class=\"{}\"><thead><tr><th scope=\"col\">rank<th scope=\"col\">host", class);
    if has_gpu {
        html!(page, "<th scope=\"col\">GPU");
    }
    html!(page, "<th scope=\"col\">end<th scope=\"col\">ran");
    if has_use {
        html!(page, "<th scope=\"col\">GPU busy<th scope=\"col\">GPU memory");
    }
    html!(page, "<th scope=\"col\">lines<th scope=\"col\">quiet at the end<th scope=\"col\">pid</thead><tbody>");
    // All markup that HTML makes optional is left out, because there may be ten thousand rows.
    for (host, rank, gpu) in rows {
        let (words, tone) = ending(rank);
        let words = if rank.followed { format!("{words}, told to end") } else { words };
        html!(page, "<tr{}><th scope=row>{}<td>{}", BadRow(is_failed(rank)), name(rank), host.name);
        if has_gpu {
            html!(page, "<td>{}", rank.gpu.map(|gpu| gpu.to_string()).unwrap_or_default());
        }
        if tone.is_empty() {
            html!(page, "<td>{}", words);
        } else {
            html!(page, "<td><i class=\"chip {}\">{}</i>", tone, words);
        }
        let ended = rank.ended.or(host.ended);
        add_time(page, rank.started.zip(ended).map(|(from, to)| to - from));
        if has_use {
            match gpu {
                Some(gpu) if rows.len() <= ONE_TABLE => {
                    html!(page, "<td data-v={}>", gpu.mean.round());
                    strip::add_share(page, gpu.mean / 100.0);
                }
                Some(gpu) => html!(page, "<td>{}", percent(gpu.mean / 100.0)),
                None => html!(page, "<td>"),
            }
            html!(
                page,
                "<td>{}",
                gpu.and_then(|gpu| gpu.memory)
                    .map(|(most, _)| format!("{} GiB", number(most / GIB)))
                    .unwrap_or_default()
            );
        }
        html!(page, "<td>{}", grouped(rank.lines as f64));
        add_time(page, rank.last_line.zip(ended).map(|(last, end)| end - last));
        html!(page, "<td>{}\n", rank.pid.map(|pid| pid.to_string()).unwrap_or_default());
    }
    html!(page, "</tbody></table>");
}

/// The attribute of a row that stands out. Its text needs no escaping.
struct BadRow(bool);

impl std::fmt::Display for BadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0 { " class=odd" } else { "" })
    }
}

fn add_time(page: &mut Html, seconds: Option<f64>) {
    match seconds {
        Some(seconds) => html!(page, "<td data-v={}>{}", (seconds.max(0.0) * 100.0).round() / 100.0, duration(seconds)),
        None => html!(page, "<td>"),
    }
}
