//! A cluster as its owner has it: nodes are started, stopped, killed and cut off, and leaders moved, while clients are at work.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use parking_lot::Mutex;

use super::Shared;
use crate::{
    BrokerError, BrokerOptions, BrokerWorld, Faults,
    broker::Running,
    log::Isolation,
    node::Node,
    partition::{Partition, Replica},
};

/// What of a copy is read at once.
const READ_BYTES: usize = 1 << 20;

/// A cluster in this process. Clones are the same cluster; dropping the last one stops its nodes without waiting.
///
/// Each node has its own ports, logs, connections and coordinators; copies of partitions follow their leaders as in Apache Kafka
/// (leader epochs and truncation of KIP-101 and KIP-279, copies in sync, high watermark), and the controller, which is in this
/// process too, elects another leader when a node is silent for `broker.session.timeout.ms`.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    nodes: Mutex<BTreeMap<i32, Slot>>,
    /// Nodes start one after the other; none when the whole has stopped.
    starting: tokio::sync::Mutex<bool>,
}

/// A node that was ever there.
#[derive(Clone)]
struct Slot {
    running: Arc<Running>,
    up: bool,
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeState {
    /// Its id (`node.id`).
    pub id: i32,
    /// Where it listens, or listened.
    pub address: SocketAddr,
    /// Its rack (`broker.rack`).
    pub rack: Option<String>,
    /// It was started, and neither stopped nor killed since.
    pub running: bool,
    /// The controller counts on it: clients are told of it.
    pub alive: bool,
}

/// A node's copy of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyState {
    /// The node that has it.
    pub node: i32,
    /// Where it begins.
    pub start_offset: i64,
    /// What the node knows to be committed ends here.
    pub high_watermark: i64,
    /// Where it ends.
    pub end_offset: i64,
}

impl Cluster {
    /// A cluster without nodes: [`start_node`](Self::start_node) starts them. [`BrokerOptions::node_id`] is the id of the first one.
    pub fn new(world: Arc<dyn BrokerWorld>, mut options: BrokerOptions) -> Result<Self, BrokerError> {
        options.settle();
        options.check()?;
        let shared = Shared::new(world, options.clone()).map_err(|error| error.told(&options))?;
        let (nodes, starting) = (Mutex::default(), tokio::sync::Mutex::new(true));
        Ok(Self(Arc::new(Inner { shared, nodes, starting })))
    }

    /// Starts a node, and answers where it listens. One that was stopped or killed starts again at its port, with the logs that it
    /// had. An error when it runs.
    pub async fn start_node(&self, world: Arc<dyn BrokerWorld>, id: i32) -> Result<SocketAddr, BrokerError> {
        let may_start = self.0.starting.lock().await;
        if !*may_start {
            return Err(BrokerError::Stopped);
        }
        let before = self.0.nodes.lock().get(&id).cloned();
        if before.as_ref().is_some_and(|before| before.up) {
            return Err(BrokerError::NodeRuns { id });
        }
        let first = self.0.shared.options.node_id;
        if self.0.shared.options.is_alone() && (id != first || before.is_some()) {
            return Err(BrokerError::OneNode);
        }
        if id < first {
            let (value, expected) = (id.to_string(), "is before the id of the first node (node_id)");
            return Err(BrokerError::InvalidOption { option: "id", value, expected });
        }
        if let Some(before) = &before {
            before.running.ended().await;
            before.running.node.leave();
        }
        let ports = before.map(|before| before.running.ports.clone());
        let running = Running::start(self.0.shared.clone(), world, self.options(id), ports).await?;
        let address = running.address;
        self.0.nodes.lock().insert(id, Slot { running: Arc::new(running), up: true });
        Ok(address)
    }

    fn options(&self, id: i32) -> BrokerOptions {
        let mut options = self.0.shared.options.clone();
        let nth = usize::try_from(id.saturating_sub(options.node_id)).unwrap_or(0);
        options.node_id = id;
        if let Some(rack) = nth.checked_rem(options.racks.len()).map(|at| options.racks[at].clone()) {
            options.properties.insert("broker.rack".into(), rack);
        }
        options
    }

    /// Stops a node as an operator does: its partitions go to others first, its clients are told to look for them. Waits until it has
    /// ended.
    pub async fn stop_node(&self, id: i32) -> Result<(), BrokerError> {
        let _one_at_a_time = self.0.starting.lock().await;
        let running = self.take(id)?;
        self.0.shared.hand_over(id);
        running.close().await;
        self.0.shared.ended(id, true);
        Ok(())
    }

    /// Kills a node: its connections break, and nobody is told. Others lead its partitions when the controller has found out.
    pub fn kill_node(&self, id: i32) -> Result<(), BrokerError> {
        let running = self.take(id)?;
        running.tell();
        self.0.shared.ended(id, false);
        Ok(())
    }

    fn take(&self, id: i32) -> Result<Arc<Running>, BrokerError> {
        if self.0.shared.options.is_alone() {
            return Err(BrokerError::OneNode);
        }
        let mut nodes = self.0.nodes.lock();
        let slot = nodes.get_mut(&id).filter(|slot| slot.up).ok_or(BrokerError::NoNode { id })?;
        slot.up = false;
        Ok(slot.running.clone())
    }

