//! The copies of all partitions as they are in the end: as each node has them, without a client.

use std::time::Duration;

use dohle_broker::{Cluster, CopyState};
use dohle_protocol::records::batches;

use crate::history::{Batch, Copies, Place, now};
use crate::stage::{LOOK, TOPICS};

/// How long copies may be behind, once all faults are over.
const PATIENCE: Duration = Duration::from_secs(60);
/// Those of the broker's own, as far as they were made.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Reads all copies when they have all, and says what they never had.
pub async fn read(cluster: &Cluster) -> (Copies, Vec<String>) {
    let (mut all, mut behind) = (Copies::new(), Vec::new());
    let begun = now();
    for topic in TOPICS.map(|(topic, _)| topic).into_iter().chain(INTERNAL) {
        for partition in 0.. {
            let place = Place { topic, partition };
            let copies = loop {
                let copies = cluster.copies(topic, partition);
                if is_whole(&copies) {
                    break copies;
                }
                if now() - begun > PATIENCE {
                    behind.push(format!("{place:?} is behind: {copies:?}"));
                    break copies;
                }
                tokio::time::sleep(LOOK).await;
            };
            // Nothing is awaited from here on: nobody writes meanwhile.
            let Some(committed) = copies.iter().map(|copy| copy.high_watermark).min() else { break };
            let read = copies.iter().map(|copy| (copy.node, read_copy(cluster, place, copy, committed)));
            all.insert(place, read.collect());
        }
    }
    (all, behind)
}

/// Each has all that the others have, and knows that it is committed.
fn is_whole(copies: &[CopyState]) -> bool {
    copies.iter().all(|copy| copy.high_watermark == copy.end_offset && copy.end_offset == copies[0].end_offset)
}

/// The batches of a copy that begin before an offset. What cannot be read is missing, and so it is told.
fn read_copy(cluster: &Cluster, Place { topic, partition }: Place, copy: &CopyState, committed: i64) -> Vec<Batch> {
    let (mut found, mut next) = (Vec::new(), copy.start_offset);
    while next < committed {
        let before = next;
        for batch in batches(cluster.read_copy(copy.node, topic, partition, next).unwrap_or_default()) {
            let Ok(batch) = batch else { return found };
            let (header, bytes) = (batch.header(), batch.bytes().clone());
            let (first, last, epoch) = (header.base_offset, header.last_offset(), header.partition_leader_epoch);
            next = last + 1;
            if first < committed {
                found.push(Batch { first, last, epoch, bytes });
            }
        }
        if next == before {
            break;
        }
    }
    found
}
