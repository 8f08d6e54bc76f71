//! The nodes of the embedded broker: they are started, stopped, killed and cut off, and leaders moved, while clients are at work.

use std::sync::Arc;

use dohle_broker as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Immediate, Operation, broker::failure};
use crate::failure::Failure;

type Broker = Arc<engine::Broker>;

/// A node of the embedded broker.
#[derive(Serialize, JsonSchema)]
pub struct BrokerNode {
    /// Its id (`node.id`).
    pub id: i32,
    /// Host and port that it listens on, or listened.
    pub address: String,
    /// Its rack (`broker.rack`).
    pub rack: Option<String>,
    /// It was started, and neither stopped nor killed since.
    pub running: bool,
    /// The controller counts on it: clients are told of it.
    pub alive: bool,
}

/// The nodes that were ever started, by id.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerNodes")]
pub struct Nodes {}

impl Immediate for Nodes {
    const NAME: &'static str = "broker.nodes";
    type Target = Broker;
    type Response = Vec<BrokerNode>;

    fn run(self, target: Broker) -> Result<Vec<BrokerNode>, Failure> {
        let node = |of: engine::NodeState| BrokerNode {
            id: of.id,
            address: of.address.to_string(),
            rack: of.rack,
            running: of.running,
            alive: of.alive,
        };
        Ok(target.cluster().nodes().into_iter().map(node).collect())
    }
}

/// Starts a node again that was stopped or killed, at the port that it had; or one more. Answers where it listens.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerStartNode")]
pub struct StartNode {
    /// Its id.
    pub id: i32,
}

impl Operation for StartNode {
    const NAME: &'static str = "broker.startNode";
    type Target = Broker;
    type Response = String;

    async fn run(self, target: Broker) -> Result<String, Failure> {
        target.start_node(self.id).await.map(|address| address.to_string()).map_err(failure)
    }
}

/// Stops a node as an operator does: its partitions go to others first. Waits until it has ended.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerStopNode")]
pub struct StopNode {
    /// Its id.
    pub id: i32,
}

impl Operation for StopNode {
    const NAME: &'static str = "broker.stopNode";
    type Target = Broker;
    type Response = ();

    async fn run(self, target: Broker) -> Result<(), Failure> {
        target.cluster().stop_node(self.id).await.map_err(failure)
    }
}

/// Kills a node: its connections break, and nobody is told.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerKillNode")]
pub struct KillNode {
    /// Its id.
    pub id: i32,
}

impl Immediate for KillNode {
    const NAME: &'static str = "broker.killNode";
    type Target = Broker;
    type Response = ();

    fn run(self, target: Broker) -> Result<(), Failure> {
        target.cluster().kill_node(self.id).map_err(failure)
    }
}

/// Cuts two nodes off from each other, or lets them reach each other again.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerConnectNodes")]
pub struct ConnectNodes {
    /// The id of one.
    pub a: i32,
    /// The id of the other.
    pub b: i32,
    /// Whether they reach each other from now on.
    pub connected: bool,
}

impl Immediate for ConnectNodes {
    const NAME: &'static str = "broker.connectNodes";
    type Target = Broker;
    type Response = ();

    fn run(self, target: Broker) -> Result<(), Failure> {
        let done = match self.connected {
            true => target.cluster().heal(self.a, self.b),
            false => target.cluster().cut(self.a, self.b),
        };
        done.map_err(failure)
    }
}

/// Who leads a partition, and who has it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerPartition {
    /// The id of the node that leads it; none, when nobody can.
    pub leader: Option<i32>,
    /// The ids of the nodes whose copies have all that is committed.
    pub in_sync: Vec<i32>,
    /// The ids of the nodes that have a copy; the first one should lead.
    pub replicas: Vec<i32>,
}

/// Who leads a partition, and who has it; nothing, when there is no such partition.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerPartitionOf")]
pub struct PartitionOf {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Immediate for PartitionOf {
    const NAME: &'static str = "broker.partition";
    type Target = Broker;
    type Response = Option<BrokerPartition>;

    fn run(self, target: Broker) -> Result<Option<BrokerPartition>, Failure> {
        let cluster = target.cluster();
        let leader = cluster.leader(&self.topic, self.partition);
        let known = cluster.in_sync(&self.topic, self.partition);
        Ok(known.map(|(in_sync, replicas)| BrokerPartition { leader, in_sync, replicas }))
    }
}

/// Lets a node lead a partition; its copy must be in sync.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BrokerMoveLeader")]
pub struct MoveLeader {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The id of the node.
    pub to: i32,
}

impl Immediate for MoveLeader {
    const NAME: &'static str = "broker.moveLeader";
    type Target = Broker;
    type Response = ();

    fn run(self, target: Broker) -> Result<(), Failure> {
        target.cluster().move_leader(&self.topic, self.partition, self.to).map_err(failure)
    }
}
