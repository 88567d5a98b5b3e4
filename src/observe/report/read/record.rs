//! The record of a host, `run.json`, of any version.

use super::node::{Cleaner, Node};
use crate::observe::report::model::{
    AdviceView, CheckpointFile, CheckpointsView, ContactView, FailureView, HangView, HostView, MetricFacts,
    ObjectiveView, PhaseView, RankView, ResourceFacts, RunStatus, StackGroup, StopView, UploadsView,
};
use crate::observe::report::order::sort_by_number;

/// The maximum number of items of a list, such as the ranks of a host.
const MOST: usize = 20_000;

/// The maximum number of items of a list that people read completely.
const FEW: usize = 200;

/// Returns the content of a record. `folder` is the name of the record's folder, which is also the name of the host.
pub(super) fn host(record: &Node<'_>, folder: &str, cleaner: &Cleaner) -> HostView {
    let line =
        |node: &Node<'_>, key: &str| node.plain(key).map(|text| cleaner.line(text)).filter(|text| !text.is_empty());
    let job = record.get("job");
    let plan = record.get("plan");
    HostView {
        name: line(record, "host").unwrap_or_else(|| cleaner.line(folder)),
        peers: record.get("hosts").items().take(MOST).filter_map(|host| Some(cleaner.line(host.as_plain()?))).collect(),
        status: status(record.plain("status")),
        footplate: line(record, "footplate").unwrap_or_default(),
        instance_type: line(record, "instance_type").unwrap_or_default(),
        started: record.time("started"),
        ended: record.time("ended"),
        written: None,
        exit_code: record.integer("exit_code"),
        attempt: record.count("attempt").unwrap_or_default(),
        job: line(&job, "name"),
        command: line(&job, "command"),
        hyperparameters: hyperparameters(&job.get("hyperparameters"), cleaner),
        launcher: line(&plan, "launcher"),
        planned: plan.get("processes").items().next().and_then(|process| line(&process, "command")),
        phases: record.get("phases").items().take(FEW).filter_map(|phase| self::phase(&phase, cleaner)).collect(),
        ranks: ranks(&record.get("ranks"), cleaner),
        services: ranks(&record.get("services"), cleaner),
        contacts: record.get("peers").items().take(MOST).filter_map(|peer| contact(&peer, cleaner)).collect(),
        stop: record.get("stop").object().map(|stop| StopView {
            by: line(&stop, "by").unwrap_or_default(),
            signal: line(&stop, "signal"),
            why: line(&stop, "why"),
            at: stop.time("at"),
            killed: stop.time("killed"),
            killed_because: line(&stop, "killed_because"),
        }),
        metrics: record
            .get("metrics")
            .entries()
            .take(FEW)
            .map(|(name, metric)| (cleaner.line(name), metric_facts(&metric, cleaner)))
            .collect(),
        objective: record.get("tuning").object().and_then(|tuning| {
            let name = line(&tuning, "objective")?;
            Some(ObjectiveView { name, seen: tuning.count("seen").unwrap_or(0), nearest: line(&tuning, "nearest") })
        }),
        resources: record.get("resources").object().map(|resources| ResourceFacts {
            cores: resources.number("cores").filter(|cores| *cores > 0.0),
            memory_peak: resources.number("memory_peak"),
            memory_limit: resources.number("memory_limit").filter(|limit| *limit > 0.0),
            kills: resources.count("kills").unwrap_or_default(),
        }),
        advice: record.get("advice").items().take(FEW).filter_map(|advice| self::advice(&advice, cleaner)).collect(),
        failure: record.get("failure").object().map(|failure| self::failure(&failure, cleaner)),
        hang: record.get("hang").object().map(|hang| self::hang(&hang, cleaner)),
        checkpoints: record.get("checkpoints").object().map(|checkpoints| CheckpointsView {
            found: checkpoint(&checkpoints.get("found"), cleaner),
            last: checkpoint(&checkpoints.get("last"), cleaner),
            written: checkpoints.count("written").unwrap_or_default(),
        }),
        uploads: {
            let uploads = record.get("uploads");
            UploadsView {
                files: uploads.count("files").unwrap_or_default(),
                bytes: uploads.count("bytes").unwrap_or_default(),
                failed: uploads.count("failed").unwrap_or_default(),
                last_error: line(&uploads, "last_error"),
            }
        },
    }
}

fn status(text: Option<&str>) -> RunStatus {
    match text {
        Some("completed") => RunStatus::Completed,
        Some("failed") => RunStatus::Failed,
        Some("stopped") => RunStatus::Stopped,
        Some("running") => RunStatus::Running,
        _ => RunStatus::Unknown,
    }
}

fn hyperparameters(node: &Node<'_>, cleaner: &Cleaner) -> Vec<(String, String)> {
    if let Some(text) = node.as_plain() {
        return vec![("all".to_owned(), cleaner.line(text))];
    }
    let pairs = node.entries().take(FEW);
    pairs.map(|(name, value)| (cleaner.line(name), cleaner.value(name, &value.as_text()))).collect()
}

