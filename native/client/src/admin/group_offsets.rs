//! Offsets of groups, and members taken out of them. All of it is the coordinator's.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::leave_group_request::MemberIdentity;
use dohle_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use dohle_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use dohle_protocol::messages::{
    LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse,
};

use super::each::{Answer, Call, whole};
use super::groups::to_coordinator;
use super::partitions::by_topic;
use super::since::needs;
use super::{Admin, Item};
use crate::consumer::{CommittedOffset, TopicPartition};
use crate::error::{Error, ErrorKind, Result};

/// The last versions that name topics by their names.
const BY_NAME: i16 = 9;
/// From this version on one request asks about several groups.
const SEVERAL_GROUPS: i16 = 8;

/// What a group has committed for a partition; or why that cannot be told.
pub type GroupOffset = (TopicPartition, Result<CommittedOffset>);

/// The groups whose offsets are asked for, each with the partitions, none for all.
pub type GroupPartitions = Vec<(String, Option<Vec<TopicPartition>>)>;

/// A member to take out of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberToRemove {
    /// By the name by which it is known across restarts.
    Instance(String),
    /// By the id that the coordinator gave it.
    Member(String),
}

impl Admin {
    /// What groups have committed (KIP-222, KIP-709). One result per group, in the order given; partitions without an offset are
    /// left out. `stable`: waits for open transactions that commit offsets (KIP-447).
    pub async fn list_group_offsets(
        &self,
        groups: GroupPartitions,
        stable: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<GroupOffset>>>> {
        let (names, partitions): (Vec<String>, Vec<Option<Vec<TopicPartition>>>) = groups.into_iter().unzip();
        let wanted = names.clone();
        let make = |version, pending: &[usize], _| {
            needs(stable, version, 7, "requireStable", "2.5")?;
            needs(partitions.iter().any(Option::is_none), version, 2, "all offsets of a group", "0.10.2")?;
            if version < SEVERAL_GROUPS {
                return Ok(one_group(&wanted[pending[0]], partitions[pending[0]].as_deref(), stable));
            }
            let group = |index: &usize| several(&wanted[*index], partitions[*index].as_deref());
            let groups = pending.iter().map(group).collect();
            Ok(OffsetFetchRequest { groups, require_stable: stable, ..Default::default() })
        };
        let route = |group: &String| to_coordinator(group);
        // Before version 8 a request is about one group; the requests of a round are on their way together all the same.
        let call = Call { cap: BY_NAME, single: true, ..Call::new("listConsumerGroupOffsets", names, &route, timeout) };
        let keys = call.keys.clone();
        self.each(call, make, |response: OffsetFetchResponse| Ok(fetched(&keys, response))).await
    }

    /// Sets what a group has committed; it must be empty (KIP-396). One result per partition, in the order given.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), TopicPartition>>> {
        // A broker takes it, and then has no offset for the partition.
        if let Some((tp, committed)) = offsets.iter().find(|(_, committed)| committed.offset < 0) {
            let text = format!("offsets: {} of {tp}: below 0; to forget it, delete it", committed.offset);
            return Err(Error::invalid_argument(text));
        }
        let (partitions, offsets): (Vec<_>, Vec<_>) = offsets.into_iter().unzip();
        let wanted = partitions.clone();
        let make = |_, pending: &[usize], _| {
            let partition = |index: usize| OffsetCommitRequestPartition {
                partition_index: wanted[index].partition,
                committed_offset: offsets[index].offset,
                committed_leader_epoch: offsets[index].leader_epoch,
                committed_metadata: Some(offsets[index].metadata.clone()),
                ..Default::default()
            };
            let topic = |(name, indices): (&str, Vec<usize>)| OffsetCommitRequestTopic {
                name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            Ok(OffsetCommitRequest { group_id: group.to_owned(), topics, ..Default::default() })
        };
        let route = |_: &TopicPartition| to_coordinator(group);
        let call = Call { cap: BY_NAME, ..Call::new("alterConsumerGroupOffsets", partitions, &route, timeout) };
        self.each(call, make, |response: OffsetCommitResponse| {
            let mut answers = Vec::new();
            for topic in response.topics {
                for of in topic.partitions {
                    let tp = TopicPartition::new(topic.name.as_str(), of.partition_index);
                    answers.push(Answer::new(tp, of.error_code, ()).saying(of_live_group(of.error_code)));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Forgets what a group has committed for these partitions, which nobody in it may subscribe to (KIP-496). One result per
    /// partition, in the order given.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: Vec<TopicPartition>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), TopicPartition>>> {
        let doing = "deleteConsumerGroupOffsets";
        let wanted = partitions.clone();
        let make = |_, pending: &[usize], _| {
            let partition = |index: usize| OffsetDeleteRequestPartition { partition_index: wanted[index].partition };
            let topic = |(name, indices): (&str, Vec<usize>)| OffsetDeleteRequestTopic {
                name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            Ok(OffsetDeleteRequest { group_id: group.to_owned(), topics })
        };
        let route = |_: &TopicPartition| to_coordinator(group);
        let call = Call::new(doing, partitions, &route, timeout);
        self.each(call, make, |response: OffsetDeleteResponse| {
            whole(response.error_code, &format!("{doing}: {group}"), None)?;
            let mut answers = Vec::new();
            for topic in response.topics {
                for of in topic.partitions {
                    answers.push(Answer::new(
                        TopicPartition::new(topic.name.as_str(), of.partition_index),
                        of.error_code,
                        (),
                    ));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Takes members out of a group (KIP-345); none given: all that are in it. One result per member.
    pub async fn remove_group_members(
        &self,
        group: &str,
        members: Option<Vec<MemberToRemove>>,
        reason: Option<&str>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<()>>> {
        let doing = "removeMembersFromConsumerGroup";
        let members = match members {
            Some(members) => members,
            None => self.members_of(group, timeout).await?,
        };
        let keys: Vec<String> = members.iter().map(|member| member.name().to_owned()).collect();
        let make = |version, pending: &[usize], _| {
            needs(true, version, 3, "removing members of a group", "2.4")?;
            let identity = |index: &usize| {
                let reason = reason.map(str::to_owned);
                let identity = MemberIdentity { reason, ..Default::default() };
                match &members[*index] {
                    MemberToRemove::Instance(name) => {
                        MemberIdentity { group_instance_id: Some(name.clone()), ..identity }
                    }
                    MemberToRemove::Member(id) => MemberIdentity { member_id: id.clone(), ..identity },
                }
            };
            let members = pending.iter().map(identity).collect();
            Ok(LeaveGroupRequest { group_id: group.to_owned(), members, ..Default::default() })
        };
        let route = |_: &String| to_coordinator(group);
        let call = Call::new(doing, keys, &route, timeout);
        self.each(call, make, |response: LeaveGroupResponse| {
            whole(response.error_code, &format!("{doing}: {group}"), None)?;
            let answer = response.members.into_iter().map(|of| {
                let name = of.group_instance_id.filter(|name| !name.is_empty()).unwrap_or(of.member_id);
                Answer::new(name, of.error_code, ())
            });
            Ok(answer.collect())
        })
        .await
    }

    async fn members_of(&self, group: &str, timeout: Option<Duration>) -> Result<Vec<MemberToRemove>> {
        let described = self.describe_groups(vec![group.to_owned()], false, timeout).await?;
        let Some(item) = described.into_iter().next() else { return Ok(Vec::new()) };
        let member = |of: super::GroupMember| match of.instance_id {
            Some(name) => MemberToRemove::Instance(name),
            None => MemberToRemove::Member(of.member_id),
        };
        Ok(item.result?.members.into_iter().map(member).collect())
    }
}

/// What to do about a commit that is refused because it is of no member.
fn of_live_group(code: i16) -> Option<String> {
    let is_about_members = matches!(
        ErrorCode(code),
        ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::STALE_MEMBER_EPOCH
            | ErrorCode::REBALANCE_IN_PROGRESS
    );
    let text = "the group has members, which only may commit: stop them first, and wait until their sessions are over or they have \
                left; describeGroups tells who they are";
    is_about_members.then(|| text.to_owned())
}

impl MemberToRemove {
    fn name(&self) -> &str {
        match self {
            MemberToRemove::Instance(name) | MemberToRemove::Member(name) => name,
        }
    }
}

fn one_group(group: &str, partitions: Option<&[TopicPartition]>, stable: bool) -> OffsetFetchRequest {
    let topics = partitions.map(|all| {
        let indices: Vec<usize> = (0..all.len()).collect();
        let topic = |(name, indices): (&str, Vec<usize>)| OffsetFetchRequestTopic {
            name: name.to_owned(),
            partition_indexes: indices.into_iter().map(|index| all[index].partition).collect(),
            ..Default::default()
        };
        by_topic(all, &indices).into_iter().map(topic).collect()
    });
    OffsetFetchRequest { group_id: group.to_owned(), topics, require_stable: stable, ..Default::default() }
}

fn several(group: &str, partitions: Option<&[TopicPartition]>) -> OffsetFetchRequestGroup {
    let topics = partitions.map(|all| {
        let indices: Vec<usize> = (0..all.len()).collect();
        let topic = |(name, indices): (&str, Vec<usize>)| OffsetFetchRequestTopics {
            name: name.to_owned(),
            partition_indexes: indices.into_iter().map(|index| all[index].partition).collect(),
            ..Default::default()
        };
        by_topic(all, &indices).into_iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: group.to_owned(), topics, ..Default::default() }
}

fn offset(topic: &str, partition: i32, code: i16, at: CommittedOffset) -> Option<GroupOffset> {
    let tp = TopicPartition::new(topic, partition);
    match ErrorCode(code) {
        ErrorCode::NONE if at.offset < 0 => None,
        ErrorCode::NONE => Some((tp, Ok(at))),
        code => {
            let error = Error::broker(code, format_args!("listConsumerGroupOffsets: {tp}"));
            Some((tp, Err(error)))
        }
    }
}

/// A partition whose offset is not stable yet makes its group be asked again.
fn group_code(code: i16, offsets: &[GroupOffset]) -> i16 {
    let waits = |(_, result): &GroupOffset| {
        let code = result.as_ref().err().map(Error::kind);
        code == Some(ErrorKind::Broker(ErrorCode::UNSTABLE_OFFSET_COMMIT))
    };
    if code == 0 && offsets.iter().any(waits) { ErrorCode::UNSTABLE_OFFSET_COMMIT.0 } else { code }
}

fn fetched(asked: &[String], response: OffsetFetchResponse) -> Vec<Answer<Vec<GroupOffset>>> {
    let mut answers = Vec::new();
    for group in response.groups {
        let mut offsets = Vec::new();
        for topic in &group.topics {
            offsets.extend(topic.partitions.iter().filter_map(|of| {
                let (leader_epoch, metadata) = (of.committed_leader_epoch, of.metadata.clone().unwrap_or_default());
                let at = CommittedOffset { offset: of.committed_offset, leader_epoch, metadata };
                offset(&topic.name, of.partition_index, of.error_code, at)
            }));
        }
        let code = group_code(group.error_code, &offsets);
        answers.push(Answer::new(group.group_id, code, offsets));
    }
    if answers.is_empty() {
        // Older answers do not name the group: there is only one.
        let mut offsets = Vec::new();
        for topic in &response.topics {
            offsets.extend(topic.partitions.iter().filter_map(|of| {
                let (leader_epoch, metadata) = (of.committed_leader_epoch, of.metadata.clone().unwrap_or_default());
                let at = CommittedOffset { offset: of.committed_offset, leader_epoch, metadata };
                offset(&topic.name, of.partition_index, of.error_code, at)
            }));
        }
        let code = group_code(response.error_code, &offsets);
        answers.extend(asked.iter().map(|group| Answer::new(group.clone(), code, offsets.clone())));
    }
    answers
}
