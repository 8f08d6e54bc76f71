//! The requests of a transaction, each asked until it has an answer that stays.
//! Not the state machine (state.rs), nor who asks when (mod.rs, end.rs, the sender), nor those of offsets (offsets.rs).
//! Driven by the tasks that begin and end transactions, and by the sender for partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use dohle_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, InitProducerIdRequest,
};
use dohle_protocol::{ErrorCode, Request};

use super::Transactions;
use super::verdict::{self, Verdict};
use crate::client::CoordinatorKind;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Backoff, Lane};
use crate::producer::idempotence::ProducerId;

/// First pause after CONCURRENT_TRANSACTIONS: the markers of the transaction before are being written.
const CONCURRENT: Duration = Duration::from_millis(5);
/// The versions of transactions before KIP-890: higher ones mean that brokers add partitions by themselves.
const END_BEFORE_V2: i16 = 4;
/// Higher ones are spoken among brokers.
const ADD_PARTITIONS: i16 = 3;

impl Transactions {
    /// Takes the transactional id: aborts what an earlier producer left open, and fences it. `bump`: goes on as the producer
    /// we are, under a new epoch (KIP-360); refused when another one has taken over.
    pub(super) async fn take_id(&self, bump: Option<ProducerId>) -> Result<ProducerId> {
        let timeout = self.config().transaction_timeout;
        let ProducerId { id, epoch } = bump.unwrap_or(crate::producer::idempotence::NO_PRODUCER);
        let make = |_| {
            Ok(InitProducerIdRequest {
                transactional_id: Some(self.id().to_owned()),
                transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
                producer_id: id,
                producer_epoch: epoch,
                ..Default::default()
            })
        };
        let doing = format!("InitProducerId of transactional id {}", self.id());
        let answer = self.ask(i16::MAX, make, |answer| told(answer.error_code, &doing), || false).await;
        let answer = answer.map_err(|error| match error.broker_code() {
            Some(ErrorCode::INVALID_TRANSACTION_TIMEOUT) => error.context(format_args!(
                "transaction.timeout.ms: {} is above the broker's transaction.max.timeout.ms",
                timeout.as_millis()
            )),
            _ => error,
        })?;
        Ok(ProducerId { id: answer.producer_id, epoch: answer.producer_epoch })
    }

