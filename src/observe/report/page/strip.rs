//! Bars that show phases over time.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{HostView, PhaseView, RunView};
use crate::observe::report::words::{duration, percent as share_in_words};

use super::plot::percent;

/// The minimum share of the time that a phase must take to be listed in the key.
const SEEN: f64 = 0.001;

/// The choice between a bar with the names of its phases and one without names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Shown,
    Hidden,
}

/// Returns the words for a phase, and the class of its colour.
pub(super) fn of_phase(name: &str) -> (&str, &'static str) {
    match name {
        "config" => ("configuration", "p-config"),
        "code" => ("code", "p-code"),
        "requirements" => ("requirements", "p-requirements"),
        "environment" => ("environment", "p-environment"),
        "hosts" => ("waiting for hosts", "p-hosts"),
        "script" => ("script", "p-script"),
        "uploads" => ("uploads", "p-uploads"),
        other => (other, "p-other"),
    }
}

/// Returns the phases of a host, each with an end, and cut off where the next one begins. A time without a phase
/// becomes a phase without a name.
pub(super) fn phases(host: &HostView, end: f64) -> Vec<PhaseView> {
    let end = host.ended.unwrap_or(end);
    let mut phases: Vec<PhaseView> = Vec::new();
    for phase in &host.phases {
        let own_end = phase.end.unwrap_or(end).max(phase.start);
        if let Some(before) = phases.last_mut() {
            before.end = before.end.map(|end| end.min(phase.start.max(before.start)));
        }
        phases.push(PhaseView { end: Some(own_end), ..phase.clone() });
    }
    if let Some(last) = phases.last().and_then(|phase| phase.end).filter(|last| end - last > 0.001) {
        phases.push(PhaseView { name: "finish".to_owned(), start: last, end: Some(end) });
    }
    phases
}

/// Returns the bar of a host's phases over the time from `start` to `end`.
pub(super) fn bar(host: &HostView, (start, end): (f64, f64), run: &RunView, names: Names) -> Html {
    let mut bar = Html::default();
    let phases = phases(host, run.span.1);
    let words: Vec<String> = phases.iter().map(in_words).collect();
    let class = if names == Names::Shown { "bar named" } else { "bar" };
    html!(bar, "<svg class=\"{}\" role=\"img\" aria-label=\"{}\">", class, words.join(", "));
    for phase in &phases {
        let (from, to) = (phase.start.clamp(start, end), phase.end.unwrap_or(end).clamp(start, end));
        let (place, width) = ((from - start) / (end - start), (to - from) / (end - start));
        if width <= 0.0 {
            continue;
        }
        let (name, class) = of_phase(&phase.name);
        if names == Names::Hidden {
            html!(bar, "<rect class={} x={} width={} height=100% />", class, percent(place), percent(width.max(0.002)));
            continue;
        }
        html!(bar, "<svg x=\"{}\" width=\"{}\" height=\"100%\">", percent(place), percent(width.max(0.002)));
        html!(bar, "<title>{}</title><rect class=\"{}\" width=\"100%\" height=\"100%\"/>", in_words(phase), class);
        if width > 0.08 {
            html!(bar, "<text x=\"8\" y=\"50%\" dy=\"4\">{}</text>", name);
        }
        html!(bar, "</svg>");
    }
    if let Some(since) = run.stood_still_since().filter(|_| names == Names::Hidden) {
        let (place, width) = ((since - start) / (end - start), (end - since) / (end - start));
        html!(bar, "<rect class=\"r-odd\" x=\"{}\" width=\"{}\" height=\"100%\"/>", percent(place), percent(width));
    }
    html!(bar, "</svg>");
    bar
}

fn in_words(phase: &PhaseView) -> String {
    let length = phase.end.map(|end| duration(end - phase.start)).unwrap_or_default();
    format!("{} {length}", of_phase(&phase.name).0)
}

/// Adds the key of the phases that are visible between `start` and `end`.
pub(super) fn add_key(page: &mut Html, hosts: &[HostView], (start, end): (f64, f64)) {
    let mut names: Vec<String> = Vec::new();
    let is_seen = |phase: &PhaseView| phase.end.unwrap_or(end) - phase.start > SEEN * (end - start);
    for phase in hosts.iter().take(64).flat_map(|host| phases(host, end)).filter(is_seen) {
        if !names.contains(&phase.name) {
            names.push(phase.name);
        }
    }
    for name in &names {
        let (words, class) = of_phase(name);
        html!(
            page,
            "<span><svg class=\"dot\"><rect class=\"{}\" width=\"10\" height=\"10\" rx=\"2.5\"/></svg>{}</span>",
            class,
            words
        );
    }
}

/// Returns a small bar that shows a share, with the share as a number.
pub(super) fn add_share(page: &mut Html, share: f64) {
    let width = percent(share.clamp(0.0, 1.0));
    html!(
        page,
        "<svg class=\"share\" aria-hidden=\"true\"><rect width=\"{}\" height=\"100%\"/></svg>{}",
        width,
        share_in_words(share)
    );
}

#[cfg(test)]
mod tests {
    use super::{HostView, Names, PhaseView, RunView, bar, phases};
    use crate::observe::report::model::HardwareView;

    fn host(list: &[(&str, f64, Option<f64>)]) -> HostView {
        let phases =
            list.iter().map(|(name, start, end)| PhaseView { name: (*name).to_owned(), start: *start, end: *end });
        HostView { phases: phases.collect(), ended: Some(10.0), ..HostView::default() }
    }

    #[test]
    fn phases_follow_each_other_until_the_end() {
        let host = host(&[
            ("config", 0.0, Some(1.0)),
            ("code", 1.0, Some(4.0)),
            ("script", 3.0, None),
            ("uploads", 8.0, Some(9.0)),
        ]);
        let shown: Vec<_> = phases(&host, 20.0).into_iter().map(|phase| (phase.name, phase.start, phase.end)).collect();
        let expected = [
            ("config", 0.0, 1.0),
            ("code", 1.0, 3.0),
            ("script", 3.0, 8.0),
            ("uploads", 8.0, 9.0),
            ("finish", 9.0, 10.0),
        ];
        assert_eq!(shown, expected.map(|(name, start, end)| (name.to_owned(), start, Some(end))));
        let run = RunView {
            hosts: vec![],
            missing: vec![],
            place: String::new(),
            span: (0.0, 20.0),
            metrics: vec![],
            hardware: HardwareView::default(),
            problems: vec![],
        };
        let text = bar(&host, (0.0, 10.0), &run, Names::Shown).into_text();
        assert!(text.contains("x=\"30%\" width=\"50%\"") && text.contains("script 5 s"), "{text}");
    }
}
