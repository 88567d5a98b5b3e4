//! The list of events with their times.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{HostView, RankView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::words::{clock, count, duration, names};

use super::strip;
use super::verdict::{ending, is_failed};

/// The maximum number of entries.
const MOST: usize = 60;

/// The minimum time of silence before an end that is listed, in seconds.
const SILENCE: f64 = 30.0;

/// The maximum number of ranks that are listed individually.
const SINGLE_RANKS: usize = 8;

/// An entry.
struct Entry {
    at: f64,
    who: String,
    text: String,
    /// True if it is a reason why the job ended.
    is_key: bool,
}

/// Adds the list.
pub(super) fn add(page: &mut Html, run: &RunView) {
    let mut entries = Vec::new();
    of_phases(run, &mut entries);
    of_hosts(run, &mut entries);
    of_ranks(run, &mut entries);
    of_stops(run, &mut entries);
    of_checkpoints(run, &mut entries);
    sort_by_number(&mut entries, |entry| entry.at);
    html!(page, "<section id=\"events\"><h2>What happened when</h2><ol class=\"panel ev\">");
    let precise = run.length() < 10.0;
    for entry in entries.iter().take(MOST) {
        let class = if entry.is_key { "key" } else { "" };
        let since = run.since_start(entry.at);
        let time = if precise { format!("{since:.2} s") } else { clock(since) };
        html!(
            page,
            "<li class=\"{}\"><time>{}</time><span class=\"w\">{}</span><span>{}</span></li>",
            class,
            time,
            entry.who,
            entry.text
        );
    }
    html!(page, "</ol>");
    if entries.len() > MOST {
        html!(page, "<p class=\"more\">{} more are in the records.</p>", entries.len() - MOST);
    }
    html!(page, "</section>\n");
}

fn entry(at: f64, who: impl Into<String>, text: impl Into<String>) -> Entry {
    Entry { at, who: who.into(), text: text.into(), is_key: false }
}

fn of_phases(run: &RunView, entries: &mut Vec<Entry>) {
    let host = &run.hosts[0];
    if let Some(started) = host.started {
        let version = if host.footplate.is_empty() { String::new() } else { format!(" {}", host.footplate) };
        entries.push(entry(started, &host.name, format!("footplate{version} started")));
    }
    for phase in strip::phases(host, run.span.1) {
        let length = phase.end.unwrap_or(phase.start) - phase.start;
        let (name, _) = strip::of_phase(&phase.name);
        match phase.name.as_str() {
            "script" => {
                let ranks = run.ranks().count();
                let of = if ranks > 1 { format!(": {}", count(ranks, "rank")) } else { String::new() };
                entries.push(entry(phase.start, &host.name, format!("the script started{of}")));
            }
            "config" | "environment" | "finish" => {}
            _ if length >= 0.05 => {
                entries.push(entry(phase.start, &host.name, format!("{name}, {}", duration(length))));
            }
            _ => {}
        }
    }
    let over =
        run.hosts.iter().filter_map(|host| Some((host.ended?, host))).max_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((ended, host)) = over {
        let code = host.exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
        entries.push(entry(
            ended,
            if run.hosts.len() > 1 { "all hosts" } else { &host.name },
            format!("the job ended{code}"),
        ));
    }
}

fn of_hosts(run: &RunView, entries: &mut Vec<Entry>) {
    let host = &run.hosts[0];
    let joined: Vec<f64> = host.contacts.iter().filter_map(|contact| contact.joined).collect();
    if let Some(last) = joined.iter().copied().reduce(f64::max) {
        entries.push(entry(last, &host.name, format!("{} joined", count(joined.len(), "other host"))));
    }
    let mut lost: Vec<(&str, f64, &str)> = Vec::new();
    for contact in run.hosts.iter().flat_map(|host| &host.contacts) {
        if let Some((at, why)) = &contact.lost
            && !lost.iter().any(|(host, ..)| *host == contact.host)
        {
            lost.push((&contact.host, *at, why));
        }
    }
    for (host, at, why) in lost.into_iter().take(SINGLE_RANKS) {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        entries.push(Entry { is_key: true, ..entry(at, host, format!("the host was lost{why}")) });
    }
}

