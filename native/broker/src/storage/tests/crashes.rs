//! What is there after the machine has failed, or a node was killed while the checkpoints were written.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use dohle_protocol::records;

use super::*;

/// While the checkpoints are being written, up to a file that this is the name of: begins `work` on a thread, does `meanwhile`, and
/// lets all go on. Answers whether `work` had ended before that.
fn during_a_checkpoint(
    (disk, node): (&MemoryDisk, &Node),
    file: &str,
    work: impl FnOnce() + Send,
    meanwhile: impl FnOnce(),
) -> bool {
    let held = disk.hold_rename(&format!("/logs/{file}"));
    thread::scope(|scope| {
        scope.spawn(|| checkpoint(node));
        held.wait();
        let (done, told) = channel();
        scope.spawn(move || {
            work();
            let _ = done.send(());
        });
        // Time enough for one that does not wait.
        let waits = told.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout);
        meanwhile();
        held.wait();
        !waits
    })
}

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

#[test]
fn a_checkpoint_that_waits_for_another_one_has_what_has_come_meanwhile() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    put(&node, "t", 0, 10);
    let delete = || _ = partition(&node, "t", 0).log.lock().delete_before(5).unwrap();
    during_a_checkpoint((&disk, &node), "log-start-offset-checkpoint", || checkpoint(&node), delete);
    assert_eq!(range(&open(&disk), "t", 0), (5, 10));
}

#[test]
fn a_folder_is_not_let_go_while_its_checkpoints_are_written() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    let mut found = None;
    let close = || node.cluster.close();
    let closed = during_a_checkpoint((&disk, &node), "replication-offset-checkpoint", close, || {
        found = try_open(&disk).err();
    });
    assert_eq!((closed, found.as_deref()), (false, Some("another broker uses this folder")));
    try_open(&disk).unwrap();
}

#[test]
fn a_cluster_is_there_after_the_machine_has_failed_right_after_its_start() {
    let disk = MemoryDisk::default();
    let mut options = BrokerOptions::new().with_log_dir("/a/new/folder");
    options.nodes = 2;
    let shared = |disk: &MemoryDisk| {
        let world = Arc::new(World { disk: disk.clone(), now_ms: 1000 });
        (Shared::new(world.clone(), options.clone()).ok().unwrap(), world)
    };
    let (cluster, world) = shared(&disk);
    let node = |id| {
        let options = BrokerOptions { node_id: id, ..options.clone() };
        Node::new(cluster.clone(), world.clone(), options, Vec::new()).ok().unwrap()
    };
    let nodes = [node(1), node(2)];
    create(&nodes[0], "t", 1, 1);
    let after = disk.crashed();
    assert!(shared(&after).0.topics.named("t").is_some());
    for folder in ["node-1", "node-2"] {
        assert!(!after.bytes(format!("/a/new/folder/{folder}/meta.properties")).is_empty(), "{folder}");
    }
}
