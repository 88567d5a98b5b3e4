//! The ends of processes, with their output.

use std::sync::Arc;
use std::time::Instant;

use nix::libc;

use super::Shell;
use crate::event::{EndedRank, Ending, RankOutput};
use crate::supervise::group::{Part, ReportedEnding};
use crate::supervise::{EndReport, Reports};

impl Shell<'_> {
    /// Returns the ranks of launchers that were killed by a signal because something else had failed.
    pub(super) fn ended_ranks(&self) -> Vec<EndedRank> {
        if self.group.phase().stop().is_some() {
            return Vec::new();
        }
        let members = self.group.members().iter().zip(&self.processes);
        let ended = members.filter(|(member, _)| member.is_killed_rank() && !member.has_failed_itself());
        ended
            .filter_map(|(member, child)| {
                let output = Arc::new(child.streams.output());
                Some(EndedRank { process: child.identity.clone(), ending: member.end()?.ending, output })
            })
            .collect()
    }

    /// Returns how the members ended.
    pub(in crate::supervise) fn reports(self) -> Reports {
        let stop = self.group.phase().stop();
        let unknown = Ending::Signaled(libc::SIGKILL);
        let lasted = self.group.lasted(Instant::now());
        let members = self.group.members();
        let has_kept = members.iter().any(|member| !member.is_own());
        // A launcher adds nothing new if one of its ranks has failed. If none has, the ranks' output may show why the
        // launcher failed.
        let rank_failed = members.iter().any(|member| !member.is_own() && member.has_failed_itself());
        let mut reports = Vec::new();
        let services = members.iter().zip(&self.processes).filter(|(member, _)| member.service().is_some());
        let services = services.map(|(_, child)| (child.identity.clone(), child.streams.output())).collect();
        for (member, child) in members.iter().zip(&self.processes) {
            let is_silent = match member.part {
                Part::Launcher => has_kept && (rank_failed || member.reported == ReportedEnding::Success),
                // Nothing is known about a rank without an ending.
                Part::KeptRank(_) => member.end().is_none(),
                // A service that was told to end, or was not needed yet, may end in any way.
                Part::Service(_) => !member.has_failed_itself(),
                Part::Process => false,
            };
            if is_silent {
                continue;
            }
            let (ending, duration, followed) = match member.end() {
                Some(end) => (end.ending, end.duration, end.followed),
                None => (unknown, lasted, true),
            };
            let mut output = child.streams.output();
            if member.is_own() && !ending.is_success() {
                let kept = members.iter().zip(&self.processes).filter(|(other, _)| !other.is_own());
                for (other, rank) in kept.filter(|(other, _)| other.spec == member.spec) {
                    let streams = rank.streams.output();
                    let (stdout, stderr) = (streams.stdout, streams.stderr);
                    let rank = other.kept_rank().unwrap_or_default();
                    output.ranks.push(RankOutput { rank, stdout, stderr });
                }
            }
            reports.push(EndReport {
                task: member.spec,
                process: child.identity.clone(),
                is_launched: !member.is_own(),
                ending,
                output,
                duration,
                followed,
            });
        }
        let (launched, mut reports): (Vec<EndReport>, Vec<EndReport>) =
            reports.into_iter().partition(|report| report.is_launched);
        // Launched ranks come last.
        reports.extend(launched);
        Reports { reports, services, stop }
    }
}
