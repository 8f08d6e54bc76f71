//! What the coordinators of groups and of transactions have in common: the internal topics in which they keep what they know, and
//! which partition of these has what. What is in a record is theirs: `group::records`, `transactions::records`.

pub(crate) mod codec;
pub(crate) mod internal;
mod ledger;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use ledger::{Entry, Found, Ledger, Origin, Pending};

/// A moment, by the timers' clock and by the wall's.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub now: Instant,
    pub now_ms: i64,
}

impl Clock {
    /// When it was so many milliseconds since 1970; not later than now.
    pub fn at(&self, ms: i64) -> Instant {
        let ago = u64::try_from(self.now_ms.saturating_sub(ms)).unwrap_or(0);
        self.now.checked_sub(Duration::from_millis(ago)).unwrap_or(self.now)
    }
}
