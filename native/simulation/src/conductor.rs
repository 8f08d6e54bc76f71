//! The course of a run: topics, work under faults, calm, and the end, each of which waits for the one before.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::admin::{Admin, NewTopic};
use tokio::time::sleep;

use crate::faults;
use crate::history::{Copies, Log, What, now};
use crate::plan::{LENGTH, MEMBERS, NODES, Plan, TELLER, VERIFIER, WRITERS};
use crate::run::ACKNOWLEDGED;
use crate::stage::{GROUP, LOOK, Phase, Stage, TOPICS, host_of};
use crate::workload::{audit, copies, teller, writers};

pub const CONDUCTOR: &str = "conductor";
/// How long after the calm all must have come to its end.
const PATIENCE: Duration = Duration::from_secs(90);

/// Conducts; returns the log as it is in the end, and what each node has of it.
pub async fn run(stage: Arc<Stage>) -> (Log, Copies) {
    let world = stage.world(CONDUCTOR);
    let client = stage.client(&world);
    let Plan { commits, sharing, on_disks, roll, .. } = &stage.plan;
    let logs = if *on_disks { "on disks" } else { "in memory" };
    let text = format!("commits {commits:?}, sharing {sharing:?}, logs {logs}, segments of {roll:?}");
    stage.note(What::Said { host: CONDUCTOR, text });
    create_topics(&client, *roll).await;
    stage.enter(Phase::Running);
    faults::run(&stage).await;
    // After faults that let next to nothing through there is time to make up for.
    let until = now() + PATIENCE;
    while stage.recorder.acknowledged() < ACKNOWLEDGED && now() < until {
        sleep(LOOK).await;
    }
    stage.enter(Phase::Draining);

    all_done(&stage, &[writers::THROUGH, teller::THROUGH]).await;
    // What the group makes of the orders is not known before it has read them all.
    goal(&stage, &client).await;
    all_done(&stage, &[GROUP]).await;
    goal(&stage, &client).await;
    all_done(&stage, &["verifier of everything", "verifier of what is committed"]).await;
    sleep(LENGTH.saturating_sub(now())).await;
    stage.enter(Phase::Closing);

    let left: Vec<&'static str> = MEMBERS.into_iter().chain([WRITERS, TELLER, VERIFIER]).collect();
    all_done(&stage, &left).await;
    let log = goal(&stage, &client).await;
    let (copies, behind) = copies::read(&stage.cluster()).await;
    behind.into_iter().for_each(|what| stage.note(What::Stuck { what }));
    stage.leave(CONDUCTOR, &world, client, 0).await;
    for node in NODES {
        if let Err(error) = stage.cluster().stop_node(node).await {
            stage.note(What::Stuck { what: format!("{}: {error}", host_of(node)) });
        }
        let Some(world) = stage.world_of(host_of(node)) else { continue };
        let left = world.alive().now();
        stage.note(What::Left {
            host: host_of(node),
            tasks: left.tasks,
            sockets: left.sockets,
            buffered: 0,
            instances: 0,
        });
    }
    (log, copies)
}

async fn create_topics(client: &Client, roll: Option<Duration>) {
    let replicas = NODES.len() as i16;
    let mut configs = vec![("min.insync.replicas".to_owned(), replicas.min(2).to_string())];
    configs.extend(roll.map(|roll| ("segment.ms".to_owned(), roll.as_millis().to_string())));
    let topic = |(name, partitions): (&str, i32)| NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(replicas),
        configs: configs.clone(),
        ..NewTopic::default()
    };
    let topics = TOPICS.into_iter().map(topic).collect();
    let created = Admin::new(client).create_topics(topics, false, None).await.expect("the cluster answers");
    for topic in created {
        topic.result.expect("the topic is made");
    }
}

async fn all_done(stage: &Stage, hosts: &[&'static str]) {
    let begun = now();
    for host in hosts {
        while !stage.is_done(host) {
            if now() - begun > PATIENCE {
                stage.note(What::Stuck { what: (*host).to_owned() });
                break;
            }
            sleep(LOOK).await;
        }
    }
}

/// Reads the log, and tells those who read to its end.
async fn goal(stage: &Stage, client: &Client) -> Log {
    let log = audit::read(client).await.unwrap_or_else(|what| {
        stage.note(What::Stuck { what });
        Log::new()
    });
    stage.set_goal(log.clone());
    log
}
