//! The folder that a node keeps everything in (`log.dirs`), laid out as Apache Kafka's: whose it is, a folder per partition,
//! checkpoints, the log of the cluster's metadata, and a mark that the broker was stopped and did not just end. It knows which
//! folders and records there are, not what is in a partition: that is `log`. Driven by the node when it starts and stops, by
//! topics when they come, change and go, and by the housekeeping task.

pub(crate) mod checkpoint;
mod checkpoints;
mod identity;
mod metadata;
mod partitions;
mod records;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, MutexGuard};

use checkpoints::Checkpoints;
use identity::Identity;
use metadata::Metadata;
pub(crate) use records::{Image, Record};

use crate::{
    BrokerWorld,
    cluster::Standing,
    disk::{Disk, replace},
    node::base64,
    topics::{Refusal, Topics},
};

const LOCK: &str = ".lock";
const CLEAN: &str = ".kafka_cleanshutdown";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogDirError {
    /// Another broker has it.
    #[error("another broker uses this folder")]
    InUse,
    /// It is of another cluster.
    #[error("the folder belongs to the cluster {found}, not to {given}")]
    OtherCluster {
        /// In the folder.
        found: String,
        /// The option `cluster_id`.
        given: String,
    },
    /// It is another node's.
    #[error("the folder belongs to the node {found}, not to {given} (node.id)")]
    OtherNode {
        /// In the folder.
        found: i32,
        /// The option `node_id`.
        given: i32,
    },
    /// A file in it is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// The disk does not do what it should.
    #[error("{0}")]
    Io(io::Error),
}

/// The folder of a running broker.
pub(crate) struct Storage {
    world: Arc<dyn BrokerWorld>,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    identity: Identity,
    checkpoints: Checkpoints,
    /// The broker before had been stopped, and did not just end.
    clean: bool,
    metadata: Mutex<Metadata>,
    /// Held until the broker has stopped, or is gone.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// A change of the metadata, while no other is under way.
pub(crate) struct Turn<'a> {
    metadata: MutexGuard<'a, Metadata>,
    storage: &'a Storage,
}

impl Storage {
    /// Opens a folder, or makes it; answers what its metadata say.
    pub fn open(
        world: &Arc<dyn BrokerWorld>,
        folder: &Path,
        node_id: i32,
        cluster_id: Option<&str>,
        new_id: impl Fn() -> Uuid,
    ) -> Result<(Self, Image), LogDirError> {
        let disk = world.disk();
        disk.create_folder(folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => LogDirError::Damaged("it is no folder".into()),
            _ => LogDirError::Io(error),
        })?;
        let lock = disk.lock(&folder.join(LOCK)).map_err(LogDirError::Io)?.ok_or(LogDirError::InUse)?;
        let identity = identify(&*disk, folder, node_id, cluster_id, new_id)?;
        let clean_mark = folder.join(CLEAN);
        let clean = disk.open(&clean_mark).is_ok();
        let checkpoints = Checkpoints::read(&*disk, folder).map_err(LogDirError::Io)?;
        // From here on a crash is one.
        disk.remove(&clean_mark).and_then(|()| disk.sync_folder(folder)).map_err(LogDirError::Io)?;
        let opened = Metadata::open(&disk, folder, world.wall_clock_ms());
        let (metadata, image) = opened.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => LogDirError::Damaged(error.to_string()),
            _ => LogDirError::Io(error),
        })?;
        let (world, folder, metadata) = (world.clone(), folder.to_path_buf(), Mutex::new(metadata));
        let lock = Mutex::new(Some(lock));
        let storage = Self { world, disk, folder, identity, checkpoints, clean, metadata, lock };
        storage.remove_deleted(&image).map_err(LogDirError::Io)?;
        Ok((storage, image))
    }

    pub fn node_id(&self) -> i32 {
        self.identity.node_id
    }

    pub fn cluster_id(&self) -> &str {
        &self.identity.cluster_id
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Begins a change of the metadata.
    pub fn turn(&self) -> Turn<'_> {
        Turn { metadata: self.metadata.lock(), storage: self }
    }

    /// Stores what was set for a resource.
    pub fn store_config(
        &self,
        of: (i8, &str),
        before: &std::collections::BTreeMap<String, String>,
        after: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        match records::changes(of, before, after) {
            none if none.is_empty() => Ok(()),
            changes => self.turn().append(&changes),
        }
    }

    /// Producer ids below this one are given away from now on.
    pub fn store_producer_ids(&self, next_producer_id: i64) -> Result<(), Refusal> {
        let broker_id = self.identity.node_id;
        let record = dohle_protocol::messages::ProducerIdsRecord { broker_id, next_producer_id, ..Default::default() };
        self.turn().append(&[Record::ProducerIds(record)])
    }

    /// Writes the checkpoints: what need not be read after a crash, and where logs start.
    pub fn checkpoint(&self, topics: &Topics) -> io::Result<()> {
        self.checkpoints.write(&*self.disk, &self.folder, (topics, self.identity.node_id))
    }

    /// The broker stops: what is safe is marked as such, if all of it is.
    pub fn close(&self, topics: &Topics) {
        let mut closed = self.metadata.lock().close();
        for topic in topics.all() {
            for partition in topic.partitions() {
                let Some(replica) = partition.replica(self.identity.node_id) else { continue };
                let one = replica.log.lock().close();
                if let Err(error) = &one {
                    tracing::error!(%error, topic = &*topic.name, "a log is not closed");
                }
                closed = closed.and(one);
            }
        }
        let closed = closed.and_then(|()| self.checkpoint(topics)).and_then(|()| {
            // The epoch is a number that a controller gives; there is none.
            replace(&*self.disk, &self.folder.join(CLEAN), br#"{"version":0,"brokerEpoch":-1}"#)
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the folder is not marked as closed: logs are looked through when it is opened again");
        }
        self.lock.lock().take();
    }
}

impl Turn<'_> {
    /// Stores records, all or none.
    pub fn append(&mut self, all: &[Record]) -> Result<(), Refusal> {
        self.metadata.append(all, self.storage.world.wall_clock_ms()).map_err(refused)
    }

    /// Stores a new topic.
    pub fn topic(
        &mut self,
        name: &str,
        id: Uuid,
        standings: &[Standing],
        set: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let mut all = records::topic(name, id, set);
        all.extend(self.storage.partition_records(id, 0, standings));
        self.append(&all)
    }
}

