//! What a group is, by the API of its type: one request to each coordinator, one result per group.

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    ShareGroupDescribeRequest, ShareGroupDescribeResponse, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
    consumer_group_describe_response, describe_groups_response, share_group_describe_response,
    streams_group_describe_response,
};

use super::each::{Answer, Call};
use super::groups::to_coordinator;
use super::names::{AclOperation, operations};
use super::since::needs;
use super::{Admin, Item};
use crate::consumer::TopicPartition;
use crate::consumer::group::protocol::{decode_assignment, decode_member};
use crate::error::Result;

/// A group in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// `classic`, `consumer`, `share` or `streams`.
    pub kind: String,
    /// Its state as Kafka writes it, such as `Stable`.
    pub state: String,
    /// Of a classic group: `consumer`, `connect`, …
    pub protocol_type: Option<String>,
    /// The assignor in use, or the protocol of a classic group; none while there is none.
    pub assignor: Option<String>,
    /// Its epoch; none for a classic group.
    pub epoch: Option<i32>,
    /// The epoch of its target assignment; none for a classic group.
    pub assignment_epoch: Option<i32>,
    /// The broker that coordinates it.
    pub coordinator: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// What this client may do with it, if that was asked for.
    pub authorized_operations: Option<Vec<AclOperation>>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// The name by which it is known across restarts, if it has one.
    pub instance_id: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// Its rack, if it told one.
    pub rack_id: Option<String>,
    /// Its epoch; none in a classic group.
    pub epoch: Option<i32>,
    /// The topics that it subscribes to by name.
    pub subscribed_topics: Vec<String>,
    /// The pattern that it subscribes to, if there is one.
    pub subscribed_pattern: Option<String>,
    /// The partitions that it has.
    pub assignment: Vec<TopicPartition>,
    /// The partitions that it shall have; none where the group has no such thing.
    pub target_assignment: Option<Vec<TopicPartition>>,
    /// The tasks that it runs, in a streams group.
    pub tasks: Vec<StreamsTask>,
    /// Of a classic group: what the member told, in the form of its protocol.
    pub metadata: Option<Bytes>,
    /// Of a classic group: what the member was told, in the form of its protocol.
    pub raw_assignment: Option<Bytes>,
}

/// Tasks of one subtopology that a member of a streams group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsTask {
    /// `active`, `standby` or `warmup`.
    pub role: &'static str,
    /// The subtopology's id.
    pub subtopology: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

type Described = Result<Vec<Item<GroupDescription>>>;

fn wanted(groups: &[String], pending: &[usize]) -> Vec<String> {
    pending.iter().map(|index| groups[*index].clone()).collect()
}

fn text(of: String) -> Option<String> {
    Some(of).filter(|text| !text.is_empty())
}

