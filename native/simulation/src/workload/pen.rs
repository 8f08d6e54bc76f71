//! A producer that notes what it sends and what is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::producer::{Delivery, DeliverySink, Producer, ProducerOptions};
use dohle_protocol::records::{Headers, RecordRef};
use parking_lot::Mutex;

use crate::history::{Place, RecordId, What};
use crate::stage::Stage;

use super::text;

pub struct Pen {
    stage: Arc<Stage>,
    producer: Producer,
    sink: Arc<Sink>,
    writer: u32,
    sent: u32,
}

struct Sink {
    stage: Arc<Stage>,
    /// By group and index, as deliveries name them.
    placed: Mutex<BTreeMap<(u32, u32), Sent>>,
}

#[derive(Clone, Copy)]
struct Sent {
    id: RecordId,
    topic: &'static str,
}

impl Pen {
    pub fn open(stage: &Arc<Stage>, client: &Client, host: &'static str, transactional_id: Option<String>) -> Self {
        let sink = Arc::new(Sink { stage: stage.clone(), placed: Mutex::default() });
        let options = ProducerOptions {
            compression: stage.plan.compression,
            linger: stage.plan.linger,
            // Of a transactional producer it bounds what commits may take, which is not what this is for.
            delivery_timeout: match transactional_id {
                None => stage.plan.delivery_timeout,
                Some(_) => Duration::from_secs(120),
            },
            transaction_timeout: Duration::from_secs(10),
            max_block: Duration::from_secs(10),
            transactional_id,
            ..ProducerOptions::default()
        };
        let producer = Producer::new(client, options, sink.clone()).expect("the options are in order");
        let writer = stage.number();
        stage.note(What::WriterOpened { writer, host });
        Self { stage: stage.clone(), producer, sink, writer, sent: 0 }
    }

    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    pub fn writer(&self) -> u32 {
        self.writer
    }

    /// Sends a record; `to`: a topic, and the partition or the key that leads to it. False when it was not taken.
    pub fn send(
        &mut self,
        to: (&'static str, Result<i32, u64>),
        transaction: Option<u32>,
        source: Option<(Place, i64)>,
        padding: usize,
    ) -> bool {
        let id = RecordId { writer: self.writer, n: self.sent };
        let value = text::write(id, source, padding);
        let key = to.1.err().map(|key| format!("key {key}"));
        let record = RecordRef {
            timestamp: -1,
            key: key.as_ref().map(|key| key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: Headers::None,
        };
        let topic = self.producer.topic(to.0).expect("a topic's name");
        let Ok(placed) = self.producer.append(topic, to.1.ok(), &record) else { return false };
        self.sink.placed.lock().insert((placed.group, placed.index), Sent { id, topic: to.0 });
        self.stage.note(What::Sent { id, transaction });
        self.producer.poke();
        self.sent += 1;
        true
    }

    /// Closes it; returns the bytes of `buffer.memory` that are in use then.
    pub async fn close(self) -> usize {
        self.producer.close(Some(Duration::from_secs(60))).await;
        self.producer.buffered_bytes()
    }
}

impl DeliverySink for Sink {
    fn delivered(&self, delivery: Delivery) {
        for k in 0..delivery.count {
            let placed = self.placed.lock().get(&(delivery.group, delivery.first_index + k)).copied();
            let Some(Sent { id, topic }) = placed else {
                let what = format!("the fate of a record that nobody sent: {delivery:?}");
                self.stage.note(What::Stuck { what });
                continue;
            };
            self.stage.note(What::Settled {
                id,
                place: Place { topic, partition: delivery.partition },
                offset: if delivery.base_offset < 0 { -1 } else { delivery.base_offset + i64::from(k) },
                persistence: delivery.persistence,
                error: delivery.error.as_ref().map(|error| error.to_string()),
            });
        }
    }

    fn space_available(&self) {}
}
