//! The words with which a line reports an error.
//!
//! The same words occur in the figures and notes of a program that works: `error=0.3`, `skipped 3 invalid rows`,
//! `time required: 3 s`. A word counts unless the words around it show that it is such a note.

use std::sync::LazyLock;

use regex::Regex;

use crate::failure::pattern::pattern;

/// Words that report an error.
static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i:\b(?:errors?|fatal|exceptions?|cannot|can't|could not|couldn't|unable to|not found|no such|denied|killed|",
        r"panic|panicked|failed|failure|abort|aborted|aborting|invalid|unrecognized|unknown option|segmentation fault|",
        r"bus error|illegal instruction|core dumped|undefined symbol|no module named|no space left|out of memory|refused|",
        r"required|missing|halted|not executable|bad interpreter|exceeds|must be|no route to host|timed out|",
        r"undefined reference|undeclared|unbound variable|syntax error|multiple definition)\b)|",
        r"\b[A-Z]\w*(?:Error|Exception)\b|what\(\):",
    ))
});

/// The beginning of a line in which a program states that it leaves out or mends unsuitable data.
static LEAVES_OUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^\W*(?:(?:skip|drop|mask|trim|filter|strip|keep|ignor|replac|remov|imput|fill|discard|correct|repair|exclud|sanitiz|silenc|retry|",
        r"suppress|quarantin|flag|mark)(?:g|m|p)?ing|",
        r"(?:skipped|dropped|masked|trimmed|filtered|stripped|kept|ignored|replaced|removed|imputed|filled|discarded|corrected|repaired|",
        r"excluded|sanitized|suppressed|quarantined|flagged|marked))\b",
    ))
});

/// The beginning of a line in which a program states what it does.
static WORKS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:fitt|estimat|comput|evaluat|check|look|scann|search|validat|test|count|logg|plott|print|us|tun|decod|encod|handl|fix|clean|predict|learn|modell?|simulat|detect|classify|analyz)ing\b",
    )
});

/// The end of a line in which a program states that it goes on, or that all is well.
static GOES_ON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^optional\b|\b(?:errors|exceptions|failures) (?:are|will be|were) (?:ignored|logged|reported|collected|written|shown|skipped)\b|",
        // A list of names: `labels: ok, failed, denied`.
        r"^[\w ]+: \w+(?:, \w+){2,}$|",
        r"(?:[,;(]|\. | -+|\band) *(?:now |so |i am |we are )?(?:(?:skip|build|rebuild|start|restart|us|creat|download|continu|retry|try|train|comput|recomput|",
        r"default|proceed|assum|load|fetch|generat|initializ|wait|writ|switch|fill|replac|dropp|ignor|tak)(?:p|t)?ing|falling back|going on|making (?:it|one)|",
        r"(?:skipped|ignored|dropped|will be (?:skipped|ignored|dropped|created|built|downloaded)|will (?:retry|try again))\b)|",
        r"(?::|\.\.\.|…) *(?:ok|okay|passed|fine|none|done)[.!]?$",
    ))
});

/// Nouns that make a figure or a part of a program of the word `error` before them.
static OF_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^s?[ _-](?i:rates?|modes?|models?|predictions?|detection|detectors?|probabilit(?:y|ies)|logs?|files?|folders?|levels?|handling|handlers?|bars?|analysis|terms?|metrics?|functions?|margins?|budgets?|thresholds?|tolerances?|bands?|bounds?|corrections?|curves?|surfaces?|distributions?|reporting|reports?|histograms?|of the (?:mean|estimate|regression|fit))\b",
    )
});

/// Adjectives that make a figure of the word `error` after them.
static KIND_OF_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:standard|absolute|squared?|relative|percentage|word|character|phone(?:me)?|reconstruction|quantization|approximation|generalization|measurement|rounding|test|validation|training|prediction|mean|median|max|min|rms)[ _-]$",
    )
});

/// A figure after a word of error, with or without a verb.
static FIGURE_OF_ERROR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^ ?(?:of |is |was |[=:] ?)?(?:about |only )?-?\d"));

