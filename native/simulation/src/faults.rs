//! Carries out the faults of a plan, each row in its turn, and takes each back when its time is over.
//! Runs on a host of its own, whose network nobody disturbs.

use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{Action, BrokerError, Rule, When};
use tokio::time::sleep;

use crate::conductor::CONDUCTOR;
use crate::history::{What, now};
use crate::plan::{FAULTS, Fault, NODES, Planned, Way};
use crate::stage::{Command, METADATA, Stage, TOPICS, host_of};

/// The longest that a message takes, where no fault says otherwise.
pub const LATENCY: Duration = Duration::from_millis(20);

/// Returns when all faults are over.
pub async fn run(stage: &Arc<Stage>) {
    let [network, nodes, application] = &stage.plan.rows;
    tokio::join!(biased; row(stage, network), row(stage, nodes), row(stage, application));
    sleep(FAULTS.end.saturating_sub(now())).await;
    stage.note(What::Calm);
}

async fn row(stage: &Arc<Stage>, row: &[Planned]) {
    sleep(FAULTS.start.saturating_sub(now())).await;
    for Planned { pause, fault, length } in row {
        sleep(*pause).await;
        stage.note(What::Fault { kind: fault.kind(), detail: format!("{fault:?} for {length:?}") });
        carry_out(stage, *fault, *length).await;
    }
}

async fn carry_out(stage: &Arc<Stage>, fault: Fault, length: Duration) {
    match fault {
        Fault::Partition { host, node, way, breaks } => {
            let node = host_of(node);
            match way {
                Way::Both => turmoil::partition(host, node),
                Way::Answers => turmoil::partition_oneway(node, host),
                Way::Requests => turmoil::partition_oneway(host, node),
            }
            sleep(length).await;
            match way {
                Way::Both => turmoil::repair(host, node),
                Way::Answers => turmoil::repair_oneway(node, host),
                Way::Requests => turmoil::repair_oneway(host, node),
            }
            if breaks {
                break_connections(stage, host);
            }
        }
        Fault::Hold { host, node } => {
            turmoil::hold(host, host_of(node));
            sleep(length).await;
            turmoil::release(host, host_of(node));
        }
        Fault::SlowLink { host, node, latency } => {
            stage.command(Command::Latency(host, host_of(node), latency));
            sleep(length).await;
            stage.command(Command::Latency(host, host_of(node), LATENCY));
        }
        Fault::Reset { host } => break_connections(stage, host),
        Fault::LostReplies { api, count } => {
            let cluster = stage.cluster();
            let faults = cluster.faults();
            let rule = faults.add(Rule::new(Action::Close { when: When::After }).api(api.0).count(count));
            sleep(length).await;
            faults.remove(rule);
        }
        Fault::CrashNode { node } => crash(stage, &[node], length).await,
        Fault::CrashAll => crash(stage, &NODES, length).await,
        Fault::ColdStart { order, apart } => start_cold(stage, order, apart, length).await,
        Fault::RestartNode { node } => {
            said(stage, stage.cluster().stop_node(node).await);
            stage.command(Command::Crash(host_of(node)));
            sleep(length).await;
            stage.command(Command::Start(host_of(node)));
        }
        Fault::CutNodes { a, b } => {
            stage.cluster().cut(a, b).expect("both are nodes");
            sleep(length).await;
            stage.cluster().heal(a, b).expect("both are nodes");
        }
        Fault::MoveLeader { partition, to } => {
            for (topic, _) in TOPICS {
                said(stage, stage.cluster().move_leader(topic, partition, to));
            }
        }
        Fault::Kill { host } => {
            stage.command(Command::Crash(host));
            sleep(length).await;
            stage.command(Command::Start(host));
        }
        Fault::Rejoin { host } => stage.ask_to_rejoin(host),
        Fault::SlowHandler { host } => stage.slow_down(host, length * 3),
    }
}

async fn crash(stage: &Stage, nodes: &[i32], length: Duration) {
    kill(stage, nodes);
    sleep(length).await;
    nodes.iter().for_each(|node| stage.command(Command::Start(host_of(*node))));
}

fn kill(stage: &Stage, nodes: &[i32]) {
    for node in nodes {
        said(stage, stage.cluster().kill_node(*node));
        stage.command(Command::Crash(host_of(*node)));
    }
}

/// Nothing is left but what is on the disks.
async fn start_cold(stage: &Stage, order: [i32; 3], apart: [Duration; 3], length: Duration) {
    kill(stage, &NODES);
    stage.command(Command::Crash(METADATA));
    sleep(length).await;
    stage.start_cluster();
    for (node, pause) in order.into_iter().zip(apart) {
        sleep(pause).await;
        stage.command(Command::Start(host_of(node)));
    }
}

/// What cannot be done is no fault of anybody's: a leader stays where nobody else can lead.
fn said(stage: &Stage, done: Result<(), BrokerError>) {
    if let Err(error) = done {
        stage.note(What::Said { host: CONDUCTOR, text: error.to_string() });
    }
}

fn break_connections(stage: &Stage, host: &str) {
    if let Some(world) = stage.world_of(host) {
        world.break_connections();
    }
}
