//! Transactions and idempotent producers, from outside.

use std::time::Duration;

use dohle_client::admin as engine;
use dohle_client::consumer::TopicPartition as EnginePartition;

use super::partitions::partitions;
use super::shape::Wire;
use super::{ItemError, all, told};
use crate::cold::consumer::TopicPartition;
use crate::cold::values::Int64;

response! {
    /// A transactional id in a list.
    TransactionListing from engine::TransactionListing {
        /// The id.
        transactional_id: String,
        /// Its producer's id.
        producer_id: Int64,
        /// The state of its transaction as Kafka writes it, such as `Ongoing` or `CompleteCommit`.
        state: String,
        /// The node id of the broker that coordinates it.
        coordinator: i32,
    }
}

response! {
    /// A transaction in full.
    TransactionDescription {
        /// Its transactional id.
        transactional_id: String,
        /// Why nothing more is known of it.
        error: Option<ItemError>,
        /// Its state as Kafka writes it, such as `Ongoing`; none with an error.
        state: Option<String>,
        /// Its producer's id; none with an error.
        producer_id: Option<Int64>,
        /// Its producer's epoch; none with an error.
        producer_epoch: Option<i16>,
        /// After how many milliseconds it is aborted; none with an error.
        timeout_ms: Option<i32>,
        /// When it began, in milliseconds since 1970; none if none is open.
        start_time: Option<Int64>,
        /// The partitions in it.
        partitions: Vec<TopicPartition>,
        /// The node id of the broker that coordinates it.
        coordinator: Option<i32>,
    }
}

response! {
    /// The producers that a partition knows.
    PartitionProducers {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The producers.
        producers: Vec<ActiveProducer>,
        /// Why they cannot be told.
        error: Option<ItemError>,
    }
}

response! {
    /// A producer as a partition knows it.
    ActiveProducer from engine::ActiveProducer {
        /// Its id.
        producer_id: Int64,
        /// Its epoch.
        producer_epoch: i32,
        /// The sequence of its last record; none if there is none.
        last_sequence: Option<i32>,
        /// When it last wrote, in milliseconds since 1970; none if it has not.
        last_timestamp: Option<Int64>,
        /// The epoch of the coordinator of its transactions; none without any.
        coordinator_epoch: Option<i32>,
        /// The offset where its open transaction begins; none if none is open.
        transaction_start: Option<Int64>,
    }
}

part! {
    /// A transaction to abort in one partition, as `describeProducers` tells it.
    HangingTransaction {
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// Its producer's id.
        producer_id: Int64,
        /// Its producer's epoch.
        producer_epoch: i16,
        /// The coordinator's epoch.
        ///
        /// Default: 0.
        coordinator_epoch: Option<i32>,
    }
}

response! {
    /// A transactional id that was taken from its producer.
    FencedProducer {
        /// The transactional id.
        transactional_id: String,
        /// The producer's id.
        producer_id: Int64,
        /// The epoch that a producer would have to have.
        producer_epoch: i16,
    }
}

operation! {
    /// Lists the transactional ids of the cluster: every broker is asked (KIP-664; Kafka 3.0 or newer).
    ListTransactions "admin.listTransactions" -> Vec<TransactionListing> {
        /// Only those in one of these states, such as `Ongoing`.
        ///
        /// Default: all.
        states: Option<Vec<String>>,
        /// Only those of these producers.
        ///
        /// Default: all.
        producer_ids: Option<Vec<Int64>>,
        /// Only those that have been open for more milliseconds (KIP-994); from Kafka 3.8 on.
        ///
        /// Default: all.
        running_longer_ms: Option<u32>,
        /// Only ids that this regular expression (RE2) matches as a whole (KIP-1152); from Kafka 4.1 on.
        ///
        /// Default: all.
        pattern: Option<String>,
    }
    |request, admin, timeout| {
        let filter = engine::TransactionFilter {
            states: request.states.unwrap_or_default(),
            producer_ids: request.producer_ids.unwrap_or_default().into_iter().map(|id| id.0).collect(),
            running_longer: request.running_longer_ms.map(|ms| Duration::from_millis(ms.into())),
            pattern: request.pattern,
        };
        Ok(Wire::wire(admin.list_transactions(&filter, timeout).await?))
    }
}

