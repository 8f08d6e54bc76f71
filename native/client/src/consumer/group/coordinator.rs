//! Asking the group's coordinator: finds it, sends, reads the error code, forgets it when it is not the one any more.
//! One attempt; whoever asks decides about another one by `verdict`.
//! Driven by heartbeats, joins, commits and look-ups.

use std::time::Duration;

use dohle_protocol::{ErrorCode, Request};

use crate::net::Lane;
use crate::{CoordinatorKind, Error, ErrorKind, Result};

use super::super::shared::Shared;
use super::verdict::{self, Verdict};

impl Shared {
    /// One request to the group's coordinator. `code` reads the answer's top-level error. `doing` completes the error
    /// text: `JoinGroup`.
    pub async fn ask_coordinator<R: Request>(
        &self,
        lane: Lane,
        make: impl Fn(i16) -> Result<R> + Sync,
        code: impl FnOnce(&R::Response) -> i16,
        timeout: Duration,
    ) -> Result<R::Response> {
        let group = self.group_id()?;
        let node = self.client.coordinator(CoordinatorKind::Group, group).await?;
        let outcome = self.client.request_with(node, lane, make, timeout).await.and_then(|answer| {
            match ErrorCode(code(&answer)) {
                ErrorCode::NONE => Ok(answer),
                code => Err(Error::broker(code, format_args!("{} to group {group}", R::API_KEY.name()))),
            }
        });
        if let Err(error) = &outcome {
            self.note_coordinator_error(node, error);
        }
        outcome
    }

    /// Forgets the coordinator where an error says that it is not, or cannot be reached.
    pub fn note_coordinator_error(&self, node: i32, error: &Error) {
        if let (Ok(group), Verdict::Rediscover) = (self.group_id(), verdict::of(error)) {
            self.client.forget_coordinator(CoordinatorKind::Group, group, node);
        }
    }

    /// `group.id`, or an error that says what needs it.
    pub fn group_id(&self) -> Result<&str> {
        self.options
            .group_id
            .as_deref()
            .ok_or_else(|| Error::invalid_config("group.id: not set; groups and commits need it"))
    }

    /// `group.instance.id` for a request; an error when the broker is too old to know it (before 2.3).
    pub fn instance_id(&self, known: bool) -> Result<Option<String>> {
        match (&self.options.group_instance_id, known) {
            (Some(id), false) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("group.instance.id: {id} needs brokers of version 2.3 or newer"),
            )),
            (id, _) => Ok(id.clone()),
        }
    }
}
