//! Partitions: more of them, fewer records in them, where their records are, who leads them.
//!
//! New partitions and elections are the controller's; records and offsets are the leaders'.

use std::collections::BTreeSet;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use dohle_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use dohle_protocol::messages::elect_leaders_request::TopicPartitions;
use dohle_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use dohle_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    ElectLeadersRequest, ElectLeadersResponse, ListOffsetsRequest, ListOffsetsResponse,
};

use super::each::{Answer, Call, Route, whole};
use super::since::needs;
use super::{Admin, Item};
use crate::collections::Map;
use crate::consumer::TopicPartition;
use crate::error::{Error, Result};

/// More partitions for a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MorePartitions {
    /// The topic's name.
    pub topic: String,
    /// How many it has then.
    pub count: i32,
    /// For each new partition the nodes that hold it, the preferred leader first; empty lets the broker choose.
    pub assignments: Vec<Vec<i32>>,
}

/// Which offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// The next to be written; with read committed the last stable one.
    Latest,
    /// The first whose timestamp is this or later.
    Timestamp(i64),
    /// That of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first that is on the leader's own disk (KIP-405).
    EarliestLocal,
    /// The last that is in remote storage (KIP-1005).
    LatestTiered,
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetInfo {
    /// The offset; none if no record is like that.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds since 1970, where one was looked for.
    pub timestamp: Option<i64>,
    /// The epoch of the leader that wrote it; none if the broker does not tell.
    pub leader_epoch: Option<i32>,
}

/// Which leader is elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// One that is not in sync if no other is there: records may be lost.
    Unclean,
}

/// The positions of several partitions by their topics, in the order given.
pub(super) fn by_topic<'a>(partitions: &'a [TopicPartition], indices: &[usize]) -> Vec<(&'a str, Vec<usize>)> {
    let mut topics: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut at: Map<&str, usize> = Map::default();
    for index in indices {
        let topic = &*partitions[*index].topic;
        let place = *at.entry(topic).or_insert_with(|| {
            topics.push((topic, Vec::new()));
            topics.len() - 1
        });
        topics[place].1.push(*index);
    }
    topics
}

/// To the partition's leader.
pub(super) fn to_leader(of: &TopicPartition) -> Route {
    Route::Leader(of.clone())
}

impl OffsetSpec {
    /// What stands for it in a request, and the version and the Kafka that know it.
    fn wire(self) -> (i64, i16, &'static str) {
        match self {
            OffsetSpec::Latest => (-1, 0, ""),
            OffsetSpec::Earliest => (-2, 0, ""),
            OffsetSpec::MaxTimestamp => (-3, 7, "3.0"),
            OffsetSpec::EarliestLocal => (-4, 8, "3.4"),
            OffsetSpec::LatestTiered => (-5, 9, "3.9"),
            OffsetSpec::Timestamp(ms) => (ms, 0, ""),
        }
    }
}

