//! A record that was read, as a view into its chunk, or one that was sent, with its fate.

use std::ffi::c_int;
use std::sync::Arc;

use dohle_bridge::consumer::{Chunk, INDEX_WORDS, split_first_header};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PyString};

use crate::error::{exception, guarded};
use crate::input::Lent;

/// A chunk, shared by its messages: their bytes are in it.
pub(crate) struct View {
    pub chunk: Chunk,
    topic: Py<PyString>,
}

impl View {
    pub fn new(py: Python<'_>, chunk: Chunk) -> Arc<Self> {
        let topic = PyString::new(py, &chunk.topic).unbind();
        Arc::new(Self { topic, chunk })
    }

    fn words(&self, place: u32) -> &[i32] {
        let at = place as usize * INDEX_WORDS;
        &self.chunk.index[at..at + INDEX_WORDS]
    }

    fn part(&self, start: i32, length: i32) -> Option<&[u8]> {
        let (start, length) = (start as usize, usize::try_from(length).ok()?);
        self.chunk.bytes.get(start..start + length)
    }
}

/// A record that was sent.
pub(crate) struct Delivered {
    pub topic: Py<PyString>,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    /// The time is the broker's.
    pub append_time: bool,
    pub key: Option<Py<PyAny>>,
    pub value: Option<Py<PyAny>>,
    pub headers: Option<Py<PyAny>>,
    /// Why it failed, as JSON, and whether it is in the log.
    pub failure: Option<(String, i32)>,
}

enum Of {
    Fetched { view: Arc<View>, place: u32 },
    Delivered(Box<Delivered>),
}

/// A message, as `Consumer` reads it, or as a delivery report tells of it. Its parts are read when they are asked for.
///
/// One that was read keeps the memory of the chunk that it came in: what is to be kept for long is better kept as `bytes(message.value())`.
#[pyclass(frozen, module = "dohle")]
pub(crate) struct Message(Of);

impl Message {
    pub fn fetched(view: Arc<View>, place: u32) -> Self {
        Self(Of::Fetched { view, place })
    }

    pub fn delivered(of: Delivered) -> Self {
        Self(Of::Delivered(Box::new(of)))
    }

    /// The chunk that it came in.
    pub fn view(&self) -> Option<&Arc<View>> {
        match &self.0 {
            Of::Fetched { view, .. } => Some(view),
            Of::Delivered(_) => None,
        }
    }

    /// Start and length of its key or its value in the chunk.
    fn place_of(view: &View, place: u32, value: bool) -> (i32, i32) {
        let words = view.words(place);
        if value { (words[5], words[6]) } else { (words[3], words[4]) }
    }

    fn bytes<'py>(&self, py: Python<'py>, value: bool) -> PyResult<Option<Bound<'py, PyBytes>>> {
        match &self.0 {
            Of::Fetched { view, place } => {
                let (start, length) = Self::place_of(view, *place, value);
                Ok(view.part(start, length).map(|part| PyBytes::new(py, part)))
            }
            Of::Delivered(of) => {
                let object = if value { &of.value } else { &of.key };
                let object = object.as_ref().map(|object| object.bind(py));
                if let Some(Ok(bytes)) = object.map(|object| object.cast::<PyBytes>()) {
                    return Ok(Some(bytes.clone()));
                }
                let lent = Lent::of(object, "it")?;
                Ok(lent.bytes().map(|bytes| PyBytes::new(py, bytes)))
            }
        }
    }

    fn memory<'py>(&self, py: Python<'py>, value: bool) -> PyResult<Option<Bound<'py, PyMemoryView>>> {
        match &self.0 {
            Of::Fetched { view, place } => {
                let (start, length) = Self::place_of(view, *place, value);
                if view.part(start, length).is_none() {
                    return Ok(None);
                }
                let slice = Bound::new(py, Slice { view: view.clone(), start, length })?;
                PyMemoryView::from(slice.as_any()).map(Some)
            }
            Of::Delivered(_) => self.bytes(py, value)?.map(|bytes| PyMemoryView::from(bytes.as_any())).transpose(),
        }
    }
}

#[pymethods]
impl Message {
    /// The topic's name.
    fn topic(&self, py: Python<'_>) -> Py<PyString> {
        match &self.0 {
            Of::Fetched { view, .. } => view.topic.clone_ref(py),
            Of::Delivered(of) => of.topic.clone_ref(py),
        }
    }

    /// The partition's number, from 0; -1 when a record failed before it had one.
    fn partition(&self) -> i32 {
        match &self.0 {
            Of::Fetched { view, .. } => view.chunk.partition,
            Of::Delivered(of) => of.partition,
        }
    }

