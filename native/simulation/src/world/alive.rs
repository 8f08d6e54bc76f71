//! How many tasks and sockets of a host live, so that what is left behind is seen; and the panics of tasks, which tokio keeps.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

/// The tasks and sockets of a host.
#[derive(Default)]
pub struct Alive {
    tasks: AtomicUsize,
    sockets: AtomicUsize,
    panics: Mutex<Vec<String>>,
}

/// What still lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Sockets that are open.
    pub sockets: usize,
}

impl Alive {
    /// What lives now.
    pub fn now(&self) -> LeftBehind {
        LeftBehind { tasks: self.tasks.load(Ordering::SeqCst), sockets: self.sockets.load(Ordering::SeqCst) }
    }

    /// What tasks panicked with, once.
    pub fn take_panics(&self) -> Vec<String> {
        std::mem::take(&mut *self.panics.lock())
    }

    pub(super) async fn run(self: Arc<Self>, task: BoxFuture<'static, ()>) {
        let counted = Counted::new(&self, |alive| &alive.tasks);
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            self.panics.lock().push(text(&*panic));
        }
        drop(counted);
    }

    pub(super) fn socket(self: &Arc<Self>) -> Counted {
        Counted::new(self, |alive| &alive.sockets)
    }
}

/// What a panic says.
pub(crate) fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let word = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    word.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// One that lives until this is dropped, be it with its runtime.
pub(super) struct Counted(Arc<Alive>, fn(&Alive) -> &AtomicUsize);

impl Counted {
    fn new(alive: &Arc<Alive>, which: fn(&Alive) -> &AtomicUsize) -> Self {
        which(alive).fetch_add(1, Ordering::SeqCst);
        Self(alive.clone(), which)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::SeqCst);
    }
}
