//! CreateTopics (key 19): creates topics, each for itself.
//!
//! Behaviour: −1 partitions or replicas mean the broker's default; there are no more replicas than nodes. Configurations are checked
//! (`config`).
//! Versions: 2 validate only · 4 default counts · 5 flexible, effective configurations in the answer · 7 topic id.

use std::{collections::BTreeMap, sync::Arc};

use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    },
};

use super::{Api, Call, Reply};
use crate::{
    cluster::Standing,
    config::{TopicConfig, source, topic},
    node::Node,
    security::authorizer::{Operation, Resource},
    topics::Refusal,
};

pub(super) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: (i16, i16) = (2, 7);

    async fn handle(call: &Call, request: CreateTopicsRequest) -> Reply<Self> {
        if partitions_in_all(&request, call.node.options.partitions) > MOST_PARTITIONS {
            let why = (ErrorCode::POLICY_VIOLATION, "Excessively large number of partitions per request.".to_string());
            let topics = request.topics.iter().map(|topic| refused(&topic.name, why.clone())).collect();
            return Reply::With(CreateTopicsResponse { topics, ..Default::default() });
        }
        let mut named = BTreeMap::<&str, usize>::new();
        request.topics.iter().for_each(|topic| *named.entry(topic.name.as_str()).or_default() += 1);
        let twice: Vec<String> = named.iter().filter(|(_, n)| **n > 1).map(|(name, _)| name.to_string()).collect();
        let mut response = CreateTopicsResponse::default();
        for asked in request.topics.iter().filter(|asked| !twice.contains(&asked.name)) {
            response.topics.push(create(call, asked, request.validate_only));
        }
        for name in twice {
            response.topics.push(refused(&name, (ErrorCode::INVALID_REQUEST, "Duplicate topic name.".into())));
        }
        Reply::With(response)
    }

    fn refuse(request: &CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse {
        let topics = request.topics.iter().map(|topic| refused(&topic.name, (code, code.text().into()))).collect();
        CreateTopicsResponse { topics, ..Default::default() }
    }

    fn targets(_: &Node, request: &CreateTopicsRequest) -> Vec<(String, i32)> {
        request.topics.iter().map(|topic| (topic.name.clone(), -1)).collect()
    }
}

/// Most partitions that one request may create, as Kafka's controller has it.
const MOST_PARTITIONS: i64 = 10_000;

fn partitions_in_all(request: &CreateTopicsRequest, default: i32) -> i64 {
    let of = |topic: &CreatableTopic| match (topic.assignments.len(), topic.num_partitions) {
        (0, count) if count > 0 => i64::from(count),
        (0, _) => i64::from(default),
        (assigned, _) => assigned as i64,
    };
    request.topics.iter().map(of).sum()
}

fn create(call: &Call, asked: &CreatableTopic, validate_only: bool) -> CreatableTopicResult {
    let created = call.plan.guard_saying((&asked.name, -1), || try_create(&call.node, asked, validate_only));
    match created {
        Ok(Created { topic_id, partitions, copies, config }) => CreatableTopicResult {
            name: asked.name.clone(),
            topic_id,
            num_partitions: partitions,
            replication_factor: copies,
            configs: Some(effective(&call.node, &config)),
            ..Default::default()
        }
        .shown_to(call),
        Err(why) => refused(&asked.name, why),
    }
}

trait Shown {
    fn shown_to(self, call: &Call) -> Self;
}

impl Shown for CreatableTopicResult {
    /// Without its configuration, if the client may not know that.
    fn shown_to(self, call: &Call) -> Self {
        if call.may_see(Operation::DescribeConfigs, Resource::Topic(&self.name)) {
            return self;
        }
        let topic_config_error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
        Self { num_partitions: -1, replication_factor: -1, configs: None, topic_config_error_code, ..self }
    }
}

