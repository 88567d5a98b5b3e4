//! The three questions of the first screen: where the time went, if the hardware was used, and if the metric
//! improved.

use crate::observe::report::markup::{Html, html};
use crate::observe::report::model::{DeviceRow, MetricView, RunView};
use crate::observe::report::order::sort_by_number;
use crate::observe::report::thin::Point;
use crate::observe::report::words::{brief, count, duration, grouped, number, percent, rough, shortened};

use super::plot::spark;
use super::strip::{self, Names};

/// The rating of a number, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rating {
    Plain,
    Good,
    Low,
    Bad,
}

/// A tile: the question, a large number, a sentence and a picture.
struct Tile {
    question: &'static str,
    link: &'static str,
    large: String,
    small: String,
    tone: Rating,
    /// The first words of the sentence, which are emphasized, and the rest of it.
    words: (String, String),
    picture: Html,
}

/// Adds the tiles.
pub(super) fn add(page: &mut Html, run: &RunView) {
    html!(page, "<div class=\"tiles\">");
    for tile in [time(run), hardware(run), metric(run)] {
        let tone = match tile.tone {
            Rating::Plain => "",
            Rating::Good => "good",
            Rating::Low => "low",
            Rating::Bad => "crit",
        };
        html!(page, "<a class=\"tile\" href=\"{}\"><span class=\"q\">{}</span>", tile.link, tile.question);
        html!(page, "<span class=\"n\">{} <small>{}</small></span>", tile.large, tile.small);
        html!(
            page,
            "<span class=\"t\"><b class=\"{}\">{}</b>{}</span><span class=\"pic\">",
            tone,
            tile.words.0,
            tile.words.1
        );
        page.add(&tile.picture);
        html!(page, "</span></a>");
    }
    html!(page, "</div>");
}

fn time(run: &RunView) -> Tile {
    let host = &run.hosts[0];
    let length = run.length();
    let script = host.phase("script");
    let phases = strip::phases(host, run.span.1);
    let mut before: Vec<(String, f64)> = phases
        .iter()
        .take_while(|phase| phase.name != "script")
        .map(|phase| (strip::of_phase(&phase.name).0.to_owned(), phase.end.unwrap_or(phase.start) - phase.start))
        .collect();
    sort_by_number(&mut before, |(_, seconds)| -seconds);
    let largest: Vec<String> = before
        .iter()
        .filter(|(_, seconds)| *seconds >= 1.0_f64.max(0.003 * length))
        .take(2)
        .map(|(name, seconds)| format!("{} {name}", duration(*seconds)))
        .collect();
    let of = if largest.is_empty() { String::new() } else { format!(" ({})", largest.join(", ")) };
    let (large, small, words) = match (run.hang().and_then(|hang| hang.after), script) {
        (Some(after), _) => (
            duration(after),
            format!("of {} stood still", rough(length)),
            (
                duration((length - after).max(0.0)),
                format!(
                    " until then, of which {} before the script{of}",
                    duration(before.iter().map(|(_, time)| time).sum())
                ),
            ),
        ),
        (None, Some(script)) => {
            let inside = script.end.or(host.ended).unwrap_or(run.span.1) - script.start;
            let waited = script.start - run.span.0;
            let share = (inside / length).clamp(0.0, 1.0);
            (
                percent(share),
                "in the script".to_owned(),
                (duration(inside), format!(" script, {} before it{of}", duration(waited))),
            )
        }
        (None, None) => (duration(length), "in all".to_owned(), ("The script did not start".to_owned(), of)),
    };
    let picture = strip::bar(host, run.span, run, Names::Hidden);
    Tile { question: "Where did the time go?", link: "#time", large, small, tone: Rating::Plain, words, picture }
}