    /// The offset; `OFFSET_INVALID` (-1001) when a record failed or its offset is not known.
    fn offset(&self) -> i64 {
        match &self.0 {
            Of::Fetched { view, place } => view.chunk.offset(*place),
            Of::Delivered(of) => of.offset,
        }
    }

    /// The key as `bytes`, or None.
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.bytes(py, false))
    }

    /// The value as `bytes`, or None: a tombstone.
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.bytes(py, true))
    }

    /// The key as a read-only `memoryview` of the chunk, without a copy, or None.
    fn key_view<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyMemoryView>>> {
        guarded(py, || self.memory(py, false))
    }

    /// The value as a read-only `memoryview` of the chunk, without a copy, or None.
    fn value_view<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyMemoryView>>> {
        guarded(py, || self.memory(py, true))
    }

    /// The headers in order, as a list of (name, `bytes` or None); None when there are none.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(py, || match &self.0 {
            Of::Fetched { view, place } => {
                let words = view.words(*place);
                let (mut rest, count) = (view.part(words[7], words[8]).unwrap_or_default(), words[9]);
                let list = PyList::empty(py);
                for _ in 0..count {
                    let Some(((name, value), left)) = split_first_header(rest) else { break };
                    let value = value.map(|value| PyBytes::new(py, value));
                    list.append((String::from_utf8_lossy(name), value))?;
                    rest = left;
                }
                Ok((count > 0).then(|| list.into_any()))
            }
            Of::Delivered(of) => Ok(of.headers.as_ref().map(|headers| headers.bind(py).clone())),
        })
    }

    /// (type, milliseconds since the epoch); the type is `TIMESTAMP_CREATE_TIME`, `TIMESTAMP_LOG_APPEND_TIME` (delivery reports only) or
    /// `TIMESTAMP_NOT_AVAILABLE`.
    fn timestamp(&self) -> (i32, i64) {
        let (appended, time) = match &self.0 {
            Of::Fetched { view, place } => {
                let words = view.words(*place);
                (false, i64::from(words[2]) << 32 | i64::from(words[1] as u32))
            }
            Of::Delivered(of) => (of.append_time, of.timestamp),
        };
        match time {
            ..0 => (0, -1),
            _ => (if appended { 2 } else { 1 }, time),
        }
    }

    /// The leader epoch of the chunk that it came in, or None.
    fn leader_epoch(&self) -> Option<i32> {
        self.view().map(|view| view.chunk.leader_epoch).filter(|epoch| *epoch >= 0)
    }

    /// Why a record of a delivery report failed, or None. None for messages that were read: failures of a consumer are raised.
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.0 {
            Of::Delivered(of) => {
                of.failure.as_ref().map(|(text, persistence)| exception(py, text, Some(*persistence))).transpose()
            }
            Of::Fetched { .. } => Ok(None),
        }
    }

    /// Length of the value in bytes; 0 for None.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.0 {
            Of::Fetched { view, place } => Ok(usize::try_from(view.words(*place)[6]).unwrap_or(0)),
            Of::Delivered(_) => Ok(self.bytes(py, true)?.map_or(0, |bytes| bytes.as_bytes().len())),
        }
    }

    /// A message is true, also one without a value.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let topic = self.topic(py);
        Ok(format!("<Message {}-{} @ {}>", topic.bind(py).to_str()?, self.partition(), self.offset()))
    }

    /// What `Consumer.commit` and `store_offsets` need to know of it: (topic, partition, offset, leader epoch or -1).
    fn _place(&self, py: Python<'_>) -> (Py<PyString>, i32, i64, i32) {
        (self.topic(py), self.partition(), self.offset(), self.leader_epoch().unwrap_or(-1))
    }

    /// The same, and the epoch of the consumer's ownership under which it was read.
    fn _owned(&self) -> Option<u32> {
        self.view().map(|view| view.chunk.epoch())
    }
}

/// A run of a chunk's bytes, for memoryviews, which keep it.
#[pyclass(frozen, module = "dohle._native")]
struct Slice {
    view: Arc<View>,
    start: i32,
    length: i32,
}

#[pymethods]
impl Slice {
    /// # Safety
    ///
    /// Called by Python, with a buffer to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, buffer: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let part = this.view.part(this.start, this.length).unwrap_or_default();
        let (start, length) = (part.as_ptr().cast_mut().cast(), part.len() as isize);
        // SAFETY: `buffer` is Python's to be filled; the bytes live as long as `slf`, which the buffer keeps, and are told to be read only.
        match unsafe { ffi::PyBuffer_FillInfo(buffer, slf.as_ptr(), start, length, 1, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::take(slf.py()).unwrap_or_else(|| PyBufferError::new_err("the bytes are read-only"))),
        }
    }
}
