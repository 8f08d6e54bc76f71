//! Partitions change hands under load: each record is finished by somebody, and by clean hands only once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_broker::{Action, Rule, When};
use dohle_client::consumer::ConsumerOptions;
use dohle_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use crate::support::*;

const PARTITIONS: i32 = 6;
const BATCHES: usize = 40;
const PER_BATCH: usize = 50;

type Ledger = Arc<Mutex<BTreeMap<(i32, i64), u32>>>;

/// A loop on a thread of its own, as a language has it: it works, and between two records it answers what it is asked.
fn work(member: Member, done: Arc<AtomicBool>, ledger: Ledger, faulty: bool) -> tokio::task::JoinHandle<()> {
    member.told.silent.store(true, Ordering::SeqCst);
    tokio::spawn(async move {
        let mut reading = Loop::default();
        let mut answered = 0;
        while !done.load(Ordering::SeqCst) {
            let given = reading.step(&member.consumer);
            if let Some(given) = &given {
                *ledger.lock().entry((given.partition, given.offset)).or_default() += 1;
                // The record is done before any question is answered.
                reading.finish_in_hand();
            }
            let open: Vec<u64> =
                member.told.questions.lock().iter().map(|q| q.id).filter(|&id| id > answered).collect();
            for id in open {
                member.consumer.answer(id);
                answered = id;
            }
            match given {
                Some(_) => tokio::task::yield_now().await,
                None => drop(tokio::time::timeout(Duration::from_millis(10), member.told.news.notified()).await),
            }
        }
        assert!(faulty || !member.lost(), "{}", member.story());
        member.told.silent.store(false, Ordering::SeqCst);
        let closed = member.consumer.close(Some(PATIENCE)).await;
        assert!(faulty || closed.is_ok(), "{closed:?}");
    })
}

/// Produces and consumes while members come and go; how often each record was given.
async fn churn(cluster: &Cluster, strategy: &str, faulty: bool) -> BTreeMap<(i32, i64), u32> {
    let client = cluster.client();
    let (topic, group) = (cluster.topic(PARTITIONS).await, unique("group"));
    let ledger = Ledger::default();
    let join = || {
        let done = Arc::new(AtomicBool::new(false));
        let options = ConsumerOptions {
            auto_commit_interval: Duration::from_millis(50),
            // Members that a fault cut off are missed for a while only.
            session_timeout: Duration::from_secs(if faulty { 3 } else { 20 }),
            ..options(&group, strategy)
        };
        let member = Member::new(&cluster.client(), options);
        member.consumer.subscribe(vec![topic.clone()]).unwrap();
        (done.clone(), work(member, done, ledger.clone(), faulty))
    };
    let mut working = vec![join()];
    for batch in 0..BATCHES {
        for partition in 0..PARTITIONS {
            cluster.produce(&client, &topic, partition, batch * PER_BATCH, PER_BATCH).await;
        }
        match batch % 10 {
            2 | 4 => working.push(join()),
            7 | 9 => {
                let (done, task) = working.remove(0);
                done.store(true, Ordering::SeqCst);
                task.await.unwrap();
            }
            _ => {}
        }
        if working.is_empty() {
            working.push(join());
        }
    }
    let total = PARTITIONS as usize * BATCHES * PER_BATCH;
    let all_read = async {
        while ledger.lock().len() < total {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let timely = tokio::time::timeout(PATIENCE, all_read).await;
    assert!(timely.is_ok(), "{strategy}: {} of {total}", ledger.lock().len());
    for (done, task) in working {
        done.store(true, Ordering::SeqCst);
        task.await.unwrap();
    }
    client.close().await;
    ledger.lock().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_finished_once_while_members_come_and_go() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let ledger = churn(&cluster, strategy, false).await;
        let twice: Vec<_> = ledger.iter().filter(|(_, count)| **count > 1).collect();
        assert!(
            twice.is_empty(),
            "{strategy}: {} records came again: {:?}",
            twice.len(),
            &twice[..twice.len().min(10)]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_lost_while_the_coordinator_fails_in_every_way() {
    let errors = [
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::ILLEGAL_GENERATION,
        ErrorCode::UNKNOWN_MEMBER_ID,
    ];
    for strategy in ["range", "cooperative-sticky"] {
        let cluster = Cluster::embedded().await;
        let faults = cluster.broker.as_ref().unwrap().faults();
        for (i, api) in
            [ApiKey::JOIN_GROUP, ApiKey::SYNC_GROUP, ApiKey::HEARTBEAT, ApiKey::OFFSET_COMMIT].iter().enumerate()
        {
            for (k, code) in errors.iter().enumerate() {
                let action = Action::Error { code: code.0, when: When::Before };
                faults.add(Rule::new(action).api(api.0).nth((3 + 7 * k + i) as u32));
            }
            for nth in [5, 19, 33] {
                faults.add(Rule::new(Action::Close { when: When::After }).api(api.0).nth(nth));
                faults.add(Rule::new(Action::Close { when: When::Before }).api(api.0).nth(nth + 5));
            }
        }
        churn(&cluster, strategy, true).await;
    }
}
