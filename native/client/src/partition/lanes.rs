//! Which connection a fetch of a partition goes over: one on which nothing waits. A broker answers a connection in order, so
//! behind a fetch that waits for records everything else would wait too, whatever partition it is of.
//! Not the connections themselves. Driven by each fetch; a lane is used again when its answer has come.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::Lane;
use crate::world::World;

/// The lanes of one client.
#[derive(Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// On which nothing waits; the last that became so is taken first, so that what is not needed goes idle and is closed.
    free: Vec<u32>,
    made: u32,
}

impl Lanes {
    /// A lane for a fetch that the broker answers after `wait` at the latest.
    pub fn take(&self, world: &Arc<dyn World>, wait: Duration) -> Taken {
        let mut known = self.0.lock();
        let number = known.free.pop().unwrap_or_else(|| {
            known.made += 1;
            // Consumers count upwards.
            u32::MAX - known.made
        });
        drop(known);
        Taken { number, lanes: self.clone(), world: world.clone(), answered_by: Instant::now() + wait }
    }
}

/// A lane in use.
pub(crate) struct Taken {
    number: u32,
    lanes: Lanes,
    world: Arc<dyn World>,
    answered_by: Instant,
}

impl Taken {
    pub fn lane(&self) -> Lane {
        Lane::Fetch(self.number)
    }

    /// Nothing waits on it any more.
    pub fn answered(mut self) {
        self.answered_by = Instant::now();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (number, lanes, until) = (self.number, self.lanes.clone(), self.answered_by);
        let free = move || lanes.0.lock().free.push(number);
        if until <= Instant::now() {
            return free();
        }
        // Who asked waits no longer, but the broker does.
        self.world.spawn(Box::pin(async move {
            sleep_until(until).await;
            free();
        }));
    }
}
