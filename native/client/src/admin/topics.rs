//! Creating, deleting and listing topics.
//!
//! Creation and deletion go to the controller and are tried again, for the items concerned, when it has moved or a quota
//! asks for a pause. The list is a Metadata request that any broker answers.

use std::time::Duration;

use dohle_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use dohle_protocol::messages::create_topics_response::CreatableTopicResult;
use dohle_protocol::messages::delete_topics_request::DeleteTopicState;
use dohle_protocol::messages::metadata_request::MetadataRequestTopic;
use dohle_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest,
};
use dohle_protocol::{ErrorCode, Uuid};

use super::each::{Answer, Call, Route};
use super::since::needs;
use super::{Admin, Item};
use crate::error::{Error, ErrorKind, Result};

/// From this version on the broker fills in its defaults for partitions and replicas.
const BROKER_DEFAULTS: i16 = 4;
/// From this version on topics to delete are structs, by name or id.
const DELETE_BY_STATE: i16 = 6;
/// Before this version a Metadata request could not forbid creation.
const AUTO_CREATE_FLAG: i16 = 4;

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name: 1 to 249 of `a-z A-Z 0-9 . _ -`.
    pub name: String,
    /// How many partitions; none for the broker's default. Must be none when `assignments` are given.
    pub partitions: Option<i32>,
    /// How many copies of each; none for the broker's default. Must be none when `assignments` are given.
    pub replication_factor: Option<i16>,
    /// For each partition the nodes that hold it, the preferred leader first; empty lets the broker choose.
    pub assignments: Vec<Vec<i32>>,
    /// Topic configuration, such as `("cleanup.policy", "compact")`.
    pub configs: Vec<(String, String)>,
}

/// What a created topic looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; none with brokers older than 2.8.
    pub id: Option<Uuid>,
    /// Its partitions; none if the broker does not tell.
    pub partitions: Option<i32>,
    /// Its copies; none if the broker does not tell.
    pub replication_factor: Option<i16>,
}

/// One line of the list of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; none with brokers older than 2.8.
    pub id: Option<Uuid>,
    /// Whether it is Kafka's own.
    pub internal: bool,
}

impl Admin {
    /// Creates topics, or with `validate_only` checks whether it could. One result per topic, in the order given.
    pub async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<CreatedTopic>>> {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let make = |version, pending: &[usize], timeout_ms| {
            let topics = pending.iter().map(|index| creatable(version, &topics[*index])).collect::<Result<_>>()?;
            Ok(CreateTopicsRequest { topics, timeout_ms, validate_only, ..Default::default() })
        };
        self.each_on_controller("createTopics", names, timeout, make, |response: CreateTopicsResponse| {
            let answers = response.topics.into_iter().map(|topic| Answer {
                key: topic.name.clone(),
                code: ErrorCode(topic.error_code),
                message: topic.error_message.clone(),
                value: created(&topic),
            });
            answers.collect()
        })
        .await
    }

    /// Deletes topics. One result per topic, in the order given.
    pub async fn delete_topics(&self, names: Vec<String>, timeout: Option<Duration>) -> Result<Vec<Item<()>>> {
        let wanted = names.clone();
        let make = |version, pending: &[usize], timeout_ms| {
            let topic_names: Vec<String> = pending.iter().map(|index| wanted[*index].clone()).collect();
            if version < DELETE_BY_STATE {
                return Ok(DeleteTopicsRequest { topic_names, timeout_ms, ..Default::default() });
            }
            let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
            let topics = topic_names.into_iter().map(by_name).collect();
            Ok(DeleteTopicsRequest { topics, timeout_ms, ..Default::default() })
        };
        self.each_on_controller("deleteTopics", names, timeout, make, |response: DeleteTopicsResponse| {
            let answers = response.responses.into_iter().map(|topic| Answer {
                key: topic.name.unwrap_or_default(),
                code: ErrorCode(topic.error_code),
                message: topic.error_message,
                value: (),
            });
            answers.collect()
        })
        .await
    }

