//! Rules about the lines of a job, in the schema of HyperPod's log monitoring.
//!
//! A rule expects a line within some time after the start, and then repeatedly. If the line does not come, the job
//! hangs. If a value in the line is beyond a threshold several times in a row, the job is slow. The rules are pure:
//! lines and the time are passed in.

use std::time::{Duration, Instant};

use regex::Regex;
use serde::Deserialize;

/// The maximum number of rules, and the maximum number of bytes of a line that are searched.
const MAX_RULES: usize = 64;
const MAX_LINE: usize = 16 << 10;

/// A rule as the file contains it, with names in either style.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenRule {
    name: String,
    #[serde(alias = "logPattern")]
    log_pattern: String,
    #[serde(alias = "expectedStartCutOffInSeconds")]
    expected_start_cut_off_in_seconds: Option<f64>,
    #[serde(alias = "expectedRecurringFrequencyInSeconds")]
    expected_recurring_frequency_in_seconds: Option<f64>,
    #[serde(alias = "metricThreshold")]
    metric_threshold: Option<f64>,
    operator: Option<Comparison>,
    #[serde(alias = "metricEvaluationDataPoints")]
    metric_evaluation_data_points: Option<u32>,
    #[serde(alias = "stopPattern")]
    stop_pattern: Option<String>,
}

/// The list of rules, which may be the whole document or the value of a key.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenRules {
    List(Vec<serde_json::Value>),
    #[serde(rename_all = "camelCase")]
    Named {
        #[serde(alias = "log_monitoring_configuration", alias = "rules")]
        log_monitoring_configuration: Vec<serde_json::Value>,
    },
}

/// A comparison of a value with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Comparison {
    Gt,
    Lt,
    Eq,
    Gteq,
    Lteq,
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::Gt => value > threshold,
            Comparison::Lt => value < threshold,
            Comparison::Eq => value == threshold,
            Comparison::Gteq => value >= threshold,
            Comparison::Lteq => value <= threshold,
        }
    }
}

/// A rule, and its state.
#[derive(Debug)]
pub(super) struct LogRule {
    name: String,
    pattern: Regex,
    stop: Option<Regex>,
    first_within: Option<Duration>,
    again_within: Option<Duration>,
    /// The threshold, and the number of successive values that must be beyond it.
    threshold: Option<(Comparison, f64, u32)>,
    last: Option<Instant>,
    /// The number of successive values so far that are beyond the threshold.
    beyond: u32,
    is_over: bool,
}

/// Reads rules. A rule that cannot be used is left out, and a warning is added.
///
/// # Errors
/// The text is not a list of rules.
pub(super) fn read(text: &str, warnings: &mut Vec<String>) -> Result<Vec<LogRule>, String> {
    let given: GivenRules = serde_json::from_str(text)
        .map_err(|error| format!("it is not a list of rules such as [{{\"name\": …, \"logPattern\": …}}] ({error})"))?;
    let (GivenRules::List(list) | GivenRules::Named { log_monitoring_configuration: list }) = given;
    let mut rules = Vec::new();
    for (number, rule) in list.into_iter().take(MAX_RULES).enumerate() {
        let name = rule
            .get("name")
            .and_then(serde_json::Value::as_str)
            .map_or_else(|| (number + 1).to_string(), str::to_owned);
        let made = serde_json::from_value::<GivenRule>(rule).map_err(|error| error.to_string()).and_then(LogRule::new);
        match made {
            Ok(rule) => rules.push(rule),
            Err(why) => warnings.push(format!("log rule {name} is not used: {why}")),
        }
    }
    Ok(rules)
}