/// Returns true if a line reports an error in words, and not only as the name of a figure such as `error=0.3` or
/// `0 failed`, or in a note such as `skipped 3 invalid rows`.
pub(super) fn has_words_of_error(message: &str) -> bool {
    any_word_of_error(message, |_| true)
}

/// Returns true if the only words with which a line reports an error are those of a demand: `seed must be set`.
pub(super) fn is_demand(message: &str) -> bool {
    !any_word_of_error(message, |word| !matches!(word.to_ascii_lowercase().as_str(), "required" | "must be"))
}

/// Returns true if a line reports an error with a word that counts.
fn any_word_of_error(message: &str, counts: impl Fn(&str) -> bool) -> bool {
    let is_note = LEAVES_OUT.is_match(message) || GOES_ON.is_match(message);
    let works = WORKS.is_match(message);
    // A program can look for such data, and say so: `checking for missing values`.
    let works_with = |word: &str| {
        works
            && matches!(
                word,
                "missing" | "invalid" | "required" | "exceeds" | "must be" | "error" | "errors" | "failure" | "panic"
            )
    };
    let is_of_path = |before: &str, after: &str| before.ends_with('/') || after.starts_with('/');
    let is_told = |found: regex::Match<'_>| {
        let (before, word, after) = (&message[..found.start()], found.as_str(), &message[found.end()..]);
        // A thing that is required is missing if there is none.
        let is_counted = word != "required" && is_none(before) || before.ends_with("not ");
        !is_counted
            && !is_of_path(before, after)
            && !is_figure(after)
            && (is_name(word) || !is_note && !works_with(word) && !is_of_note(before, word, after))
    };
    ERROR.find_iter(message).filter(|found| counts(found.as_str())).any(is_told)
}

/// Returns true for the name of an exception.
fn is_name(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && (word.ends_with("Error") || word.ends_with("Exception")) && word.len() > 9
}

/// Returns true if the words before a word of error state that there was none of it: `no errors`, `0 failed`,
/// `no request was denied`.
fn is_none(before: &str) -> bool {
    static NONE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:^|[^\w.])(?:(?i:no|none|nothing|without|never|zero)(?: \w+){0,3}|0(?: \w+)?|(?i:not))(?: (?i:was|were|is|are|have|has|been))* $",
        )
    });
    NONE.is_match(before)
}

/// Returns true if the words after a word of error make a figure of it: `error=0.3`, `required: 3 s`.
fn is_figure(after: &str) -> bool {
    // Words after the number state what it counts: `aborted: 0 rows are left`.
    static FIGURE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(concat!(
            r#"^(?:["']? ?[=:] ?-?\d| (?:is |of )?\d+\.\d)[\d.e+-]* ?(?:%|(?:n|u|µ|m)?s|sec(?:ond)?s?|min(?:ute)?s?|h(?:our)?s?|[kMG]i?B|bytes)?(?:$|[,;|)\]}"'/]|\s+(?:[,;|(\[]|[\w./-]+ ?[=:]|\d|$))|"#,
            r"^(?: [a-z]+){0,2} ?[=:] ?0(?:\.0+)?\s*(?:$|[,;|)])",
        ))
    });
    FIGURE.is_match(after)
}

