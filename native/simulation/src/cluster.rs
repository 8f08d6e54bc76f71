//! Stand-in for the broker of three nodes: one node, which cannot be killed.

use std::net::SocketAddr;
use std::sync::Arc;

use dohle_broker::{Broker, BrokerError, BrokerOptions, BrokerWorld, Faults};
use parking_lot::Mutex;

pub const NODES: [i32; 1] = [1];

#[derive(Clone)]
pub struct Cluster {
    options: BrokerOptions,
    broker: Arc<Mutex<Option<Arc<Broker>>>>,
}

impl Cluster {
    pub fn new(options: BrokerOptions) -> Result<Cluster, BrokerError> {
        Ok(Self { options, broker: Arc::default() })
    }

    pub async fn start_node(&self, world: Arc<dyn BrokerWorld>, _node: i32) -> Result<SocketAddr, BrokerError> {
        let broker = Broker::start(world, self.options.clone()).await?;
        let address = broker.address();
        *self.broker.lock() = Some(Arc::new(broker));
        Ok(address)
    }

    pub fn kill_node(&self, _node: i32) {}

    pub async fn stop_node(&self, _node: i32) {
        let broker = self.broker.lock().take();
        if let Some(broker) = broker {
            broker.stop().await;
        }
    }

    pub fn cut(&self, _a: i32, _b: i32) {}

    pub fn heal(&self, _a: i32, _b: i32) {}

    pub fn move_leader(&self, _topic: &str, _partition: i32, _to: i32) -> Result<(), String> {
        Ok(())
    }

    pub fn faults(&self) -> Option<Faults> {
        Some(self.broker.lock().as_ref()?.faults().clone())
    }
}