fn of_ranks(run: &RunView, entries: &mut Vec<Entry>) {
    let who = |host: &HostView, rank: &RankView| {
        let rank = rank.rank.map_or_else(|| rank.name.clone().unwrap_or_default(), |rank| format!("rank {rank}"));
        if run.hosts.len() > 1 { format!("{}, {rank}", host.name) } else { rank }
    };
    let first = run.ranks().filter_map(|(host, rank)| Some((rank.first_line?, host, rank)));
    if let Some((at, host, rank)) = first.min_by(|one, other| one.0.total_cmp(&other.0)) {
        entries.push(entry(at, who(host, rank), "the first output"));
    }
    let processes = || {
        let services = run.hosts.iter().flat_map(|host| host.services.iter().map(move |service| (host, service)));
        run.ranks().chain(services)
    };
    let mut failed: Vec<(f64, &HostView, &RankView)> = processes()
        .filter(|(_, rank)| is_failed(rank))
        .filter_map(|(host, rank)| Some((rank.ended?, host, rank)))
        .collect();
    sort_by_number(&mut failed, |(at, ..)| *at);
    for (at, (ended, host, rank)) in failed.iter().enumerate().take(SINGLE_RANKS) {
        entries
            .push(Entry { is_key: at == 0, ..entry(*ended, who(host, rank), format!("failed: {}", ending(rank).0)) });
    }
    if let Some((last, ..)) = failed.get(SINGLE_RANKS..).and_then(<[_]>::last) {
        entries.push(entry(*last, "ranks", format!("{} failed, too", count(failed.len() - SINGLE_RANKS, "more rank"))));
    }
    let told: Vec<f64> = run.ranks().filter(|(_, rank)| rank.followed).filter_map(|(_, rank)| rank.ended).collect();
    if let Some(last) = told.iter().copied().reduce(f64::max) {
        entries.push(entry(last, "ranks", format!("{} ended as told", count(told.len(), "rank"))));
    }
    let silent = run.ranks().filter_map(|(host, rank)| Some((rank.last_line?, host, rank)));
    let is_hang = run.hang().is_some();
    if let Some((at, host, rank)) = silent.max_by(|one, other| one.0.total_cmp(&other.0))
        && (is_hang || run.span.1 - at >= SILENCE)
    {
        entries.push(Entry { is_key: is_hang, ..entry(at, who(host, rank), "the last output of all ranks") });
    }
}

fn of_stops(run: &RunView, entries: &mut Vec<Entry>) {
    let stops = run.hosts.iter().filter_map(|host| Some((host, host.stop.as_ref()?)));
    let mut shown: Vec<(String, String)> = Vec::new();
    for (host, stop) in stops {
        let text = match (stop.by.as_str(), &stop.signal, &stop.why) {
            ("signal", Some(signal), _) => format!("{signal} arrived; the processes have their grace period"),
            ("failure", ..) => "the other processes were told to end".to_owned(),
            (_, _, Some(why)) => format!("the processes were told to end: {why}"),
            _ => "the processes were told to end".to_owned(),
        };
        let killed = stop.killed.map(|at| {
            let because = stop.killed_because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
            (at, format!("what still ran was killed{because}"))
        });
        for (at, text) in stop.at.map(|at| (at, text)).into_iter().chain(killed) {
            // The hosts of a job often have equal entries, so an entry is listed for at most two hosts.
            if shown.iter().filter(|(_, known)| *known == text).count() < 2 {
                shown.push((host.name.clone(), text.clone()));
                entries.push(Entry { is_key: stop.by == "signal", ..entry(at, &host.name, text) });
            }
        }
    }
}

fn of_checkpoints(run: &RunView, entries: &mut Vec<Entry>) {
    let mut seen: Vec<String> = Vec::new();
    for host in &run.hosts {
        let last = host.checkpoints.as_ref().filter(|checkpoints| checkpoints.written > 0);
        if let Some((last, at)) =
            last.and_then(|checkpoints| checkpoints.last.as_ref()).and_then(|last| Some((last, last.time?)))
            && !seen.contains(&last.name)
        {
            seen.push(last.name.clone());
            entries.push(entry(
                at,
                &host.name,
                format!("the last checkpoint was written: {}", names(std::slice::from_ref(&last.name))),
            ));
        }
    }
}
