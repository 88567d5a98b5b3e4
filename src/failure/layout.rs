//! The text of a cause in the failure file, within the length that the platform shows.
//!
//! A cause is sent between hosts and written into the run record as a [`redacted`] structure. [`text`] lays it out
//! once, at the end. Laying out a redacted cause without a redactor yields the same text as on the host where the
//! failure was judged.

use crate::event::{Cause, CauseDetail, CauseEnding, Ending, SourcePlace};
use crate::redact::{Redactor, visible};

use super::nccl;
use super::text::{Keep, TextPart, lay_out, one_line, shortened};

/// The maximum length of a failure text, in characters. The platform shows no more of the failure file.
pub const MAX_TEXT: usize = 1024;

/// The maximum length of each text of a redacted cause, in characters. It is twice [`MAX_TEXT`]: a text that is
/// shortened to it and then shortened again for the failure file reads as if it had been shortened once.
const MAX_FIELD: usize = 2 * MAX_TEXT;

/// The length, in characters, below which only the first line of a message is shown.
const LEAST_FOR_LINES: usize = 120;

/// The maximum number of details that are shown.
const MAX_DETAILS: usize = 5;

/// The limit of a failure text, which depends on the place where the platform shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLimit {
    /// [`MAX_TEXT`] characters: the failure reason of a training job.
    Reason,
    /// The share of one host in [`MAX_TEXT`] bytes, for the exit message of a processing job. The platform concatenates
    /// the texts of all hosts in that message.
    Message {
        /// The number of hosts.
        hosts: usize,
    },
}

/// Returns the text of the failure file: at most [`MAX_TEXT`] characters, without secrets and without a line end at its
/// end.
///
/// The most informative line is the first. A long message is shortened. The place, the exit code and the beginning of
/// the command are kept.
pub fn text(cause: &Cause, redactor: &Redactor) -> String {
    lay_out(&parts(cause, redactor), MAX_TEXT)
}

/// Returns the text of [`text`], within a limit. If several hosts share the limit, the text ends with a line end.
pub fn text_within(limit: TextLimit, cause: &Cause, redactor: &Redactor) -> String {
    let TextLimit::Message { hosts } = limit else { return text(cause, redactor) };
    let end = if hosts > 1 { "\n" } else { "" };
    let room = (MAX_TEXT / hosts.max(1)).saturating_sub(end.len());
    let whole = parts(cause, redactor);
    let mut most = room;
    loop {
        // Each line gets its share of a small limit. If the limit is too small for that, only the first line is kept.
        let scaled = whole.iter().map(|part| TextPart { least: part.least * most / MAX_TEXT, ..part.clone() });
        let parts: Vec<TextPart> = scaled.take(if most < LEAST_FOR_LINES { 1 } else { whole.len() }).collect();
        let text = lay_out(&parts, most);
        match text.len().saturating_sub(room) {
            0 => return text + end,
            // A character has at most four bytes.
            excess => most = most.saturating_sub(excess.div_ceil(4)),
        }
    }
}

/// Returns the lines of the text, without secrets.
fn parts(cause: &Cause, redactor: &Redactor) -> Vec<TextPart> {
    let cause = redacted(cause, redactor);
    let part = |text: String, least, turn, keep| TextPart { text, least, turn, keep };
    let mut parts = vec![part(cause.headline.clone(), 200, 0, Keep::Ends)];
    let place = cause.place.as_ref().map(|place| match &cause.thread {
        Some(thread) => format!("at {place} ({thread})"),
        None => format!("at {place}"),
    });
    parts.push(part(place.unwrap_or_default(), 200, 1, Keep::Ends));
    for CauseDetail { label, text } in &cause.details {
        let line = label.map_or_else(|| text.clone(), |label| format!("{label}: {text}"));
        parts.push(part(line, 50, 2, Keep::Ends));
    }
    parts.push(part(status(&cause), 120, 1, Keep::Ends));
    let absent = match cause.absent_hosts.as_slice() {
        [] => String::new(),
        [host] => format!("host {host} was not connected"),
        hosts => format!("hosts {} were not connected", hosts.join(", ")),
    };
    parts.push(part(absent, 80, 2, Keep::Head));
    let suspects = cause.collective.as_ref().map(nccl::timed_out);
    for (index, hint) in suspects.iter().chain(&cause.hints).enumerate() {
        // The remedy is at the end of a hint.
        let least = if index == 0 { 260 } else { 80 };
        parts.push(part(format!("hint: {hint}"), least, 3, Keep::Head));
    }
    let command = if cause.command.is_empty() { String::new() } else { format!("command: {}", cause.command) };
    parts.push(part(command, 80, 4, Keep::Head));
    parts
}

