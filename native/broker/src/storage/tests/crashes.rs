//! What is there after the machine has failed, or a node was killed while the checkpoints were written.

use dohle_protocol::records;

use super::*;

fn set(node: &Node, topic: &str, set: &[(&str, &str)]) {
    let set = set.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let config = TopicConfig::new(&BrokerOptions::default(), set).unwrap();
    node.topics.named(topic).unwrap().set_config(config);
}

fn make_safe(node: &Node, topic: &str, index: i32) {
    let partition = partition(node, topic, index);
    let mut log = partition.log.lock();
    let to = log.due_flush().unwrap().unwrap().run().unwrap();
    log.flushed(to);
}

/// The offsets of all batches that are in a log's files.
fn offsets(node: &Node, topic: &str, index: i32) -> Vec<i64> {
    let partition = partition(node, topic, index);
    let slice = partition.log.lock().read(0, 1 << 20, true, Isolation::Uncommitted).unwrap();
    records::batches(slice.bytes).map(|batch| batch.unwrap().header().base_offset).collect()
}

#[test]
fn what_was_safe_before_a_log_was_cut_is_not_believed_of_what_was_written_there_next() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    put(&node, "t", 0, 100);
    make_safe(&node, "t", 0);
    checkpoint(&node);
    partition(&node, "t", 0).log.lock().truncate_to(50, 1000).unwrap();
    put(&node, "t", 0, 20);
    set(&node, "t", &[("segment.bytes", "14")]);
    put(&node, "t", 0, 1);
    // The first segment ends at 70, and its file has what was safe: 100 records.
    let after = try_open(&disk.crashed()).unwrap();
    assert_eq!(offsets(&after, "t", 0), (0..70).collect::<Vec<_>>());
    assert_eq!(range(&after, "t", 0), (0, 70));
}

#[test]
fn a_log_is_not_cut_when_that_cannot_be_noted() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    put(&node, "t", 0, 10);
    make_safe(&node, "t", 0);
    checkpoint(&node);
    let cut = || partition(&node, "t", 0).log.lock().truncate_to(5, 1000);
    disk.fail_after_renames(0);
    assert_eq!(cut(), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!((range(&node, "t", 0), range(&open(&disk), "t", 0)), ((0, 10), (0, 10)));
    disk.fail_after_renames(usize::MAX);
    assert_eq!((cut(), range(&node, "t", 0)), (Ok(()), (0, 5)));
}