fn hardware(run: &RunView) -> Tile {
    let question = "Was the hardware used?";
    let link = "#hardware";
    let panel = |key: &str| run.hardware.panels.iter().find(|panel| panel.resource.key == key);
    let Some(panel) = panel("gpu-busy").or_else(|| panel("neuron-busy")).or_else(|| panel("cpu")) else {
        let words = if run.hosts.iter().any(|host| host.phase("script").is_none()) {
            ("Nothing was sampled".to_owned(), ": samples begin with the script.".to_owned())
        } else {
            (
                "Nothing was sampled".to_owned(),
                ": the script was too short, or FOOTPLATE_RESOURCE_INTERVAL is 0.".to_owned(),
            )
        };
        return Tile {
            question,
            link,
            large: "–".into(),
            small: String::new(),
            tone: Rating::Plain,
            words,
            picture: Html::default(),
        };
    };
    let picture = spark(panel.curves.first().map(|(_, curve)| curve.as_slice()).unwrap_or_default(), "hw", Some(0.0));
    let large = percent(panel.mean / 100.0);
    if panel.resource.key != "cpu" {
        let gpus = run.hardware.devices.len();
        let small = if gpus == 1 {
            panel.resource.title.to_owned()
        } else {
            format!("{}, mean of {}", panel.resource.title, grouped(gpus as f64))
        };
        let (tone, words) = match odd_device(&run.hardware.devices) {
            Some((odd, others)) => {
                let evidence = format!(
                    ": {} {} {} at {}, the others at {}",
                    odd.host,
                    odd.kind.name(),
                    odd.index,
                    percent(odd.mean / 100.0),
                    percent(others / 100.0)
                );
                (Rating::Bad, ("One falls behind".to_owned(), evidence))
            }
            None => match panel.mean {
                ..15.0 => (Rating::Bad, ("Mostly idle".to_owned(), memory_in_words(run))),
                ..50.0 => (Rating::Low, ("Half idle".to_owned(), memory_in_words(run))),
                ..75.0 => (Rating::Low, ("Partly used".to_owned(), memory_in_words(run))),
                _ => (Rating::Good, ("Well used".to_owned(), memory_in_words(run))),
            },
        };
        return Tile { question, link, large, small, tone, words, picture };
    }
    let cores = run.hosts.iter().find_map(|host| host.resources.as_ref()?.cores);
    let small =
        cores.map_or_else(|| "of the processors".to_owned(), |cores| format!("of {} processors", number(cores)));
    let (tone, word) = match panel.mean {
        ..15.0 => (Rating::Low, "Mostly idle"),
        ..60.0 => (Rating::Plain, "Partly used"),
        _ => (Rating::Good, "Well used"),
    };
    Tile { question, link, large, small, tone, words: (word.to_owned(), memory_in_words(run)), picture }
}

/// Returns words about the peak of the memory, to be appended to other words.
fn memory_in_words(run: &RunView) -> String {
    const GIB: f64 = (1u64 << 30) as f64;
    let resources = run.hosts.iter().filter_map(|host| host.resources.as_ref());
    let fullest = resources.filter_map(|resources| Some((resources.memory_peak?, resources.memory_limit)));
    match fullest.reduce(|one, other| if other.0 > one.0 { other } else { one }) {
        Some((peak, Some(limit))) => {
            format!(
                ". Memory: at most {} of {} GiB ({}).",
                brief(peak / GIB),
                brief(limit / GIB),
                percent(peak / limit)
            )
        }
        Some((peak, None)) => format!(". Memory: at most {} GiB.", brief(peak / GIB)),
        None => ".".to_owned(),
    }
}

/// Returns the GPU that is far less busy than the others, with their median.
pub(super) fn odd_device(gpus: &[DeviceRow]) -> Option<(&DeviceRow, f64)> {
    let mut means: Vec<f64> = gpus.iter().map(|gpu| gpu.mean).collect();
    sort_by_number(&mut means, |mean| *mean);
    let median = *means.get(means.len() / 2)?;
    let least = gpus.iter().min_by(|one, other| one.mean.total_cmp(&other.mean))?;
    (gpus.len() > 1 && median > 20.0 && least.mean < 0.75 * median).then_some((least, median))
}

/// The direction in which a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BetterDirection {
    Lower,
    Higher,
}

