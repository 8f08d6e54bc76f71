//! Exponential back-off with jitter, as Kafka's clients do it (KIP-580, KIP-144): doubling, capped, ±20 %.
//!
//! It does not sleep; whoever retries does.

use std::time::Duration;

use crate::world::World;

/// The delays of one series of failures.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// A series that starts at `initial` and never exceeds `max` (before jitter).
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max: max.max(initial), failures: 0 }
    }

    /// The delay after one more failure.
    pub fn next(&mut self, world: &dyn World) -> Duration {
        let factor = 1u32 << self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let base = self.initial.saturating_mul(factor).min(self.max);
        let jitter = 0.8 + 0.4 * unit(world.random_u64());
        base.mul_f64(jitter)
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: the next failure starts at the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// 53 random bits as a number in [0, 1).
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}
