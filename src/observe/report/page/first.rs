//! The first screen: the job, the verdict with the failure and the remedy, and the three questions.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::RunView;
use crate::observe::report::words::{date, names};

use super::tiles;
use super::verdict::{PageStatus, machines, verdict};

/// Adds the first screen.
pub(super) fn add(page: &mut Html, run: &RunView, now: f64) {
    let verdict = verdict(run, now);
    let (class, _) = appearance(verdict.status);
    let mut facts = machines(run);
    facts.push(date(run.span.0));
    html!(page, "<header class=\"{}\"><div class=\"in\"><p class=\"job\"><b>{}</b>", class, title(run));
    for fact in &facts {
        html!(page, "<span>{}</span>", fact);
    }
    html!(page, "</p>");
    add_theme_button(page);
    html!(page, "<div class=\"verdict\">");
    add_sign(page, verdict.status);
    html!(page, "<div><h1><span>{}</span>{}</h1>", verdict.word, verdict.rest);
    if !verdict.sentence.is_empty() {
        html!(page, "<p>{}</p>", verdict.sentence);
    }
    html!(page, "</div></div>");
    add_failure(page, run);
    html!(page, "</div></header>\n<main id=\"main\">");
    add_gaps(page, run);
    tiles::add(page, run);
}

/// Returns the name of a job.
pub(super) fn title(run: &RunView) -> String {
    let lead = run.lead();
    lead.job.clone().or_else(|| lead.command.clone()).unwrap_or_else(|| run.place.clone())
}

/// Returns the class of a status, and the SVG path of its symbol.
fn appearance(status: PageStatus) -> (&'static str, &'static str) {
    match status {
        PageStatus::Completed => ("ok", "m7.6 12.4 3 3 6-6.4"),
        PageStatus::Failed => ("bad", "m8.5 8.5 7 7m0-7-7 7"),
        PageStatus::Stopped => ("warn", "M9 9h6v6H9z"),
        PageStatus::Running => ("run", "M12 7v5.2l3.4 2"),
        PageStatus::Vanished => ("bad", "M12 7v6m0 3.4v.1"),
    }
}

/// Adds the symbol of a status. The words beside it have the same meaning.
pub(super) fn add_sign(page: &mut Html, status: PageStatus) {
    html!(
        page,
        "<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"{}\"/></svg>",
        appearance(status).1
    );
}

/// Adds the button that switches between light and dark, which needs the script.
pub(super) fn add_theme_button(page: &mut Html) {
    html!(
        page,
        "<button type=\"button\" class=\"theme js\" aria-label=\"Switch between light and dark\">◐ theme</button>"
    );
}

/// Adds the text of the failure and the remedies, with a way to copy them.
pub(super) fn add_failure(page: &mut Html, run: &RunView) {
    let Some(failure) = &run.lead().failure else { return };
    html!(page, "<section class=\"why\" aria-label=\"The failure\"><div class=\"copied\"><pre>{}</pre>", failure.text);
    if let [hint, rest @ ..] = &failure.hints[..] {
        html!(page, "<p><b>What to do:</b> {}</p>", hint);
        for hint in rest {
            html!(page, "<p><b>Or:</b> {}</p>", hint);
        }
    }
    html!(page, "</div><button type=\"button\" class=\"copy js\">Copy</button></section>");
}

/// Adds a list of the gaps in the page: hosts without a record, and files that cannot be read.
fn add_gaps(page: &mut Html, run: &RunView) {
    if run.missing.is_empty() && run.problems.is_empty() {
        return;
    }
    html!(page, "<div class=\"gaps\">");
    if !run.missing.is_empty() {
        html!(
            page,
            "<p>This page shows {} only. The records of {} are not here: the job’s output has those of all hosts, and <code>footplate \
             report</code> shows them together.</p>",
            names(&run.hosts.iter().map(|host| host.name.clone()).collect::<Vec<_>>()),
            names(&run.missing)
        );
    }
    for problem in &run.problems {
        html!(page, "<p>Not read: {}</p>", problem);
    }
    html!(page, "</div>");
}
