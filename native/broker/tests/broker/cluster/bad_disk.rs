//! Clusters whose disks refuse writes for a while, or lose what was written: changes of leaders and copies are made up for, and
//! copies never differ.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use dohle_broker::{
    BrokerWorld, Cluster, TokioWorld,
    disk::{Disk, DiskFile, Listed, Space},
    world::{BoxFuture, Listener},
};
use dohle_protocol::messages::metadata_request::MetadataRequestTopic;
use parking_lot::Mutex;

use super::{
    on_disk::{have, send},
    *,
};
use crate::disk::Folder;

/// Names of folders whose files fail.
#[derive(Default)]
struct Fails {
    /// They take nothing more.
    full: Mutex<Option<String>>,
    /// They cannot be synced.
    unsynced: Mutex<Option<String>>,
}

impl Fails {
    fn check(&self, of: &Mutex<Option<String>>, path: &Path) -> io::Result<()> {
        match &*of.lock() {
            Some(folder) if path.iter().any(|part| part == &**folder) => Err(io::Error::other("as the test wants it")),
            _ => Ok(()),
        }
    }
}

/// The real world, but for its disk.
#[derive(Clone, Default)]
struct BadWorld(Arc<Fails>);

struct BadDisk(Arc<Fails>, Arc<dyn Disk>);

struct BadFile(Arc<Fails>, PathBuf, Arc<dyn DiskFile>);

impl BadDisk {
    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(BadFile(self.0.clone(), path.into(), file))
    }
}

impl Disk for BadDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.1.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.1.create(path)?))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.1.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        self.1.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.1.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.1.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.1.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.1.sync_folder(path)
    }

    fn space(&self, folder: &Path) -> io::Result<Option<Space>> {
        self.1.space(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.1.lock(path)
    }
}

impl DiskFile for BadFile {
    fn len(&self) -> io::Result<u64> {
        self.2.len()
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        self.2.read_at(into, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.check(&self.0.full, &self.1)?;
        self.2.write_at(bytes, position)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.2.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.check(&self.0.unsynced, &self.1)?;
        self.2.sync()
    }
}

impl BrokerWorld for BadWorld {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        TokioWorld.listen(address)
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        TokioWorld.resolve(host, port)
    }

    fn wall_clock_ms(&self) -> i64 {
        TokioWorld.wall_clock_ms()
    }