    /// Deletes topics by their ids (KIP-516). One result per topic, in the order given.
    pub async fn delete_topics_by_id(&self, ids: Vec<Uuid>, timeout: Option<Duration>) -> Result<Vec<Item<(), Uuid>>> {
        let wanted = ids.clone();
        let make = |version, pending: &[usize], timeout_ms| {
            needs(true, version, DELETE_BY_STATE, "deleting topics by id", "2.8")?;
            let by_id = |index: &usize| DeleteTopicState { topic_id: wanted[*index], ..Default::default() };
            let topics = pending.iter().map(by_id).collect();
            Ok(DeleteTopicsRequest { topics, timeout_ms, ..Default::default() })
        };
        let call = Call::new("deleteTopics", ids, &|_| Route::Controller, timeout);
        self.each(call, make, |response: DeleteTopicsResponse| {
            let answer = response.responses.into_iter();
            let answer = answer.map(|of| Answer::new(of.topic_id, of.error_code, ()).saying(of.error_message));
            Ok(answer.collect())
        })
        .await
    }

    /// All topics this client may see, by name.
    pub async fn list_topics(&self, include_internal: bool, timeout: Option<Duration>) -> Result<Vec<TopicListing>> {
        let mut attempts = self.start("listTopics", timeout);
        let response = self.ask_any(&mut attempts, |version| Ok(metadata_request(version, None))).await?;
        let shown = response.topics.into_iter().filter(|topic| include_internal || !topic.is_internal);
        let mut listings: Vec<TopicListing> = shown
            .filter_map(|topic| {
                let (id, internal) = (known_id(topic.topic_id), topic.is_internal);
                Some(TopicListing { name: topic.name?, id, internal })
            })
            .collect();
        listings.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listings)
    }
}

fn creatable(version: i16, topic: &NewTopic) -> Result<CreatableTopic> {
    if topic.name.is_empty() {
        return Err(Error::invalid_argument("a topic to create needs a name"));
    }
    if !topic.assignments.is_empty() && (topic.partitions.is_some() || topic.replication_factor.is_some()) {
        let text = format!("{}: give either assignments or partitions and replicationFactor", topic.name);
        return Err(Error::invalid_argument(text));
    }
    let leaves_to_broker = topic.partitions.is_none() || topic.replication_factor.is_none();
    if leaves_to_broker && topic.assignments.is_empty() && version < BROKER_DEFAULTS {
        let text = format!("{}: this broker has no defaults; give partitions and replicationFactor", topic.name);
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let assignment = |(partition_index, nodes): (i32, &Vec<i32>)| CreatableReplicaAssignment {
        partition_index,
        broker_ids: nodes.clone(),
        ..Default::default()
    };
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
        ..Default::default()
    };
    Ok(CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: (0..).zip(&topic.assignments).map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
        ..Default::default()
    })
}

fn created(topic: &CreatableTopicResult) -> CreatedTopic {
    CreatedTopic {
        id: known_id(topic.topic_id),
        partitions: (topic.num_partitions > 0).then_some(topic.num_partitions),
        replication_factor: (topic.replication_factor > 0).then_some(topic.replication_factor),
    }
}

pub(super) fn metadata_request(version: i16, names: Option<&[String]>) -> MetadataRequest {
    let by_name = |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
    let topics = names.map(|names| names.iter().map(by_name).collect());
    // In version 0 an empty list means all topics; later ones write null for that.
    let topics = if version == 0 { Some(topics.unwrap_or_default()) } else { topics };
    MetadataRequest { topics, allow_auto_topic_creation: version < AUTO_CREATE_FLAG, ..Default::default() }
}

pub(super) fn known_id(id: Uuid) -> Option<Uuid> {
    (id != Uuid::ZERO).then_some(id)
}
