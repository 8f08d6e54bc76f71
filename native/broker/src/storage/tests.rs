//! Nodes on a disk in memory that crashes, is damaged and is full.

mod crashes;

use std::{path::Path, sync::Arc};

use dohle_protocol::{ErrorCode, Uuid};

use super::*;
use crate::{
    BrokerOptions,
    cluster::Shared,
    config::TopicConfig,
    disk::{Disk, memory::MemoryDisk},
    log::{Isolation, tests::Append},
    node::{NoNode, Node},
    partition::Replica,
    transactions::{Adding, Producer, Sender},
    world::{BoxFuture, BrokerWorld, Listener},
};

struct World {
    disk: MemoryDisk,
    now_ms: i64,
}

impl BrokerWorld for World {
    fn listen(&self, _: std::net::SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        unreachable!("nothing listens")
    }

    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<std::net::SocketAddr>>> {
        unreachable!("nothing listens")
    }

    fn wall_clock_ms(&self) -> i64 {
        self.now_ms
    }

    fn random_u64(&self) -> u64 {
        7
    }

    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }
}

fn start(disk: &MemoryDisk, now_ms: i64, options: BrokerOptions) -> Result<Arc<Node>, NoNode> {
    let world = Arc::new(World { disk: disk.clone(), now_ms });
    let cluster = Shared::new(world.clone(), options.clone())?;
    Node::new(cluster, world, options, Vec::new())
}

fn try_open(disk: &MemoryDisk) -> Result<Arc<Node>, String> {
    start(disk, 1000, BrokerOptions::new().with_log_dir("/logs")).map_err(|error| match error {
        NoNode::LogDir(_, error) => error.to_string(),
        NoNode::Wrong((name, why)) => panic!("{name}: {why}"),
        NoNode::Record(error) => panic!("{error}"),
    })
}

/// The node as it starts after the one before it was killed.
fn open(disk: &MemoryDisk) -> Arc<Node> {
    try_open(&disk.copy()).unwrap()
}

fn create(node: &Node, name: &str, id: u8, partitions: i32) {
    let config = TopicConfig::new(&BrokerOptions::default(), [("retention.ms".to_string(), "-1".to_string())]).unwrap();
    let standings = node.cluster.standings(partitions, 1).unwrap();
    node.cluster.create(name, Uuid([id; 16]), standings, config).unwrap();
}

fn partition(node: &Node, topic: &str, index: i32) -> Arc<Replica> {
    node.leading(topic, index).unwrap()
}

fn grow(node: &Node, name: &str, count: i32) {
    let topic = node.topics.named(name).unwrap();
    let standings = node.cluster.standings(count - topic.partition_count(), 1).unwrap();
    topic.grow(count, standings).unwrap();
}

fn put(node: &Node, topic: &str, index: i32, count: usize) {
    let partition = partition(node, topic, index);
    (0..count).for_each(|_| _ = partition.log.lock().put(Append::default()));
}

fn range(node: &Node, topic: &str, index: i32) -> (i64, i64) {
    let partition = partition(node, topic, index);
    let log = partition.log.lock();
    (log.start_offset(), log.high_watermark())
}

fn checkpoint(node: &Node) {
    node.home.as_ref().unwrap().checkpoint(&node.topics).unwrap();
}

#[test]
fn what_a_deleted_topic_had_says_nothing_of_the_one_that_is_made_under_its_name() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 3);
    for index in 0..3 {
        put(&node, "t", index, 60);
        partition(&node, "t", index).log.lock().delete_before(55).unwrap();
    }
    checkpoint(&node);
    node.topics.delete("t").unwrap();
    create(&node, "t", 2, 1);
    put(&node, "t", 0, 50);
    grow(&node, "t", 2);
    put(&node, "t", 1, 50);
    assert_eq!(range(&open(&disk), "t", 0), (0, 50));
    assert_eq!(range(&open(&disk), "t", 1), (0, 50));
    let node = open(&disk);
    checkpoint(&node);
    grow(&node, "t", 3);
    put(&node, "t", 2, 1);
    assert_eq!(range(&node, "t", 2), (0, 1));
}

#[test]
fn a_topic_that_was_deleted_just_before_the_broker_ended_says_nothing_either() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    put(&node, "t", 0, 60);
    partition(&node, "t", 0).log.lock().delete_before(55).unwrap();
    checkpoint(&node);
    node.topics.delete("t").unwrap();
    let after = disk.copy();
    let node = try_open(&after).unwrap();
    create(&node, "t", 2, 1);
    put(&node, "t", 0, 50);
    assert_eq!(range(&open(&after), "t", 0), (0, 50));
}

#[test]
fn who_is_still_at_work_on_a_deleted_topic_leaves_the_folder_of_the_next_one_of_its_name() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    let (old, id) = (node.topics.named("t").unwrap(), node.options.node_id);
    node.topics.delete("t").unwrap();
    assert!(old.make_replica(id, 0).is_err());
    create(&node, "t", 2, 1);
    put(&node, "t", 0, 5);
    assert!(old.make_replica(id, 0).is_err());
    assert_eq!(range(&open(&disk), "t", 0), (0, 5));
    old.remove_replica(id, 0).unwrap();
    assert_eq!(range(&open(&disk), "t", 0), (0, 5));
}