/// Returns the direction in which a metric gets better, if its name shows that.
pub(super) fn better(name: &str) -> Option<BetterDirection> {
    const LOWER: [&str; 15] = [
        "loss",
        "error",
        "err",
        "mae",
        "mse",
        "rmse",
        "logloss",
        "perplexity",
        "ppl",
        "wer",
        "cer",
        "nll",
        "cost",
        "bpb",
        "entropy",
    ];
    const HIGHER: [&str; 20] = [
        "acc",
        "accuracy",
        "f1",
        "auc",
        "precision",
        "recall",
        "map",
        "ap",
        "ndcg",
        "bleu",
        "rouge",
        "rougel",
        "reward",
        "score",
        "throughput",
        "dice",
        "iou",
        "miou",
        "r2",
        "top1",
    ];
    let name = name.to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric()).rev();
    words.find_map(|word| {
        let is = |list: &[&str]| list.contains(&word);
        if is(&LOWER) {
            Some(BetterDirection::Lower)
        } else if is(&HIGHER) {
            Some(BetterDirection::Higher)
        } else {
            None
        }
    })
}

/// Returns the metric that is most informative: the tuning objective, else a validation metric, else the first one
/// with a known direction.
pub(super) fn main_metric(run: &RunView) -> Option<&MetricView> {
    const HELD_OUT: [&str; 5] = ["val", "valid", "validation", "eval", "test"];
    let with_values = || run.metrics.iter().filter(|metric| metric.facts.count > 0);
    let is_held_out = |metric: &&MetricView| {
        let name = metric.name.to_lowercase();
        name.split(|letter: char| !letter.is_alphanumeric()).any(|word| HELD_OUT.contains(&word))
    };
    let has_direction = |metric: &&MetricView| better(&metric.name).is_some();
    let objective = run.objective().and_then(|objective| with_values().find(|metric| metric.name == objective.name));
    objective
        .or_else(|| with_values().find(|metric| is_held_out(metric) && has_direction(metric)))
        .or_else(|| with_values().find(has_direction))
        .or_else(|| with_values().next())
}

fn metric(run: &RunView) -> Tile {
    let question = "Did the metric improve?";
    let link = "#metrics";
    let none = |tone: Rating, word: &str, rest: String| Tile {
        question,
        link,
        large: "–".into(),
        small: String::new(),
        tone,
        words: (word.to_owned(), rest),
        picture: Html::default(),
    };
    if let Some(objective) = run.objective().filter(|objective| objective.seen == 0) {
        let nearest = objective.nearest.as_ref().map(|name| format!(" Did you mean {name}?")).unwrap_or_default();
        return none(Rating::Bad, "The tuning objective has no value", format!(": {}.{nearest}", objective.name));
    }
    let Some(metric) = main_metric(run) else {
        return match run.metrics.len() {
            0 => none(
                Rating::Plain,
                "No metric is defined",
                ": give the job metric definitions, or FOOTPLATE_METRICS.".into(),
            ),
            defined => none(Rating::Low, "No value was found", format!(" for {}.", count(defined, "metric"))),
        };
    };
    let curve: &[Point] = metric.curves.first().map(|(_, curve)| curve.as_slice()).unwrap_or_default();
    let (tone, word, rest) = course(metric, curve);
    Tile {
        question,
        link,
        large: metric.facts.last.map_or_else(|| "NaN".to_owned(), number),
        small: shortened(&metric.name, 40),
        tone,
        words: (word, rest),
        picture: spark(curve, "metric", None),
    }
}

