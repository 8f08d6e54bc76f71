//! Records in: chunks are taken when the program polls, on its thread, and become messages that are views of them.
//!
//! What a poll has given is finished with the next one, with a commit of everything, and with the close: so an automatic commit never
//! covers a record that the program may not have seen.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use dohle_bridge::consumer::{Chunk, ChunkControl, Drive, Polled};
use dohle_bridge::failure::Failure;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::core::{Core, Until};
use crate::error::{guarded, raised};
use crate::message::{Message, View};

/// Messages that room is made for at once; more find room as they come.
const ROOM: usize = 4096;
/// How long a wait for an operation goes on before a question is looked for.
const BETWEEN_QUESTIONS: std::time::Duration = std::time::Duration::from_millis(5);

#[derive(Default)]
struct Hand {
    current: Option<Current>,
    /// How far given chunks are finished once the program comes back.
    given: Vec<(Arc<ChunkControl>, u32)>,
    /// Chunks of which offsets may still be stored, when the program stores them itself.
    open: Vec<Arc<View>>,
    /// A question that came while messages were in hand.
    question: Option<String>,
    /// Messages of a call that was interrupted, and what is to be given with the last of them.
    kept: Vec<Py<Message>>,
    with_kept: Vec<(Arc<ChunkControl>, u32)>,
}

struct Current {
    view: Arc<View>,
    next: u32,
}

struct Opened {
    handle: u32,
    drive: Drive,
    /// What was given counts as finished by itself (`enable.auto.offset.store`).
    stores: bool,
}

/// What `dohle.Consumer` and `dohle.AsyncConsumer` are built on.
#[pyclass(extends = Core, subclass, frozen, module = "dohle._native")]
pub(crate) struct Consumer {
    opened: OnceLock<Opened>,
    hand: Mutex<Hand>,
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let this = Self { opened: OnceLock::new(), hand: Mutex::default() };
        Ok(PyClassInitializer::from(Core::make(py)?).add_subclass(this))
    }

    /// Opens it, once: options of a consumer as JSON; its handle. `queued`: an event loop drives it, and not a thread that polls.
    fn _open(slf: &Bound<'_, Self>, client: u32, options: &str, queued: bool, stores: bool) -> PyResult<u32> {
        let this = slf.get();
        let drive = if queued { Drive::Queue } else { Drive::Listen };
        slf.as_super().get().on(slf.py(), |core| {
            let handle = core.environment.open_consumer(client, options, drive)?;
            let opened = Opened { handle, drive, stores };
            this.opened.set(opened).map_err(|_| Failure::argument("consumer", "is open already"))?;
            Ok(handle)
        })
    }

    /// The next message. Waits for at most `timeout` seconds (-1 or None: for ever); None: none came in time.
    ///
    /// Listeners of `subscribe` and callbacks of `commit` are called from here. Failures of the consumer are raised here.
    /// (confluent-kafka: Consumer.poll)
    #[pyo3(signature = (timeout = None))]
    fn poll(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Option<Py<Message>>> {
        guarded(slf.py(), || Ok(Self::take(slf, 1, timeout)?.pop()))
    }

    /// A list of up to `num_messages` messages. Waits until there are so many, but for at most `timeout` seconds (-1 or None: for ever);
    /// the list has what came until then. Otherwise as `poll`. (confluent-kafka: Consumer.consume)
    #[pyo3(signature = (num_messages = 1, timeout = None))]
    fn consume(slf: &Bound<'_, Self>, num_messages: i64, timeout: Option<f64>) -> PyResult<Vec<Py<Message>>> {
        let Ok(most) = usize::try_from(num_messages) else {
            return Err(PyValueError::new_err(format!("num_messages: {num_messages} is below 0")));
        };
        guarded(slf.py(), || Self::take(slf, most, timeout))
    }

    /// What was given counts as finished from now on.
    fn _finish(&self) {
        self.hand.lock().finish();
    }

    /// What was given last does not count as finished, though it was given.
    fn _forget(&self) {
        self.hand.lock().given.clear();
    }

    /// Records of a partition before `offset` count as finished, among those that were given.
    fn _store(&self, topic: &str, partition: i32, offset: i64) {
        let mut hand = self.hand.lock();
        for view in &hand.open {
            let chunk = &view.chunk;
            if &*chunk.topic == topic && chunk.partition == partition {
                let done = (0..chunk.count).take_while(|place| chunk.offset(*place) < offset).count() as u32;
                chunk.control.finished.fetch_max(done, Ordering::AcqRel);
            }
        }
        hand.open.retain(|view| view.chunk.control.finished.load(Ordering::Acquire) < view.chunk.count);
    }

    /// Waits for an operation whose outcome may need the listener, such as leaving the group; its response's JSON.
    #[pyo3(signature = (operation, request = "{}"))]
    fn _call_asking(slf: &Bound<'_, Self>, operation: &str, request: &str) -> PyResult<String> {
        let (py, core) = (slf.py(), slf.as_super().get());
        let handle = slf.get().opened(py)?.handle;
        let pending = core.on(py, |core| core.environment.pending(handle, operation, request, None))?;
        loop {
            if let Some(outcome) = py.detach(|| pending.wait(Some(BETWEEN_QUESTIONS))) {
                return outcome.map_err(|failure| raised(py, &failure));
            }
            py.check_signals()?;
            slf.call_method0(intern!(py, "_turn"))?;
            let resource = core.environment.consumer(handle);
            let asked = resource.and_then(|consumer| consumer.question(Some(std::time::Duration::ZERO)));
            if let Ok(Polled::Question(text)) = asked {
                slf.call_method1(intern!(py, "_asked"), (text,))?;
            }
        }
    }

    /// Ends a poll that waits on another thread, or else the next one, with nothing.
    fn wakeup(slf: &Bound<'_, Self>) -> PyResult<()> {
        let handle = slf.get().opened(slf.py())?.handle;
        slf.as_super().get().on(slf.py(), |core| {
            core.environment.consumer(handle)?.wake();
            Ok(())
        })
    }
}

