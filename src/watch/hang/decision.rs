//! The decision that a job hangs.
//!
//! The decision is pure: it receives signs of life, activities and the time, and returns actions. A job is silent as
//! long as no rank of any host shows a sign of life. When the job has been silent for the timeout, all ranks are
//! examined. If they show activity, the timeout starts again. For an activity that can also occur in a job that
//! hangs, that happens only once. For an activity that proves progress, it happens every time.

use std::time::{Duration, Instant};

use super::learned::LearnedSilences;
use crate::event::Activity;
use crate::job::settings::HangTimeout;

/// The state of the decision.
#[derive(Debug)]
pub struct HangDecision {
    /// The sign that is missing, as a clause such as `no rank has written anything`.
    subject: String,
    limit: Limit,
    last_sign: Instant,
    stage: Silence,
    /// True if, in this silence, an activity was accepted that can also occur in a job that hangs.
    was_trusted: bool,
}

/// The time for which a job may be silent.
#[derive(Debug)]
enum Limit {
    Never,
    Fixed(Duration),
    LearnedSilences(LearnedSilences),
}

/// The stage of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// The silence was not logged.
    Unnoticed,
    /// The length of the silence was logged.
    Noticed,
    /// There was activity, so the silence may last until this time.
    Extended(Instant),
    /// The job hangs.
    Over,
}

/// An action that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HangAction {
    /// Log a sentence.
    Note(String),
    /// Examine all ranks, and call [`HangDecision::looked`].
    Look,
    /// End the job, because it hangs. Holds the time without a sign of life.
    End(Duration),
}

impl HangDecision {
    /// Makes a decision that begins with the start of the script.
    pub fn new(timeout: HangTimeout, begun: Instant) -> HangDecision {
        let limit = match timeout {
            HangTimeout::Off => Limit::Never,
            HangTimeout::After(time) => Limit::Fixed(time),
            HangTimeout::Auto => Limit::LearnedSilences(LearnedSilences::new(begun)),
        };
        HangDecision {
            subject: "no rank has written anything".to_owned(),
            limit,
            last_sign: begun,
            stage: Silence::Unnoticed,
            was_trusted: false,
        }
    }

    /// Makes a decision about a missing sign other than output, such as `no line has matched rule loss`. It begins
    /// with the start of the script, and no action is due before [`HangDecision::expect`] is called.
    pub fn of(subject: String, begun: Instant) -> HangDecision {
        HangDecision { subject, ..HangDecision::new(HangTimeout::Off, begun) }
    }

    /// Sets the time within which the next sign is expected. `None` if no sign is expected.
    pub fn expect(&mut self, within: Option<Duration>) {
        self.limit = within.map_or(Limit::Never, Limit::Fixed);
    }

    /// Starts again for a new attempt at running the ranks.
    pub fn begin_again(&mut self) {
        (self.stage, self.was_trusted) = (Silence::Unnoticed, false);
    }

    /// Returns the missing sign, as a clause.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Records the time of the last sign of life. `has_metric` is true if any metric has a value.
    pub fn sign(&mut self, at: Instant, has_metric: bool) {
        if let Limit::LearnedSilences(learned) = &mut self.limit {
            learned.sign(at, has_metric);
        }
        if at > self.last_sign {
            self.last_sign = at;
            if self.stage != Silence::Over {
                (self.stage, self.was_trusted) = (Silence::Unnoticed, false);
            }
        }
    }

    /// Returns the action that is due. Must not be called while the ranks are being examined.
    pub fn tick(&mut self, now: Instant) -> Option<HangAction> {
        let limit = self.limit(now)?;
        let silence = now.saturating_duration_since(self.last_sign);
        match self.stage {
            Silence::Over => None,
            Silence::Extended(until) => (now >= until).then_some(HangAction::Look),
            Silence::Unnoticed | Silence::Noticed if silence >= limit => Some(HangAction::Look),
            Silence::Unnoticed if silence >= limit / 2 => {
                self.stage = Silence::Noticed;
                let (silence, limit) = (seconds(silence), seconds(limit));
                Some(HangAction::Note(format!(
                    "{} for {silence} s: after {limit} s the job counts as hung",
                    self.subject
                )))
            }
            Silence::Unnoticed | Silence::Noticed => None,
        }
    }

    /// Handles the activities that an examination, which began at `begun`, has found.
    pub fn handle_activities(&mut self, activities: &[Activity], begun: Instant, now: Instant) -> Option<HangAction> {
        let limit = self.limit(now)?;
        if self.last_sign > begun {
            return None;
        }
        // The times of signs from other hosts are exact to a few milliseconds.
        let silence = begun.saturating_duration_since(self.last_sign).max(limit);
        let proof = activities.iter().find(|activity| activity.is_progress());
        let Some(activity) = proof.or(activities.first().filter(|_| !self.was_trusted)) else {
            self.stage = Silence::Over;
            return Some(HangAction::End(silence));
        };
        self.stage = Silence::Extended(now + limit);
        self.was_trusted |= proof.is_none();
        let (silence, limit) = (seconds(silence), seconds(limit));
        Some(HangAction::Note(format!("{} for {silence} s, but {activity}: the job has {limit} s more", self.subject)))
    }

