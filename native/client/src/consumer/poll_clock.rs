//! `max.poll.interval.ms`: tells a slow loop from one that works or waits for us.
//! Not what happens then (group/membership.rs). Reads the words in the chunks, so a step costs no crossing.
//! Driven by `Member::step`.

use std::time::Duration;

use tokio::time::Instant;

use super::shared::{LoopActivity, Shared};

/// Watches one loop.
///
/// It looks at intervals, and counts time only between two looks that both saw nothing: what it calls slow was slow for
/// the whole limit, at most one interval longer. A process that was stopped (a debugger, a suspended laptop, a machine
/// with no time for us) counts as two intervals however long it stood, so that a loop which had no chance to run is not
/// thrown out for it.
pub(crate) struct PollClock {
    limit: Duration,
    interval: Duration,
    seen_polls: u64,
    looked: Instant,
    idle: Duration,
}

impl PollClock {
    pub fn new(limit: Duration) -> Self {
        let interval = (limit / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
        PollClock { limit, interval, seen_polls: 0, looked: Instant::now(), idle: Duration::ZERO }
    }

    /// When to look again.
    pub fn next_look(&self) -> Instant {
        self.looked + self.interval
    }

    /// The loop has as long as if it had stepped now.
    pub fn restart(&mut self) {
        self.looked = Instant::now();
        self.idle = Duration::ZERO;
    }

    /// Whether the loop did anything since the last look, or waits for us.
    pub fn is_alive(&mut self, shared: &Shared) -> bool {
        let activity = shared.loop_activity(&mut self.seen_polls);
        activity.active || activity.waiting
    }

    /// Looks; true when the loop has done nothing for the whole limit.
    pub fn is_exceeded(&mut self, shared: &Shared) -> bool {
        let activity = shared.loop_activity(&mut self.seen_polls);
        self.note(activity, Instant::now())
    }

    fn note(&mut self, activity: LoopActivity, now: Instant) -> bool {
        let passed = (now - self.looked).min(self.interval * 2);
        self.looked = now;
        match activity.active || activity.waiting {
            true => self.idle = Duration::ZERO,
            false => self.idle += passed,
        }
        self.idle >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPPED: LoopActivity = LoopActivity { active: true, waiting: false };
    const WAITING: LoopActivity = LoopActivity { active: false, waiting: true };
    const STUCK: LoopActivity = LoopActivity { active: false, waiting: false };

    fn run(limit_ms: u64, looks: impl IntoIterator<Item = (u64, LoopActivity)>) -> bool {
        let mut clock = PollClock::new(Duration::from_millis(limit_ms));
        let start = clock.looked;
        looks.into_iter().any(|(ms, activity)| clock.note(activity, start + Duration::from_millis(ms)))
    }

    #[tokio::test]
    async fn a_loop_that_steps_is_never_slow() {
        assert!(!run(10_000, (1..1000).map(|s| (s * 1000, STEPPED))));
    }

    #[tokio::test]
    async fn a_loop_that_waits_for_us_is_never_slow() {
        assert!(!run(10_000, (1..1000).map(|s| (s * 1000, WAITING))));
    }

    #[tokio::test]
    async fn a_stuck_loop_is_slow_when_the_limit_has_passed_and_not_before() {
        assert!(!run(10_000, (1..10).map(|s| (s * 1000, STUCK))));
        assert!(run(10_000, (1..=10).map(|s| (s * 1000, STUCK))));
    }

    #[tokio::test]
    async fn a_process_that_was_stopped_is_not_slow() {
        assert!(!run(10_000, [(1_000, STEPPED), (3_600_000, STUCK), (3_601_000, STEPPED)]));
    }
}