    /// Adds partitions to the transaction, which has to be before the first record goes to them (before KIP-890).
    pub(in crate::producer) async fn add_partitions(&self, partitions: Vec<(Arc<str>, i32)>) -> Result<()> {
        let state = self.state();
        let mut topics = BTreeMap::<&str, Vec<i32>>::new();
        for (topic, partition) in &partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let make = |_| {
            let ProducerId { id, epoch } = self.current()?;
            let topic = |(name, partitions): (&&str, &Vec<i32>)| AddPartitionsToTxnTopic {
                name: (*name).to_owned(),
                partitions: partitions.clone(),
                ..Default::default()
            };
            Ok(AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: self.id().to_owned(),
                v3_and_below_producer_id: id,
                v3_and_below_producer_epoch: epoch,
                v3_and_below_topics: topics.iter().map(topic).collect(),
                ..Default::default()
            })
        };
        state.start();
        // Its records may have failed meanwhile, for another reason or because they are too old.
        let outcome = self.ask(ADD_PARTITIONS, make, first_of_partitions, || !state.is_going_on()).await;
        outcome.map(drop).map_err(|error| if verdict::ends_producer(&error) { error.into_fatal() } else { error })
    }

    /// Ends the transaction at its coordinator. The id is that of the next transaction, if the coordinator gave one (KIP-890).
    pub(super) async fn end_txn(&self, committed: bool) -> Result<Option<ProducerId>> {
        let v2 = self.state().v2();
        let doing = format!("EndTxn of transactional id {}", self.id());
        let make = |_| {
            let ProducerId { id, epoch } = self.current()?;
            Ok(EndTxnRequest {
                transactional_id: self.id().to_owned(),
                producer_id: id,
                producer_epoch: epoch,
                committed,
                ..Default::default()
            })
        };
        let cap = if v2 { i16::MAX } else { END_BEFORE_V2 };
        let answer = self.ask(cap, make, |answer| told(answer.error_code, &doing), || false).await?;
        let next = ProducerId { id: answer.producer_id, epoch: answer.producer_epoch };
        Ok((next.id >= 0).then_some(next))
    }

    pub(super) fn current(&self) -> Result<ProducerId> {
        self.state().id().ok_or_else(|| Error::new(ErrorKind::Panic, "a transaction without a producer id"))
    }

    /// Asks the transaction's coordinator.
    pub(super) async fn ask<R: Request>(
        &self,
        cap: i16,
        make: impl Fn(i16) -> Result<R> + Sync,
        read: impl Fn(&R::Response) -> Result<()>,
        in_vain: impl Fn() -> bool,
    ) -> Result<R::Response> {
        self.ask_of((CoordinatorKind::Transaction, self.id()), cap, make, read, in_vain).await
    }

    /// Asks a coordinator until there is an answer that stays, or until trying again is `in_vain`: then the last error.
    pub(super) async fn ask_of<R: Request>(
        &self,
        (kind, key): (CoordinatorKind, &str),
        cap: i16,
        make: impl Fn(i16) -> Result<R> + Sync,
        read: impl Fn(&R::Response) -> Result<()>,
        in_vain: impl Fn() -> bool,
    ) -> Result<R::Response> {
        let client = self.client();
        let options = client.options();
        let mut backoff = Backoff::new(options.retry_backoff, options.retry_backoff_max);
        let mut concurrent = Backoff::new(CONCURRENT.min(options.retry_backoff), options.retry_backoff_max);
        loop {
            let mut asked = None;
            let outcome = async {
                let node = client.coordinator(kind, key).await?;
                asked = Some(node);
                let timeout = self.config().request_timeout;
                let answer = client.request_up_to(node, Lane::Coordinator, cap, &make, timeout).await?;
                read(&answer).map(|()| answer)
            };
            let error = match outcome.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match verdict::of(R::API_KEY, &error) {
                Verdict::Stays => return Err(error),
                Verdict::Retry => {}
                Verdict::Rediscover => {
                    asked.into_iter().for_each(|node| client.forget_coordinator(kind, key, node));
                }
            }
            if self.is_closed() {
                return Err(Error::closed("producer").with_source(error));
            }
            if in_vain() {
                return Err(error);
            }
            let concurrent_one = error.broker_code() == Some(ErrorCode::CONCURRENT_TRANSACTIONS);
            let pause = if concurrent_one { &mut concurrent } else { &mut backoff };
            tracing::debug!(%error, "asking again");
            tokio::time::sleep(pause.next(&**client.world())).await;
        }
    }
}

pub(super) fn told(code: i16, doing: &str) -> Result<()> {
    match ErrorCode(code) {
        ErrorCode::NONE => Ok(()),
        code => Err(Error::broker(code, doing)),
    }
}

/// The error of AddPartitionsToTxn that says most: one that stays before one that passes, and none of those that only say
/// that another partition has failed.
fn first_of_partitions(answer: &AddPartitionsToTxnResponse) -> Result<()> {
    let partitions = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| {
        topic.results_by_partition.iter().map(|p| (&topic.name, p.partition_index, ErrorCode(p.partition_error_code)))
    });
    let mut failed: Vec<_> = partitions.filter(|(_, _, code)| code.is_error()).collect();
    failed.sort_by_key(|(_, _, code)| (*code == ErrorCode::OPERATION_NOT_ATTEMPTED, code.is_retriable()));
    match failed.first() {
        None => Ok(()),
        Some((topic, partition, code)) => {
            Err(Error::broker(*code, format_args!("AddPartitionsToTxn of {topic}-{partition}")))
        }
    }
}