    /// Returns the present limit. `None` if there is none.
    fn limit(&self, now: Instant) -> Option<Duration> {
        match &self.limit {
            Limit::Never => None,
            Limit::Fixed(time) => Some(*time),
            Limit::LearnedSilences(learned) => learned.limit(now),
        }
    }
}

/// Returns a time in seconds, rounded to one decimal.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{HangAction, HangDecision};
    use crate::event::Activity;
    use crate::job::settings::HangTimeout;

    /// A decision with a limit of 100 s, and a clock.
    struct Clock {
        begun: Instant,
        decision: HangDecision,
    }

    impl Clock {
        fn new() -> Clock {
            let begun = Instant::now();
            let timeout = HangTimeout::After(Duration::from_secs(100));
            Clock { begun, decision: HangDecision::new(timeout, begun) }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begun + Duration::from_secs(seconds)
        }

        fn sign(&mut self, seconds: u64) {
            self.decision.sign(self.at(seconds), false);
        }

        fn tick(&mut self, seconds: u64) -> Option<HangAction> {
            self.decision.tick(self.at(seconds))
        }

        fn handle_activities(&mut self, activities: &[Activity], begun: u64, now: u64) -> Option<HangAction> {
            self.decision.handle_activities(activities, self.at(begun), self.at(now))
        }
    }

    fn note(text: &str) -> Option<HangAction> {
        Some(HangAction::Note(text.to_owned()))
    }

    #[test]
    fn a_silent_job_is_noticed_looked_at_and_ended() {
        let mut clock = Clock::new();
        assert_eq!(clock.tick(49), None);
        assert_eq!(clock.tick(50), note("no rank has written anything for 50 s: after 100 s the job counts as hung"));
        assert_eq!(clock.tick(51), None);
        clock.sign(60);
        assert_eq!(clock.tick(109), None);
        assert!(matches!(clock.tick(110), Some(HangAction::Note(_))));
        assert_eq!(clock.tick(160), Some(HangAction::Look));
        assert_eq!(clock.handle_activities(&[], 160, 163), Some(HangAction::End(Duration::from_secs(100))));
        assert_eq!(clock.tick(900), None);
    }

    #[test]
    fn what_may_be_progress_is_trusted_once_in_a_silence() {
        let mut clock = Clock::new();
        clock.sign(1);
        assert_eq!(clock.tick(101), Some(HangAction::Look));
        let expected = "no rank has written anything for 100 s, but rank 3 computes: the job has 100 s more";
        assert_eq!(clock.handle_activities(&[Activity::Computing(3)], 101, 103), note(expected));
        assert_eq!(clock.tick(202), None);
        assert_eq!(clock.tick(203), Some(HangAction::Look));
        let ended = clock.handle_activities(&[Activity::Stepping(2)], 203, 205);
        assert_eq!(ended, Some(HangAction::End(Duration::from_secs(202))));
        // After a sign of life, such an activity is accepted again.
        let mut clock = Clock::new();
        clock.handle_activities(&[Activity::Computing(3)], 100, 102);
        clock.sign(150);
        assert_eq!(clock.tick(249), note("no rank has written anything for 99 s: after 100 s the job counts as hung"));
        assert_eq!(clock.tick(250), Some(HangAction::Look));
        assert!(matches!(clock.handle_activities(&[Activity::Computing(3)], 250, 252), Some(HangAction::Note(_))));
    }

    #[test]
    fn what_proves_progress_is_believed_as_often_as_it_is_seen() {
        let mut clock = Clock::new();
        let mut now = 100;
        for _ in 0..5 {
            assert_eq!(clock.tick(now), Some(HangAction::Look));
            let seen = [Activity::Computing(0), Activity::Compiler("cc1plus".into())];
            assert!(matches!(clock.handle_activities(&seen, now, now), Some(HangAction::Note(_))));
            now += 100;
        }
        // An activity that proves nothing is still accepted once.
        assert!(matches!(clock.handle_activities(&[Activity::Stepping(0)], now, now), Some(HangAction::Note(_))));
        assert!(matches!(
            clock.handle_activities(&[Activity::Stepping(0)], now + 100, now + 100),
            Some(HangAction::End(_))
        ));
    }

    #[test]
    fn a_sign_of_life_during_the_look_ends_the_silence() {
        let mut clock = Clock::new();
        assert_eq!(clock.tick(100), Some(HangAction::Look));
        clock.sign(101);
        assert_eq!(clock.handle_activities(&[], 100, 103), None);
        assert_eq!(clock.tick(103), None);
    }

    #[test]
    fn without_a_timeout_nothing_is_due() {
        let begun = Instant::now();
        let mut decision = HangDecision::new(HangTimeout::Off, begun);
        assert_eq!(decision.tick(begun + Duration::from_secs(1_000_000)), None);
    }
}
