//! What every object has: an environment of its own, its client, cold calls, and waiting that gives the GIL away and lets
//! signals through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dohle_bridge::bell::{Bell, Ringer};
use dohle_bridge::environment::Environment;
use dohle_bridge::failure::{Class, Failure};
use dohle_bridge::pending::Pending;
use dohle_bridge::queue::ENTRY_WORDS;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::{guarded, raised};
use crate::fork::Process;

/// How long a wait goes on before Python may handle a signal, such as that of Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);
/// Entries taken at a time.
const ENTRIES: usize = 64;

/// Something that the engine has to say: an entry of the queue, see `dohle_bridge::queue`.
pub(crate) struct Told {
    words: [i32; ENTRY_WORDS],
    pub text: Option<String>,
}

impl Told {
    pub fn kind(&self) -> i32 {
        self.words[0]
    }

    pub fn word(&self, index: usize) -> i32 {
        self.words[index]
    }

    pub fn long(&self, index: usize) -> i64 {
        i64::from(self.words[index + 1]) << 32 | i64::from(self.words[index] as u32)
    }
}

/// See the module. `Producer` and `Consumer` extend it; by itself it is what `AdminClient` and `EmbeddedBroker` have.
#[pyclass(subclass, frozen, module = "dohle._native")]
pub(crate) struct Core {
    pub(crate) environment: Arc<Environment>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) process: Process,
    calls: AtomicU32,
    /// What is under way goes on without the object.
    leaving: AtomicBool,
    draining: Mutex<()>,
}

impl Core {
    pub fn make(py: Python<'_>) -> PyResult<Self> {
        let process = Process::start().map_err(|failure| raised(py, &failure))?;
        let bell = Arc::new(Bell::default());
        let environment = Environment::new(Box::new(Ringer(bell.clone())));
        Ok(Self {
            environment,
            bell,
            process,
            calls: AtomicU32::new(1),
            leaving: AtomicBool::default(),
            draining: Mutex::default(),
        })
    }

    /// Takes what the engine has to say, in order. The GIL is held, so that who appends has noted what it waits for.
    pub fn drain(&self, mut each: impl FnMut(Told)) {
        if !self.bell.is_rung() {
            return;
        }
        let _one_at_a_time = self.draining.lock();
        self.bell.silence();
        loop {
            let mut words = [0; ENTRIES * ENTRY_WORDS];
            let mut texts = Vec::new();
            let count = self.environment.queue().drain(&mut words, &mut texts);
            for words in words.chunks_exact(ENTRY_WORDS).take(count) {
                let text = usize::try_from(words[7]).ok().map(|at| std::mem::take(&mut texts[at]));
                each(Told { words: words.try_into().unwrap_or([0; ENTRY_WORDS]), text });
            }
            if count < ENTRIES {
                break;
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.process.is_this() {
            if !self.leaving.load(Ordering::Relaxed) {
                self.environment.close();
            }
        } else {
            // Its threads are the parent's: whatever it would do here could wait for them.
            std::mem::forget(self.environment.clone());
        }
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(py: Python<'_>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Self::make(py)
    }

    /// Makes a client from the options of one as JSON; its handle.
    fn _open_client(&self, py: Python<'_>, options: &str) -> PyResult<u32> {
        self.on(py, |core| core.environment.open_client(options))
    }

    /// Runs an operation that never waits; its response's JSON.
    #[pyo3(signature = (handle, operation, request = "{}"))]
    fn _invoke(&self, py: Python<'_>, handle: u32, operation: &str, request: &str) -> PyResult<String> {
        self.on(py, |core| core.environment.invoke(handle, operation, request))
    }

    /// Runs an operation and waits for its response's JSON, for at most `timeout` seconds; `_turn` is called while it waits.
    #[pyo3(signature = (handle, operation, request = "{}", timeout = None))]
    fn _call(
        slf: &Bound<'_, Self>,
        handle: u32,
        operation: &str,
        request: &str,
        timeout: Option<f64>,
    ) -> PyResult<String> {
        let (py, until) = (slf.py(), Until::after(timeout)?);
        let pending = slf.get().on(py, |core| core.environment.pending(handle, operation, request, None))?;
        guarded(py, || finish(slf.as_any(), operation, &pending, until))
    }

    /// Starts an operation whose completion `_told` gets; its number.
    #[pyo3(signature = (handle, operation, request = "{}"))]
    fn _start(&self, py: Python<'_>, handle: u32, operation: &str, request: &str) -> PyResult<u32> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        self.on(py, |core| {
            core.environment.call(id, handle, operation, request, None);
            Ok(id)
        })
    }

    /// Stops an operation of `_start`; what it has done stays done.
    fn _cancel(&self, py: Python<'_>, id: u32) -> PyResult<()> {
        self.on(py, |core| {
            core.environment.cancel(id);
            Ok(())
        })
    }

    /// A descriptor that is readable while there is something to drain; the environment's own.
    fn _descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        let refused = |why: std::io::Error| Failure::new("UNSUPPORTED", Class::Other, format!("no descriptor: {why}"));
        self.on(py, |core| core.bell.descriptor().map_err(refused))
    }

