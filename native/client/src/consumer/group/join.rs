//! JoinGroup and SyncGroup: from "we want to be a member" to an assignment, the leader's work included.
//! Not what is given up before or taken over after (membership.rs).
//! Driven by `Member`, one attempt per call.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use dohle_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use dohle_protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest};

use crate::net::Lane;
use crate::{Error, ErrorKind, Result};

use super::super::handover::TopicPartition;
use super::super::shared::Shared;
use super::assignors::{Counts, Racks};
use super::protocol;
use super::strategy::Strategy;

/// Kafka's name for groups of consumers.
const PROTOCOL_TYPE: &str = "consumer";

/// What a join came to.
pub(super) struct Joined {
    pub generation: i32,
    pub member_id: String,
    pub assignor: Strategy,
    /// We are the leader: what the assignment was made from, to be watched.
    pub leads: Option<Led>,
    /// Per member, for SyncGroup; empty unless we are the leader.
    assignments: Vec<(String, bytes::Bytes)>,
    /// What the leader's own assignment is, so that one that was changed on the way back is noticed.
    own: Option<Vec<TopicPartition>>,
}

/// What a leader watches: when it changes, the group must rebalance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Led {
    /// All topics that any member subscribes to.
    pub topics: Vec<Arc<str>>,
    pub counts: Counts,
    /// Where the replicas are, if any member said where it is (KIP-881).
    pub racks: Option<Racks>,
}

impl Led {
    /// Whether the metadata says something else now.
    pub fn is_outdated(&self, shared: &Shared) -> bool {
        counts(shared, &self.topics) != self.counts
            || self.racks.as_ref().is_some_and(|before| racks(shared, &self.topics) != *before)
    }
}

/// What a member says of itself when it joins.
pub(super) struct Wish {
    pub strategies: Vec<Strategy>,
    pub topics: Arc<[Arc<str>]>,
    /// The generation that gave us what we own. It can be older than the last one we were in: a claim to partitions must
    /// not look newer than it is when a rebalance was missed.
    pub owned_since: i32,
    /// What the group gave us last, and in which generation, whether we still have it or not.
    pub given: Arc<(Vec<TopicPartition>, i32)>,
    pub reason: String,
}

/// Waits until the group has gathered. A `MEMBER_ID_REQUIRED` is answered at once with the id that came with it.
pub(super) async fn join(shared: &Arc<Shared>, wish: &Wish) -> Result<Joined> {
    let (said, response) = match ask_join(shared, wish, &wish.reason).await {
        Err(error) if error.broker_code() == Some(ErrorCode::MEMBER_ID_REQUIRED) => {
            ask_join(shared, wish, "the coordinator asked for a member id").await?
        }
        outcome => outcome?,
    };
    digest(shared, wish, said, response).await
}

async fn ask_join(
    shared: &Arc<Shared>,
    wish: &Wish,
    reason: &str,
) -> Result<(Vec<JoinGroupRequestProtocol>, JoinGroupResponse)> {
    let identity = shared.group.identity();
    let options = &shared.options;
    let owned = shared.with(|s| s.assigned());
    let mut protocols = Vec::with_capacity(wish.strategies.len());
    for strategy in &wish.strategies {
        let (given, generation) =
            (&wish.given.0, if strategy.is_cooperative() { wish.owned_since } else { wish.given.1 });
        let metadata = protocol::Subscription {
            topics: &wish.topics,
            owned: &owned,
            generation: wish.owned_since,
            rack: &options.client_rack,
            user_data: strategy.user_data(given, generation),
        };
        protocols.push(JoinGroupRequestProtocol {
            name: strategy.name().to_owned(),
            metadata: metadata.encode()?,
            ..Default::default()
        });
    }
    let make = |version: i16| {
        Ok(JoinGroupRequest {
            group_id: shared.group_id()?.to_owned(),
            session_timeout_ms: options.session_timeout.as_millis() as i32,
            rebalance_timeout_ms: options.max_poll_interval.as_millis() as i32,
            member_id: identity.member_id.clone(),
            group_instance_id: shared.instance_id(version >= 5)?,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: protocols.clone(),
            reason: Some(reason.chars().take(255).collect()),
            ..Default::default()
        })
    };
    // The answer comes when all members have joined, at the latest after the rebalance timeout.
    let timeout = shared.client.options().request_timeout.max(options.max_poll_interval + SLACK);
    let lane = Lane::Join(shared.number);
    // The new id comes beside the error MEMBER_ID_REQUIRED, so the code is read after the id is kept.
    let read = |answer: &JoinGroupResponse| {
        if ErrorCode(answer.error_code) == ErrorCode::MEMBER_ID_REQUIRED {
            shared.group.change_identity(|identity| identity.member_id.clone_from(&answer.member_id));
        }
        answer.error_code
    };
    let joined = shared.ask_coordinator(lane, make, read, timeout).await?;
    Ok((protocols, joined))
}

