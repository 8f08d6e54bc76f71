//! A member of the group: it processes orders, one after the other, and commits them as the plan says. It may be killed, may be
//! asked to leave and come again, and may be slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dohle_client::consumer::{Ask, Chunk, CommittedOffset, ConsumerOptions, TopicPartition, TransactionOffsets};
use dohle_client::generated::options::{GroupProtocol, IsolationLevel};
use dohle_client::{Client, World};

use crate::history::{Outcome, Place, What};
use crate::plan::{Commits, Sharing};
use crate::stage::{GROUP, INVOICES, ORDERS, Phase, Stage, TOPICS};
use crate::world::SimWorld;

use super::pen::Pen;
use super::reading::{Reading, place};
use super::teller;

/// How many finished records a member that commits by hand collects.
const BATCH: usize = 8;

struct Member {
    host: &'static str,
    stage: Arc<Stage>,
    world: Arc<SimWorld>,
    client: Client,
    reading: Reading,
    /// Writes what is made of the orders, when that is done in transactions.
    pen: Option<Pen>,
    /// What is finished and not committed by hand yet: the next offset.
    finished: BTreeMap<Place, i64>,
    uncommitted: usize,
    buffered: usize,
}

pub async fn run(stage: Arc<Stage>, host: &'static str) {
    let world = stage.world(host);
    stage.note(What::Started { host });
    stage.reached(Phase::Running).await;
    tokio::time::sleep(Duration::from_millis(world.random_u64() % 1_500)).await;
    let client = stage.client(&world);
    let mut buffered = 0;
    while stage.phase() < Phase::Closing {
        let mut member = Member::join(&stage, &world, &client, host);
        member.work().await;
        buffered += member.leave().await;
        tokio::time::sleep(Duration::from_millis(world.random_u64() % 1_500)).await;
    }
    stage.leave(host, &world, client, buffered).await;
}

impl Member {
    fn join(stage: &Arc<Stage>, world: &Arc<SimWorld>, client: &Client, host: &'static str) -> Self {
        let plan = &stage.plan;
        let classic = ConsumerOptions {
            group_id: Some(GROUP.to_owned()),
            auto_offset_reset: "earliest".to_owned(),
            enable_auto_commit: plan.commits == Commits::Automatic,
            auto_commit_interval: Duration::from_millis(400),
            session_timeout: Duration::from_secs(6),
            heartbeat_interval: Duration::from_millis(500),
            max_poll_interval: Duration::from_secs(6),
            fetch_max_wait: Duration::from_millis(250),
            isolation_level: match plan.committed_only {
                true => IsolationLevel::ReadCommitted,
                false => IsolationLevel::ReadUncommitted,
            },
            ..ConsumerOptions::default()
        };
        let options = match plan.sharing {
            Sharing::Range => ConsumerOptions { partition_assignment_strategy: vec!["range".to_owned()], ..classic },
            Sharing::Cooperative => {
                ConsumerOptions { partition_assignment_strategy: vec!["cooperative-sticky".to_owned()], ..classic }
            }
            Sharing::Modern => {
                let ConsumerOptions { session_timeout, heartbeat_interval, .. } = ConsumerOptions::default();
                let group_protocol = GroupProtocol::Consumer;
                ConsumerOptions { group_protocol, session_timeout, heartbeat_interval, ..classic }
            }
        };
        let reading = Reading::open(stage, client, host, options);
        reading.consumer.subscribe(vec![ORDERS.to_owned()]).expect("a topic's name");
        let mut member = Member {
            host,
            stage: stage.clone(),
            world: world.clone(),
            client: client.clone(),
            reading,
            pen: None,
            finished: BTreeMap::new(),
            uncommitted: 0,
            buffered: 0,
        };
        if plan.commits == Commits::InTransactions {
            member.pen = Some(member.new_pen());
        }
        member
    }

    fn new_pen(&self) -> Pen {
        Pen::open(&self.stage, &self.client, self.host, Some(format!("{GROUP}-{}", self.host)))
    }

    async fn work(&mut self) {
        while self.stage.phase() < Phase::Closing && !self.stage.take_rejoin(self.host) {
            self.answer().await;
            match self.reading.consumer.next_chunk() {
                Ok(Some(chunk)) if self.pen.is_some() => self.process_in_transaction(&chunk).await,
                Ok(Some(chunk)) => self.process(&chunk).await,
                Ok(None) => {
                    self.commit().await;
                    self.reading.news().await;
                }
                Err(error) => {
                    self.reading.said(format!("{error}"));
                    if error.fatal() {
                        return;
                    }
                }
            }
        }
    }