    /// Gives `_told` what the engine has to say.
    fn _turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut all = Vec::new();
        slf.get().drain(|told| all.push(told));
        tell(slf.as_any(), all)
    }

    /// Ends everything at once.
    fn _end(&self) {
        if self.process.is_this() {
            self.environment.close();
            self.bell.close();
        }
    }

    /// Closes in the background, when the object goes, what is to lose nothing.
    fn _leave(&self, py: Python<'_>, handle: u32, operation: &str) -> PyResult<()> {
        self.on(py, |core| {
            core.leaving.store(true, Ordering::Relaxed);
            core.environment.call(0, handle, operation, "{}", None);
            Ok(())
        })
    }

    /// Whether this is a forked child of the process that made the object.
    fn _forked(&self) -> bool {
        !self.process.is_this()
    }
}

impl Core {
    /// Runs a body that has failures, in the process that made this.
    pub fn on<T>(&self, py: Python<'_>, body: impl FnOnce(&Self) -> Result<T, Failure>) -> PyResult<T> {
        guarded(py, || self.process.check().and_then(|()| body(self)).map_err(|failure| raised(py, &failure)))
    }
}

/// Tells an object what is neither a delivery nor room: `_told(kind, handle, id, failed, text)`.
pub(crate) fn tell(object: &Bound<'_, PyAny>, all: Vec<Told>) -> PyResult<()> {
    let mut first = Ok(());
    for told in all {
        let arguments = (told.kind(), told.word(1) as u32, told.word(2) as u32, told.word(3) != 0, told.text);
        let outcome = object.call_method1(intern!(object.py(), "_told"), arguments);
        first = first.and(outcome.map(drop));
    }
    first
}

/// Waits for an operation on the caller's thread.
fn finish(object: &Bound<'_, PyAny>, operation: &str, pending: &Pending, until: Until) -> PyResult<String> {
    let py = object.py();
    loop {
        if let Some(outcome) = py.detach(|| pending.wait(Some(until.slice()))) {
            return outcome.map_err(|failure| raised(py, &failure));
        }
        py.check_signals()?;
        object.call_method0(intern!(py, "_turn"))?;
        if until.is_over() {
            let message = format!("{operation}: no outcome in the time that was given");
            let failure = Failure::new("REQUEST_TIMED_OUT", Class::Retriable, message);
            return Err(raised(py, &Failure { retriable: true, ..failure }));
        }
    }
}

/// A wait that ends at a time, or never.
#[derive(Clone, Copy)]
pub(crate) struct Until(Option<Instant>);

impl Until {
    /// From seconds, as Python has them: None and what is below 0 are for ever.
    pub fn after(seconds: Option<f64>) -> PyResult<Self> {
        if seconds.is_some_and(f64::is_nan) {
            return Err(PyValueError::new_err("timeout: NaN is no time"));
        }
        let duration =
            seconds.filter(|seconds| *seconds >= 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self(duration.and_then(|duration| Instant::now().checked_add(duration))))
    }

    /// What is left of it.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|until| until.saturating_duration_since(Instant::now()))
    }

    pub fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// What is left, but no longer than signals may wait.
    pub fn slice(self) -> Duration {
        self.left().map_or(SLICE, |left| left.min(SLICE))
    }
}