/// Beyond the rebalance timeout, for the coordinator to answer.
const SLACK: std::time::Duration = std::time::Duration::from_secs(5);

async fn digest(
    shared: &Arc<Shared>,
    wish: &Wish,
    said: Vec<JoinGroupRequestProtocol>,
    response: JoinGroupResponse,
) -> Result<Joined> {
    let name = response.protocol_name.as_deref().unwrap_or_default();
    let Some(assignor) = wish.strategies.iter().find(|strategy| strategy.name() == name).cloned() else {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!("the group's coordinator chose the assignor '{name}', which this member did not offer"),
        ));
    };
    let mut joined = Joined {
        generation: response.generation_id,
        member_id: response.member_id.clone(),
        assignor,
        leads: None,
        assignments: Vec::new(),
        own: None,
    };
    let said = said.iter().find(|protocol| protocol.name == name).map(|protocol| &protocol.metadata);
    check_members(&response, said)?;
    if response.leader == response.member_id {
        lead(shared, &wish.topics, &response, &mut joined).await?;
    }
    Ok(joined)
}

/// The leader is told of all members, itself included, with what they said; others are told of none. Kafka's protocol has no
/// checksum here: a flipped bit would leave the group with an assignment that leaves something out, for as long as nothing
/// else makes it rebalance.
fn check_members(response: &JoinGroupResponse, said: Option<&bytes::Bytes>) -> Result<()> {
    let ours = response.members.iter().find(|member| member.member_id == response.member_id);
    let good = match response.leader == response.member_id {
        true => ours.map(|member| &member.metadata) == said,
        false => response.members.is_empty(),
    };
    if good {
        return Ok(());
    }
    let text = "the group's coordinator did not repeat what this member said when it joined";
    Err(Error::new(ErrorKind::Protocol, text).damaged())
}

/// The leader's part: reads what all members want, asks for the metadata of all their topics, assigns.
async fn lead(
    shared: &Arc<Shared>,
    topics: &[Arc<str>],
    response: &JoinGroupResponse,
    joined: &mut Joined,
) -> Result<()> {
    let mut members = Vec::with_capacity(response.members.len());
    for member in &response.members {
        let read =
            protocol::decode_member(&member.member_id, member.group_instance_id.as_deref(), member.metadata.clone());
        members.push(read.map_err(|error| error.context(format_args!("subscription of member {}", member.member_id)))?);
    }
    members.sort_by(|a, b| {
        (a.instance_id.is_none(), &a.instance_id, &a.id).cmp(&(b.instance_id.is_none(), &b.instance_id, &b.id))
    });
    let mut all: Vec<Arc<str>> = members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
    all.extend(topics.iter().cloned());
    all.sort_unstable();
    all.dedup();

    let names: Vec<&str> = all.iter().map(|topic| &**topic).collect();
    shared.client.metadata().refresh_topics(&names).await?;
    let counts = counts(shared, &all);
    let near = members.iter().any(|member| member.rack.is_some());
    let racks = if near { racks(shared, &all) } else { Racks::new() };
    // KIP-814: a static leader that came back keeps the assignment that the coordinator has.
    if !response.skip_assignment || shared.options.group_instance_id.is_none() {
        // In the coordinator's eyes our session runs while we assign.
        let lists = joined.assignor.assign(&counts, &racks, &members, shared.options.session_timeout * 2 / 3).await?;
        for (member, mut partitions) in members.iter().zip(lists) {
            joined.assignments.push((member.id.clone(), protocol::encode_assignment(&partitions)?));
            if member.id == joined.member_id {
                partitions.sort_unstable();
                joined.own = Some(partitions);
            }
        }
    }
    joined.leads = Some(Led { topics: all, counts, racks: near.then_some(racks) });
    Ok(())
}

