//! Transactions and idempotent producers, from outside (KIP-664).

use std::time::Duration;

use dohle_protocol::messages::describe_producers_request::TopicRequest;
use dohle_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use dohle_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::each::{Answer, Call, Route, unanswered, whole};
use super::partitions::by_topic;
use super::since::needs;
use super::{Admin, Item};
use crate::client::CoordinatorKind;
use crate::consumer::TopicPartition;
use crate::error::{Error, Result};

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The id.
    pub transactional_id: String,
    /// Its producer's id.
    pub producer_id: i64,
    /// The state of its transaction as Kafka writes it, such as `Ongoing`.
    pub state: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// Which transactions are listed; empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Only those in one of these states.
    pub states: Vec<String>,
    /// Only those of these producers.
    pub producer_ids: Vec<i64>,
    /// Only those that have been open for longer (KIP-994).
    pub running_longer: Option<Duration>,
    /// Only ids that this regular expression matches (KIP-1152).
    pub pattern: Option<String>,
}

/// A transaction in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Its state as Kafka writes it.
    pub state: String,
    /// Its producer's id.
    pub producer_id: i64,
    /// Its producer's epoch.
    pub producer_epoch: i16,
    /// After how many milliseconds it is aborted.
    pub timeout_ms: i32,
    /// When it began, in milliseconds since 1970; none if there is none open.
    pub start_time: Option<i64>,
    /// The partitions in it.
    pub partitions: Vec<TopicPartition>,
    /// The broker that coordinates it.
    pub coordinator: Option<i32>,
}

/// A producer as a partition knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence of its last record; none if there is none.
    pub last_sequence: Option<i32>,
    /// When it last wrote, in milliseconds since 1970; none if it has not.
    pub last_timestamp: Option<i64>,
    /// The epoch of the coordinator of its transactions; none without any.
    pub coordinator_epoch: Option<i32>,
    /// Where its open transaction begins; none if none is open.
    pub transaction_start: Option<i64>,
}

/// A transaction to abort in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionToAbort {
    /// The partition.
    pub partition: TopicPartition,
    /// Its producer's id.
    pub producer_id: i64,
    /// Its producer's epoch.
    pub producer_epoch: i16,
    /// The coordinator's epoch, as `describe_producers` tells it; 0 if it tells none.
    pub coordinator_epoch: i32,
}

/// A producer whose transactional id was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// The producer's id.
    pub producer_id: i64,
    /// The epoch that it would have to have.
    pub producer_epoch: i16,
}

fn to_coordinator(id: &str) -> Route {
    Route::Coordinator(CoordinatorKind::Transaction, id.to_owned())
}

