//! The hardware utilization: a strip of all GPUs, and a plot for each resource.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{DeviceRow, PanelView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::scale::Axis;
use crate::observe::report::thin::Point;
use crate::observe::report::words::{brief, clock, count, duration, grouped, number, percent as share_in_words};

use super::heat;
use super::plot::{Plot, PlotAxis, PlotCurve, percent, x_class};
use super::tiles::odd_device;

/// The maximum number of rows of the strip.
const MOST_ROWS: usize = 64;

/// The maximum number of rows that are high enough for names.
const NAMED_ROWS: usize = 32;

/// Adds the section of the hardware.
pub(super) fn add(page: &mut Html, run: &RunView) {
    let hardware = &run.hardware;
    if hardware.panels.is_empty() {
        return;
    }
    let interval =
        hardware.interval.map(|interval| format!("Sampled every {}. ", duration(interval))).unwrap_or_default();
    html!(
        page,
        "<section id=\"hardware\"><h2>Hardware</h2><p>{}<span class=\"js\">One moment is marked in all plots.</span></p>",
        interval
    );
    html!(page, "<div class=\"charts\">");
    add_strip(page, run);
    for panel in &hardware.panels {
        plot(run, panel).add_to(page);
    }
    html!(page, "</div></section>\n");
}

fn add_strip(page: &mut Html, run: &RunView) {
    let all = &run.hardware.devices;
    if all.is_empty() {
        return;
    }
    let mut rows: Vec<&DeviceRow> = all.iter().collect();
    if rows.len() > MOST_ROWS {
        sort_by_number(&mut rows, |row| row.mean);
        rows.truncate(MOST_ROWS);
    }
    let name = all[0].kind.name();
    let odd = odd_device(all);
    let says = match odd {
        Some((gpu, others)) => format!(
            "The deeper, the busier. {} {} of {} was busy {} of the time, the others {}.",
            gpu.kind.name(),
            gpu.index,
            gpu.host,
            share_in_words(gpu.mean / 100.0),
            share_in_words(others / 100.0)
        ),
        None if all.len() > 1 => "The deeper, the busier. All are alike: none falls behind.".to_owned(),
        None => "The deeper, the busier.".to_owned(),
    };
    let of = if all.len() > rows.len() {
        format!(" The {} least busy of {}.", rows.len(), grouped(all.len() as f64))
    } else {
        String::new()
    };
    html!(
        page,
        "<figure class=\"chart wide\" id=\"gpus\"><h3>{} by {}</h3><p class=\"say\">{}{}</p>",
        name,
        name,
        says,
        of
    );
    let height = if rows.len() <= NAMED_ROWS { 16 } else { 6 };
    let class = if rows.len() <= NAMED_ROWS { "heat" } else { "heat thin" };
    html!(page, "<div class=\"{}\"><ul class=\"names\">", class);
    let row_name = |gpu: &DeviceRow| {
        if run.hosts.len() > 1 {
            format!("{} · {}", gpu.host, gpu.index)
        } else {
            format!("{} {}", gpu.kind.name(), gpu.index)
        }
    };
    let is_odd = |gpu: &DeviceRow| odd.is_some_and(|(odd, _)| odd.host == gpu.host && odd.index == gpu.index);
    for gpu in &rows {
        html!(page, "<li class=\"{}\">{}</li>", if is_odd(gpu) { "bad" } else { "" }, row_name(gpu));
    }
    let picture = heat::picture(rows.iter().map(|gpu| gpu.busy.as_slice()), run.span);
    let label = format!("How busy {} were over the time. {says}", count(rows.len(), name));
    html!(
        page,
        "</ul><img src=\"{}\" alt=\"{}\" height=\"{}\"><ul class=\"names r\">",
        picture,
        label,
        rows.len() * height
    );
    for gpu in &rows {
        html!(page, "<li class=\"{}\">{}</li>", if is_odd(gpu) { "bad" } else { "" }, share_in_words(gpu.mean / 100.0));
    }
    html!(page, "</ul><span></span><svg class=\"axis\" aria-hidden=\"true\">");
    let axis = Axis::of_time(0.0, run.length(), 7);
    for (at, mark) in axis.marks.iter().enumerate() {
        let place = axis.place(*mark);
        html!(page, "<text class=\"{}\" x=\"{}\" y=\"16\">{}</text>", x_class(place, at), percent(place), clock(*mark));
    }
    html!(page, "</svg></div></figure>\n");
}

fn plot(run: &RunView, panel: &PanelView) -> Plot {
    let resource = &panel.resource;
    let shift = |points: &[Point]| points.iter().map(|(time, value)| (run.since_start(*time), *value)).collect();
    let curves = panel.curves.iter().enumerate().map(|(colour, (name, points))| PlotCurve {
        name: name.clone(),
        colour,
        points: shift(points),
    });
    let limit = panel.limit.filter(|_| resource.full.is_none());
    // A limit far above the curves would flatten them.
    let is_near = |limit: &f64| *limit <= 3.0 * panel.peak;
    let top = resource.full.unwrap_or_else(|| limit.filter(is_near).unwrap_or(0.0).max(panel.peak).max(1e-3));
    Plot {
        key: resource.key.to_owned(),
        title: resource.title.to_owned(),
        sentence: sentence(run, panel, limit),
        axis: PlotAxis::Time,
        range: (0.0, run.length()),
        height: Some((0.0, top)),
        unit: resource.unit,
        curves: curves.collect(),
        limit: limit.filter(is_near).map(|limit| (limit, format!("limit {}{}", brief(limit), resource.unit))),
    }
}

/// Returns the sentence about a resource.
fn sentence(run: &RunView, panel: &PanelView, limit: Option<f64>) -> String {
    let unit = panel.resource.unit;
    match (panel.resource.key, limit) {
        ("cpu", _) => {
            let cores = run.hosts.iter().find_map(|host| host.resources.as_ref()?.cores);
            let of = cores.map(|cores| format!(" of {} processors", number(cores))).unwrap_or_default();
            format!(
                "On average {}{of}, at most {}.",
                share_in_words(panel.mean / 100.0),
                share_in_words(panel.peak / 100.0)
            )
        }
        ("memory", Some(limit)) => {
            let kills: u64 =
                run.hosts.iter().filter_map(|host| host.resources.as_ref()).map(|resources| resources.kills).sum();
            let killed = if kills > 0 {
                format!(" The kernel killed {} for want of it.", count(kills as usize, "process"))
            } else {
                String::new()
            };
            format!("Without the page cache. At most {} of {}{unit}.{killed}", brief(panel.peak), brief(limit))
                .replace("processs", "processes")
        }
        _ if unit == " %" => format!(
            "On average {}, at most {}.",
            share_in_words(panel.mean / 100.0),
            share_in_words(panel.peak / 100.0)
        ),
        (_, Some(limit)) => {
            format!("At most {} of {}{unit} ({}).", brief(panel.peak), brief(limit), share_in_words(panel.peak / limit))
        }
        (_, None) => format!("On average {}{unit}, at most {}{unit}.", brief(panel.mean), brief(panel.peak)),
    }
}
