//! What a forked child must not do: use the engine, whose threads only the parent has.

use std::sync::atomic::{AtomicU32, Ordering};

use dohle_bridge::failure::{Class, Failure};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Forks between this process and the one that loaded the module.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// 1 + the value of [`FORKS`] when the engine's threads were started; 0: they were not.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// Counts forks from now on.
pub(crate) fn watch(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let in_child = PyDict::new(py);
        in_child.set_item("after_in_child", wrap_pyfunction!(forked, py)?)?;
        os.call_method("register_at_fork", (), Some(&in_child))?;
    }
    Ok(())
}

#[pyfunction]
fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The process that an object belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// This one, which starts to use the engine; an error in a child of one that did before.
    pub fn start() -> Result<Self, Failure> {
        let now = FORKS.load(Ordering::Relaxed);
        match STARTED.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Err(started) if started != now + 1 => Err(refused()),
            _ => Ok(Self(now)),
        }
    }

    /// Whether this is still that process.
    #[inline]
    pub fn is_this(self) -> bool {
        self.0 == FORKS.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn check(self) -> Result<(), Failure> {
        if self.is_this() { Ok(()) } else { Err(refused()) }
    }
}

#[cold]
fn refused() -> Failure {
    let message = "this process was forked from one that had used dohle, and has none of its threads: make producers and consumers \
                   after the fork only, or start processes with multiprocessing's 'spawn' or 'forkserver'";
    Failure::new("UNSUPPORTED", Class::ApplicationRecoverable, message.to_owned())
}
