//! Partitions change hands under load: each record is finished by somebody, and by clean hands only once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_client::consumer::ConsumerOptions;
use parking_lot::Mutex;

use crate::support::*;

const PARTITIONS: i32 = 6;
const BATCHES: usize = 40;
const PER_BATCH: usize = 50;

type Ledger = Arc<Mutex<BTreeMap<(i32, i64), u32>>>;

/// A loop on a thread of its own, as a language has it: it works, and between two records it answers what it is asked.
fn work(member: Member, done: Arc<AtomicBool>, ledger: Ledger) -> tokio::task::JoinHandle<()> {
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
        assert!(!member.lost(), "{}", member.story());
        member.told.silent.store(false, Ordering::SeqCst);
        member.close().await;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_finished_once_while_members_come_and_go() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let client = cluster.client();
        let (topic, group) = (cluster.topic(PARTITIONS).await, unique("group"));
        let ledger = Ledger::default();
        let join = || {
            let done = Arc::new(AtomicBool::new(false));
            let often = Duration::from_millis(50);
            let options = ConsumerOptions { auto_commit_interval: often, ..options(&group, strategy) };
            let member = Member::new(&client, options);
            member.consumer.subscribe(vec![topic.clone()]).unwrap();
            (done.clone(), work(member, done, ledger.clone()))
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
        let twice: Vec<_> =
            ledger.lock().iter().filter(|(_, count)| **count > 1).map(|(at, count)| (*at, *count)).collect();
        assert!(
            twice.is_empty(),
            "{strategy}: {} records came again: {:?}",
            twice.len(),
            &twice[..twice.len().min(10)]
        );
        client.close().await;
    }
}
