//! The advice from all hosts, with each item once.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{AdviceView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::words::names;

/// The kinds of advice about conditions that can end a job.
const GRAVE: [&str; 6] = ["memory", "memory-growth", "shm", "disk", "metric-not-finite", "not-finite"];

/// Adds the advice, if there is any.
pub(super) fn add(page: &mut Html, run: &RunView) {
    // Each kind is shown once, with the hosts that gave it.
    let mut items: Vec<(&AdviceView, Vec<String>)> = Vec::new();
    for host in &run.hosts {
        for advice in &host.advice {
            match items.iter_mut().find(|(known, _)| known.kind == advice.kind && known.remedy == advice.remedy) {
                Some((_, hosts)) => hosts.push(host.name.clone()),
                None => items.push((advice, vec![host.name.clone()])),
            }
        }
    }
    if items.is_empty() {
        return;
    }
    sort_by_number(&mut items, |(advice, _)| f64::from(!GRAVE.contains(&advice.kind.as_str())));
    html!(page, "<section id=\"advice\"><h2>What to change next time</h2><ul class=\"adv\">");
    for (advice, hosts) in &items {
        let class = if GRAVE.contains(&advice.kind.as_str()) { "grave" } else { "" };
        let place = if run.hosts.len() > 1 { format!(" ({})", names(hosts)) } else { String::new() };
        html!(page, "<li class=\"{}\"><b>{}{}</b>", class, sentence(&advice.text), place);
        if let Some(evidence) = &advice.evidence {
            // Evidence about a metric begins with its name.
            let evidence = if advice.kind.starts_with("metric-") { evidence.clone() } else { sentence(evidence) };
            html!(page, "<p>{}</p>", evidence);
        }
        if !advice.remedy.is_empty() {
            html!(page, "<p class=\"do\">{}</p>", sentence(&advice.remedy));
        }
        html!(page, "</li>");
    }
    html!(page, "</ul></section>\n");
}

/// Returns a text with a capital first letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}
