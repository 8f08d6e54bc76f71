//! Records out: one call per record, from the caller's objects straight into the engine.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use dohle_bridge::arena::{ArenaRecord, WITHDRAWN};
use dohle_bridge::bell::Waited;
use dohle_bridge::failure::Failure;
use dohle_bridge::producer::ProducerResource;
use parking_lot::Mutex;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::core::{Core, Until, tell};
use crate::deliveries::{Asked, Deliveries, Settled};
use crate::error::{exception, guarded, raised};
use crate::input::{self, Lent};
use crate::message::Message;

/// Records after which a producer that is not polled looks for what the engine has to say, so that it does not pile up.
const LOOK_AFTER: u32 = 4096;

/// Kinds of entries: see `dohle_bridge::queue`.
const DELIVERY: i32 = 1;
const SPACE: i32 = 2;

#[derive(Default)]
struct State {
    deliveries: Deliveries,
    topics: HashMap<String, u32>,
    /// The topic of the record before, by the object that named it.
    last: Option<(Py<PyString>, u32)>,
    packed: Vec<u8>,
    /// Records since the last look.
    unseen: u32,
    /// Who is told of records whose sender names nobody.
    told: Option<Py<PyAny>>,
}

/// What `dohle.Producer` and `dohle.AsyncProducer` are built on.
#[pyclass(extends = Core, subclass, frozen, module = "dohle._native")]
pub(crate) struct Producer {
    opened: OnceLock<(u32, Arc<ProducerResource>)>,
    state: Mutex<State>,
}

/// A record as Python gives it.
struct Given<'a, 'py> {
    topic: &'a Bound<'py, PyString>,
    value: Option<&'a Bound<'py, PyAny>>,
    key: Option<&'a Bound<'py, PyAny>>,
    partition: i32,
    timestamp: Option<i64>,
    headers: Option<&'a Bound<'py, PyAny>>,
}