#[test]
fn only_folders_that_a_deletion_has_left_are_removed() {
    let disk = MemoryDisk::default();
    drop(try_open(&disk).unwrap());
    let left = "t-0.000102030405060708090a0b0c0d0e0f-delete";
    let mine = ["photos-delete", "t-0.xyz-delete", "t-x.000102030405060708090a0b0c0d0e0f-delete", "-delete"];
    for name in [left].iter().chain(&mine) {
        disk.create_folder(&Path::new("/logs").join(name)).unwrap();
        disk.set(format!("/logs/{name}/file"), b"x".to_vec());
    }
    drop(try_open(&disk).unwrap());
    assert!(disk.list(&Path::new("/logs").join(left)).is_err());
    mine.iter().for_each(|name| assert_eq!(disk.bytes(format!("/logs/{name}/file")), b"x", "{name}"));
}

#[test]
fn metadata_that_are_damaged_before_their_end_are_not_cut_and_what_was_torn_at_the_end_is() {
    const LOG: &str = "/logs/__cluster_metadata-0/00000000000000000000.log";
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "a", 1, 1);
    let before = disk.bytes(LOG).len();
    create(&node, "b", 2, 1);
    let whole = disk.bytes(LOG);
    for at in [20, before - 1, before / 2] {
        let (damaged, mut bytes) = (disk.copy(), whole.clone());
        bytes[at] ^= 1;
        damaged.set(LOG, bytes.clone());
        let why = try_open(&damaged).err().unwrap();
        assert!(why.contains(".log: damaged at byte"), "{why}");
        assert_eq!(damaged.bytes(LOG), bytes, "it is left as it is");
    }
    for at in [before + 1, before + 30, whole.len() - 1] {
        let torn = disk.copy();
        torn.set(LOG, Vec::new());
        torn.set(LOG, whole[..at].to_vec());
        let node = try_open(&torn).unwrap();
        assert!(node.topics.named("a").is_some() && node.topics.named("b").is_none(), "{at}");
    }
}

#[test]
fn a_folder_that_has_lost_what_says_what_is_in_it_is_refused() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    put(&node, "t", 0, 1);
    let lost = disk.copy();
    lost.remove_folder(Path::new("/logs/__cluster_metadata-0")).unwrap();
    let why = try_open(&lost).err().unwrap();
    assert!(why.starts_with("__cluster_metadata-0 is missing, though t-0 is there"), "{why}");
    let lost = disk.copy();
    lost.remove(Path::new("/logs/meta.properties")).unwrap();
    let why = try_open(&lost).err().unwrap();
    assert!(why.starts_with("meta.properties is missing, though __cluster_metadata-0 is there"), "{why}");
    let lost = disk.copy();
    for _ in 0..3 {
        lost.remove(Path::new("/logs/t-0/partition.metadata")).unwrap();
        let node = try_open(&lost).unwrap();
        put(&node, "t", 0, 1);
    }
    let stray = lost.list(Path::new("/logs")).unwrap();
    assert_eq!(stray.iter().filter(|found| found.name.ends_with("-stray")).count(), 3, "{stray:?}");
}

/// A transactional id that writes to partitions of the topic `t`.
struct Writer<'n> {
    node: &'n Node,
    producer: Producer,
    v2: bool,
}

impl<'n> Writer<'n> {
    fn new(node: &'n Node, v2: bool) -> Self {
        Self { node, producer: node.transactions.init(node, "id", 60_000, None).unwrap(), v2 }
    }

    fn sender(&self) -> Sender<'static> {
        Sender { transactional_id: "id", producer: self.producer }
    }

    fn write(&self, index: i32, sequence: i32) -> Result<i64, ErrorCode> {
        let (name, replica) = (Arc::from("t"), partition(self.node, "t", index));
        let partition = self.node.topics.named("t").unwrap().partition(index).unwrap();
        let stamp = (self.producer.id, self.producer.epoch, sequence);
        let appended = self.node.transactions.write(
            self.sender(),
            (&name, index, &partition),
            Adding::Implicit,
            self.node,
            || replica.log.lock().try_put(Append { stamp, transactional: true, ..Append::default() }),
        );
        appended.map(|appended| appended.base_offset)
    }

    fn end(&self, commit: bool) -> Result<Producer, ErrorCode> {
        self.node.transactions.end_now(self.node, self.sender(), commit, self.v2)
    }

    fn next(&self) -> Producer {
        Producer { epoch: self.producer.epoch + i16::from(self.v2), ..self.producer }
    }

    /// Ends of what is stable, and of the log.
    fn ends(&self, index: i32) -> (i64, i64) {
        let partition = partition(self.node, "t", index);
        let log = partition.log.lock();
        (log.last_stable_offset(), log.high_watermark())
    }
}