/// What a client is told when something cannot be stored.
pub(crate) fn refused(error: io::Error) -> Refusal {
    tracing::error!(%error, "the log folder cannot be written");
    (ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::KAFKA_STORAGE_ERROR.text().into())
}

/// Whose the folder is; ours, if it is nobody's yet.
fn identify(
    disk: &dyn Disk,
    folder: &Path,
    node_id: i32,
    cluster_id: Option<&str>,
    new_id: impl Fn() -> Uuid,
) -> Result<Identity, LogDirError> {
    let metadata = disk.list(&folder.join(metadata::FOLDER)).unwrap_or_default();
    let has_metadata = metadata.iter().any(|file| file.name.ends_with(".log"));
    if let Some(found) = identity::read(disk, folder)? {
        if found.node_id != node_id {
            return Err(LogDirError::OtherNode { found: found.node_id, given: node_id });
        }
        if !has_metadata && let Some(name) = a_partition(disk, folder).map_err(LogDirError::Io)? {
            return Err(missing(metadata::FOLDER, &name));
        }
        return match cluster_id.filter(|given| *given != found.cluster_id) {
            Some(given) => Err(LogDirError::OtherCluster { found: found.cluster_id, given: given.into() }),
            None => Ok(found),
        };
    }
    if has_metadata {
        return Err(missing(identity::META, metadata::FOLDER));
    }
    let cluster_id = cluster_id.map_or_else(|| base64(new_id()), str::to_string);
    let new = Identity { cluster_id, node_id, directory_id: new_id() };
    identity::write(disk, folder, &new)?;
    Ok(new)
}

/// The name of a folder that has a partition of a topic, if there is one.
fn a_partition(disk: &dyn Disk, folder: &Path) -> io::Result<Option<String>> {
    let folders = disk.list(folder)?.into_iter().filter(|found| found.folder);
    Ok(folders
        .map(|found| found.name)
        .find(|name| identity::topic_of(disk, &folder.join(name)).is_ok_and(|id| id.is_some())))
}

fn missing(what: &str, though: &str) -> LogDirError {
    let why = format!("{what} is missing, though {though} is there: put it back, or take an empty folder");
    LogDirError::Damaged(why)
}
