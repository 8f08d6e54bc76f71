//! Calls about several items that go to the controller, each item with a result of its own.
//!
//! Items whose answer is "not now" or "not here" are asked for again, alone; the others keep what they were told. It knows
//! nothing of topics.

use std::time::Duration;

use dohle_protocol::{ErrorCode, Request};

use super::{Admin, Attempts, Item};
use crate::error::{Error, ErrorKind, Result};
use crate::net::Lane;

/// What a response says of one item.
pub(super) struct Answer<T> {
    pub(super) name: String,
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
    pub(super) value: T,
}

/// The error of an item that the response does not mention.
pub(super) fn unanswered(doing: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("{doing}: the broker's answer leaves it out"))
}

impl Admin {
    /// Asks the controller about all items, and again about those that must wait or went to the wrong broker. `make` gets
    /// the version, the positions still to be asked for, and the `timeout_ms` for the broker.
    pub(super) async fn each_on_controller<R: Request, T>(
        &self,
        doing: &'static str,
        names: Vec<String>,
        timeout: Option<Duration>,
        make: impl Fn(i16, &[usize], i32) -> Result<R>,
        answers: impl Fn(R::Response) -> Vec<Answer<T>>,
    ) -> Result<Vec<Item<T>>> {
        let mut attempts = self.start(doing, timeout);
        let mut results: Vec<Option<Result<T>>> = names.iter().map(|_| None).collect();
        loop {
            let pending: Vec<usize> = (0..names.len()).filter(|index| results[*index].is_none()).collect();
            if pending.is_empty() {
                break;
            }
            let timeout_ms = attempts.left_ms();
            let ask = self.ask_controller(attempts.left(), |version| make(version, &pending, timeout_ms));
            let error = match attempts.limit(ask).await {
                Ok(Ok(response)) => match settle(doing, &names, &pending, answers(response), &mut results) {
                    None => continue,
                    Some(error) => error,
                },
                Ok(Err(error)) | Err(error) => error,
            };
            if let Err(error) = self.try_again(&mut attempts, error).await {
                if pending.len() == names.len() && results.iter().all(Option::is_none) {
                    return Err(error);
                }
                results
                    .iter_mut()
                    .filter(|result| result.is_none())
                    .for_each(|result| *result = Some(Err(error.clone())));
            }
        }
        let items = names.into_iter().zip(results.into_iter().flatten());
        Ok(items.map(|(name, result)| Item { name, result }).collect())
    }

    async fn ask_controller<R: Request>(&self, left: Duration, make: impl Fn(i16) -> Result<R>) -> Result<R::Response> {
        let metadata = self.client.metadata();
        let mut controller = metadata.snapshot().controller;
        if controller < 0 {
            controller = metadata.refresh().await?.controller;
        }
        if controller < 0 {
            return Err(Error::broker(ErrorCode::NOT_CONTROLLER, "the cluster names no controller"));
        }
        self.client.request_with(controller, Lane::General, make, left).await
    }

    /// Waits a little before the next try and, where the controller may be another now, looks it up.
    async fn try_again(&self, attempts: &mut Attempts, error: Error) -> Result<()> {
        let elsewhere = matches!(
            error.kind(),
            ErrorKind::Broker(ErrorCode::NOT_CONTROLLER) | ErrorKind::BrokerUnreachable | ErrorKind::Disconnected
        );
        // A controller that moved is answered at once by the next broker; the first failure is no reason to wait.
        attempts.pause(&self.client, error).await?;
        if elsewhere {
            // Should it fail, the next try fails alike and says why.
            let _ = attempts.limit(self.client.metadata().refresh()).await?;
        }
        Ok(())
    }
}

/// Takes over what was answered. The error of those to be asked for again, if there are any.
fn settle<T>(
    doing: &str,
    names: &[String],
    pending: &[usize],
    answers: Vec<Answer<T>>,
    results: &mut [Option<Result<T>>],
) -> Option<Error> {
    let mut again = None;
    let mut waiting: Vec<usize> = pending.to_vec();
    for Answer { name, code, message, value } in answers {
        let Some(position) = waiting.iter().position(|index| names[*index] == name) else { continue };
        let index = waiting.remove(position);
        if code.is_none() {
            results[index] = Some(Ok(value));
            continue;
        }
        let error = Error::broker_with(code, format_args!("{doing}: {name}"), message.as_deref());
        if matches!(code, ErrorCode::NOT_CONTROLLER | ErrorCode::THROTTLING_QUOTA_EXCEEDED) {
            again = Some(error);
        } else {
            results[index] = Some(Err(error));
        }
    }
    for index in waiting {
        results[index] = Some(Err(unanswered(&format!("{doing}: {}", names[index]))));
    }
    again
}
