//! Deriving keys takes long.

use crate::error::{Error, ErrorKind, Result};
use crate::world::World;

/// Derives keys off the I/O thread: a million iterations take most of a second.
pub(crate) async fn off_thread<T: Send + 'static>(
    world: &dyn World,
    derive: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = done.send(derive());
    };
    world.blocking(Box::new(work)).await;
    outcome.await.map_err(|_| Error::new(ErrorKind::Disconnected, "deriving the keys was given up"))
}
