//! Failures as Python's exceptions. The classes are `dohle.errors`'; what makes one of a failure's JSON is `of_failure` there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dohle_bridge::failure::Failure;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static OF_FAILURE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception object of a failure's JSON. `persistence` is that of records: 0 not, 1 possibly, 2 persisted.
pub(crate) fn exception<'py>(py: Python<'py>, json: &str, persistence: Option<i32>) -> PyResult<Bound<'py, PyAny>> {
    let make = OF_FAILURE.get_or_try_init(py, || -> PyResult<_> {
        Ok(PyModule::import(py, "dohle.errors")?.getattr("of_failure")?.unbind())
    })?;
    make.bind(py).call1((json, persistence))
}

/// To be raised.
pub(crate) fn raised(py: Python<'_>, failure: &Failure) -> PyErr {
    match exception(py, &failure.to_json(), None) {
        Ok(exception) => PyErr::from_value(exception),
        Err(other) => other,
    }
}

/// Runs the body of an exported function: a panic is an error of ours, not one that ends the program.
#[inline]
pub(crate) fn guarded<T>(py: Python<'_>, body: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => Err(raised(py, &Failure::of_panic(&*payload))),
    }
}
