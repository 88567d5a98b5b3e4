//! The page, made from the plain data of jobs. Each file here makes one part of the page.

mod about;
mod advice;
mod compare;
mod first;
mod happened;
mod hardware;
mod heat;
mod metrics;
mod plot;
mod ranks;
mod stacks;
mod strip;
mod tiles;
mod timeline;
mod verdict;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use super::markup::{Html, html};
use super::model::RunView;
use super::words::{count, date};

/// The style of the page.
const STYLE: &str = include_str!("style.css");

/// The script of the page, which the page also works without.
const SCRIPT: &str = include_str!("script.js");

/// Returns the page about one job, or the page that compares several. `now` is the time in Unix seconds.
pub(super) fn page(runs: &[RunView], now: f64) -> String {
    let mut body = Html::default();
    let heading = match runs {
        [run] => {
            first::add(&mut body, run, now);
            stacks::add(&mut body, run);
            advice::add(&mut body, run);
            timeline::add(&mut body, run);
            happened::add(&mut body, run);
            metrics::add(&mut body, run);
            hardware::add(&mut body, run);
            ranks::add(&mut body, run);
            about::add(&mut body, run);
            let verdict = verdict::verdict(run, now);
            format!("{}: {}", verdict.word, first::title(run))
        }
        _ => {
            compare::add(&mut body, runs, now);
            format!("{} side by side", count(runs.len(), "job"))
        }
    };
    let mut page = Html::default();
    html!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"{}\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" \
         content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\"><title>{}</title><style>",
        policy(),
        heading
    );
    page.add_own(STYLE);
    html!(page, "</style></head>\n<body><a class=\"skip\" href=\"#main\">Skip to the content</a>");
    page.add(&body);
    let version = env!("CARGO_PKG_VERSION");
    html!(
        page,
        "</main><footer>Made by footplate {} on {}, from the run records alone.</footer><script>",
        version,
        date(now)
    );
    page.add_own(SCRIPT);
    html!(page, "</script></body></html>\n");
    page.into_text()
}

/// Returns the content security policy. Nothing is loaded from anywhere, only this style and this script have an
/// effect, and the images are in the page itself.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}
