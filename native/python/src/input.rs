//! What Python gives as bytes: `str` (UTF-8), `bytes`, anything with a buffer, or None. Nothing is copied.

use dohle_bridge::failure::Failure;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};
use pyo3::{ffi, intern};

/// Bytes that an object of Python lends while it is held.
pub(crate) enum Lent<'a> {
    Null,
    Bytes(&'a [u8]),
    Buffer(PyUntypedBuffer),
}

impl<'a> Lent<'a> {
    /// What `object` lends; `what` names it in errors.
    #[inline]
    pub fn of(object: Option<&'a Bound<'_, PyAny>>, what: &str) -> PyResult<Self> {
        let Some(object) = object else { return Ok(Self::Null) };
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.as_bytes()));
        }
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Bytes(text.to_str()?.as_bytes()));
        }
        Self::buffer(object, what)
    }

    #[cold]
    fn buffer(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let wrong = |why: &str| PyTypeError::new_err(format!("{what} must be {why}"));
        // SAFETY: it is an object, and the GIL is held.
        if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } == 0 {
            return Err(wrong(&format!("str, bytes, a buffer or None, not {}", object.get_type().name()?)));
        }
        let view = PyMemoryView::from(object)?;
        if view.getattr(intern!(object.py(), "format"))?.extract::<String>()?.contains('O') {
            return Err(wrong("a buffer of bytes, not of objects"));
        }
        let buffer = match PyUntypedBuffer::get(object) {
            // One without dimensions, such as a number of ctypes, is a row of bytes as well.
            Err(error) if error.is_instance_of::<PyBufferError>(object.py()) => {
                PyUntypedBuffer::get(&view.call_method1(intern!(object.py(), "cast"), ("B",))?)?
            }
            other => other?,
        };
        match buffer.is_c_contiguous() {
            true => Ok(Self::Buffer(buffer)),
            false => Err(wrong("a buffer whose bytes follow each other")),
        }
    }

    /// The bytes; `None`: null. To be read before any code of Python can run again, which could change a buffer.
    #[inline]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Buffer(buffer) if buffer.len_bytes() == 0 => Some(&[]),
            Self::Buffer(buffer) => {
                let (start, length) = (buffer.buf_ptr().cast::<u8>(), buffer.len_bytes());
                // SAFETY: the buffer is C-contiguous and not empty, its exporter keeps the memory for as long as it is held, and the
                // GIL is held: nobody writes it while these bytes are read, but for threads that do so against Python's own rules.
                Some(unsafe { std::slice::from_raw_parts(start, length) })
            }
        }
    }
}

/// Packs headers, a list of (name, value) or a dict, as an arena has them, into `packed`, which is emptied first. None and empty: no bytes.
pub(crate) fn pack_headers(headers: Option<&Bound<'_, PyAny>>, packed: &mut Vec<u8>) -> PyResult<()> {
    packed.clear();
    let Some(headers) = headers else { return Ok(()) };
    packed.extend([0; 4]);
    let mut count = 0u32;
    let mut add = |name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| -> PyResult<()> {
        let name = name.cast::<PyString>().map_err(|_| PyTypeError::new_err("headers: a name must be str"))?;
        let name = name.to_str()?;
        let value = Lent::of((!value.is_none()).then_some(value), "headers: a value")?;
        packed.extend((name.len() as u32).to_le_bytes());
        packed.extend(name.as_bytes());
        packed.extend(value.bytes().map_or(-1, |value| value.len() as i32).to_le_bytes());
        packed.extend(value.bytes().unwrap_or_default());
        count += 1;
        Ok(())
    };
    if let Ok(dict) = headers.cast::<PyDict>() {
        for (name, value) in dict {
            add(&name, &value)?;
        }
    } else if headers.is_instance_of::<PyList>() || headers.is_instance_of::<PyTuple>() {
        for pair in headers.try_iter()? {
            let pair = pair?;
            let wrong = |_| PyTypeError::new_err("headers: each must be a tuple of a name and a value");
            let pair = pair.cast::<PyTuple>().map_err(wrong)?;
            if pair.len() != 2 {
                return Err(PyValueError::new_err("headers: each must be a tuple of a name and a value"));
            }
            add(&pair.get_item(0)?, &pair.get_item(1)?)?;
        }
    } else {
        return Err(PyTypeError::new_err("headers must be a list of (name, value), a dict or None"));
    }
    if count == 0 {
        packed.clear();
    } else {
        packed[..4].copy_from_slice(&count.to_le_bytes());
    }
    Ok(())
}

/// The partition asked for, if any, and the time (-1: now) of a record, if they can be.
#[inline]
pub(crate) fn place(partition: i32, timestamp: Option<i64>) -> Result<(Option<i32>, i64), Failure> {
    if partition < -1 {
        return Err(Failure::argument("partition", &format!("{partition} is not one: they start at 0, and -1 is any")));
    }
    if let Some(timestamp @ ..0) = timestamp {
        return Err(Failure::argument("timestamp", &format!("{timestamp} is below 0")));
    }
    Ok(((partition >= 0).then_some(partition), timestamp.unwrap_or(-1)))
}
