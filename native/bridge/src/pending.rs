//! An operation under way whose outcome somebody waits for on their own thread, past the queue.
//!
//! It is for languages whose calls block. Dropping it stops the operation; the end of its environment is an outcome too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::task::AbortHandle;

use crate::cold::Done;
use crate::consumer::Chunk;
use crate::failure::Failure;
use crate::runtime;

#[derive(Default)]
struct Place {
    outcome: Mutex<Option<Result<Done, Failure>>>,
    settled: Condvar,
}

impl Place {
    fn settle(&self, outcome: Result<Done, Failure>) {
        self.outcome.lock().get_or_insert(outcome);
        self.settled.notify_all();
    }
}

/// Settles a place when its task goes without having done so.
struct Task(Arc<Place>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.settle(Err(Failure::closed("environment")));
    }
}

/// See the module.
pub struct Pending {
    place: Arc<Place>,
    chunks: Mutex<Vec<Chunk>>,
    task: AbortHandle,
}

impl Pending {
    pub(crate) fn new(operation: impl Future<Output = Result<Done, Failure>> + Send + 'static) -> Self {
        let place = Arc::new(Place::default());
        let task = Task(place.clone());
        let task = runtime::handle().spawn(async move {
            let outcome = operation.await;
            task.0.settle(outcome);
        });
        Self { place, chunks: Mutex::default(), task: task.abort_handle() }
    }

    pub(crate) fn task(&self) -> AbortHandle {
        self.task.clone()
    }

    /// Waits for the response; `None` as timeout: until it comes. `None` as result: not in time. It is given once; after that
    /// the outcome is an error.
    pub fn wait(&self, timeout: Option<Duration>) -> Option<Result<String, Failure>> {
        let mut outcome = self.place.outcome.lock();
        let open = |outcome: &mut Option<Result<Done, Failure>>| outcome.is_none();
        match timeout {
            Some(timeout) => drop(self.place.settled.wait_while_for(&mut outcome, open, timeout)),
            None => self.place.settled.wait_while(&mut outcome, open),
        }
        outcome.as_ref()?;
        let taken = Err(Failure::argument("operation", "its outcome was taken already"));
        Some(outcome.replace(taken)?.map(|done| {
            *self.chunks.lock() = done.chunks;
            done.text
        }))
    }

    /// Takes the next chunk that goes with the response.
    pub fn take_chunk(&self) -> Option<Chunk> {
        let mut chunks = self.chunks.lock();
        (!chunks.is_empty()).then(|| chunks.remove(0))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.task.abort();
    }
}
