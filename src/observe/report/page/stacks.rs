//! The evidence: the stacks of a job that hung, and the last lines of a process that failed.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{RunView, StackGroup};
use crate::observe::report::words::{count, duration, ranges};

/// Adds the stacks and the last lines, if there are any.
pub(super) fn add(page: &mut Html, run: &RunView) {
    add_stacks(page, run);
    add_last_lines(page, run);
}

fn add_stacks(page: &mut Html, run: &RunView) {
    let Some(hang) = run.hang() else { return };
    let after = hang.after.map(|after| format!(" after {} without progress", duration(after))).unwrap_or_default();
    let method = if hang.method.is_empty() { String::new() } else { format!(" by {}", hang.method) };
    html!(
        page,
        "<section id=\"stacks\"><h2>Why it stood still</h2><p>The stacks of all ranks, taken{}{}, in {}.",
        method,
        after,
        count(hang.groups.len(), "group")
    );
    let is_odd = |group: &&StackGroup| group.ranks.iter().any(|rank| hang.odd_ranks.contains(rank));
    if hang.odd_ranks.is_empty() {
        html!(page, " None differs from the others.</p>");
    } else {
        html!(page, " The one that differs is the cause.</p>");
    }
    html!(page, "<div class=\"stacks\">");
    let (odd, alike): (Vec<&StackGroup>, Vec<&StackGroup>) = hang.groups.iter().partition(is_odd);
    for (groups, class, chip) in [(odd, "stk odd", "differs"), (alike, "stk", "waits")] {
        for group in groups {
            let plural = if group.ranks.len() == 1 { "rank" } else { "ranks" };
            html!(
                page,
                "<div class=\"{}\"><h3><span class=\"chip\">{}</span>{} {}",
                class,
                chip,
                plural,
                ranges(&group.ranks)
            );
            let place = run.ranks().find(|(_, rank)| group.ranks.len() == 1 && rank.rank == Some(group.ranks[0]));
            if let Some((host, rank)) = place {
                html!(page, " · {}", host.name);
                if let Some(gpu) = rank.gpu {
                    html!(page, " · GPU {}", gpu);
                }
                if let Some(pid) = rank.pid {
                    html!(page, " · pid {}", pid);
                }
            }
            html!(page, "</h3><pre tabindex=\"0\">{}</pre></div>", group.stack);
        }
    }
    html!(page, "</div></section>\n");
}

fn add_last_lines(page: &mut Html, run: &RunView) {
    let Some(failure) = &run.lead().failure else { return };
    let [stdout, stderr] = &failure.evidence;
    if stdout.trim().is_empty() && stderr.trim().is_empty() {
        return;
    }
    let writer = failure.rank.map_or_else(|| "the process that failed".to_owned(), |rank| format!("rank {rank}"));
    html!(page, "<section id=\"last\"><h2>Its last lines</h2><p>The end of the output of {}.</p>", writer);
    for (name, text) in [("standard error", stderr), ("standard output", stdout)] {
        if text.trim().is_empty() {
            continue;
        }
        html!(page, "<details class=\"panel lines\" open><summary>{}</summary>", name);
        html!(page, "<div class=\"end\" tabindex=\"0\"><pre>{}</pre></div></details>", text.trim_end());
    }
    html!(page, "</section>\n");
}
