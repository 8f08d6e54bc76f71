//! Who only looks: a reader of everything, a reader of what is committed, and one who asks what the group has committed.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::admin::Admin;
use dohle_client::consumer::{Assignment, ConsumerOptions, StartAt, TopicPartition};
use dohle_client::generated::options::IsolationLevel;

use crate::history::{Place, What};
use crate::plan::VERIFIER;
use crate::stage::{GROUP, LOOK, ORDERS, Phase, Stage, TOPICS};

use super::reading::{Reading, known, place};

pub async fn run(stage: Arc<Stage>) {
    let world = stage.world(VERIFIER);
    stage.reached(Phase::Running).await;
    let client = stage.client(&world);
    let read = |level| read_along(stage.clone(), client.clone(), level);
    let (all, committed, ()) = tokio::join!(
        biased;
        read(IsolationLevel::ReadUncommitted),
        read(IsolationLevel::ReadCommitted),
        watch_commits(&stage, &client),
    );
    stage.leave(VERIFIER, &world, client, all + committed).await;
}

/// Reads all partitions from their start, until the end that is known when nothing more is written.
async fn read_along(stage: Arc<Stage>, client: Client, level: IsolationLevel) -> usize {
    let committed_only = level == IsolationLevel::ReadCommitted;
    let options = ConsumerOptions { isolation_level: level, ..ConsumerOptions::default() };
    let reading = Reading::open(&stage, &client, VERIFIER, options);
    let partitions = TOPICS.iter().flat_map(|(topic, count)| (0..*count).map(|n| TopicPartition::new(*topic, n)));
    let assignments = partitions.map(|partition| Assignment { partition, start: StartAt::Earliest }).collect();
    reading.consumer.assign(assignments).expect("the partitions are in order");
    let mut next = std::collections::BTreeMap::<Place, i64>::new();
    while stage.phase() < Phase::Closing {
        match reading.consumer.next_chunk() {
            Ok(Some(chunk)) => {
                for k in 0..chunk.count {
                    let Some(offset) = reading.step(&chunk, k) else { break };
                    next.insert(place(&chunk), offset + 1);
                }
                reading.finish(&chunk);
            }
            Ok(None) => reading.news().await,
            Err(error) => reading.said(format!("{error}")),
        }
        let goal = stage.goal(committed_only);
        if !goal.is_empty() && goal.iter().all(|(place, end)| next.get(place).copied().unwrap_or(0) >= *end) {
            stage.done(if committed_only { "verifier of what is committed" } else { "verifier of everything" });
        }
    }
    reading.close(&client, true).await
}

/// What the group has committed, again and again, as somebody sees it who is not in it.
async fn watch_commits(stage: &Stage, client: &Client) {
    let admin = Admin::new(client);
    let partitions: Vec<_> = (0..TOPICS[0].1).map(|n| TopicPartition::new(ORDERS, n)).collect();
    while stage.phase() < Phase::Closing {
        tokio::time::sleep(LOOK * 4).await;
        let asked = vec![(GROUP.to_owned(), Some(partitions.clone()))];
        let Ok(answer) = admin.list_group_offsets(asked, false, Some(Duration::from_secs(3))).await else { continue };
        let mut all = std::collections::BTreeMap::new();
        for (tp, committed) in answer.into_iter().filter_map(|item| item.result.ok()).flatten() {
            let Ok(committed) = committed else { continue };
            let (place, offset) = (Place { topic: known(&tp.topic), partition: tp.partition }, committed.offset);
            stage.note(What::Observed { place, offset });
            all.insert(place, offset);
        }
        let goal = stage.goal(stage.plan.committed_only);
        let mut orders = goal.iter().filter(|(place, _)| place.topic == ORDERS);
        if !goal.is_empty() && orders.all(|(place, end)| all.get(place).copied().unwrap_or(0) >= *end) {
            stage.done(GROUP);
        }
    }
}
