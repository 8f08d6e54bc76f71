//! A request without its type, and its answer's bytes: so that the code that waits for brokers exists once, not once for
//! each of Kafka's APIs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::{ApiKey, Message, Request, Segments, frame};

use super::connection::Shared;
use crate::error::{Error, Result};

/// An API, with the versions of it that we know.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The lowest version.
    pub min: i16,
    /// The highest stable version.
    pub max: i16,
}

impl Api {
    /// The API of a request.
    pub const fn of<R: Request>() -> Self {
        Self { key: R::API_KEY, min: R::MIN_VERSION, max: R::MAX_STABLE_VERSION }
    }
}

/// What the connection puts into the header of a request.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: &'a str,
}

impl Head<'_> {
    /// The version that was negotiated.
    pub(crate) fn version(self) -> i16 {
        self.version
    }

    /// The request as it is written.
    pub(crate) fn write<R: Request>(self, request: &R) -> Result<Segments> {
        Ok(frame::encode_request::<R>(self.version, self.correlation_id, Some(self.client_id), request)?)
    }
}

/// What is asked of a broker.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) api: Api,
    /// No version above it.
    pub(crate) cap: i16,
    /// Writes the request in the version that was negotiated.
    pub(crate) write: &'a (dyn Fn(Head<'_>) -> Result<Segments> + Sync),
}

/// The bytes of an answer.
pub(crate) struct Answered {
    pub(super) bytes: Bytes,
    pub(super) version: i16,
    pub(super) peer: Arc<Shared>,
}

impl Answered {
    /// The response, decoded and checked for left-over bytes. The broker's throttle time is honoured here.
    pub(crate) fn read<R: Request>(self) -> Result<R::Response> {
        let Self { bytes, version, peer } = self;
        let (_, response) = frame::decode_response::<R>(bytes, version)
            .map_err(|error| peer.cannot_read(error.into(), R::API_KEY, version))?;
        peer.heed(response.throttle_time_ms());
        Ok(response)
    }
}

impl Shared {
    fn cannot_read(&self, error: Error, api: ApiKey, version: i16) -> Error {
        error.context(format_args!("{} version {version} from {}", api.name(), self.peer)).damaged()
    }

    /// Pauses as long as the broker asked for.
    fn heed(&self, throttle_time_ms: i32) {
        if let Ok(pause @ 1..) = u64::try_from(throttle_time_ms) {
            let pause = Duration::from_millis(pause);
            self.counters.throttled(pause);
            self.throttle(pause);
        }
    }
}
