//! What SASL needs and a function of the program's gives: a question to the client, whose answer a reader takes apart
//! (`tokens`, `aws`). It knows neither tokens nor credentials; nothing of an answer is ever quoted.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dohle_client::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::{Outcome, Questions};

/// The engine waits `request.timeout.ms`, which is at most an hour.
const DEADLINE: Duration = Duration::from_secs(3600);
/// March 1973 in milliseconds: what ends before that, and after 1970, is given in seconds.
const LEAST_MS: f64 = 1e11;

/// A function of the program's.
#[derive(Clone)]
pub(crate) struct Asked {
    questions: Arc<Questions>,
    handle: Arc<OnceLock<Handle>>,
}

impl Asked {
    /// The function that options declare by the entry `option`, which no table has.
    pub(crate) fn taken_out_of(
        options: &mut Map<String, Value>,
        option: &str,
        questions: &Arc<Questions>,
        handle: &Arc<OnceLock<Handle>>,
    ) -> Result<Option<Self>, Failure> {
        match options.remove(option) {
            None => Ok(None),
            Some(Value::Bool(true)) => Ok(Some(Self { questions: questions.clone(), handle: handle.clone() })),
            Some(_) => Err(Failure::argument(option, "is not true")),
        }
    }

    /// Asks the question `name`. `late` is the error's text when no answer comes.
    pub(crate) fn ask<T: 'static>(
        &self,
        name: &str,
        late: &'static str,
        read: fn(Value) -> Result<T, &'static str>,
    ) -> BoxFuture<'static, Result<T>> {
        let handle = self.handle.get().copied().unwrap_or_default();
        let answer = self.questions.ask(handle, name, json!({}), DEADLINE);
        async move {
            let failed = |text: String| Error::new(ErrorKind::CallbackFailed, text);
            match answer.await {
                Outcome::Answered(answer) => read(answer).map_err(|text| failed(text.to_owned())),
                Outcome::Failed(text) => Err(failed(text)),
                Outcome::TimedOut => Err(failed(late.to_owned())),
                Outcome::Closed => Err(Error::closed("client")),
            }
        }
        .boxed()
    }
}

/// An end that was given in milliseconds since 1970; `odd` is the error's text when it is none, `seconds` when it is one in
/// seconds, which would be taken for one long past.
pub(crate) fn end(given: Option<f64>, odd: &'static str, seconds: &'static str) -> Result<Option<i64>, &'static str> {
    match given {
        None => Ok(None),
        Some(ms) if (LEAST_MS..9e15).contains(&ms) => Ok(Some(ms as i64)),
        Some(ms) if (1.0..LEAST_MS).contains(&ms) => Err(seconds),
        Some(_) => Err(odd),
    }
}