fn aborted(node: &Node, index: i32) -> usize {
    let partition = partition(node, "t", index);
    let slice = partition.log.lock().read(0, 1 << 20, true, Isolation::ReadCommitted).unwrap();
    slice.aborted.map_or(0, |aborted| aborted.len())
}

#[test]
fn a_transaction_whose_markers_a_full_disk_does_not_take_ends_when_there_is_room() {
    for v2 in [false, true] {
        let disk = MemoryDisk::default();
        let node = try_open(&disk).unwrap();
        create(&node, "t", 1, 2);
        let writer = Writer::new(&node, v2);
        writer.write(0, 0).unwrap();
        writer.write(1, 0).unwrap();
        disk.fail_writes(true);
        assert_eq!(writer.end(true), Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
        assert_eq!(writer.end(false), Err(ErrorCode::COORDINATOR_NOT_AVAILABLE), "nothing is decided");
        disk.fail_writes(false);
        disk.fill(Some("/logs/t-1"));
        assert_eq!(writer.end(true), Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
        assert_eq!((writer.ends(0), writer.ends(1)), ((2, 2), (0, 1)));
        assert_eq!(writer.end(false), Err(ErrorCode::INVALID_TXN_STATE), "it is decided");
        assert_eq!(writer.write(0, 1), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        let taken = node.transactions.init(&node, "id", 60_000, None);
        assert_eq!(taken, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        disk.fill(None);
        assert_eq!(writer.end(true), Ok(writer.next()));
        assert_eq!((writer.ends(0), writer.ends(1)), ((2, 2), (2, 2)));
        assert_eq!(writer.end(true), Ok(writer.next()), "asked again");
    }
}

#[test]
fn a_broker_that_ends_within_a_commit_or_an_abort_carries_it_out_when_it_starts() {
    for (v2, commit) in [(false, false), (false, true), (true, false), (true, true)] {
        let disk = MemoryDisk::default();
        let node = try_open(&disk).unwrap();
        create(&node, "t", 1, 2);
        let writer = Writer::new(&node, v2);
        writer.write(0, 0).unwrap();
        writer.write(1, 0).unwrap();
        disk.fill(Some("/logs/t-1"));
        assert!(writer.end(commit).is_err());
        let node = open(&disk);
        let after = Writer { node: &node, ..writer };
        for index in 0..2 {
            let (stable, end) = after.ends(index);
            assert_eq!((stable, aborted(&node, index)), (end, usize::from(!commit)), "{v2} {commit} {index}");
        }
        assert_eq!(after.end(commit), Ok(after.next()), "its answer was lost");
        let next = Writer { producer: after.next(), ..after };
        next.write(1, i32::from(!v2)).unwrap();
        assert!(next.end(true).is_ok());
    }
}

#[test]
fn a_transaction_goes_on_after_the_broker_has_ended_and_started_again() {
    for v2 in [false, true] {
        let disk = MemoryDisk::default();
        let node = try_open(&disk).unwrap();
        create(&node, "t", 1, 2);
        let writer = Writer::new(&node, v2);
        writer.write(0, 0).unwrap();
        let node = open(&disk);
        let writer = Writer { node: &node, ..writer };
        assert_eq!(writer.ends(0), (0, 1), "it is open");
        writer.write(0, 1).unwrap();
        writer.write(1, 0).unwrap();
        let producer = writer.end(true).unwrap();
        assert_eq!((producer, writer.ends(0), writer.ends(1)), (writer.next(), (3, 3), (2, 2)));
        assert_eq!((aborted(&node, 0), aborted(&node, 1)), (0, 0));
        let fenced = node.transactions.init(&node, "id", 60_000, None).unwrap();
        assert_eq!(fenced, Producer { epoch: producer.epoch + 1, ..producer });
    }
}

#[test]
fn what_no_transactional_id_has_is_aborted_when_the_broker_starts() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    create(&node, "t", 1, 1);
    Writer::new(&node, true).write(0, 0).unwrap();
    node.topics.delete("__transaction_state").unwrap();
    let node = open(&disk);
    assert_eq!((range(&node, "t", 0), aborted(&node, 0)), ((0, 2), 1));
}

#[test]
fn a_transactional_id_that_has_expired_is_forgotten_in_the_log_too() {
    let disk = MemoryDisk::default();
    let node = try_open(&disk).unwrap();
    let producer = Writer::new(&node, true).producer;
    drop(node);
    let mut options = BrokerOptions::new().with_log_dir("/logs");
    options.set("transactional.id.expiration.ms", "1").unwrap();
    let later = |now_ms| start(&disk, now_ms, options.clone()).ok().unwrap();
    let seen = |node: &Node| node.transactions.with(node, "id", |known| known.map(|known| known.producer())).unwrap();
    assert_eq!(seen(&later(1000)), Some(producer));
    assert_eq!(seen(&later(5000)), None);
    assert_eq!(seen(&later(1000)), None, "it is not there any more");
}
