//! The one tokio runtime of the process, shared by all environments, clients and brokers.
//!
//! It is not owned by a client: a hundred clients are a hundred sockets, not a hundred threads. It starts with the first
//! use and ends with the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The runtime's handle; one I/O thread unless [`start`] was called before with more.
pub fn handle() -> Handle {
    start(1)
}

/// Threads that compress and unpack large batches and look names up: they come when there is work and go when there is
/// none. A name server that does not answer holds one of them, so they are never few.
fn helpers() -> usize {
    std::thread::available_parallelism().map_or(4, usize::from).clamp(4, 16)
}

/// Starts the runtime with so many I/O threads; the first call in the process decides.
pub fn start(io_threads: usize) -> Handle {
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(io_threads.max(1))
            .max_blocking_threads(helpers())
            .thread_name("dohle-io")
            .enable_all()
            .build()
            .expect("the operating system gives no thread or no epoll instance")
    });
    runtime.handle().clone()
}