impl LogRule {
    fn new(given: GivenRule) -> Result<LogRule, String> {
        let compile = |pattern: &str| {
            Regex::new(pattern).map_err(|error| format!("its pattern {pattern:?} cannot be read: {error}"))
        };
        let pattern = compile(&given.log_pattern)?;
        if pattern.captures_len() > 2 {
            return Err("its pattern has more than one group".to_owned());
        }
        let time = |seconds: Option<f64>| -> Result<Option<Duration>, String> {
            let Some(seconds) = seconds else { return Ok(None) };
            let time = Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} s is not a valid time"))?;
            Ok(Some(time.min(Duration::from_secs(1_000_000_000))))
        };
        let threshold = match (given.metric_threshold, given.operator) {
            (None, _) => None,
            (Some(_), None) => return Err("it has a threshold and no operator (gt, lt, eq, gteq, lteq)".to_owned()),
            (Some(_), Some(_)) if pattern.captures_len() < 2 => {
                return Err("it has a threshold, and its pattern has no group".to_owned());
            }
            (Some(threshold), Some(operator)) => {
                Some((operator, threshold, given.metric_evaluation_data_points.unwrap_or(1).max(1)))
            }
        };
        Ok(LogRule {
            stop: given.stop_pattern.as_deref().map(compile).transpose()?,
            name: given.name,
            pattern,
            first_within: time(given.expected_start_cut_off_in_seconds)?,
            again_within: time(given.expected_recurring_frequency_in_seconds)?,
            threshold,
            last: None,
            beyond: 0,
            is_over: false,
        })
    }

    /// Returns the name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Matches a line against the rule. Returns a warning if the line shows that the job is slow.
    pub(super) fn line(&mut self, line: &str, at: Instant) -> Option<String> {
        if self.is_over {
            return None;
        }
        let line = &line[..line.floor_char_boundary(MAX_LINE)];
        if self.stop.as_ref().is_some_and(|stop| stop.is_match(line)) {
            self.is_over = true;
            return None;
        }
        let found = self.pattern.captures(line)?;
        self.last = self.last.max(Some(at));
        let (operator, threshold, count) = self.threshold?;
        let value: f64 = found.get(1)?.as_str().trim().parse().ok()?;
        let is_beyond = operator.holds(value, threshold);
        let before = self.beyond;
        self.beyond = if is_beyond { self.beyond.saturating_add(1) } else { 0 };
        (before < count && self.beyond == count).then(|| {
            let times = if count == 1 { String::new() } else { format!(", {count} times in a row") };
            format!(
                "the job is slow by rule {}: the value {value} is beyond the threshold {threshold}{times}",
                self.name
            )
        })
    }

    /// Records the time of a matching line on another host.
    pub(super) fn seen(&mut self, at: Instant) {
        self.last = self.last.max(Some(at));
    }

    /// Returns the time of the last matching line.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Returns the time since which a line is expected, and the time within which it must come. `None` if no line is
    /// expected.
    pub(super) fn expectation(&self, begun: Instant) -> Option<(Instant, Duration)> {
        let expected = match self.last {
            None => (begun, self.first_within?),
            Some(last) => (last, self.again_within?),
        };
        (!self.is_over).then_some(expected)
    }

    /// Returns the shortest time within which a line is expected.
    pub(super) fn least(&self) -> Option<Duration> {
        self.first_within.into_iter().chain(self.again_within).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LogRule, read};

    fn rules(text: &str) -> Vec<LogRule> {
        let mut warnings = Vec::new();
        let rules = read(text, &mut warnings).expect("rules");
        assert_eq!(warnings, [] as [&str; 0]);
        rules
    }

    #[test]
    fn a_line_is_expected_at_the_start_and_then_again_and_again() {
        let text = r#"{"logMonitoringConfiguration": [{"name": "loss", "logPattern": ".*loss: (\\d+\\.\\d+).*",
            "expectedStartCutOffInSeconds": 100, "expectedRecurringFrequencyInSeconds": 10, "stopPattern": "done"}]}"#;
        let mut rules = rules(text);
        let rule = &mut rules[0];
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let due = |rule: &LogRule| rule.expectation(begun).map(|(since, within)| (since + within - begun).as_secs());
        assert_eq!(due(rule), Some(100));
        assert_eq!(rule.line("step 1 loss: 0.5", at(100)), None);
        assert_eq!(due(rule), Some(110));
        // NaN is not a number, so the line does not match.
        rule.line("step 2 loss: nan", at(109));
        assert_eq!(due(rule), Some(110));
        // A line on another host counts too.
        rule.seen(at(108));
        assert_eq!(due(rule), Some(118));
        rule.line("done", at(111));
        assert_eq!(due(rule), None);
    }

    #[test]
    fn a_job_is_slow_after_enough_values_in_a_row() {
        let text = r#"[{"name": "speed", "log_pattern": "(.+)TFLOPs", "metric_threshold": 80, "operator": "lteq",
            "metric_evaluation_data_points": 3}]"#;
        let mut rules = rules(text);
        let now = Instant::now();
        let mut said = |value: &str| rules[0].line(&format!("{value}TFLOPs"), now);
        assert!(["70", "80", "90", "70", "x", "60"].iter().all(|value| said(value).is_none()));
        let expected = "the job is slow by rule speed: the value 50 is beyond the threshold 80, 3 times in a row";
        assert_eq!(said("50").as_deref(), Some(expected));
        assert_eq!(said("40"), None);
    }

    #[test]
    fn rules_that_cannot_be_used_are_named() {
        let text = r#"[{"name": "a", "logPattern": "("}, {"name": "b", "logPattern": "(x)(y)"}, {"logPattern": "x"},
            {"name": "d", "logPattern": "x", "metricThreshold": 1, "operator": "gt"}, {"name": "e", "logPattern": "x", "typo": 1},
            {"name": "f", "logPattern": "(x)", "metricThreshold": 1}]"#;
        let mut warnings = Vec::new();
        assert_eq!(read(text, &mut warnings).expect("a list").len(), 0);
        let names: Vec<&str> = warnings.iter().map(|warning| warning.split(' ').nth(2).expect("a name")).collect();
        assert_eq!(names, ["a", "b", "3", "d", "e", "f"]);
        for wrong in ["", "3", "{}", "{\"rules\": 1}"] {
            assert!(read(wrong, &mut warnings).is_err(), "{wrong}");
        }
    }
}