    fn random_u64(&self) -> u64 {
        TokioWorld.random_u64()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        TokioWorld.spawn(task);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(BadDisk(self.0.clone(), TokioWorld.disk()))
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, ()> {
        TokioWorld.blocking(work)
    }
}

/// Three nodes on a bad disk, a topic `t` with one partition, and its replicas, the leader first.
async fn with_topic(folder: &Folder, set: &[(&str, &str)]) -> (BadWorld, Broker, Vec<i32>) {
    let world = BadWorld::default();
    let broker = Broker::start(Arc::new(world.clone()), options(&[]).with_log_dir(&folder.0)).await.unwrap();
    to(&broker, 1).await.create_topic("t", 1, set).await;
    let replicas = broker.cluster().in_sync("t", 0).unwrap().1;
    send(&broker, 0..3).await;
    (world, broker, replicas)
}

fn fill(world: &BadWorld, folder: Option<&str>) {
    *world.0.full.lock() = folder.map(Into::into);
}

const METADATA: &str = "__cluster_metadata-0";

#[tokio::test]
async fn a_leader_that_dies_while_nothing_can_be_stored_is_replaced_when_it_can() {
    let folder = Folder::new("bad-failover");
    let (world, broker, replicas) = with_topic(&folder, &[]).await;
    fill(&world, Some(METADATA));
    broker.cluster().kill_node(replicas[0]).unwrap();
    until("it is missed", async || broker.cluster().nodes().iter().any(|node| !node.alive)).await;
    assert_eq!(broker.cluster().leader("t", 0), Some(replicas[0]));
    // What is not stored is not said to be done.
    assert!(broker.cluster().move_leader("t", 0, replicas[1]).is_err());
    assert_eq!(broker.cluster().leader("t", 0), Some(replicas[0]));
    fill(&world, None);
    send(&broker, 3..6).await;
    broker.start_node(replicas[0]).await.unwrap();
    in_sync(&broker, &replicas).await;
    have(&broker, 0..6).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_copy_is_in_sync_when_that_is_stored_and_not_before() {
    let folder = Folder::new("bad-join");
    let (world, broker, replicas) = with_topic(&folder, &[]).await;
    broker.cluster().kill_node(replicas[2]).unwrap();
    in_sync(&broker, &replicas[..2]).await;
    fill(&world, Some(METADATA));
    broker.start_node(replicas[2]).await.unwrap();
    send(&broker, 3..6).await;
    have(&broker, 0..6).await;
    assert_eq!(broker.cluster().in_sync("t", 0).unwrap().0, replicas[..2]);
    // Nobody waits for it, so it may go.
    broker.cluster().kill_node(replicas[2]).unwrap();
    send(&broker, 6..9).await;
    broker.start_node(replicas[2]).await.unwrap();
    have(&broker, 0..9).await;
    fill(&world, None);
    in_sync(&broker, &replicas).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_copy_whose_disk_was_full_follows_again_by_itself() {
    let folder = Folder::new("bad-follow");
    let (world, broker, replicas) = with_topic(&folder, &[]).await;
    fill(&world, Some(&format!("node-{}", replicas[1])));
    send(&broker, 3..6).await;
    in_sync(&broker, &[replicas[0], replicas[2]]).await;
    // Nobody calls it any more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fill(&world, None);
    in_sync(&broker, &replicas).await;
    have(&broker, 0..6).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_leader_that_cannot_write_any_more_leads_no_more() {
    let folder = Folder::new("bad-leader");
    let (world, broker, replicas) = with_topic(&folder, &[("flush.messages", "1")]).await;
    *world.0.unsynced.lock() = Some(format!("node-{}", replicas[0]));
    send(&broker, 3..6).await;
    assert_ne!(broker.cluster().leader("t", 0), Some(replicas[0]));
    // Nobody knows what is on its disk, until it is read again.
    *world.0.unsynced.lock() = None;
    broker.cluster().kill_node(replicas[0]).unwrap();
    broker.start_node(replicas[0]).await.unwrap();
    in_sync(&broker, &replicas).await;
    have(&broker, 0..6).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_leader_that_has_lost_its_end_leads_in_another_epoch() {
    let folder = Folder::new("bad-end");
    let (_, broker, replicas) = with_topic(&folder, &[]).await;
    send(&broker, 3..10).await;
    have(&broker, 0..10).await;
    broker.stop().await;
    // The machine failed: what was synced last are five records, and so it was noted.
    let own = folder.0.join(format!("node-{}", replicas[0]));
    fs::remove_file(own.join(".kafka_cleanshutdown")).unwrap();
    let log = own.join("t-0/00000000000000000000.log");
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(log.metadata().unwrap().len() / 2).unwrap();
    for checkpoint in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        fs::write(own.join(checkpoint), "0\n1\nt 0 5\n").unwrap();
    }
    let world: Arc<dyn BrokerWorld> = Arc::new(TokioWorld);
    let cluster = Cluster::new(world.clone(), options(&[]).with_log_dir(&folder.0)).unwrap();
    let address = cluster.start_node(world.clone(), replicas[0]).await.unwrap();
    let mut connection = Connection::at(address).await;
    for _ in 0..7 {
        until("it writes", async || produce(&mut connection, 0, 1, batch(["new"])).await == ErrorCode::NONE).await;
    }
    for node in &replicas[1..] {
        cluster.start_node(world.clone(), *node).await.unwrap();
    }
    until("all are in sync", async || cluster.in_sync("t", 0).unwrap().0.len() == 3).await;
    let copy = |node| cluster.read_copy(node, "t", 0, 0).unwrap();
    until("all have the same", async || replicas.iter().all(|node| copy(*node) == copy(replicas[0]))).await;
    assert_eq!(cluster.copies("t", 0)[0].end_offset, 12);
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_created_while_nodes_start_waits_for_all_of_them() {
    let world: Arc<dyn BrokerWorld> = Arc::new(TokioWorld);
    let mut options = options(&[]);
    // The others are not missed while the test runs.
    options.set("broker.session.timeout.ms", "600000").unwrap();
    let cluster = Cluster::new(world.clone(), options).unwrap();
    let mut connection = Connection::at(cluster.start_node(world.clone(), 1).await.unwrap()).await;
    let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let ask = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..Default::default() };
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    let told = connection.ask(12, &ask).await.topics[0].error_code;
    assert_eq!(ErrorCode(told), ErrorCode::LEADER_NOT_AVAILABLE, "clients ask again");
    let told = connection.ask(4, &find).await.coordinators[0].error_code;
    assert_eq!(ErrorCode(told), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    for node in [2, 3] {
        cluster.start_node(world.clone(), node).await.unwrap();
    }
    assert_eq!(connection.ask(12, &ask).await.topics[0].error_code, 0);
    assert_eq!(connection.ask(4, &find).await.coordinators[0].error_code, 0);
    assert_eq!(cluster.in_sync("t", 0).unwrap().1.len(), 3);
    assert_eq!(cluster.in_sync("__consumer_offsets", 0).unwrap().1.len(), 3);
    cluster.stop().await;
}
