//! OffsetDelete (key 47): forgets committed offsets of a group.
//!
//! Behaviour: offsets of topics that a member is subscribed to stay (GROUP_SUBSCRIBED_TO_TOPIC); a group of another
//! protocol type than `consumer` must be empty.
//! Versions: 0, never flexible.

use dohle_protocol::{
    ErrorCode,
    messages::{
        OffsetDeleteRequest, OffsetDeleteResponse,
        offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
    },
};

use super::{Api, Call, Coordinated, Reply};
use crate::{
    group::{Classic, Group, State},
    node::Node,
};

pub(super) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: OffsetDeleteRequest) -> Reply<Self> {
        let deleted = call.node.groups.delete_offsets(&request.group_id, |group| delete(call, group, &request));
        Reply::With(deleted.unwrap_or_else(|code| Self::refuse(&request, code)))
    }

    fn coordinated(request: &OffsetDeleteRequest) -> Vec<Coordinated> {
        vec![Coordinated::Group(request.group_id.clone())]
    }

    fn refuse(_: &OffsetDeleteRequest, code: ErrorCode) -> OffsetDeleteResponse {
        OffsetDeleteResponse { error_code: code.0, ..Default::default() }
    }

    fn targets(_: &Node, request: &OffsetDeleteRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter();
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.clone(), p.partition_index))).collect()
    }
}

fn delete(
    call: &Call,
    group: Option<&Group>,
    request: &OffsetDeleteRequest,
) -> Result<(OffsetDeleteResponse, Vec<(String, i32)>), ErrorCode> {
    let group = group.ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    let foreign = |group: &Classic| group.state() != State::Empty && group.protocol_type() != "consumer";
    if group.classic().is_some_and(foreign) {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    let (mut response, mut offsets) = (OffsetDeleteResponse::default(), Vec::new());
    for topic in &request.topics {
        let subscribed = group.subscribed(&topic.name);
        let exists = call.node.topics.named(&topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let deleted = call.plan.guard((&topic.name, index), || {
                exists
                    .as_ref()
                    .and_then(|topic| topic.partition(index))
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
                if subscribed {
                    return Err(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
                }
                if group.offsets.committed(&topic.name, index).is_some() {
                    offsets.push((topic.name.clone(), index));
                }
                Ok(())
            });
            let error_code = deleted.err().map_or(0, |code| code.0);
            OffsetDeleteResponsePartition { partition_index: index, error_code }
        });
        let partitions = partitions.collect();
        response.topics.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions });
    }
    Ok((response, offsets))
}