impl Admin {
    /// Adds partitions to topics (KIP-195). One result per topic, in the order given.
    pub async fn create_partitions(
        &self,
        topics: Vec<MorePartitions>,
        validate_only: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<()>>> {
        let names = topics.iter().map(|topic| topic.topic.clone()).collect();
        let make = |_, pending: &[usize], timeout_ms| {
            let assignment =
                |nodes: &Vec<i32>| CreatePartitionsAssignment { broker_ids: nodes.clone(), ..Default::default() };
            let topic = |index: &usize| {
                let topic = &topics[*index];
                let assignments = topic.assignments.iter().map(assignment).collect::<Vec<_>>();
                CreatePartitionsTopic {
                    name: topic.topic.clone(),
                    count: topic.count,
                    assignments: Some(assignments).filter(|all| !all.is_empty()),
                    ..Default::default()
                }
            };
            let topics = pending.iter().map(topic).collect();
            Ok(CreatePartitionsRequest { topics, timeout_ms, validate_only, ..Default::default() })
        };
        self.each_on_controller("createPartitions", names, timeout, make, |response: CreatePartitionsResponse| {
            let answer =
                response.results.into_iter().map(|of| Answer::new(of.name, of.error_code, ()).saying(of.error_message));
            answer.collect()
        })
        .await
    }

    /// Deletes the records before an offset; −1: all that are readable (KIP-107). The result is the first offset that is
    /// left.
    pub async fn delete_records(
        &self,
        before: Vec<(TopicPartition, i64)>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<i64, TopicPartition>>> {
        let (partitions, offsets): (Vec<_>, Vec<_>) = before.into_iter().unzip();
        let wanted = partitions.clone();
        let make = |_, pending: &[usize], timeout_ms| {
            let partition = |index: usize| DeleteRecordsPartition {
                partition_index: wanted[index].partition,
                offset: offsets[index],
                ..Default::default()
            };
            let topic = |(name, indices): (&str, Vec<usize>)| DeleteRecordsTopic {
                name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            Ok(DeleteRecordsRequest { topics, timeout_ms, ..Default::default() })
        };
        let call = Call::new("deleteRecords", partitions, &to_leader, timeout);
        self.each(call, make, |response: DeleteRecordsResponse| {
            let mut answers = Vec::new();
            for topic in response.topics {
                for of in topic.partitions {
                    let key = TopicPartition::new(topic.name.as_str(), of.partition_index);
                    answers.push(Answer::new(key, of.error_code, of.low_watermark));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Looks up offsets, asking the leaders. One result per partition, in the order given; a partition may be there once.
    pub async fn list_offsets(
        &self,
        specs: Vec<(TopicPartition, OffsetSpec)>,
        read_committed: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<OffsetInfo, TopicPartition>>> {
        let (partitions, specs): (Vec<_>, Vec<_>) = specs.into_iter().unzip();
        // A leader answers one of them.
        let mut seen = BTreeSet::new();
        if let Some(twice) = partitions.iter().find(|partition| !seen.insert(*partition)) {
            let text = format!("partitions: {twice} is there twice; ask for its other offset in another call");
            return Err(Error::invalid_argument(text));
        }
        let wanted = partitions.clone();
        let make = |version, pending: &[usize], timeout_ms: i32| {
            needs(read_committed, version, 2, "readCommitted", "0.11")?;
            for index in pending {
                let (_, least, kafka) = specs[*index].wire();
                needs(true, version, least, "this kind of offset", kafka)?;
            }
            let partition = |index: usize| ListOffsetsPartition {
                partition_index: wanted[index].partition,
                current_leader_epoch: -1,
                timestamp: specs[index].wire().0,
                ..Default::default()
            };
            let topic = |(name, indices): (&str, Vec<usize>)| ListOffsetsTopic {
                name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            let isolation_level = i8::from(read_committed);
            Ok(ListOffsetsRequest { replica_id: -1, isolation_level, topics, timeout_ms, ..Default::default() })
        };
        let call = Call::new("listOffsets", partitions, &to_leader, timeout);
        self.each(call, make, |response: ListOffsetsResponse| {
            let mut answers = Vec::new();
            for topic in response.topics {
                for of in topic.partitions {
                    let key = TopicPartition::new(topic.name.as_str(), of.partition_index);
                    let info = OffsetInfo {
                        offset: (of.offset >= 0).then_some(of.offset),
                        timestamp: (of.timestamp >= 0).then_some(of.timestamp),
                        leader_epoch: (of.leader_epoch >= 0).then_some(of.leader_epoch),
                    };
                    answers.push(Answer::new(key, of.error_code, info));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Elects leaders (KIP-460): of these partitions, or of all that need one. The result is whether there was something to
    /// elect; with none given only partitions with a new leader, or that cannot have one, are there.
    pub async fn elect_leaders(
        &self,
        election: ElectionType,
        partitions: Option<Vec<TopicPartition>>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<bool, TopicPartition>>> {
        let doing = "electLeaders";
        let make = |version: i16, timeout_ms: i32| {
            let unclean = election == ElectionType::Unclean;
            needs(unclean, version, 1, "an unclean election", "2.4")?;
            let topic = |all: &[TopicPartition], (name, indices): (&str, Vec<usize>)| TopicPartitions {
                topic: name.to_owned(),
                partitions: indices.into_iter().map(|index| all[index].partition).collect(),
                ..Default::default()
            };
            let topics = partitions.as_ref().map(|all| {
                let indices: Vec<usize> = (0..all.len()).collect();
                by_topic(all, &indices).into_iter().map(|of| topic(all, of)).collect()
            });
            let election_type = i8::from(unclean);
            Ok(ElectLeadersRequest { election_type, topic_partitions: topics, timeout_ms, ..Default::default() })
        };
        let read = |response: ElectLeadersResponse| {
            whole(response.error_code, doing, None)?;
            let mut items = Vec::new();
            for topic in response.replica_election_results {
                for of in topic.partition_result {
                    let name = TopicPartition::new(topic.topic.as_str(), of.partition_id);
                    let result = match ErrorCode(of.error_code) {
                        ErrorCode::NONE => Ok(true),
                        ErrorCode::ELECTION_NOT_NEEDED => Ok(false),
                        code if code == ErrorCode::NOT_CONTROLLER => return Err(Error::broker(code, doing)),
                        code => {
                            let doing = format_args!("{doing}: {name}");
                            Err(Error::broker_with(code, doing, of.error_message.as_deref()))
                        }
                    };
                    items.push(Item { name, result });
                }
            }
            Ok(items)
        };
        self.one(doing, Route::Controller, timeout, make, read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_asked_for_by_topic_in_the_order_given() {
        let all = [("a", 1), ("b", 0), ("a", 0)].map(|(topic, partition)| TopicPartition::new(topic, partition));
        assert_eq!(by_topic(&all, &[0, 1, 2]), [("a", vec![0, 2]), ("b", vec![1])]);
        assert_eq!(by_topic(&all, &[2]), [("a", vec![2])]);
    }
}
