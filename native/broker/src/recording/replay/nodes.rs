//! Which address stands for which recorded node: the one of the same id in the cluster that is replayed to. A recording of several
//! nodes is thus sent to as many; a single broker is sent everything, at the address that was given.

use std::{collections::BTreeMap, net::SocketAddr};

use dohle_protocol::{frame, messages::MetadataRequest};

use super::{PATIENCE, ReplayError, connect, link::Link};
use crate::{BrokerWorld, world::one_address};

/// Of the Metadata request: the first with a list of no topics, and every Kafka since 0.10 speaks it.
const VERSION: i16 = 1;

pub(super) struct Nodes {
    to: SocketAddr,
    /// Empty: one node alone.
    by_id: BTreeMap<i32, SocketAddr>,
}

impl Nodes {
    /// Asks the broker at `to` for its cluster.
    pub async fn ask(world: &dyn BrokerWorld, to: SocketAddr) -> Result<Self, ReplayError> {
        let mut link = Link::default();
        link.open(connect(world, to).await?);
        let mut by_id = BTreeMap::new();
        let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
        if let Ok(asked) = frame::encode_request(VERSION, 0, Some("dohle-replay"), &none) {
            link.send_whole(asked.to_bytes()).await;
            let answer = link.answer(0, PATIENCE).await.ok();
            let read = answer.and_then(|answer| frame::decode_response::<MetadataRequest>(answer, VERSION).ok());
            for broker in read.map(|(_, cluster)| cluster.brokers).filter(|of| of.len() > 1).unwrap_or_default() {
                let port = u16::try_from(broker.port).unwrap_or(0);
                if let Some(address) = one_address(world, &broker.host, port).await {
                    by_id.insert(broker.node_id, address);
                }
            }
        }
        Ok(Self { to, by_id })
    }

    /// Where to send what a recorded node was sent.
    pub fn address(&self, node: i32) -> SocketAddr {
        self.by_id.get(&node).copied().unwrap_or(self.to)
    }
}