#[pymethods]
impl Producer {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let this = Self { opened: OnceLock::new(), state: Mutex::default() };
        Ok(PyClassInitializer::from(Core::make(py)?).add_subclass(this))
    }

    /// Opens it, once: options of a producer as JSON; its handle.
    fn _open(slf: &Bound<'_, Self>, client: u32, options: &str, on_delivery: Option<Py<PyAny>>) -> PyResult<u32> {
        let this = slf.get();
        let handle = slf.as_super().get().on(slf.py(), |core| {
            let handle = core.environment.open_producer(client, options)?;
            let resource = core.environment.producer(handle)?;
            this.opened.set((handle, resource)).map_err(|_| Failure::argument("producer", "is open already"))?;
            Ok(handle)
        })?;
        this.state.lock().told = on_delivery;
        Ok(handle)
    }

    /// Sends a message to a topic. It is put into the open batch of its partition and sent by the engine's thread: this returns at once.
    ///
    /// `value`, `key`: `str` (sent as UTF-8), `bytes`, any contiguous buffer, or None. Nothing of them is kept, but for a delivery report.
    /// `partition`: -1 lets the partitioner choose, by the key if there is one. `timestamp`: milliseconds since the epoch, None: now.
    /// `headers`: a list of (name, value) or a dict; a value as `value`. `on_delivery(err, msg)` (also called `callback`) is called from
    /// `poll()` or `flush()`, once the message is acknowledged (err is None) or has failed; without it the record is only counted.
    ///
    /// Raises BufferError when `buffer.memory` is full: call `poll()` and produce it again. Raises KafkaError for a message that cannot be
    /// sent, such as one that is too large, and TypeError or ValueError for wrong arguments. (confluent-kafka: Producer.produce)
    #[pyo3(
        signature = (topic, value = None, key = None, partition = -1, callback = None, on_delivery = None, timestamp = None, headers = None),
        text_signature = "($self, topic, value=None, key=None, partition=-1, callback=None, on_delivery=None, timestamp=None, headers=None)"
    )]
    #[allow(clippy::too_many_arguments)]
    fn produce(
        slf: &Bound<'_, Self>,
        topic: &Bound<'_, PyString>,
        value: Option<&Bound<'_, PyAny>>,
        key: Option<&Bound<'_, PyAny>>,
        partition: i32,
        callback: Option<&Bound<'_, PyAny>>,
        on_delivery: Option<&Bound<'_, PyAny>>,
        timestamp: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let given = Given { topic, value, key, partition, timestamp, headers };
        let told = on_delivery.or(callback);
        if let Some(other) = told.filter(|told| !told.is_callable()) {
            let of = other.get_type().name()?;
            return Err(PyTypeError::new_err(format!("on_delivery must be a function or None, not {of}")));
        }
        match guarded(slf.py(), || Self::append(slf, given, told, false))? {
            true => Ok(()),
            false => Err(PyBufferError::new_err("buffer.memory is full: poll(), and produce the message again")),
        }
    }

    /// As `produce`, for a future that becomes its message; False: memory is full, and nothing was taken.
    #[pyo3(signature = (future, topic, value, key, partition, timestamp, headers))]
    #[allow(clippy::too_many_arguments)]
    fn _append(
        slf: &Bound<'_, Self>,
        future: &Bound<'_, PyAny>,
        topic: &Bound<'_, PyString>,
        value: Option<&Bound<'_, PyAny>>,
        key: Option<&Bound<'_, PyAny>>,
        partition: i32,
        timestamp: Option<i64>,
        headers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let given = Given { topic, value, key, partition, timestamp, headers };
        guarded(slf.py(), || Self::append(slf, given, Some(future), true))
    }

    /// Calls the delivery callbacks of what is settled, on this thread. Waits for at most `timeout` seconds (-1 or None: for ever; 0: not
    /// at all) until there is one, or room in `buffer.memory` again. Returns how many were called. What a callback raises is raised here;
    /// the remaining ones are called by the next poll. (confluent-kafka: Producer.poll)
    #[pyo3(signature = (timeout = None))]
    fn poll(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<usize> {
        guarded(slf.py(), || Self::poll_until(slf, timeout))
    }

    /// Sends what there is without lingering, waits until all of it is settled, or for at most `timeout` seconds (-1 or None: until then,
    /// which `delivery.timeout.ms` bounds), and calls the delivery callbacks. Returns how many messages are left.
    /// (confluent-kafka: Producer.flush)
    #[pyo3(signature = (timeout = None))]
    fn flush(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<u64> {
        guarded(slf.py(), || Self::flush_until(slf, Until::after(timeout)?))
    }

    /// Messages that have no fate yet, or whose delivery callback was not called yet.
    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        guarded(slf.py(), || {
            Self::absorb(slf)?;
            Ok(slf.get().state.lock().deliveries.untold() as usize)
        })
    }

    /// A producer is true, also one with nothing to send.
    fn __bool__(&self) -> bool {
        true
    }

    fn _turn(slf: &Bound<'_, Self>) -> PyResult<()> {
        guarded(slf.py(), || Self::absorb(slf))
    }

    /// Takes what the engine has to say and completes futures; whether there is room again.
    fn _serve(slf: &Bound<'_, Self>) -> PyResult<bool> {
        guarded(slf.py(), || {
            Self::absorb(slf)?;
            Self::serve(slf)?;
            Ok(std::mem::take(&mut slf.get().state.lock().deliveries.space))
        })
    }

    /// Messages without a fate, as far as is known without looking.
    fn _outstanding(&self) -> u64 {
        self.state.lock().deliveries.outstanding()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.state.try_lock() {
            Some(state) => state.told.iter().chain(state.deliveries.senders()).try_for_each(|who| visit.call(who)),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let mut state = self.state.lock();
        let gone = (state.told.take(), state.deliveries.forget());
        drop(state);
        drop(gone);
    }
}

impl Producer {
    fn opened(&self, py: Python<'_>) -> PyResult<&(u32, Arc<ProducerResource>)> {
        self.opened.get().ok_or_else(|| raised(py, &Failure::argument("producer", "its __init__ was not called")))
    }

    /// Appends a record; false: memory is full.
    fn append(
        slf: &Bound<'_, Self>,
        given: Given<'_, '_>,
        who: Option<&Bound<'_, PyAny>>,
        awaited: bool,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let failed = |failure: Failure| raised(py, &failure);
        slf.as_super().get().process.check().map_err(failed)?;
        let (_, resource) = this.opened(py)?;
        // What may run code of Python comes before the lock and after it.
        let (value, key) = (Lent::of(given.value, "value")?, Lent::of(given.key, "key")?);
        let (partition, timestamp) = input::place(given.partition, given.timestamp).map_err(failed)?;
        let mut headers = Vec::new();
        if given.headers.is_some() {
            headers = std::mem::take(&mut this.state.lock().packed);
            input::pack_headers(given.headers, &mut headers)?;
        }
        let (key, value) = (key.bytes(), value.bytes());
        let record = ArenaRecord { topic: WITHDRAWN, partition, timestamp, key, value, headers: &headers };
        let (outcome, look) = {
            let mut state = this.state.lock();
            let outcome = state.append(py, resource, record, &given, who, awaited);
            state.unseen += 1;
            if given.headers.is_some() {
                state.packed = headers;
            }
            let look = state.unseen >= LOOK_AFTER;
            state.unseen = if look { 0 } else { state.unseen };
            (outcome, look)
        };
        if look {
            Self::absorb(slf)?;
        }
        outcome.map_err(|failure| unsent(py, &failure))
    }

    /// Takes what the engine has to say; callbacks are called later.
    fn absorb(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let mut others = Vec::new();
        slf.as_super().get().drain(|told| match told.kind() {
            DELIVERY => this.state.lock().deliveries.settle(told),
            SPACE => this.state.lock().deliveries.space = true,
            _ => others.push(told),
        });
        let unheard = this.state.lock().deliveries.unheard();
        if let Some((count, failure)) = unheard {
            slf.call_method1(intern!(slf.py(), "_unheard"), (count, failure))?;
        }
        if others.is_empty() { Ok(()) } else { tell(slf.as_any(), others) }
    }

    /// Tells those who asked; how many.
    fn serve(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let mut count = 0;
        loop {
            let next = slf.get().state.lock().deliveries.next();
            let Some(settled) = next else { return Ok(count) };
            settled.tell(slf.py())?;
            count += 1;
        }
    }

    fn poll_until(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<usize> {
        let (py, core) = (slf.py(), slf.as_super().get());
        core.process.check().map_err(|failure| raised(py, &failure))?;
        Self::absorb(slf)?;
        let served = Self::serve(slf)?;
        if served > 0 || timeout == Some(0.0) {
            slf.get().state.lock().deliveries.space = false;
            return Ok(served);
        }
        let until = Until::after(timeout)?;
        loop {
            let space = std::mem::take(&mut slf.get().state.lock().deliveries.space);
            if space || until.is_over() {
                return Ok(0);
            }
            let waited = py.detach(|| core.bell.wait(Some(until.slice())));
            py.check_signals()?;
            Self::absorb(slf)?;
            let served = Self::serve(slf)?;
            if served > 0 || waited == Waited::Closed {
                return Ok(served);
            }
        }
    }

    fn flush_until(slf: &Bound<'_, Self>, until: Until) -> PyResult<u64> {
        let (py, this, core) = (slf.py(), slf.get(), slf.as_super().get());
        let (handle, _) = this.opened(py)?;
        core.on(py, |core| core.environment.producer(*handle).map(drop))?;
        loop {
            Self::absorb(slf)?;
            Self::serve(slf)?;
            let (outstanding, untold) = {
                let deliveries = &this.state.lock().deliveries;
                (deliveries.outstanding(), deliveries.untold())
            };
            if outstanding == 0 || until.is_over() {
                return Ok(untold);
            }
            let pending = core.on(py, |core| core.environment.pending(*handle, "producer.flush", "{}", None))?;
            loop {
                if let Some(outcome) = py.detach(|| pending.wait(Some(until.slice()))) {
                    outcome.map_err(|failure| raised(py, &failure))?;
                    break;
                }
                py.check_signals()?;
                Self::absorb(slf)?;
                Self::serve(slf)?;
                if until.is_over() {
                    break;
                }
            }
        }
    }
}

impl State {
    /// Appends a record whose topic is still to be told; false: memory is full.
    #[inline]
    fn append(
        &mut self,
        py: Python<'_>,
        resource: &ProducerResource,
        mut record: ArenaRecord<'_>,
        given: &Given<'_, '_>,
        who: Option<&Bound<'_, PyAny>>,
        awaited: bool,
    ) -> Result<bool, Failure> {
        record.topic = self.topic(resource, given.topic)?;
        let who = who.map(|who| who.clone().unbind()).or_else(|| self.told.as_ref().map(|told| told.clone_ref(py)));
        if record.timestamp == -1 && who.is_some() {
            // A record whose fate is told has its time told too.
            record.timestamp = resource.producer.now();
        }
        let Some((group, index)) = resource.append_record(&record)? else { return Ok(false) };
        let copy = |object: Option<&Bound<'_, PyAny>>| object.map(|object| object.clone().unbind());
        let asked = who.map(|who| Asked {
            index,
            who,
            awaited,
            topic: given.topic.clone().unbind(),
            key: copy(given.key),
            value: copy(given.value),
            headers: copy(given.headers),
            timestamp: record.timestamp,
        });
        self.deliveries.appended(group, asked);
        Ok(true)
    }

    /// The number of a topic; the object that named the one before is recognized.
    #[inline]
    fn topic(&mut self, resource: &ProducerResource, name: &Bound<'_, PyString>) -> Result<u32, Failure> {
        if let Some((last, topic)) = &self.last
            && last.as_ptr() == name.as_ptr()
        {
            return Ok(*topic);
        }
        let text = name.to_str().map_err(|_| Failure::argument("topic", "is not text that UTF-8 can have"))?;
        let topic = match self.topics.get(text) {
            Some(topic) => *topic,
            None => {
                let topic = resource.topic(text)?;
                self.topics.insert(text.to_owned(), topic);
                topic
            }
        };
        // Not one of a class of the program's own, which could have a `__del__`: this is done under a lock.
        if name.is_exact_instance_of::<PyString>() {
            self.last = Some((name.clone().unbind(), topic));
        }
        Ok(topic)
    }
}

/// Why a record was not taken: it is not in the log.
#[cold]
fn unsent(py: Python<'_>, failure: &Failure) -> PyErr {
    exception(py, &failure.to_json(), Some(0)).map_or_else(|other| other, PyErr::from_value)
}

impl Settled {
    fn tell(self, py: Python<'_>) -> PyResult<()> {
        let error = match &self.message.failure {
            Some((text, persistence)) => Some(exception(py, text, Some(*persistence))?),
            None => None,
        };
        let message = Bound::new(py, Message::delivered(self.message))?;
        let who = self.who.bind(py);
        if !self.awaited {
            return who.call1((error, message)).map(drop);
        }
        if who.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match error {
            Some(error) => who.call_method1(intern!(py, "set_exception"), (error,)),
            None => who.call_method1(intern!(py, "set_result"), (message,)),
        }
        .map(drop)
    }
}
