//! Heartbeats: one at a time, every `heartbeat.interval.ms`, whatever the language does.
//! Not what their answers mean (membership.rs).
//! Driven by `Member::tend`, which drops and calls again; what is in flight stays in here.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::leave_group_request::MemberIdentity;
use dohle_protocol::messages::{ConsumerGroupHeartbeatResponse, HeartbeatRequest, LeaveGroupRequest};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::Result;
use crate::net::Lane;

use super::super::GroupExit;
use super::super::shared::Shared;
use super::Identity;
use super::modern::{self, Modern};

/// The heartbeats of one member.
#[derive(Default)]
pub(super) struct Heart {
    /// `None`: not in a generation, no heartbeats.
    next: Option<Instant>,
    in_flight: Option<BoxFuture<'static, Beat>>,
    interval: Duration,
}

/// What came of a heartbeat; by KIP-848 with the coordinator's answer.
pub(super) type Beat = Result<Option<ConsumerGroupHeartbeatResponse>>;

impl Heart {
    /// In a generation: the first heartbeat after one interval.
    pub fn start(&mut self, interval: Duration) {
        self.in_flight = None;
        self.interval = interval;
        self.next = Some(Instant::now() + interval);
    }

    /// From the next heartbeat on.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
        self.soon(interval);
    }

    /// Out of the generation. An answer to what was sent no longer matters.
    pub fn stop(&mut self) {
        *self = Heart::default();
    }

    /// The next heartbeat goes out after `delay`, if there are heartbeats.
    pub fn soon(&mut self, delay: Duration) {
        if self.next.is_some() {
            self.next = Some(Instant::now() + delay);
        }
    }

    /// Resolves with the answer to the next heartbeat; never when stopped. Dropping it loses nothing.
    pub async fn beat(&mut self, shared: &Arc<Shared>, modern: Option<&mut Modern>) -> Beat {
        let Some(next) = self.next else { return std::future::pending().await };
        if self.in_flight.is_none() {
            tokio::time::sleep_until(next).await;
        }
        let in_flight = self.in_flight.get_or_insert_with(|| match modern {
            Some(modern) => modern.beat(shared),
            None => send(shared.clone(), shared.group.identity()).boxed(),
        });
        let answer = in_flight.await;
        self.in_flight = None;
        self.next = Some(Instant::now() + self.interval);
        answer
    }
}

async fn send(shared: Arc<Shared>, identity: Identity) -> Beat {
    let options = &shared.options;
    // An answer later than this comes too late: the coordinator has us for dead. (The lane is shared with commits, which
    // are answered at once, so nothing stands before it.)
    let timeout = shared.client.options().request_timeout.min(options.session_timeout);
    let make = |version| {
        Ok(HeartbeatRequest {
            group_id: shared.group_id()?.to_owned(),
            generation_id: identity.generation,
            member_id: identity.member_id.clone(),
            group_instance_id: shared.instance_id(version >= 3)?,
            ..Default::default()
        })
    };
    shared.ask_coordinator(Lane::Coordinator, make, |answer| answer.error_code, timeout).await?;
    Ok(None)
}

/// Tells the coordinator that we go, so that the others need not wait for `session.timeout.ms`. One attempt: if it fails,
/// that is what they do. Static members only leave when they are told to (KIP-345): they come back.
pub(super) async fn leave(shared: &Shared, reason: &str, timeout: Duration) -> Result<()> {
    let identity = shared.group.identity();
    if identity.modern {
        return modern::leave(shared, identity, timeout).await;
    }
    let member_id = identity.member_id;
    let stays = match shared.exit() {
        GroupExit::Default => shared.options.group_instance_id.is_some(),
        exit => exit == GroupExit::Remain,
    };
    if member_id.is_empty() || stays {
        return Ok(());
    }
    let make = |version| {
        let mut request = LeaveGroupRequest { group_id: shared.group_id()?.to_owned(), ..Default::default() };
        if version < 3 {
            request.member_id = member_id.clone();
        } else {
            request.members = vec![MemberIdentity {
                member_id: member_id.clone(),
                group_instance_id: shared.options.group_instance_id.clone(),
                reason: Some(reason.to_owned()),
                ..Default::default()
            }];
        }
        Ok(request)
    };
    shared.ask_coordinator(Lane::Coordinator, make, |answer| answer.error_code, timeout).await?;
    Ok(())
}
