//! The job itself: its command, hyperparameters, machines and files.

use crate::machine::Bytes;
use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{CheckpointFile, RunView};
use crate::observe::report::words::{count, date};

use super::verdict::machines;

/// Adds the section about the job.
pub(super) fn add(page: &mut Html, run: &RunView) {
    let lead = run.lead();
    html!(page, "<section id=\"job\"><h2>The job</h2><div class=\"cols\"><div class=\"panel\"><h3>What ran</h3><dl>");
    let checkpoints = run.checkpoints();
    let file = |file: &CheckpointFile| {
        let size = file.size.map(|size| format!(", {}", Bytes(size))).unwrap_or_default();
        let time = file.time.map(|time| format!(", {}", date(time))).unwrap_or_default();
        format!("{}{size}{time}", file.name)
    };
    let uploads = &lead.uploads;
    let uploaded = (uploads.files + uploads.failed > 0).then(|| {
        let failed = if uploads.failed > 0 { format!(", {} failed", uploads.failed) } else { String::new() };
        let error = uploads.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("{}, {}{failed}{error}", count(uploads.files as usize, "file"), Bytes(uploads.bytes))
    });
    let rows = [
        ("name", lead.job.clone()),
        ("entry point", lead.command.clone()),
        ("command", lead.planned.clone()),
        ("launcher", lead.launcher.clone()),
        ("machines", Some(machines(run).join(", "))),
        ("started", lead.started.map(date)),
        ("ended", lead.ended.map(date)),
        ("exit code", lead.exit_code.map(|code| code.to_string())),
        ("attempt", (lead.attempt > 0).then(|| (lead.attempt + 1).to_string())),
        ("checkpoint found at the start", checkpoints.and_then(|checkpoints| checkpoints.found.as_ref()).map(file)),
        ("checkpoints written", checkpoints.map(|checkpoints| checkpoints.written.to_string())),
        ("last checkpoint", checkpoints.and_then(|checkpoints| checkpoints.last.as_ref()).map(file)),
        ("intermediate output", uploaded),
        ("footplate", Some(lead.footplate.clone()).filter(|version| !version.is_empty())),
        ("records", Some(run.place.clone())),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            html!(page, "<dt>{}</dt><dd>{}</dd>", name, value);
        }
    }
    html!(page, "</dl></div><div class=\"panel\"><h3>Hyperparameters</h3>");
    if lead.hyperparameters.is_empty() {
        html!(page, "<p class=\"none\">none</p>");
    } else {
        html!(page, "<dl>");
        for (name, value) in &lead.hyperparameters {
            html!(page, "<dt>{}</dt><dd class=\"mono\">{}</dd>", name, value);
        }
        html!(page, "</dl>");
    }
    html!(page, "</div></div></section>\n");
}