/// Returns the first line of the text for a log, without secrets. It states what happened, in at most [`MAX_FIELD`]
/// characters.
pub fn headline(cause: &Cause, redactor: &Redactor) -> String {
    clean_headline(cause, redactor).0
}

/// Returns the cause without secrets, with each of its texts on one line and of bounded length. A cause leaves this
/// host only in this form.
pub fn redacted(cause: &Cause, redactor: &Redactor) -> Cause {
    let ends = |text: &str| field(text, redactor, Keep::Ends);
    let head = |text: &str| field(text, redactor, Keep::Head);
    let detail = |detail: &CauseDetail| CauseDetail { label: detail.label, text: ends(&detail.text) };
    let place = |place: &SourcePlace| SourcePlace {
        path: ends(&place.path),
        line: place.line,
        function: place.function.as_deref().map(ends),
    };
    let (headline, rest) = clean_headline(cause, redactor);
    let rest = rest.map(|text| CauseDetail { label: None, text });
    let others = cause.details.iter().skip(usize::from(continuation(cause).is_some())).map(detail);
    Cause {
        headline,
        details: rest.into_iter().chain(others).take(MAX_DETAILS).collect(),
        place: cause.place.as_ref().map(place),
        thread: cause.thread.as_deref().map(ends),
        host: cause.host.as_deref().map(ends),
        rank: cause.rank,
        followers: cause.followers,
        ended: cause.ended,
        stage: cause.stage,
        ending: cause.ending,
        launcher: cause.launcher.as_deref().map(ends),
        rank_ending: cause.rank_ending,
        absent_hosts: cause.absent_hosts.iter().map(|host| head(host)).collect(),
        collective: cause.collective.clone(),
        hints: cause.hints.iter().map(|hint| head(hint)).collect(),
        command: head(&cause.command),
        attempt: cause.attempt,
    }
}