fn phase(node: &Node<'_>, cleaner: &Cleaner) -> Option<PhaseView> {
    let start = node.time("start")?;
    let end = node.time("end").filter(|end| *end >= start);
    Some(PhaseView { name: cleaner.line(node.plain("name")?), start, end })
}

fn ranks(list: &Node<'_>, cleaner: &Cleaner) -> Vec<RankView> {
    let mut ranks: Vec<RankView> = list
        .items()
        .filter_map(Node::object)
        .take(MOST)
        .map(|rank| RankView {
            name: rank.plain("name").map(|name| cleaner.line(name)),
            rank: rank.count("rank"),
            gpu: rank.count("gpu"),
            pid: rank.count("pid"),
            started: rank.time("started"),
            ended: rank.time("ended"),
            exit_code: rank.integer("exit_code"),
            signal: rank.integer("signal"),
            followed: rank.flag("followed"),
            lines: rank.count("lines").unwrap_or_default(),
            first_line: rank.time("first_line"),
            last_line: rank.time("last_line"),
        })
        .collect();
    sort_by_number(&mut ranks, |rank| rank.rank.map_or(-1.0, |rank| rank as f64));
    ranks
}

fn contact(node: &Node<'_>, cleaner: &Cleaner) -> Option<ContactView> {
    let why = node.plain("why").map(|why| cleaner.line(why)).unwrap_or_default();
    Some(ContactView {
        host: cleaner.line(node.plain("host")?),
        joined: node.time("joined"),
        lost: node.time("lost").map(|at| (at, why)),
    })
}

fn metric_facts(node: &Node<'_>, cleaner: &Cleaner) -> MetricFacts {
    MetricFacts {
        count: node.count("count").unwrap_or_default(),
        dropped: node.count("dropped").unwrap_or_default(),
        first: node.number("first"),
        last: node.number("last"),
        min: node.number("min"),
        max: node.number("max"),
        not_finite: node.count("not_finite").unwrap_or_default(),
        problem: node.plain("problem").map(|problem| cleaner.line(problem)),
    }
}

fn advice(node: &Node<'_>, cleaner: &Cleaner) -> Option<AdviceView> {
    Some(AdviceView {
        kind: cleaner.line(node.plain("kind").unwrap_or_default()),
        text: cleaner.line(node.plain("text")?),
        evidence: node.plain("evidence").map(|evidence| cleaner.line(evidence)).filter(|text| !text.is_empty()),
        remedy: cleaner.line(node.plain("remedy").unwrap_or_default()),
    })
}

fn failure(node: &Node<'_>, cleaner: &Cleaner) -> FailureView {
    const HINT: &str = "hint: ";
    let text = cleaner.text(node.plain("text").unwrap_or_default());
    let cause = node.get("cause");
    let of_cause: Vec<String> =
        cause.get("hints").items().take(FEW).filter_map(|hint| Some(cleaner.line(hint.as_plain()?))).collect();
    let of_text = text.lines().filter_map(|line| line.strip_prefix(HINT)).map(str::to_owned);
    let hints = if of_cause.is_empty() { of_text.collect() } else { of_cause };
    let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with(HINT)).collect();
    let first_line = node.plain("first_line").or_else(|| text.lines().next()).unwrap_or_default();
    let place = cause.get("place");
    let in_function = place.plain("function").map(|function| format!(" in {function}")).unwrap_or_default();
    let place = place.plain("path").zip(place.count("line"));
    let evidence = node.get("evidence");
    FailureView {
        first_line: cleaner.line(first_line),
        text: shown.join("\n"),
        hints,
        rank: node.count("rank"),
        host: node.plain("host").map(|host| cleaner.line(host)),
        place: place.map(|(path, line)| cleaner.line(&format!("{path}:{line}{in_function}"))),
        is_before_script: cause.get("stage").as_plain().is_some(),
        evidence: ["stdout", "stderr"].map(|stream| cleaner.text(evidence.plain(stream).unwrap_or_default())),
    }
}

fn hang(node: &Node<'_>, cleaner: &Cleaner) -> HangView {
    let numbers = |list: Node<'_>| list.items().take(MOST).filter_map(|rank| rank.as_count()).collect::<Vec<_>>();
    // A stack is a text, or a list of its frames.
    let stack = |stack: Node<'_>| match stack.as_plain() {
        Some(text) => cleaner.text(text),
        None => cleaner.text(&stack.items().take(FEW).map(|frame| frame.as_text()).collect::<Vec<_>>().join("\n")),
    };
    let groups = node.get("groups").items().take(FEW);
    HangView {
        method: cleaner.line(node.plain("method").unwrap_or_default()),
        after: node.number("after").filter(|after| *after >= 0.0),
        odd_ranks: numbers(node.get("odd_ranks")),
        groups: groups
            .map(|group| StackGroup { ranks: numbers(group.get("ranks")), stack: stack(group.get("stack")) })
            .collect(),
    }
}

fn checkpoint(node: &Node<'_>, cleaner: &Cleaner) -> Option<CheckpointFile> {
    let name = cleaner.line(node.plain("name")?);
    Some(CheckpointFile { name, time: node.time("time"), size: node.count("size") })
}
