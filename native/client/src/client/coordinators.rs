//! Who coordinates which group or transactional id, as FindCoordinator said.
//!
//! It remembers until told to forget; it does not notice by itself that a coordinator moved.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::find_coordinator_response::Coordinator;
use dohle_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::Client;
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Backoff, Endpoint};

/// From this version on several keys may be asked for at once.
const BATCHED: i16 = 4;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// A consumer group.
    Group,
    /// A transactional id.
    Transaction,
    /// A share group's partitions.
    Share,
}

#[derive(Default)]
pub(super) struct Coordinators {
    known: Mutex<Map<(CoordinatorKind, String), i32>>,
}

impl CoordinatorKind {
    fn key_type(self) -> i8 {
        match self {
            CoordinatorKind::Group => 0,
            CoordinatorKind::Transaction => 1,
            CoordinatorKind::Share => 2,
        }
    }

    fn what(self) -> &'static str {
        match self {
            CoordinatorKind::Group => "group",
            CoordinatorKind::Transaction => "transactional id",
            CoordinatorKind::Share => "share group",
        }
    }
}

impl Client {
    /// The broker that coordinates a group or a transactional id. Known ones come from memory; others are looked up, with
    /// retries, for at most `default.api.timeout.ms`.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<i32> {
        if let Some(node) = self.known_coordinator(kind, key) {
            return Ok(node);
        }
        let deadline = Instant::now() + self.options().default_api_timeout;
        let mut backoff = Backoff::new(self.options().retry_backoff, self.options().retry_backoff_max);
        loop {
            let error = match self.look_up(kind, key).await {
                Ok(node) => return Ok(node),
                Err(error) if !error.retriable() => return Err(error),
                Err(error) => error,
            };
            let pause = backoff.next(&**self.world());
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                return Err(error);
            }
        }
    }

    /// The coordinator, if it was looked up before.
    pub fn known_coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.0.coordinators.known.lock().get(&(kind, key.to_owned())).copied()
    }

    /// The coordinator answered NOT_COORDINATOR or cannot be reached: look it up anew next time. `node` is the one that
    /// failed, so that a newer answer is kept.
    pub fn forget_coordinator(&self, kind: CoordinatorKind, key: &str, node: i32) {
        let mut known = self.0.coordinators.known.lock();
        let entry = (kind, key.to_owned());
        if known.get(&entry) == Some(&node) {
            known.remove(&entry);
        }
    }

    async fn look_up(&self, kind: CoordinatorKind, key: &str) -> Result<i32> {
        let doing = format!("coordinator of {} {key}", kind.what());
        let response = self
            .request_any(|version| request(version, kind, key), self.options().request_timeout)
            .await
            .map_err(|error| error.context(&doing))?;
        let found = answer(response, key).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, format!("{doing}: the broker's answer is about something else")).damaged()
        })?;
        if found.error_code != 0 {
            return Err(Error::broker_with(ErrorCode(found.error_code), doing, found.error_message.as_deref()));
        }
        let port =
            u16::try_from(found.port).ok().filter(|port| *port > 0 && found.node_id >= 0 && !found.host.is_empty());
        let Some(port) = port else {
            // The internal topic is just being created: the broker names nobody, without an error.
            return Err(Error::broker(ErrorCode::COORDINATOR_NOT_AVAILABLE, doing));
        };
        self.0.pool.learn([(found.node_id, Endpoint::new(&found.host, port))]);
        self.0.coordinators.known.lock().insert((kind, key.to_owned()), found.node_id);
        Ok(found.node_id)
    }
}

fn request(version: i16, kind: CoordinatorKind, key: &str) -> Result<FindCoordinatorRequest> {
    if version == 0 && kind != CoordinatorKind::Group {
        return Err(Error::new(ErrorKind::Unsupported, format!("the broker is too old to find a {}", kind.what())));
    }
    let mut request = FindCoordinatorRequest { key_type: kind.key_type(), ..Default::default() };
    if version >= BATCHED {
        request.coordinator_keys = vec![key.to_owned()];
    } else {
        request.key = key.to_owned();
    }
    Ok(request)
}

/// The answer about `key`: older versions have one, at the top.
fn answer(response: FindCoordinatorResponse, key: &str) -> Option<Coordinator> {
    if !response.coordinators.is_empty() {
        return response.coordinators.into_iter().find(|coordinator| coordinator.key == key);
    }
    Some(Coordinator {
        key: key.to_owned(),
        node_id: response.node_id,
        host: response.host,
        port: response.port,
        error_code: response.error_code,
        error_message: response.error_message,
        ..Default::default()
    })
}