operation! {
    /// Describes transactions (KIP-664; Kafka 3.0 or newer). One that does not exist has an `error`, the others are told.
    DescribeTransactions "admin.describeTransactions" -> Vec<TransactionDescription> {
        /// Their transactional ids.
        transactional_ids: Vec<String>,
    }
    |request, admin, timeout| {
        let items = admin.describe_transactions(request.transactional_ids, timeout).await?;
        Ok(items.into_iter().map(description).collect())
    }
}

operation! {
    /// The producers that partitions know, and their open transactions (KIP-664; Kafka 2.8 or newer). A partition that cannot be
    /// told has an `error`, the others are told.
    DescribeProducers "admin.describeProducers" -> Vec<PartitionProducers> {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// The node id of the broker that is asked.
        ///
        /// Default: the leader of each.
        broker: Option<i32>,
    }
    |request, admin, timeout| {
        let of = partitions(&request.partitions);
        let items = admin.describe_producers(of, request.broker, timeout).await?;
        let producers = |item: engine::Item<Vec<engine::ActiveProducer>, EnginePartition>| {
            let (producers, error) = told(item.result);
            PartitionProducers {
                topic: item.name.topic.to_string(),
                partition: item.name.partition,
                producers: Wire::wire(producers.unwrap_or_default()),
                error,
            }
        };
        Ok(items.into_iter().map(producers).collect())
    }
}

operation! {
    /// Aborts a transaction in one partition, on its leader (KIP-664): only for one that hangs because its coordinator has forgotten
    /// it. What was written in a transaction that lives would be split.
    AbortTransaction "admin.abortTransaction" -> () {
        /// The transaction.
        transaction: HangingTransaction,
    }
    |request, admin, timeout| {
        let of = request.transaction;
        let transaction = engine::TransactionToAbort {
            partition: EnginePartition::new(of.topic, of.partition),
            producer_id: of.producer_id.0,
            producer_epoch: of.producer_epoch,
            coordinator_epoch: of.coordinator_epoch.unwrap_or(0),
        };
        Ok(admin.abort_transaction(transaction, timeout).await?)
    }
}

operation! {
    /// Takes transactional ids from the producers that have them; open transactions are aborted (KIP-664). When some cannot be taken
    /// the others are, and the call fails.
    FenceProducers "admin.fenceProducers" -> Vec<FencedProducer> {
        /// The transactional ids.
        transactional_ids: Vec<String>,
    }
    |request, admin, timeout| {
        let items = admin.fence_producers(request.transactional_ids, timeout).await?;
        let fenced = |(transactional_id, of): (String, engine::Fenced)| FencedProducer {
            transactional_id,
            producer_id: Int64(of.producer_id),
            producer_epoch: of.producer_epoch,
        };
        Ok(all("fenceProducers", items)?.into_iter().map(fenced).collect())
    }
}

fn description(item: engine::Item<engine::TransactionDescription>) -> TransactionDescription {
    let (of, error) = told(item.result);
    let known = of.as_ref();
    TransactionDescription {
        transactional_id: item.name,
        error,
        state: known.map(|of| of.state.clone()),
        producer_id: known.map(|of| Int64(of.producer_id)),
        producer_epoch: known.map(|of| of.producer_epoch),
        timeout_ms: known.map(|of| of.timeout_ms),
        start_time: known.and_then(|of| of.start_time).map(Int64),
        coordinator: known.and_then(|of| of.coordinator),
        partitions: Wire::wire(of.map(|of| of.partitions).unwrap_or_default()),
    }
}
