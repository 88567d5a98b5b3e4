//! What of an installer's output is worth a line, and which packages took longest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Packages that took less are not worth a word.
const WORTH_NAMING: Duration = Duration::from_secs(1);
/// How many of the slowest packages are named.
const NAMED: usize = 3;

/// pip's lines about each single package.
const OF_PIP: [&str; 17] = [
    "Collecting ",
    "Requirement already satisfied",
    "Downloading ",
    "Using cached ",
    "Obtaining ",
    "Processing ",
    "Building wheel",
    "Created wheel",
    "Stored in directory",
    "Preparing metadata",
    "Installing build dependencies",
    "Getting requirements to build",
    "Checking if build backend",
    "Installing collected packages",
    "Building editable",
    "Looking in links",
    "Looking in indexes",
];
/// uv's.
const OF_UV: [&str; 7] = ["Downloading ", "Downloaded ", "Building ", "Built ", "Using Python ", "+ ", "~ "];

/// An installer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installer {
    /// pip.
    Pip,
    /// uv.
    Uv,
}

/// Watches the lines that an installer prints.
#[derive(Clone, Debug)]
pub struct Progress {
    installer: Installer,
    /// What is being done for a package, and since when.
    begun: BTreeMap<String, Instant>,
    took: BTreeMap<String, Duration>,
    added: Vec<String>,
}

impl Progress {
    /// Of an installer that is about to start.
    pub fn new(installer: Installer) -> Progress {
        Progress { installer, begun: BTreeMap::new(), took: BTreeMap::new(), added: Vec::new() }
    }

    /// Takes notice of a line that was printed at this time; gives whether it is worth being shown.
    pub fn line(&mut self, line: &str, now: Instant) -> bool {
        let line = line.trim();
        let words = match self.installer {
            Installer::Pip => &OF_PIP[..],
            Installer::Uv => &OF_UV[..],
        };
        self.note(line, now);
        !line.is_empty() && !words.iter().any(|word| line.starts_with(word))
    }

    fn note(&mut self, line: &str, now: Instant) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let package = rest.split(' ').next().unwrap_or_default();
        let package = package.split(['=', '<', '>', '!', '~', ';', '[']).next().unwrap_or(package);
        match (self.installer, verb) {
            // uv does several at once.
            (Installer::Uv, "Downloading" | "Building") => drop(self.begun.insert(package.to_owned(), now)),
            (Installer::Uv, "Downloaded" | "Built") => self.end(package, now),
            (Installer::Uv, "+") => self.added.push(rest.to_owned()),
            // pip does one after the other, but only says when it begins.
            (Installer::Pip, "Collecting" | "Processing" | "Obtaining" | "Installing" | "Successfully") => {
                for package in self.begun.keys().cloned().collect::<Vec<_>>() {
                    self.end(&package, now);
                }
                if !matches!(verb, "Installing" | "Successfully") {
                    self.begun.insert(package.to_owned(), now);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, package: &str, now: Instant) {
        if let Some(begun) = self.begun.remove(package) {
            *self.took.entry(package.to_owned()).or_default() += now.saturating_duration_since(begun);
        }
    }

    /// What uv has put in, `name==version` each. pip says it in one line by itself.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// The packages that took longest, in words; empty if none took long.
    pub fn slowest(&self) -> String {
        let mut slow: Vec<_> = self.took.iter().filter(|(_, time)| **time >= WORTH_NAMING).collect();
        slow.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let named = slow.iter().take(NAMED).map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()));
        named.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Installer, Progress};

    fn shown(installer: Installer, lines: &[(u64, &'static str)]) -> (Vec<&'static str>, String) {
        let (mut progress, start) = (Progress::new(installer), Instant::now());
        let shown = lines.iter().filter(|(at, line)| progress.line(line, start + Duration::from_millis(*at)));
        let shown = shown.map(|(_, line)| *line).collect();
        (shown, progress.slowest())
    }

    #[test]
    fn of_pip_the_packages_take_the_time_until_the_next_one() {
        let (lines, slowest) = shown(
            Installer::Pip,
            &[
                (0, "Collecting numpy<2,>=1 (from -r requirements.txt (line 1))"),
                (10, "  Downloading numpy-1.26.4-cp311.whl (18.2 MB)"),
                (2500, "Collecting torch==2.3.0"),
                (2600, "Requirement already satisfied: x in /y"),
                (9600, "Collecting attrs"),
                (9700, "Installing collected packages: torch, numpy"),
                (15_000, "WARNING: something"),
                (15_000, "Successfully installed numpy-1.26.4"),
            ],
        );
        assert_eq!(lines, ["WARNING: something", "Successfully installed numpy-1.26.4"]);
        assert_eq!(slowest, "torch 7.1 s, numpy 2.5 s");
    }

    #[test]
    fn of_uv_they_take_from_their_beginning_to_their_end() {
        let (lines, slowest) = shown(
            Installer::Uv,
            &[
                (0, "Resolved 3 packages in 3ms"),
                (0, "Downloading torch (780.0MiB)"),
                (100, "   Building flash==1.0"),
                (4100, "      Built flash==1.0"),
                (9000, " Downloaded torch"),
                (9100, " + torch==2.3.0"),
                (9100, " - torch==2.2.0"),
            ],
        );
        assert_eq!(lines, ["Resolved 3 packages in 3ms", " - torch==2.2.0"]);
        assert_eq!(slowest, "torch 9.0 s, flash 4.0 s");
    }
}