/// Returns a description of how a metric changed.
fn course(metric: &MetricView, curve: &[Point]) -> (Rating, String, String) {
    let facts = &metric.facts;
    let (Some(first), Some(last), Some(least), Some(greatest)) = (facts.first, facts.last, facts.min, facts.max) else {
        return (Rating::Bad, "No value is finite".to_owned(), format!(", of {}.", grouped(facts.count as f64)));
    };
    let not_finite = match facts.not_finite {
        0 => String::new(),
        some => format!(" {} of {} values are NaN or infinite.", grouped(some as f64), grouped(facts.count as f64)),
    };
    let from = format!("from {} to {}", number(first), number(last));
    let Some(better) = better(&metric.name) else {
        return (
            Rating::Plain,
            upper(&from),
            format!(", lowest {}, highest {}.{not_finite}", number(least), number(greatest)),
        );
    };
    let (best, gain) = match better {
        BetterDirection::Lower => (least, first - last),
        BetterDirection::Higher => (greatest, last - first),
    };
    let at = curve.iter().find(|point| point.1 == best).filter(|_| metric.by_step);
    let at = at.map(|point| format!(" at step {}", grouped(point.0))).unwrap_or_default();
    let range = greatest - least;
    let tail = if (last - best).abs() <= 0.02 * range.abs() {
        if last == best { "the best".to_owned() } else { format!("best {}", number(best)) }
    } else {
        format!("best {}{at}", number(best))
    };
    let (tone, word) = match facts.count {
        1 => return (Rating::Plain, "One value only".to_owned(), format!(": {}.{not_finite}", number(last))),
        _ if range == 0.0 => (Rating::Bad, "No"),
        _ if gain > 0.02 * range && (last - best).abs() > 0.2 * range => (Rating::Low, "Yes, but it got worse again"),
        _ if gain > 0.02 * range => (Rating::Good, "Yes"),
        _ => (Rating::Bad, "No"),
    };
    (tone, word.to_owned(), format!(": {from}, {tail}.{not_finite}"))
}

fn upper(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{BetterDirection, DeviceRow, MetricView, Rating, better, course, odd_device};
    use crate::observe::report::model::MetricFacts;
    use crate::observe::report::resource::DeviceKind;

    #[test]
    fn the_name_of_a_metric_tells_which_direction_is_better() {
        for (name, expected) in [
            ("train:loss", Some(BetterDirection::Lower)),
            ("validation-accuracy", Some(BetterDirection::Higher)),
            ("val_RMSE", Some(BetterDirection::Lower)),
            ("learning_rate", None),
            ("mapping", None),
        ] {
            assert_eq!(better(name), expected, "{name}");
        }
    }

    #[test]
    fn the_course_of_a_metric_is_said_in_words() {
        for (name, values, expected) in [
            ("acc", &[0.5, 0.7, 0.9][..], (Rating::Good, "Yes", ": from 0.5 to 0.9, the best.")),
            (
                "loss",
                &[3.0, 1.0, 2.5],
                (Rating::Low, "Yes, but it got worse again", ": from 3 to 2.5, best 1 at step 1."),
            ),
            ("loss", &[1.0, 2.0], (Rating::Bad, "No", ": from 1 to 2, best 1 at step 0.")),
            ("loss", &[1.0, 1.0], (Rating::Bad, "No", ": from 1 to 1, the best.")),
            ("lr", &[1.0, 0.5], (Rating::Plain, "From 1 to 0.5", ", lowest 0.5, highest 1.")),
            ("lr", &[], (Rating::Bad, "No value is finite", ", of 0.")),
        ] {
            let curve: Vec<_> = (0..).map(f64::from).zip(values.iter().copied()).collect();
            let facts = MetricFacts {
                count: values.len() as u64,
                first: values.first().copied(),
                last: values.last().copied(),
                min: values.iter().copied().reduce(f64::min),
                max: values.iter().copied().reduce(f64::max),
                ..MetricFacts::default()
            };
            let metric = MetricView { name: name.into(), by_step: true, curves: vec![], left_out: 0, facts };
            let (tone, word, rest) = course(&metric, &curve);
            assert_eq!((tone, word.as_str(), rest.as_str()), expected, "{name} {values:?}");
        }
    }

    #[test]
    fn a_gpu_that_falls_behind_is_found() {
        let gpus = |means: &[f64]| -> Vec<DeviceRow> {
            let row = |(mean, index): (&f64, u64)| DeviceRow {
                kind: DeviceKind::Gpu,
                host: "a".into(),
                index,
                busy: vec![],
                mean: *mean,
                memory: None,
            };
            means.iter().zip(0..).map(row).collect()
        };
        assert_eq!(
            odd_device(&gpus(&[80.0, 82.0, 30.0, 81.0])).map(|(gpu, median)| (gpu.index, median)),
            Some((2, 81.0))
        );
        for means in [&[][..], &[5.0], &[80.0, 75.0], &[10.0, 0.0]] {
            assert!(odd_device(&gpus(means)).is_none(), "{means:?}");
        }
    }
}
