//! What the sender needs before it can write: a connection to a leader, and the producer's id.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::InitProducerIdRequest;

use super::{Event, Sender};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Connection, Lane};
use crate::producer::idempotence::ProducerId;

impl Sender {
    pub(super) fn connect(&mut self, id: i32) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if std::mem::replace(&mut node.connecting, true) {
            return;
        }
        let pause = node.pause.take();
        let client = self.client.clone();
        self.events.push(Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            Event::Connected { node: id, connection: client.connection(id, Lane::Produce).await }
        }));
    }

    pub(super) fn on_connected(&mut self, id: i32, connection: Result<Connection>) {
        let world = self.accumulator.world.clone();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.connecting = false;
        match connection {
            Ok(connection) => {
                self.next_wire += 1;
                node.wire = self.next_wire;
                node.connection = Some(connection);
                node.backoff.reset();
                node.last_error = None;
            }
            Err(error) if error.kind() == ErrorKind::Closed => return self.break_down(error),
            Err(error) => {
                let hopeless = (!error.retriable()).then(|| error.clone());
                node.last_error = Some(error);
                node.pause = Some(node.backoff.next(&*world));
                self.client.metadata().request_update();
                if let Some(error) = hopeless {
                    // Trying again does not mend a wrong password; what waits for this broker is told at once.
                    for slot in 0..self.parts.len() as u32 {
                        if self.parts[slot as usize].leader == id {
                            self.fail_part_with(slot, &error);
                        }
                    }
                }
            }
        }
        let parts = &self.parts;
        let led = |slot: &u32| parts[*slot as usize].leader == id;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.ready.retain(led);
            node.lazy.retain(led);
        }
        self.stir(id);
    }

    /// Asks for a producer id, unless that is under way.
    pub(super) fn ask_identity(&mut self) {
        // A transactional producer's id comes from its coordinator, before the first transaction.
        if self.transactions.is_some() {
            return;
        }
        if self.broken || self.identity.ready() || std::mem::replace(&mut self.identity.asking, true) {
            return;
        }
        let (client, timeout) = (self.client.clone(), self.accumulator.config.request_timeout);
        let pause = self.identity_pause.take();
        self.events.push(Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let make = |_| {
                Ok(InitProducerIdRequest {
                    transactional_id: None, // the schema's default is the empty string, which is an id
                    transaction_timeout_ms: i32::MAX,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..Default::default()
                })
            };
            let answer = client.request_any::<InitProducerIdRequest>(make, timeout).await;
            let id = answer.and_then(|answer| match ErrorCode(answer.error_code) {
                code if code.is_none() => Ok(ProducerId { id: answer.producer_id, epoch: answer.producer_epoch }),
                code => Err(Error::broker(code, "InitProducerId")),
            });
            Event::Identity(id)
        }));
    }

    pub(super) fn on_identity(&mut self, answer: Result<ProducerId>) {
        self.identity.asking = false;
        match answer {
            Ok(id) => {
                self.identity.set(id);
                self.identity_backoff.reset();
                self.identity_error = None;
                self.visit_all();
            }
            Err(error) if error.kind() == ErrorKind::Closed => self.break_down(error),
            Err(error) => {
                self.identity_pause = Some(self.identity_backoff.next(&*self.accumulator.world));
                if error.retriable() {
                    self.identity_error = Some(error);
                    self.ask_identity();
                } else {
                    self.fail_pending(&error);
                }
            }
        }
    }
}
