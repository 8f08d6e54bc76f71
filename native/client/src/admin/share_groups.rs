//! Where share groups (KIP-932) begin to read. All of it is the group's coordinator's.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use dohle_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use dohle_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use dohle_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use dohle_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
};

use super::each::{Answer, Call, whole};
use super::group_offsets::GroupPartitions;
use super::groups::to_coordinator;
use super::partitions::by_topic;
use super::{Admin, Item};
use crate::consumer::TopicPartition;
use crate::error::{Error, Result};

/// Where a share group is in a partition; or why that cannot be told.
pub type ShareGroupOffset = (TopicPartition, Result<ShareStart>);

/// Where a share group is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareStart {
    /// The first offset that is not acknowledged for good (the share-partition start offset).
    pub offset: i64,
    /// The leader epoch that was known then.
    pub leader_epoch: Option<i32>,
    /// Records that are still to be delivered and acknowledged; none with brokers older than 4.2.
    pub lag: Option<i64>,
}

impl Admin {
    /// Where share groups are (KIP-932). One result per group, in the order given; partitions that a group has not begun are
    /// left out.
    pub async fn list_share_group_offsets(
        &self,
        groups: GroupPartitions,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<ShareGroupOffset>>>> {
        let (names, partitions): (Vec<String>, Vec<Option<Vec<TopicPartition>>>) = groups.into_iter().unzip();
        let wanted = names.clone();
        let make = |_, pending: &[usize], _| {
            let group = |index: &usize| DescribeShareGroupOffsetsRequestGroup {
                group_id: wanted[*index].clone(),
                topics: partitions[*index].as_deref().map(topics),
                ..Default::default()
            };
            let groups = pending.iter().map(group).collect();
            Ok(DescribeShareGroupOffsetsRequest { groups, ..Default::default() })
        };
        let route = |group: &String| to_coordinator(group);
        let call = Call::new("listShareGroupOffsets", names, &route, timeout);
        self.each(call, make, |response: DescribeShareGroupOffsetsResponse| {
            let answer = response.groups.into_iter().map(|mut of| {
                let (id, code, message) = (of.group_id.clone(), of.error_code, of.error_message.take());
                Answer::new(id, code, starts(of)).saying(message)
            });
            Ok(answer.collect())
        })
        .await
    }

    /// Sets where a share group reads on; it must be empty. One result per partition, in the order given.
    pub async fn alter_share_group_offsets(
        &self,
        group: &str,
        offsets: Vec<(TopicPartition, i64)>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), TopicPartition>>> {
        let doing = "alterShareGroupOffsets";
        let (partitions, offsets): (Vec<TopicPartition>, Vec<i64>) = offsets.into_iter().unzip();
        let wanted = partitions.clone();
        let make = |_, pending: &[usize], _| {
            let partition = |index: usize| AlterShareGroupOffsetsRequestPartition {
                partition_index: wanted[index].partition,
                start_offset: offsets[index],
                ..Default::default()
            };
            let topic = |(name, indices): (&str, Vec<usize>)| AlterShareGroupOffsetsRequestTopic {
                topic_name: name.to_owned(),
                partitions: indices.into_iter().map(partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            Ok(AlterShareGroupOffsetsRequest { group_id: group.to_owned(), topics, ..Default::default() })
        };
        let route = |_: &TopicPartition| to_coordinator(group);
        let call = Call::new(doing, partitions, &route, timeout);
        self.each(call, make, |response: AlterShareGroupOffsetsResponse| {
            whole(response.error_code, &format!("{doing}: {group}"), response.error_message.as_deref())?;
            let mut answers = Vec::new();
            for topic in response.responses {
                answers.extend(topic.partitions.into_iter().map(|of| {
                    let key = TopicPartition::new(topic.topic_name.as_str(), of.partition_index);
                    Answer::new(key, of.error_code, ()).saying(of.error_message)
                }));
            }
            Ok(answers)
        })
        .await
    }

    /// Forgets where a share group is in topics; it must be empty. One result per topic, in the order given.
    pub async fn delete_share_group_offsets(
        &self,
        group: &str,
        topics: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<()>>> {
        let doing = "deleteShareGroupOffsets";
        let wanted = topics.clone();
        let make = |_, pending: &[usize], _| {
            let topic = |index: &usize| DeleteShareGroupOffsetsRequestTopic {
                topic_name: wanted[*index].clone(),
                ..Default::default()
            };
            let topics = pending.iter().map(topic).collect();
            Ok(DeleteShareGroupOffsetsRequest { group_id: group.to_owned(), topics, ..Default::default() })
        };
        let route = |_: &String| to_coordinator(group);
        let call = Call::new(doing, topics, &route, timeout);
        self.each(call, make, |response: DeleteShareGroupOffsetsResponse| {
            whole(response.error_code, &format!("{doing}: {group}"), response.error_message.as_deref())?;
            let answer = response.responses.into_iter();
            let answer = answer.map(|of| Answer::new(of.topic_name, of.error_code, ()).saying(of.error_message));
            Ok(answer.collect())
        })
        .await
    }
}

fn topics(partitions: &[TopicPartition]) -> Vec<DescribeShareGroupOffsetsRequestTopic> {
    let indices: Vec<usize> = (0..partitions.len()).collect();
    let topic = |(name, indices): (&str, Vec<usize>)| DescribeShareGroupOffsetsRequestTopic {
        topic_name: name.to_owned(),
        partitions: indices.into_iter().map(|index| partitions[index].partition).collect(),
        ..Default::default()
    };
    by_topic(partitions, &indices).into_iter().map(topic).collect()
}

fn starts(of: DescribeShareGroupOffsetsResponseGroup) -> Vec<ShareGroupOffset> {
    let mut starts = Vec::new();
    for topic in of.topics {
        for of in topic.partitions {
            let tp = TopicPartition::new(topic.topic_name.as_str(), of.partition_index);
            let code = ErrorCode(of.error_code);
            if !code.is_none() {
                let doing = format_args!("listShareGroupOffsets: {tp}").to_string();
                starts.push((tp, Err(Error::broker_with(code, doing, of.error_message.as_deref()))));
            } else if of.start_offset >= 0 {
                let leader_epoch = Some(of.leader_epoch).filter(|epoch| *epoch >= 0);
                let lag = Some(of.lag).filter(|lag| *lag >= 0);
                starts.push((tp, Ok(ShareStart { offset: of.start_offset, leader_epoch, lag })));
            }
        }
    }
    starts
}