/// Partition counts as the metadata has them now.
fn counts(shared: &Shared, topics: &[Arc<str>]) -> Counts {
    let snapshot = shared.client.metadata().snapshot();
    let count = |topic: &Arc<str>| Some((topic.clone(), snapshot.topic(topic)?.partitions.len() as i32));
    topics.iter().filter_map(count).collect()
}

/// The racks of all partitions' replicas, as the metadata has them now.
fn racks(shared: &Shared, topics: &[Arc<str>]) -> Racks {
    let snapshot = shared.client.metadata().snapshot();
    let rack = |node: &i32| snapshot.brokers.get(node)?.rack.clone();
    let of_topic = |topic: &Arc<str>| {
        let partitions = &snapshot.topic(topic)?.partitions;
        Some((topic.clone(), partitions.iter().map(|p| p.replicas.iter().filter_map(rack).collect()).collect()))
    };
    topics.iter().filter_map(of_topic).collect()
}

/// Hands the leader's assignment in, or waits for it. Ours comes back, sorted.
pub(super) async fn sync(shared: &Arc<Shared>, joined: &mut Joined) -> Result<Vec<TopicPartition>> {
    let assignments = std::mem::take(&mut joined.assignments);
    let make = |version: i16| {
        Ok(SyncGroupRequest {
            group_id: shared.group_id()?.to_owned(),
            generation_id: joined.generation,
            member_id: joined.member_id.clone(),
            group_instance_id: shared.instance_id(version >= 3)?,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(joined.assignor.name().to_owned()),
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id: member_id.clone(),
                    assignment: assignment.clone(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
    };
    let timeout = shared.client.options().request_timeout.max(shared.options.max_poll_interval + SLACK);
    let lane = Lane::Join(shared.number);
    let response = shared.ask_coordinator(lane, make, |answer| answer.error_code, timeout).await?;
    let assigned = protocol::decode_assignment(response.assignment)?;
    match &joined.own {
        Some(own) if *own != assigned => {
            let text = "the group's coordinator did not give the leader back what it had assigned to itself";
            Err(Error::new(ErrorKind::Protocol, text).damaged())
        }
        _ => Ok(assigned),
    }
}

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::join_group_response::JoinGroupResponseMember;

    use super::*;

    #[test]
    fn a_join_that_was_answered_with_something_else_than_was_said_is_refused() {
        let said = bytes::Bytes::from_static(b"topics");
        let member = |id: &str, metadata: &'static [u8]| JoinGroupResponseMember {
            member_id: id.to_owned(),
            metadata: bytes::Bytes::from_static(metadata),
            ..Default::default()
        };
        let answer = |leader: &str, members: Vec<JoinGroupResponseMember>| JoinGroupResponse {
            leader: leader.to_owned(),
            member_id: "me".to_owned(),
            members,
            ..Default::default()
        };
        let good = [answer("me", vec![member("you", b"other"), member("me", b"topics")]), answer("you", vec![])];
        for good in good {
            check_members(&good, Some(&said)).unwrap();
        }
        let bad = [
            answer("me", vec![member("you", b"topics"), member("me", b"topicz")]),
            answer("me", vec![member("you", b"topics")]),
            answer("me", vec![]),
            answer("yop", vec![member("you", b"other"), member("me", b"topics")]),
        ];
        for bad in bad {
            let error = check_members(&bad, Some(&said)).unwrap_err();
            assert!(error.kind() == ErrorKind::Protocol && error.retriable(), "{error}");
        }
    }
}