/// What was created.
struct Created {
    topic_id: Uuid,
    partitions: i32,
    copies: i16,
    config: TopicConfig,
}

fn try_create(node: &Node, asked: &CreatableTopic, validate_only: bool) -> Result<Created, Refusal> {
    let standings = standings(node, asked)?;
    let partitions = standings.len() as i32;
    let copies = standings.first().map_or(0, |standing| standing.replicas.len() as i16);
    let mut set = BTreeMap::new();
    for config in &asked.configs {
        let missing =
            || (ErrorCode::INVALID_CONFIG, format!("Null value not supported for topic config: {}", config.name));
        set.insert(config.name.clone(), config.value.clone().ok_or_else(missing)?);
    }
    // Kafka looks at the name before anything else that could be wrong with a topic.
    node.topics.check(&asked.name, partitions)?;
    node.configs.with(|options| {
        let config = TopicConfig::new(options, set).map_err(|reason| (ErrorCode::INVALID_CONFIG, reason))?;
        if validate_only {
            return Ok(Created { topic_id: Uuid::default(), partitions, copies, config });
        }
        let topic = node.cluster.create(&asked.name, node.random_uuid(), standings, config.clone())?;
        tracing::debug!(topic = %topic.name, partitions, "topic created");
        Ok(Created { topic_id: topic.id, partitions, copies, config })
    })
}

/// Where its partitions will be.
fn standings(node: &Node, asked: &CreatableTopic) -> Result<Vec<Standing>, Refusal> {
    if !asked.assignments.is_empty() {
        return assigned(node, asked).map(|replicas| node.cluster.standings_of(replicas));
    }
    let copies = match asked.replication_factor {
        -1 => node.cluster.default_copies(),
        factor @ 1.. => factor as usize,
        _ => {
            let reason = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err((ErrorCode::INVALID_REPLICATION_FACTOR, reason.into()));
        }
    };
    let partitions = if asked.num_partitions == -1 { node.options.partitions } else { asked.num_partitions };
    // Kafka looks at the name, and at how many there are, before anything else that could be wrong with a topic.
    node.topics.check(&asked.name, partitions)?;
    node.cluster.standings(partitions, copies)
}

/// The replicas of a manual assignment.
fn assigned(node: &Node, asked: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refusal> {
    if asked.num_partitions != -1 || asked.replication_factor != -1 {
        let reason = "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
        return Err((ErrorCode::INVALID_REQUEST, reason.into()));
    }
    let mut indexes: Vec<i32> = asked.assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    let refused = |reason: String| (ErrorCode::INVALID_REPLICA_ASSIGNMENT, reason);
    if let Some(twice) = indexes.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refused(format!("Found multiple manual partition assignments for partition {}", twice[0])));
    }
    for assignment in &asked.assignments {
        node.cluster.check_replicas(&assignment.broker_ids).map_err(refused)?;
    }
    if indexes.iter().enumerate().any(|(at, index)| *index != at as i32) {
        return Err(refused("partitions should be a consecutive 0-based integer sequence".into()));
    }
    let mut all: Vec<_> = asked.assignments.iter().collect();
    all.sort_unstable_by_key(|assignment| assignment.partition_index);
    Ok(all.into_iter().map(|assignment| assignment.broker_ids.clone()).collect())
}

fn refused(name: &str, (code, message): Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.into(),
        error_code: code.0,
        error_message: Some(message),
        configs: Some(Vec::new()),
        ..Default::default()
    }
}

fn effective(node: &Arc<Node>, config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let options = node.configs.now();
    let entries = topic::TABLE.iter().map(|property| {
        let set = config.set.get(property.name);
        CreatableTopicConfigs {
            name: property.name.into(),
            config_source: if set.is_some() { source::TOPIC } else { source::DEFAULT },
            value: Some(set.cloned().unwrap_or_else(|| topic::default_value(&options, property.name))),
            ..Default::default()
        }
    });
    entries.collect()
}