impl Admin {
    /// All transactional ids of the cluster, by id. Every broker is asked; it fails when one of them cannot tell.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
        timeout: Option<Duration>,
    ) -> Result<Vec<TransactionListing>> {
        let doing = "listTransactions";
        let make = |version| {
            needs(filter.running_longer.is_some(), version, 1, "a filter of durations", "3.8")?;
            needs(filter.pattern.is_some(), version, 2, "a filter of ids", "4.1")?;
            let longer = filter.running_longer.map(|of| i64::try_from(of.as_millis()).unwrap_or(i64::MAX));
            Ok(ListTransactionsRequest {
                state_filters: filter.states.clone(),
                producer_id_filters: filter.producer_ids.clone(),
                duration_filter: longer.unwrap_or(-1),
                transactional_id_pattern: filter.pattern.clone(),
                ..Default::default()
            })
        };
        let read = |response: ListTransactionsResponse| {
            whole(response.error_code, doing, None)?;
            match response.unknown_state_filters.as_slice() {
                [] => Ok(response.transaction_states),
                unknown => {
                    Err(Error::invalid_argument(format!("states: the broker has no state {}", unknown.join(", "))))
                }
            }
        };
        let mut listed = Vec::new();
        for (coordinator, states) in self.every_broker(doing, timeout, make, read).await? {
            listed.extend(states.into_iter().map(|of| TransactionListing {
                transactional_id: of.transactional_id,
                producer_id: of.producer_id,
                state: of.transaction_state,
                coordinator,
            }));
        }
        listed.sort_unstable_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        listed.dedup_by(|a, b| a.transactional_id == b.transactional_id);
        Ok(listed)
    }

    /// Transactions in full, from their coordinators. One result per id, in the order given.
    pub async fn describe_transactions(
        &self,
        ids: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<TransactionDescription>>> {
        let wanted = ids.clone();
        let make = |_, pending: &[usize], _| {
            let transactional_ids = pending.iter().map(|index| wanted[*index].clone()).collect();
            Ok(DescribeTransactionsRequest { transactional_ids, ..Default::default() })
        };
        let route = |id: &String| to_coordinator(id);
        let call = Call::new("describeTransactions", ids, &route, timeout);
        let items = self.each(call, make, |response: DescribeTransactionsResponse| {
            let answer = response.transaction_states.into_iter().map(|of| {
                let mut partitions = Vec::new();
                for topic in of.topics {
                    let of = topic.partitions.iter();
                    partitions.extend(of.map(|partition| TopicPartition::new(topic.topic.as_str(), *partition)));
                }
                let description = TransactionDescription {
                    state: of.transaction_state,
                    producer_id: of.producer_id,
                    producer_epoch: of.producer_epoch,
                    timeout_ms: of.transaction_timeout_ms,
                    start_time: (of.transaction_start_time_ms >= 0).then_some(of.transaction_start_time_ms),
                    partitions,
                    coordinator: None,
                };
                Answer::new(of.transactional_id, of.error_code, description)
            });
            Ok(answer.collect())
        });
        let mut items = items.await?;
        for item in &mut items {
            if let Ok(description) = &mut item.result {
                description.coordinator = self.client.known_coordinator(CoordinatorKind::Transaction, &item.name);
            }
        }
        Ok(items)
    }

    /// The producers that partitions know, from their leaders or from the broker given. One result per partition, in the
    /// order given.
    pub async fn describe_producers(
        &self,
        partitions: Vec<TopicPartition>,
        broker: Option<i32>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<ActiveProducer>, TopicPartition>>> {
        let wanted = partitions.clone();
        let make = |_, pending: &[usize], _| {
            let topic = |(name, indices): (&str, Vec<usize>)| TopicRequest {
                name: name.to_owned(),
                partition_indexes: indices.into_iter().map(|index| wanted[index].partition).collect(),
                ..Default::default()
            };
            let topics = by_topic(&wanted, pending).into_iter().map(topic).collect();
            Ok(DescribeProducersRequest { topics, ..Default::default() })
        };
        let route = |of: &TopicPartition| broker.map_or_else(|| Route::Leader(of.clone()), Route::Node);
        let call = Call::new("describeProducers", partitions, &route, timeout);
        self.each(call, make, |response: DescribeProducersResponse| {
            let mut answers = Vec::new();
            for topic in response.topics {
                for of in topic.partitions {
                    let key = TopicPartition::new(topic.name.as_str(), of.partition_index);
                    let producer = of.active_producers.into_iter().map(|of| ActiveProducer {
                        producer_id: of.producer_id,
                        producer_epoch: of.producer_epoch,
                        last_sequence: (of.last_sequence >= 0).then_some(of.last_sequence),
                        last_timestamp: (of.last_timestamp >= 0).then_some(of.last_timestamp),
                        coordinator_epoch: (of.coordinator_epoch >= 0).then_some(of.coordinator_epoch),
                        transaction_start: (of.current_txn_start_offset >= 0).then_some(of.current_txn_start_offset),
                    });
                    answers.push(Answer::new(key, of.error_code, producer.collect()).saying(of.error_message));
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Aborts a transaction in one partition, on its leader: for one that hangs because its coordinator has forgotten it.
    pub async fn abort_transaction(&self, of: TransactionToAbort, timeout: Option<Duration>) -> Result<()> {
        let doing = "abortTransaction";
        let topic = WritableTxnMarkerTopic {
            name: of.partition.topic.to_string(),
            partition_indexes: vec![of.partition.partition],
            ..Default::default()
        };
        let marker = WritableTxnMarker {
            producer_id: of.producer_id,
            producer_epoch: of.producer_epoch,
            transaction_result: false,
            topics: vec![topic],
            coordinator_epoch: of.coordinator_epoch,
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() };
        let route = |of: &TopicPartition| Route::Leader(of.clone());
        let call = Call::new(doing, vec![of.partition], &route, timeout);
        let items = self.each(
            call,
            |_, _, _| Ok(request.clone()),
            |response: WriteTxnMarkersResponse| {
                let mut answers = Vec::new();
                for topic in response.markers.into_iter().flat_map(|marker| marker.topics) {
                    for of in topic.partitions {
                        let key = TopicPartition::new(topic.name.as_str(), of.partition_index);
                        answers.push(Answer::new(key, of.error_code, ()));
                    }
                }
                Ok(answers)
            },
        );
        items.await?.into_iter().next().map_or_else(|| Err(unanswered(doing)), |item| item.result)
    }

    /// Takes transactional ids from the producers that have them; open transactions are aborted. One result per id, in the
    /// order given.
    pub async fn fence_producers(&self, ids: Vec<String>, timeout: Option<Duration>) -> Result<Vec<Item<Fenced>>> {
        let wanted = ids.clone();
        let make = |_, index: usize, timeout_ms: i32| {
            Ok(InitProducerIdRequest {
                transactional_id: Some(wanted[index].clone()),
                // It is nobody's: no longer than this call waits for it. The broker's limit holds all the same.
                transaction_timeout_ms: timeout_ms.clamp(1, 60_000),
                producer_id: -1,
                producer_epoch: -1,
                ..Default::default()
            })
        };
        let read = |index: usize, response: InitProducerIdResponse| {
            whole(response.error_code, &format!("fenceProducers: {}", wanted[index]), None)?;
            Ok(Fenced { producer_id: response.producer_id, producer_epoch: response.producer_epoch })
        };
        let route = |id: &String| to_coordinator(id);
        Ok(self.apart(Call::new("fenceProducers", ids, &route, timeout), make, read).await)
    }
}
