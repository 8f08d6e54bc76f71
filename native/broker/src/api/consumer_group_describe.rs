//! ConsumerGroupDescribe (key 69): epochs and members of groups of KIP-848, what each has and what it shall have.
//!
//! Behaviour: a classic group is GROUP_ID_NOT_FOUND here, as a group of KIP-848 is for DescribeGroups.
//! Versions: 1 which protocol a member uses: here always that of KIP-848.

use std::collections::BTreeSet;

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        consumer_group_describe_response::{Assignment, DescribedGroup, Member as Described, TopicPartitions},
    },
};

use super::{Api, Call, Reply};
use crate::{
    group::{
        Group,
        consumer::{Consumer, Member, Partitions, by_topic},
    },
    security::authorizer::{Operation, Resource},
    topics::Topics,
};

pub(super) struct ConsumerGroupDescribe;

/// A member by KIP-848.
const CONSUMER: i8 = 1;
/// Of one of the classic protocol.
const CLASSIC: i8 = 0;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(call: &Call, request: ConsumerGroupDescribeRequest) -> Reply<Self> {
        if !call.node.options.as_version.has_consumer_groups() {
            return Reply::With(Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION));
        }
        let topics = &call.node.topics;
        let mut groups: Vec<DescribedGroup> = Vec::with_capacity(request.group_ids.len());
        for id in &request.group_ids {
            let allowed = call.needs(Operation::Describe, Resource::Group(id));
            if let Err(code) = allowed.and_then(|()| call.node.groups.ready(id)) {
                groups.push(refused(id, code, code.text().into()));
                continue;
            }
            let mut group = call.node.groups.with(id, |group| describe(topics, id, group));
            let of_members = group.members.iter().flat_map(|member| &member.assignment.topic_partitions);
            let mut names = of_members.map(|topic| topic.topic_name.as_str());
            if !names.all(|name| call.may(Operation::Describe, Resource::Topic(name))) {
                let why = "The group has described topic(s) that the client is not authorized to describe.";
                group = refused(id, ErrorCode::TOPIC_AUTHORIZATION_FAILED, why.into());
            }
            if request.include_authorized_operations && group.error_code == 0 {
                group.authorized_operations = call.operations(Resource::Group(id));
            }
            groups.push(group);
        }
        Reply::With(ConsumerGroupDescribeResponse { groups, ..Default::default() })
    }

    fn refuse(request: &ConsumerGroupDescribeRequest, code: ErrorCode) -> ConsumerGroupDescribeResponse {
        let groups = request.group_ids.iter().map(|id| refused(id, code, code.text().into())).collect();
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    }
}

fn refused(id: &str, code: ErrorCode, message: String) -> DescribedGroup {
    DescribedGroup { group_id: id.into(), error_code: code.0, error_message: Some(message), ..Default::default() }
}

fn describe(topics: &Topics, id: &str, group: Option<&Group>) -> DescribedGroup {
    let missing = |reason: String| refused(id, ErrorCode::GROUP_ID_NOT_FOUND, reason);
    match group.map(Group::consumer) {
        None => missing(format!("Group {id} not found.")),
        Some(None) => missing(format!("Group {id} is not a consumer group.")),
        Some(Some(group)) => DescribedGroup {
            group_id: id.into(),
            group_state: group.state().into(),
            group_epoch: group.epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: group.assignor().name().into(),
            members: members(topics, group),
            ..Default::default()
        },
    }
}

fn members(topics: &Topics, group: &Consumer) -> Vec<Described> {
    let described = |member: &Member| Described {
        member_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        subscribed_topic_regex: member.regex.clone(),
        assignment: assignment(topics, &by_topic(member.assigned.keys())),
        target_assignment: assignment(topics, &member.target),
        member_type: if member.classic.is_some() { CLASSIC } else { CONSUMER },
        ..Default::default()
    };
    group.members().map(described).collect()
}

/// With names; a topic that is gone is left out, as it has none.
fn assignment(topics: &Topics, partitions: &Partitions) -> Assignment {
    let topic = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
        let topic_name = topics.with_id(*id)?.name.to_string();
        let partitions = partitions.iter().copied().collect();
        Some(TopicPartitions { topic_id: *id, topic_name, partitions, ..Default::default() })
    };
    Assignment { topic_partitions: partitions.iter().filter_map(topic).collect(), ..Default::default() }
}