    async fn leave(mut self) -> usize {
        self.commit().await;
        if let Some(pen) = self.pen.take() {
            self.buffered += pen.close().await;
        }
        let first_unsubscribe = self.world.random_u64().is_multiple_of(2);
        self.buffered + self.reading.close(&self.client, first_unsubscribe).await
    }

    /// Answers what is asked; what was finished by hand is committed before partitions go.
    async fn answer(&mut self) {
        // They may come again, and are then somebody else's work up to where that is committed.
        for place in self.reading.lost() {
            self.finished.remove(&place);
        }
        for question in self.reading.questions() {
            if matches!(question.what, Ask::Revoke(_)) {
                self.commit().await;
            }
            self.reading.answer(&question);
        }
    }

    async fn process(&mut self, chunk: &Chunk) {
        for k in 0..chunk.count {
            self.answer().await;
            let Some(offset) = self.reading.step(chunk, k) else { return };
            self.handle().await;
            self.finished(place(chunk), offset);
            if self.stage.plan.commits == Commits::ByHand && self.uncommitted >= BATCH {
                self.commit().await;
            }
        }
        self.reading.finish(chunk);
    }

    /// What the program does with a record.
    async fn handle(&self) {
        tokio::time::sleep(Duration::from_millis(self.world.random_u64() % 6)).await;
        if let Some(length) = self.stage.slowness(self.host) {
            tokio::time::sleep(length).await;
        }
    }

    fn finished(&mut self, place: Place, offset: i64) {
        self.stage.note(What::Finished { reader: self.reading.reader, place, offset });
        self.finished.insert(place, offset + 1);
        self.uncommitted += 1;
    }

    /// Commits by hand what is finished. What is refused is somebody else's to do again.
    async fn commit(&mut self) {
        let finished = std::mem::take(&mut self.finished);
        self.uncommitted = 0;
        if self.stage.plan.commits != Commits::ByHand || finished.is_empty() {
            return;
        }
        let offset = |(place, offset): (&Place, &i64)| {
            let at = CommittedOffset { offset: *offset, leader_epoch: -1, metadata: String::new() };
            (TopicPartition::new(place.topic, place.partition), at)
        };
        match self.reading.consumer.commit(Some(finished.iter().map(offset).collect())).await {
            Ok(()) => {
                for (place, offset) in finished {
                    self.stage.note(What::Committed { reader: self.reading.reader, place, offset });
                }
            }
            Err(error) => self.reading.said(format!("commit: {error}")),
        }
    }

    /// Makes an invoice of each order, all of a chunk in one transaction, or none: then it goes back to what is committed.
    async fn process_in_transaction(&mut self, chunk: &Chunk) {
        let Some(mut pen) = self.pen.take() else { return };
        let begun = pen.producer().begin_transaction().await;
        let ended = match begun {
            Ok(()) => {
                let transaction = self.stage.number();
                let given = self.invoices(&mut pen, chunk, transaction).await;
                let ended = teller::end(&self.stage, self.host, &pen, transaction, given.is_some()).await;
                ended.map(|outcome| (outcome, given))
            }
            Err(error) => {
                self.reading.said(format!("cannot begin: {error}"));
                if error.fatal() { Err(error) } else { Ok((Outcome::Aborted, None)) }
            }
        };
        match &ended {
            Ok((Outcome::Committed, Some(given))) => self.reading.consumer.offsets_committed(&given.offsets),
            _ => {
                if let Err(error) = self.reading.consumer.rewind() {
                    self.reading.said(format!("cannot go back: {error}"));
                }
            }
        }
        if ended.is_err() {
            let broken = std::mem::replace(&mut pen, self.new_pen());
            self.buffered += broken.close().await;
        }
        self.pen = Some(pen);
    }

    /// What the transaction commits for the group; none when it is to be aborted.
    async fn invoices(&mut self, pen: &mut Pen, chunk: &Chunk, transaction: u32) -> Option<TransactionOffsets> {
        let source = place(chunk);
        for k in 0..chunk.count {
            let offset = self.reading.step(chunk, k)?;
            self.handle().await;
            let to = (INVOICES, Ok(source.partition % TOPICS[1].1));
            pen.send(to, Some(transaction), Some((source, offset)), 0).then_some(())?;
            self.finished(source, offset);
        }
        self.reading.finish(chunk);
        let given = self.reading.consumer.transaction_offsets(None).ok()?;
        pen.producer().commit_offsets_of(&self.reading.consumer, given.clone()).await.ok()?;
        Some(given)
    }
}