impl Consumer {
    fn opened(&self, py: Python<'_>) -> PyResult<&Opened> {
        self.opened.get().ok_or_else(|| raised(py, &Failure::argument("consumer", "its __init__ was not called")))
    }

    fn take(slf: &Bound<'_, Self>, most: usize, timeout: Option<f64>) -> PyResult<Vec<Py<Message>>> {
        let (py, this) = (slf.py(), slf.get());
        let core = slf.as_super().get();
        core.process.check().map_err(|failure| raised(py, &failure))?;
        let (opened, until) = (this.opened(py)?, Until::after(timeout)?);
        let mut out = {
            let mut hand = this.hand.lock();
            if opened.stores {
                hand.finish();
            }
            hand.left_over(most)
        };
        this.give(py, most, &mut out, opened.stores)?;
        if out.len() >= most {
            return Ok(out);
        }
        loop {
            match Self::more(slf, core, opened, until, out.is_empty()) {
                Ok(true) => this.give(py, most, &mut out, opened.stores)?,
                Ok(false) => return Ok(out),
                Err(error) if out.is_empty() => return Err(error),
                Err(error) => {
                    let mut hand = this.hand.lock();
                    hand.with_kept = std::mem::take(&mut hand.given);
                    hand.kept = out;
                    return Err(error);
                }
            }
            if out.len() >= most {
                return Ok(out);
            }
        }
    }

    /// Moves messages of the chunk in hand to `out`, until that has `most`.
    fn give(&self, py: Python<'_>, most: usize, out: &mut Vec<Py<Message>>, stores: bool) -> PyResult<()> {
        let mut hand = self.hand.lock();
        let Some(current) = &mut hand.current else { return Ok(()) };
        let view = current.view.clone();
        let control = &view.chunk.control;
        let from = current.next;
        let room = u32::try_from(most - out.len().min(most)).unwrap_or(u32::MAX);
        let to = from.saturating_add(room).min(view.chunk.count);
        current.next = to;
        let revoked = control.revoked.load(Ordering::Acquire) != 0;
        if to == view.chunk.count || revoked {
            hand.current = None;
        }
        if revoked || from == to {
            return Ok(());
        }
        control.stepped.fetch_max(to, Ordering::AcqRel);
        match stores {
            true => hand.given.push((control.clone(), to)),
            false if from == 0 => hand.open.push(view.clone()),
            false => {}
        }
        drop(hand);
        out.reserve(((to - from) as usize).min(ROOM));
        for place in from..to {
            out.push(Py::new(py, Message::fetched(view.clone(), place))?);
        }
        Ok(())
    }

    /// Looks for another chunk, and waits for it; false: there is none. `empty`: nothing is in the caller's hand yet.
    fn more(slf: &Bound<'_, Self>, core: &Core, opened: &Opened, until: Until, empty: bool) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let failed = |failure: Failure| raised(py, &failure);
        loop {
            if core.bell.is_rung() {
                slf.call_method0(intern!(py, "_turn"))?;
            }
            let resource = core.environment.consumer(opened.handle).map_err(failed)?;
            if opened.drive == Drive::Queue || !empty {
                if let Some(chunk) = resource.next_chunk().map_err(failed)? {
                    return Ok(this.begin(py, chunk));
                }
                if opened.drive == Drive::Queue || until.is_over() {
                    return Ok(false);
                }
            }
            let question = if empty { this.hand.lock().question.take() } else { None };
            let polled = match question {
                Some(question) => Polled::Question(question),
                None => py.detach(|| resource.poll(Some(until.slice()))).map_err(failed)?,
            };
            match polled {
                Polled::Chunk(chunk) => return Ok(this.begin(py, chunk)),
                Polled::Woken => return Ok(false),
                Polled::Question(question) if !empty => {
                    this.hand.lock().question = Some(question);
                    return Ok(false);
                }
                Polled::Question(question) => slf.call_method1(intern!(py, "_asked"), (question,)).map(drop)?,
                Polled::Nothing => {}
            }
            py.check_signals()?;
            if until.is_over() {
                return Ok(false);
            }
        }
    }

    fn begin(&self, py: Python<'_>, chunk: Chunk) -> bool {
        let view = View::new(py, chunk);
        self.hand.lock().current = Some(Current { view, next: 0 });
        true
    }
}

impl Hand {
    /// What an interrupted call had, as far as it may still be given, and no more than `most`.
    fn left_over(&mut self, most: usize) -> Vec<Py<Message>> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let is_ours = |view: &Arc<View>| view.chunk.control.revoked.load(Ordering::Acquire) == 0;
        self.kept.retain(|message| message.get().view().is_some_and(is_ours));
        let rest = self.kept.split_off(most.min(self.kept.len()));
        let out = std::mem::replace(&mut self.kept, rest);
        if self.kept.is_empty() {
            self.given.append(&mut self.with_kept);
        }
        out
    }

    fn finish(&mut self) {
        for (control, finished) in self.given.drain(..) {
            control.finished.fetch_max(finished, Ordering::AcqRel);
        }
    }
}