macro_rules! describe {
    ($(#[$doc:meta])* $method:ident, $request:ident, $response:ty, $group:path) => {
        $(#[$doc])*
        pub(super) async fn $method(
            &self,
            groups: Vec<String>,
            include_authorized_operations: bool,
            timeout: Option<Duration>,
        ) -> Described {
            let all = groups.clone();
            let make = |_, pending: &[usize], _| {
                let group_ids = wanted(&all, pending);
                Ok($request { group_ids, include_authorized_operations, ..Default::default() })
            };
            let route = |group: &String| to_coordinator(group);
            let call = Call::new("describeGroups", groups, &route, timeout);
            self.each(call, make, |response: $response| {
                let answer = response.groups.into_iter().map(|mut of| {
                    let (id, code, message) = (of.group_id.clone(), of.error_code, of.error_message.take());
                    Answer::new(id, code, $group(of)).saying(message)
                });
                Ok(answer.collect())
            })
            .await
        }
    };
}

impl Admin {
    describe! {
        /// Groups of the new consumer protocol (KIP-848).
        describe_consumer_groups, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, consumer
    }

    describe! {
        /// Share groups (KIP-932).
        describe_share_groups, ShareGroupDescribeRequest, ShareGroupDescribeResponse, share
    }

    describe! {
        /// Streams groups (KIP-1071).
        describe_streams_groups, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse, streams
    }

    /// Classic groups. Before Kafka 4.0 one that does not exist is described as dead: that is an error here.
    pub(super) async fn describe_classic_groups(
        &self,
        groups: Vec<String>,
        with_operations: bool,
        timeout: Option<Duration>,
    ) -> Described {
        let all = groups.clone();
        let make = |version, pending: &[usize], _| {
            needs(with_operations, version, 3, "includeAuthorizedOperations", "2.3")?;
            let groups = wanted(&all, pending);
            let include_authorized_operations = with_operations;
            Ok(DescribeGroupsRequest { groups, include_authorized_operations, ..Default::default() })
        };
        let route = |group: &String| to_coordinator(group);
        let call = Call::new("describeGroups", groups, &route, timeout);
        self.each(call, make, |response: DescribeGroupsResponse| {
            let answer = response.groups.into_iter().map(|of| {
                let dead = of.error_code == 0 && of.group_state == "Dead";
                let code = if dead { ErrorCode::GROUP_ID_NOT_FOUND.0 } else { of.error_code };
                let message = of.error_message.clone();
                Answer::new(of.group_id.clone(), code, classic(of)).saying(message)
            });
            Ok(answer.collect())
        })
        .await
    }
}

fn classic(of: describe_groups_response::DescribedGroup) -> GroupDescription {
    let of_consumers = of.protocol_type == "consumer";
    let member = |of: describe_groups_response::DescribedGroupMember| {
        let told = decode_member(&of.member_id, None, of.member_metadata.clone()).ok().filter(|_| of_consumers);
        let assigned = decode_assignment(of.member_assignment.clone()).ok().filter(|_| of_consumers);
        GroupMember {
            member_id: of.member_id,
            instance_id: of.group_instance_id,
            client_id: of.client_id,
            host: of.client_host,
            rack_id: told.as_ref().and_then(|member| member.rack.as_deref().map(str::to_owned)),
            subscribed_topics: told
                .map(|member| member.topics.iter().map(|t| t.to_string()).collect())
                .unwrap_or_default(),
            assignment: assigned.unwrap_or_default(),
            metadata: Some(of.member_metadata),
            raw_assignment: Some(of.member_assignment),
            ..Default::default()
        }
    };
    GroupDescription {
        group_id: of.group_id,
        kind: "classic".to_owned(),
        state: of.group_state,
        protocol_type: text(of.protocol_type),
        assignor: text(of.protocol_data),
        members: of.members.into_iter().map(member).collect(),
        authorized_operations: operations(of.authorized_operations),
        ..Default::default()
    }
}

fn consumer(of: consumer_group_describe_response::DescribedGroup) -> GroupDescription {
    let partitions = |of: consumer_group_describe_response::Assignment| {
        let topic = of.topic_partitions.into_iter();
        topic
            .flat_map(|of| of.partitions.into_iter().map(move |p| TopicPartition::new(of.topic_name.as_str(), p)))
            .collect()
    };
    let member = |of: consumer_group_describe_response::Member| GroupMember {
        member_id: of.member_id,
        instance_id: of.instance_id,
        client_id: of.client_id,
        host: of.client_host,
        rack_id: of.rack_id,
        epoch: Some(of.member_epoch),
        subscribed_topics: of.subscribed_topic_names,
        subscribed_pattern: of.subscribed_topic_regex.and_then(text),
        assignment: partitions(of.assignment),
        target_assignment: Some(partitions(of.target_assignment)),
        ..Default::default()
    };
    GroupDescription {
        group_id: of.group_id,
        kind: "consumer".to_owned(),
        state: of.group_state,
        protocol_type: None,
        assignor: text(of.assignor_name),
        epoch: Some(of.group_epoch),
        assignment_epoch: Some(of.assignment_epoch),
        coordinator: None,
        members: of.members.into_iter().map(member).collect(),
        authorized_operations: operations(of.authorized_operations),
    }
}

fn share(of: share_group_describe_response::DescribedGroup) -> GroupDescription {
    let partitions = |of: share_group_describe_response::Assignment| {
        let topic = of.topic_partitions.into_iter();
        topic
            .flat_map(|of| of.partitions.into_iter().map(move |p| TopicPartition::new(of.topic_name.as_str(), p)))
            .collect()
    };
    let member = |of: share_group_describe_response::Member| GroupMember {
        member_id: of.member_id,
        client_id: of.client_id,
        host: of.client_host,
        rack_id: of.rack_id,
        epoch: Some(of.member_epoch),
        subscribed_topics: of.subscribed_topic_names,
        assignment: partitions(of.assignment),
        ..Default::default()
    };
    GroupDescription {
        group_id: of.group_id,
        kind: "share".to_owned(),
        state: of.group_state,
        protocol_type: None,
        assignor: text(of.assignor_name),
        epoch: Some(of.group_epoch),
        assignment_epoch: Some(of.assignment_epoch),
        coordinator: None,
        members: of.members.into_iter().map(member).collect(),
        authorized_operations: operations(of.authorized_operations),
    }
}

fn streams(of: streams_group_describe_response::DescribedGroup) -> GroupDescription {
    let tasks = |of: streams_group_describe_response::Assignment| {
        let task = |role, of: streams_group_describe_response::TaskIds| StreamsTask {
            role,
            subtopology: of.subtopology_id,
            partitions: of.partitions,
        };
        let active = of.active_tasks.into_iter().map(move |of| task("active", of));
        let standby = of.standby_tasks.into_iter().map(move |of| task("standby", of));
        let warmup = of.warmup_tasks.into_iter().map(move |of| task("warmup", of));
        active.chain(standby).chain(warmup).collect()
    };
    let member = |of: streams_group_describe_response::Member| GroupMember {
        member_id: of.member_id,
        instance_id: of.instance_id,
        client_id: of.client_id,
        host: of.client_host,
        rack_id: of.rack_id,
        epoch: Some(of.member_epoch),
        tasks: tasks(of.assignment),
        ..Default::default()
    };
    GroupDescription {
        group_id: of.group_id,
        kind: "streams".to_owned(),
        state: of.group_state,
        protocol_type: None,
        assignor: of.assignor_name.and_then(text),
        epoch: Some(of.group_epoch),
        assignment_epoch: Some(of.assignment_epoch),
        coordinator: None,
        members: of.members.into_iter().map(member).collect(),
        authorized_operations: operations(of.authorized_operations),
    }
}
