//! The output of an installer while it runs: the lines that the log shows, and the packages that took longest.
//!
//! The beginnings of the lines were read from pip 22.0.4 to 26.3 and from uv 0.13.9. A line in an unknown wording is
//! shown, and a package in one has no time; nothing else depends on the wording.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::installer::InstallerKind;

/// The shortest time for which a package is named as slow.
const MIN_SLOW: Duration = Duration::from_secs(1);
/// The maximum number of slow packages to name.
const MAX_SLOW: usize = 3;

/// The beginnings of pip's lines about single packages, which the log leaves out.
const PIP_DETAILS: [&str; 17] = [
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
/// The beginnings of uv's lines about single packages.
const UV_DETAILS: [&str; 7] = ["Downloading ", "Downloaded ", "Building ", "Built ", "Using Python ", "+ ", "~ "];

/// An observer of the lines that an installer prints.
#[derive(Clone, Debug)]
pub struct Progress {
    installer: InstallerKind,
    /// The packages in progress, with the time of the line that began each.
    begun: BTreeMap<String, Instant>,
    took: BTreeMap<String, Duration>,
    added: Vec<String>,
}

impl Progress {
    /// Returns the observer of an installer that is about to start.
    pub fn new(installer: InstallerKind) -> Progress {
        Progress { installer, begun: BTreeMap::new(), took: BTreeMap::new(), added: Vec::new() }
    }

    /// Observes a line that was printed at this time. Returns true if the log should show the line.
    pub fn observe(&mut self, line: &str, now: Instant) -> bool {
        let line = line.trim();
        let details = match self.installer {
            InstallerKind::Pip => &PIP_DETAILS[..],
            InstallerKind::Uv => &UV_DETAILS[..],
        };
        self.record(line, now);
        !line.is_empty() && !details.iter().any(|beginning| line.starts_with(beginning))
    }

    /// Records the beginning or the end of a package's work.
    fn record(&mut self, line: &str, now: Instant) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let package = rest.split(' ').next().unwrap_or_default();
        let package = package.split(['=', '<', '>', '!', '~', ';', '[']).next().unwrap_or(package);
        match (self.installer, verb) {
            // uv works on several packages at once.
            (InstallerKind::Uv, "Downloading" | "Building") => {
                self.begun.insert(package.to_owned(), now);
            }
            (InstallerKind::Uv, "Downloaded" | "Built") => self.end(package, now),
            (InstallerKind::Uv, "+") => self.added.push(rest.to_owned()),
            // pip works on one package after the other and prints only the beginning of each.
            (InstallerKind::Pip, "Collecting" | "Processing" | "Obtaining" | "Installing" | "Successfully") => {
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

    /// Returns the packages that uv has installed, each as `name==version`. Always empty for pip, which prints them in
    /// a line that the log shows.
    pub fn added(&self) -> &[String] {
        &self.added
    }

    /// Returns the packages that took longest, with their times in seconds; empty if none took a second.
    pub fn slowest(&self) -> String {
        let mut slow: Vec<_> = self.took.iter().filter(|(_, time)| **time >= MIN_SLOW).collect();
        slow.sort_unstable_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let named = slow.iter().take(MAX_SLOW).map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()));
        named.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Progress;
    use crate::prepare::requirements::installer::InstallerKind;

    /// Returns the lines that the log shows, and the slow packages. The times are in milliseconds.
    fn shown(installer: InstallerKind, lines: &[(u64, &'static str)]) -> (Vec<&'static str>, String) {
        let (mut progress, start) = (Progress::new(installer), Instant::now());
        let shown = lines.iter().filter(|(at, line)| progress.observe(line, start + Duration::from_millis(*at)));
        let shown = shown.map(|(_, line)| *line).collect();
        (shown, progress.slowest())
    }

    #[test]
    fn a_package_of_pip_takes_the_time_until_the_next_one_begins() {
        let (lines, slowest) = shown(
            InstallerKind::Pip,
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
    fn a_package_of_uv_takes_the_time_from_its_beginning_to_its_end() {
        let (lines, slowest) = shown(
            InstallerKind::Uv,
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