/// Returns true if a word of error is part of a note: it describes a thing, it names a figure, or it states what may
/// happen.
fn is_of_note(before: &str, word: &str, after: &str) -> bool {
    let is_first = before.trim_end().is_empty() || before.ends_with(": ");
    // An adjective before a noun describes it: `columns with missing values`.
    let describes = || {
        let verb = before.trim_end().rsplit(' ').next().unwrap_or_default();
        is_noun(after)
            && !is_first
            && !matches!(
                verb,
                "is" | "are"
                    | "was"
                    | "were"
                    | "be"
                    | "been"
                    | "got"
                    | "an"
                    | "a"
                    | "found"
                    | "has"
                    | "have"
                    | "contains"
                    | "contain"
                    | "the"
                    | "due"
                    | "to"
                    | "of"
                    | "no"
            )
    };
    match word.to_ascii_lowercase().as_str() {
        "required" => {
            describes() || after.starts_with(" for ") && !before.ends_with("is ") && !before.ends_with("are ")
        }
        "missing" | "invalid" => describes(),
        "killed" => {
            is_first && after.starts_with(' ') && !after.starts_with(" by") && before.is_empty() && word == "killed"
        }
        "exceeds" | "must be" => false,
        "fatal" => describes() || before.is_empty() && word == "fatal" && is_noun(after),
        "failed" => {
            ["the ", "of ", "each ", "every ", "all "].iter().any(|end| before.ends_with(end)) && is_noun(after)
        }
        "abort" => before.ends_with("will ") || before.ends_with("may ") || before.ends_with("to "),
        "error" | "errors" | "failure" | "panic" | "exception" | "exceptions" => {
            OF_ERROR.is_match(after) || KIND_OF_ERROR.is_match(before) && FIGURE_OF_ERROR.is_match(after)
        }
        _ => false,
    }
}

/// Returns true if a noun, or an adjective before one, may begin after a word.
fn is_noun(after: &str) -> bool {
    let noun = after.strip_prefix(' ').and_then(|rest| rest.split_whitespace().next());
    let is_other = |noun| {
        matches!(
            noun,
            "in" | "from" | "at" | "by" | "because" | "as" | "to" | "with" | "for" | "on" | "error" | "exception"
        )
    };
    noun.is_some_and(|noun| noun.starts_with(char::is_alphabetic) && !is_other(noun))
}

#[cfg(test)]
mod tests {
    use super::has_words_of_error;

    #[test]
    fn a_note_or_a_figure_does_not_report_an_error() {
        for note in [
            "error=0.3",
            "7 passed, 0 failed",
            "no errors found",
            "dropping 2 columns with missing values",
            "skipped 3 invalid rows",
            "time required: 3.2 s",
            "the memory required for a batch: 12 GB",
            "word error rate 12.4%",
            "mean absolute error is 0.31",
            "standard error of the mean is 0.02",
            "killed idle connections: 3",
            "a table with missing cells was read",
            "training will abort after 3 epochs without gain",
            "cache not found, building it",
            "the checkpoint cannot be resumed; starting from scratch",
            "fitting the error model",
            "failed trials: 0",
            "keeping rows whose length exceeds 3",
            "all columns must be numeric: ok",
            "no request was denied",
            "none of the workers failed",
            "retrying after a timed out request",
            "panic threshold is 3",
            "fatal crashes in the table: 7",
            "exceptions are logged to /tmp/x",
            "error log: /tmp/errors.log",
            "time required for an epoch is 3 minutes",
            "failure rate 0.3",
            "predicting failure of 7 sensors",
            "training on the failed parts",
            "labels: ok, failed, denied",
            "warmup not required",
            "optional module not found: nothing to do",
        ] {
            assert!(!has_words_of_error(note), "{note}");
        }
    }

    #[test]
    fn a_line_that_states_what_is_wrong_reports_an_error() {
        for error in [
            "the index is missing",
            "required column label is missing",
            "missing column label",
            "the schema is invalid",
            "got invalid rows from the store",
            "an invalid rate was given",
            "3 shards failed to load",
            "failed trials: 3",
            "training error in fold 3",
            "prediction error: the model returned nothing",
            "the rate must be positive",
            "label exceeds the number of classes",
            "the worker was killed",
            "no such table",
            "a token is required",
            "cannot resume from epoch 3",
            "checking rows: ValueError in row 3",
            "checking the schema failed",
            "could not read rows.csv, giving up",
            "2 of 5 checks failed",
            "missing: a, b",
            "fatal: no rows",
            "training failed",
            "the upload failed with code 3",
            "could not start: missing key, no rows, no label",
        ] {
            assert!(has_words_of_error(error), "{error}");
        }
    }
}