    /// A node that runs.
    pub(crate) fn running(&self, id: i32) -> Result<Arc<Running>, BrokerError> {
        let nodes = self.0.nodes.lock();
        nodes.get(&id).filter(|slot| slot.up).map(|slot| slot.running.clone()).ok_or(BrokerError::NoNode { id })
    }

    /// The nodes that were ever started, by id.
    pub fn nodes(&self) -> Vec<NodeState> {
        let alive = self.0.shared.alive();
        let nodes = self.0.nodes.lock();
        let state = |(id, slot): (&i32, &Slot)| NodeState {
            id: *id,
            address: slot.running.address,
            rack: slot.running.node.options.properties.get("broker.rack").cloned(),
            running: slot.up,
            alive: alive.contains(id),
        };
        nodes.iter().map(state).collect()
    }

    /// Two nodes do not reach each other from now on: neither copies of partitions nor ends of transactions go between them.
    /// Clients and the controller reach both.
    pub fn cut(&self, a: i32, b: i32) -> Result<(), BrokerError> {
        self.check_pair(a, b)?;
        self.0.shared.cut(a, b);
        Ok(())
    }

    /// Two nodes reach each other again.
    pub fn heal(&self, a: i32, b: i32) -> Result<(), BrokerError> {
        self.check_pair(a, b)?;
        self.0.shared.heal(a, b);
        Ok(())
    }

    fn check_pair(&self, a: i32, b: i32) -> Result<(), BrokerError> {
        if self.0.shared.options.is_alone() {
            return Err(BrokerError::OneNode);
        }
        if a == b {
            let expected = "is the one itself: two nodes are needed";
            return Err(BrokerError::InvalidOption { option: "b", value: b.to_string(), expected });
        }
        self.check_known(a).and_then(|()| self.check_known(b))
    }

    /// It was started, and may have been stopped since.
    fn check_known(&self, id: i32) -> Result<(), BrokerError> {
        if self.0.nodes.lock().contains_key(&id) { Ok(()) } else { Err(BrokerError::NoNode { id }) }
    }

    /// The node that leads a partition; none when nobody does, or there is no such partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.partition(topic, partition)?.standing().leader
    }

    /// The nodes whose copies of a partition are in sync, and those that have a copy.
    pub fn in_sync(&self, topic: &str, partition: i32) -> Option<(Vec<i32>, Vec<i32>)> {
        let standing = self.partition(topic, partition)?.standing();
        Some((standing.in_sync.clone(), standing.replicas.clone()))
    }

    /// The copies of a partition, by node; none when there is no such partition.
    pub fn copies(&self, topic: &str, partition: i32) -> Vec<CopyState> {
        let mut copies = self.partition(topic, partition).map_or_else(Vec::new, |partition| partition.replicas());
        copies.sort_unstable_by_key(|copy| copy.node);
        let state = |copy: &Arc<Replica>| {
            let log = copy.log.lock();
            let (start_offset, high_watermark) = (log.start_offset(), log.high_watermark());
            CopyState { node: copy.node, start_offset, high_watermark, end_offset: log.end().0 }
        };
        copies.iter().map(state).collect()
    }

    /// Whole batches of a node's copy of a partition, committed or not, from the one on that has this offset: about 1 MiB, or one.
    /// Nothing at its end.
    pub fn read_copy(&self, node: i32, topic: &str, partition: i32, offset: i64) -> Result<Bytes, ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let copy = self.partition(topic, partition).and_then(|partition| partition.replica(node)).ok_or(unknown)?;
        let read = copy.log.lock().read(offset, READ_BYTES, true, Isolation::Uncommitted);
        read.map(|slice| slice.bytes)
    }

    fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.0.shared.topics.named(topic)?.partition(partition)
    }

    /// Lets a node lead a partition; its copy must be in sync.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<(), BrokerError> {
        self.check_known(to)?;
        let done = self.0.shared.move_leader(topic, partition, to);
        done.map_err(|code| BrokerError::LeaderStays { topic: topic.into(), partition, to, why: code.text() })
    }

    /// The cluster's id, as clients see it.
    pub fn id(&self) -> &str {
        &self.0.shared.cluster_id
    }

    /// The fault rules, which all nodes have in common.
    pub fn faults(&self) -> &Faults {
        &self.0.shared.faults
    }

    /// Adds something up over the nodes.
    pub(crate) fn sum(&self, of: impl Fn(&Node) -> usize) -> usize {
        self.0.nodes.lock().values().map(|slot| of(&slot.running.node)).sum()
    }

    /// Stops all nodes that run, and waits until they have ended.
    pub async fn stop(&self) {
        // One that starts just now is waited for.
        let mut starting = self.0.starting.lock().await;
        let runs = std::mem::replace(&mut *starting, false);
        drop(starting);
        let all: Vec<Arc<Running>> = {
            let mut nodes = self.0.nodes.lock();
            nodes.values_mut().for_each(|slot| slot.up = false);
            nodes.values().map(|slot| slot.running.clone()).collect()
        };
        all.iter().for_each(|running| running.tell());
        for running in all {
            running.close().await;
            self.0.shared.ended(running.node.options.node_id, false);
        }
        if !runs {
            // Somebody has stopped it before.
            return;
        }
        let shared = self.0.shared.clone();
        self.0.shared.world.blocking(Box::new(move || shared.close())).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.nodes.lock().values().for_each(|slot| slot.running.tell());
    }
}
