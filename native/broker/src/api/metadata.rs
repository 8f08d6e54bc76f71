//! Metadata (key 3): the nodes that are alive, and topics with their partitions.
//!
//! Behaviour: a topic that does not exist is created when broker and client allow it, and is there in the same answer
//! (Kafka answers LEADER_NOT_AVAILABLE or UNKNOWN_TOPIC_OR_PARTITION first, and clients ask again).
//! Versions: 0 no topics named means all · 1 null means all, none means none · 4 the client may forbid creation · 5 offline
//! replicas · 7 leader epochs · 8 authorised operations · 9 flexible · 10 topic ids · 12 topics by id · 13 top-level error.

use std::sync::Arc;

use dohle_protocol::{
    ErrorCode,
    messages::{
        MetadataRequest, MetadataResponse,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
};

use super::{Api, Call, Reply};
use crate::{
    cluster::Told,
    coordinator::internal,
    node::Node,
    partition::Partition,
    security::authorizer::{Operation, Resource},
    topics::Topic,
};

pub(super) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: (i16, i16) = (0, 13);

    async fn handle(call: &Call, request: MetadataRequest) -> Reply<Self> {
        let node = &call.node;
        let asked = request.topics.filter(|asked| !(call.version == 0 && asked.is_empty()));
        let mut topics: Vec<MetadataResponseTopic> = match &asked {
            None => {
                let mut all = node.topics.all();
                all.retain(|topic| call.may_see(Operation::Describe, Resource::Topic(&topic.name)));
                all.iter().map(|topic| describe(node, topic)).collect()
            }
            Some(asked) => asked.iter().map(|asked| look_up(call, asked, request.allow_auto_topic_creation)).collect(),
        };
        if request.include_topic_authorized_operations {
            for topic in topics.iter_mut().filter(|topic| topic.error_code == 0) {
                let name = topic.name.as_deref().unwrap_or_default();
                topic.topic_authorized_operations = call.operations(Resource::Topic(name));
            }
        }
        let broker = |Told { id, host, port, rack }| MetadataResponseBroker {
            node_id: id,
            host,
            port,
            rack,
            ..Default::default()
        };
        let mut response = MetadataResponse {
            brokers: node.told(call.session.local).into_iter().map(broker).collect(),
            cluster_id: Some(node.cluster_id().into()),
            controller_id: node.cluster.controller(),
            topics,
            ..Default::default()
        };
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = cluster_operations(call);
        }
        Reply::With(response)
    }

    fn refuse(request: &MetadataRequest, code: ErrorCode) -> MetadataResponse {
        let asked = request.topics.iter().flatten();
        let topics = asked.map(|topic| unknown(topic, code)).collect();
        MetadataResponse { topics, error_code: code.0, ..Default::default() }
    }

    fn targets(node: &Node, request: &MetadataRequest) -> Vec<(String, i32)> {
        let asked = request.topics.iter().flatten();
        asked.filter_map(|asked| Some((name_of(node, asked)?, -1))).collect()
    }
}

/// The bits of what a client may do to the cluster, if it may know.
pub(super) fn cluster_operations(call: &Call) -> i32 {
    match call.may_see(Operation::Describe, Resource::Cluster) {
        true => call.operations(Resource::Cluster),
        false => 0,
    }
}

/// Kafka lets create who may create anything, or this.
fn may_create(call: &Call, name: &str) -> Result<(), ErrorCode> {
    match call.may_see(Operation::Create, Resource::Cluster) {
        true => Ok(()),
        false => call.needs(Operation::Create, Resource::Topic(name)),
    }
}

fn name_of(node: &Node, asked: &MetadataRequestTopic) -> Option<String> {
    let by_id = || node.topics.with_id(asked.topic_id).map(|topic| topic.name.to_string());
    asked.name.clone().or_else(by_id)
}

fn look_up(call: &Call, asked: &MetadataRequestTopic, allow_creation: bool) -> MetadataResponseTopic {
    let node = &call.node;
    let may_describe = |name: &str| call.needs(Operation::Describe, Resource::Topic(name));
    let found = match &asked.name {
        None => {
            let topic = node.topics.with_id(asked.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID);
            topic.and_then(|topic| may_describe(&topic.name).map(|()| topic))
        }
        // Whether it is there is nobody's business who may not describe it.
        Some(name) => call.plan.guard((name, -1), || match may_describe(name).map(|()| node.topics.named(name))? {
            Some(topic) => Ok(topic),
            None if !(allow_creation && node.options.auto_create_topics) => {
                crate::topics::check_name(name).map_err(|_| ErrorCode::INVALID_TOPIC_EXCEPTION)?;
                Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            // Lost the race against another creation: then it is there.
            None => may_create(call, name)
                .and_then(|()| node.auto_create(name).or_else(|(code, _)| node.topics.named(name).ok_or(code))),
        }),
    };
    match found {
        Ok(topic) => describe(node, &topic),
        // Null names exist from version 12 on.
        Err(code) if call.version < 12 && asked.name.is_none() => {
            MetadataResponseTopic { name: Some(String::new()), ..unknown(asked, code) }
        }
        Err(code) => unknown(asked, code),
    }
}

fn describe(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let alive = node.cluster.alive();
    let partition = |(partition_index, partition): (i32, Arc<Partition>)| {
        let standing = partition.standing();
        let leader = standing.leader.filter(|leader| alive.contains(leader));
        MetadataResponsePartition {
            error_code: leader.map_or(ErrorCode::LEADER_NOT_AVAILABLE, |_| ErrorCode::NONE).0,
            partition_index,
            leader_id: leader.unwrap_or(-1),
            leader_epoch: standing.leader_epoch,
            replica_nodes: standing.replicas.clone(),
            isr_nodes: standing.in_sync.clone(),
            offline_replicas: standing.replicas.iter().copied().filter(|node| !alive.contains(node)).collect(),
            ..Default::default()
        }
    };
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: internal::is_internal(&topic.name),
        partitions: (0..).zip(topic.partitions()).map(partition).collect(),
        ..Default::default()
    }
}

fn unknown(asked: &MetadataRequestTopic, code: ErrorCode) -> MetadataResponseTopic {
    let (name, topic_id) = (asked.name.clone(), asked.topic_id);
    MetadataResponseTopic { error_code: code.0, name, topic_id, ..Default::default() }
}