/// Returns the line with the host, the rank and the exit code. Facts that the headline already states are left out.
fn status(cause: &Cause) -> String {
    let code = format!("exit code {}", cause.exit_code());
    let (signal, has_code) = match cause.ending {
        CauseEnding::Process(ending) => {
            let words = ending.to_string();
            let is_told = cause.headline.starts_with(words.as_str());
            let signal = matches!(ending, Ending::Signaled(_)).then_some(words).filter(|_| !is_told);
            (signal, !cause.headline.starts_with(code.as_str()))
        }
        // The job was told to stop, and nothing failed.
        CauseEnding::NoProcess(0) => (None, false),
        // footplate itself wrote the headline.
        CauseEnding::NoProcess(_) => (None, !cause.headline.ends_with(code.as_str())),
    };
    let of_rank = cause.rank_ending.map(|ending| ending.to_string());
    let parts = [
        cause.host.as_ref().map(|host| format!("host {host}")),
        cause.rank.map(|rank| format!("rank {rank}")),
        cause.stage.map(|stage| stage.to_string()),
        of_rank.filter(|words| !cause.headline.starts_with(words.as_str())),
        signal,
        cause.launcher.as_ref().map(|name| format!("{code} of {name}")).or(Some(code).filter(|_| has_code)),
        match cause.followers {
            0 => None,
            1 => Some("1 other rank failed after it".to_owned()),
            others => Some(format!("{others} other ranks failed after it")),
        },
        match cause.ended {
            0 => None,
            1 => Some("1 other rank was ended".to_owned()),
            others => Some(format!("{others} other ranks were ended")),
        },
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns the first detail, if it continues the headline.
fn continuation(cause: &Cause) -> Option<&str> {
    cause.details.first().filter(|detail| detail.label.is_none()).map(|detail| detail.text.as_str())
}

/// Returns the headline and its continuation in the form of [`field`]. They are cleaned together, because a secret may be
/// spread over both. In that case, the returned headline contains both texts.
fn clean_headline(cause: &Cause, redactor: &Redactor) -> (String, Option<String>) {
    let Some(rest) = continuation(cause) else { return (field(&cause.headline, redactor, Keep::Ends), None) };
    let ends = |text: &str| cleaned_field(text, redactor, Keep::Ends);
    let breaks = |text: &str| text.matches('\n').count();
    let whole = format!("{}\n{rest}", cause.headline);
    let cleaned = redactor.clean(&whole);
    let end = cleaned.match_indices('\n').nth(breaks(&cause.headline)).map(|(at, _)| at);
    match end.filter(|_| breaks(&cleaned) == breaks(&whole)) {
        Some(end) => (ends(&cleaned[..end]), Some(ends(&cleaned[end + 1..]))),
        None => (ends(&cleaned), None),
    }
}

/// Returns the text without secrets and control characters, on one line of at most [`MAX_FIELD`] characters.
fn field(text: &str, redactor: &Redactor, keep: Keep) -> String {
    cleaned_field(&redactor.clean(text), redactor, keep)
}

/// Returns a text without secrets in the form of [`field`]. It is cleaned again in the form in which it is shown, because a
/// secret may span lines. A long text is cleaned only once as a whole, because cleaning takes time.
fn cleaned_field(cleaned: &str, redactor: &Redactor, keep: Keep) -> String {
    let line = shortened(&one_line(cleaned), 2 * MAX_FIELD, keep);
    shortened(&visible(&redactor.clean(&line)), MAX_FIELD, keep)
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT, TextLimit, headline, redacted, status, text, text_within};
    use crate::event::{Cause, CauseDetail, CauseEnding, CauseStage, DetailLabel, Ending, SourcePlace};
    use crate::redact::Redactor;

    fn process(headline: &str, ending: Ending) -> Cause {
        Cause::new(headline, CauseEnding::Process(ending))
    }

    fn whole() -> Cause {
        let detail = |label, text: &str| CauseDetail { label, text: text.into() };
        Cause {
            details: vec![detail(Some(DetailLabel::CausedBy), "KeyError: 'x'"), detail(None, "a line\nof two")],
            place: Some(SourcePlace { path: "train.py".into(), line: 4, function: Some("load".into()) }),
            thread: Some("thread loader".into()),
            host: Some("algo-2".into()),
            rank: Some(3),
            followers: 2,
            ended: 1,
            launcher: Some("torchrun".into()),
            absent_hosts: vec!["algo-4".into(), "algo-5".into()],
            hints: vec!["a hint".into()],
            command: "python3 train.py".into(),
            ..process("ValueError: bad", Ending::Exited(1))
        }
    }

    #[test]
    fn every_field_of_a_cause_has_its_line() {
        assert_eq!(
            text(&whole(), &Redactor::default()),
            "ValueError: bad\nat train.py:4 in load (thread loader)\ncaused by: KeyError: 'x'\na line of two\n\
             host algo-2, rank 3, exit code 1 of torchrun, 2 other ranks failed after it, \
             1 other rank was ended\n\
             hosts algo-4, algo-5 were not connected\nhint: a hint\ncommand: python3 train.py"
        );
    }

    #[test]
    fn a_failure_without_a_process_has_an_exit_code_and_a_stage() {
        let lost = Cause {
            host: Some("algo-2".into()),
            hints: vec!["see its log".into()],
            ..Cause::new("host algo-2 is lost: it closed the connection", CauseEnding::NoProcess(68))
        };
        assert_eq!(
            text(&lost, &Redactor::default()),
            "host algo-2 is lost: it closed the connection\nhost algo-2, exit code 68\nhint: see its log"
        );
        let refused = Cause { stage: Some(CauseStage::BeforeScript), ..Cause::new("bad", CauseEnding::NoProcess(78)) };
        assert_eq!(text(&refused, &Redactor::default()), "bad\nbefore the script started, exit code 78");
        let stopped = "stopped by SIGTERM before the script started, exit code 143";
        assert_eq!(text(&Cause::new(stopped, CauseEnding::NoProcess(143)), &Redactor::default()), stopped);
        let told = Cause { host: Some("algo-1".into()), ..Cause::new("told to stop", CauseEnding::NoProcess(0)) };
        assert_eq!(text(&told, &Redactor::default()), "told to stop\nhost algo-1");
    }

    #[test]
    fn the_status_omits_what_the_headline_says() {
        assert_eq!(status(&process("exit code 3, with no error printed", Ending::Exited(3))), "");
        assert_eq!(status(&process("the tool gave exit code 3", Ending::Exited(3))), "exit code 3");
        assert_eq!(status(&process("killed by SIGKILL (signal 9): x", Ending::Signaled(9))), "exit code 137");
        assert_eq!(status(&process("x", Ending::Signaled(9))), "killed by SIGKILL (signal 9), exit code 137");
        let one = Cause { followers: 1, ..process("x", Ending::Exited(3)) };
        assert_eq!(status(&one), "exit code 3, 1 other rank failed after it");
    }

    #[test]
    fn the_message_of_several_hosts_fits_into_their_share_of_bytes() {
        let redactor = Redactor::new([("API_KEY", "0123456789abc")]);
        for fill in ["é", "x ", "日本", "🚂"] {
            let cause = Cause { headline: format!("ValueError: 0123456789abc {}", fill.repeat(2000)), ..whole() };
            for hosts in [1, 2, 3, 7, 20, 1024, 5000] {
                let message = text_within(TextLimit::Message { hosts }, &cause, &redactor);
                assert!(message.len() <= (MAX_TEXT / hosts).max(1), "{hosts}: {message}");
                let start = if hosts > 7 { "ValueError: " } else { "ValueError: ******" };
                assert!(hosts > 20 || message.starts_with(start), "{hosts}: {message}");
                assert_eq!(message.ends_with('\n'), hosts > 1, "{hosts}: {message}");
                assert!(hosts > 2 || message.contains("\nat train.py:4 in"), "{hosts}: {message}");
                // The text uses the whole limit.
                assert!(hosts > 20 || message.len() + 8 > MAX_TEXT / hosts, "{hosts}: {} bytes", message.len());
            }
        }
        let short = text_within(TextLimit::Message { hosts: 1 }, &whole(), &redactor);
        assert_eq!(short, text(&whole(), &redactor));
        assert_eq!(text_within(TextLimit::Reason, &whole(), &redactor), short);
    }

    #[test]
    fn a_redacted_cause_is_laid_out_as_the_cause_itself() {
        let redactor = Redactor::new([("API_KEY", "0123456789abc"), ("private_key", "for\nhf_999999")]);
        let long = |fill: &str| format!("begin 0123456789abc for\nhf_999999 {} password=s3cret end", fill.repeat(3000));
        let mut causes = vec![whole()];
        for fill in ["é", "x ", "  wide  ", "words\n"] {
            let mut cause = Cause { headline: long(fill), command: long(fill), hints: vec![long(fill); 2], ..whole() };
            cause.details = vec![CauseDetail { label: Some(DetailLabel::LastLine), text: long(fill) }; 9];
            cause.place = Some(SourcePlace { path: long(fill), line: 1, function: Some(long(fill)) });
            causes.push(cause.clone());
            causes.push(Cause { place: None, details: Vec::new(), hints: Vec::new(), ..cause });
        }
        for cause in causes {
            let expected = text(&cause, &redactor);
            let travelled = redacted(&cause, &redactor);
            assert_eq!(text(&travelled, &Redactor::default()), expected);
            assert!(expected.chars().count() <= MAX_TEXT, "{expected}");
            let json = serde_json::to_string(&travelled).unwrap();
            assert!(json.len() < 100_000, "{} bytes", json.len());
            for secret in ["0123456789", "hf_999999", "=s3cret"] {
                assert!(!json.contains(secret) && !expected.contains(secret), "{secret} in {json}");
            }
            assert!(!headline(&cause, &redactor).contains("0123456789"));
        }
    }
}
