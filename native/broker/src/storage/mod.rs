//! The folder that a broker keeps everything in (`log.dirs`), laid out as Apache Kafka's: whose it is (`folder`), the log of the
//! cluster's metadata (`metadata`), and where a node has its partitions (`home`): the same folder, or of several nodes a folder
//! `node-ID` in it for each. It knows which folders and records there are, not what is in a partition: that is `log`. Driven by
//! nodes when they start and stop, by topics when they come, change and go, and by the housekeeping task.

pub(crate) mod checkpoint;
mod checkpoints;
mod folder;
mod home;
mod identity;
mod metadata;
mod partitions;
mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, MutexGuard};

use folder::{Folder, Holds};
pub(crate) use home::Home;
use metadata::Metadata;
pub(crate) use records::{Image, Record};

use crate::{BrokerOptions, BrokerWorld, cluster::Standing, node::random_uuid, topics::Refusal};

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
    /// It was made by a broker of one node.
    #[error("the folder is that of a broker alone (it has {found}): start one node with it, or take another folder")]
    OfOne {
        /// The folder of a partition.
        found: String,
    },
    /// It was made by a broker of several nodes.
    #[error("the folder is that of several nodes (it has {found}): say how many (nodes), or take another folder")]
    OfSeveral {
        /// The folder of a node.
        found: String,
    },
    /// A file in it is not what it should be.
    #[error("{0}")]
    Damaged(String),
    /// The disk does not do what it should.
    #[error("{0}")]
    Io(io::Error),
}

/// The folder of a running broker, with the metadata of its cluster.
pub(crate) struct Storage {
    world: Arc<dyn BrokerWorld>,
    folder: Arc<Folder>,
    holds: Holds,
    metadata: Mutex<Metadata>,
    /// The folders of nodes, by their ids.
    directories: Mutex<BTreeMap<i32, Uuid>>,
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
        path: &Path,
        options: &BrokerOptions,
    ) -> Result<(Self, Image), LogDirError> {
        let holds = if options.is_alone() { Holds::All } else { Holds::Metadata };
        let (disk, cluster_id) = (world.disk(), options.cluster_id.as_deref());
        let folder = Folder::open(disk, path, holds, options.node_id, cluster_id, || random_uuid(&**world))?;
        let opened = Metadata::open(&folder.disk, path, world.wall_clock_ms());
        let (metadata, image) = opened.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => LogDirError::Damaged(error.to_string()),
            _ => LogDirError::Io(error),
        })?;
        let (world, folder, metadata) = (world.clone(), Arc::new(folder), Mutex::new(metadata));
        Ok((Self { world, folder, holds, metadata, directories: Mutex::default() }, image))
    }

    pub fn cluster_id(&self) -> &str {
        &self.folder.identity.cluster_id
    }

    /// Where a node has its own, and whether that is the cluster's folder.
    fn folder_of(&self, world: &Arc<dyn BrokerWorld>, node_id: i32) -> Result<(Arc<Folder>, bool), LogDirError> {
        let (folder, is_shared) = match self.holds {
            Holds::All => (self.folder.clone(), true),
            _ => {
                let (path, new_id) = (self.folder.of_node(node_id), || random_uuid(&**world));
                let (holds, cluster_id) = (Holds::Partitions, Some(self.cluster_id()));
                (Arc::new(Folder::open(world.disk(), &path, holds, node_id, cluster_id, new_id)?), false)
            }
        };
        self.directories.lock().insert(node_id, folder.identity.directory_id);
        Ok((folder, is_shared))
    }

    /// Where that is.
    pub fn path_of(&self, node_id: i32) -> PathBuf {
        match self.holds {
            Holds::All => self.folder.path.clone(),
            _ => self.folder.of_node(node_id),
        }
    }

    /// Begins a change of the metadata.
    pub fn turn(&self) -> Turn<'_> {
        Turn { metadata: self.metadata.lock(), storage: self }
    }

    /// Stores what was set for a resource.
    pub fn store_config(
        &self,
        of: (i8, &str),
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        match records::changes(of, before, after) {
            none if none.is_empty() => Ok(()),
            changes => self.turn().append(&changes),
        }
    }

    /// Producer ids below this one are given away from now on.
    pub fn store_producer_ids(&self, next_producer_id: i64) -> Result<(), Refusal> {
        let broker_id = self.folder.identity.node_id;
        let record = dohle_protocol::messages::ProducerIdsRecord { broker_id, next_producer_id, ..Default::default() };
        self.turn().append(&[Record::ProducerIds(record)])
    }

    /// The broker stops; its nodes have.
    pub fn close(&self) {
        if let Err(error) = self.metadata.lock().close() {
            tracing::error!(%error, "the log of the cluster's metadata is not closed");
        }
        self.folder.release();
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
        set: &BTreeMap<String, String>,
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
