//! Where a node has its partitions: a folder for each, the checkpoints, and a mark that the node was stopped and did not just end.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{LogDirError, Storage, checkpoints::Checkpoints, folder::Folder};
use crate::{
    BrokerWorld,
    disk::{Disk, replace},
    topics::Topics,
};

pub(super) const CLEAN: &str = ".kafka_cleanshutdown";

/// The home of a node that runs.
pub(crate) struct Home {
    pub(super) world: Arc<dyn BrokerWorld>,
    pub(super) folder: Arc<Folder>,
    pub(super) checkpoints: Arc<Checkpoints>,
    /// The node before had been stopped, and did not just end.
    pub clean: bool,
    /// The folder is the cluster's too.
    is_shared: bool,
    /// Held while a partition's folder gets its name, or loses it.
    pub(super) names: Mutex<()>,
}

impl Home {
    /// Opens a node's part of a cluster's folder, or makes it; `is_known`: there is a topic of this name.
    pub fn open(
        world: &Arc<dyn BrokerWorld>,
        storage: &Storage,
        node_id: i32,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Self, LogDirError> {
        let (folder, is_shared) = storage.folder_of(world, node_id)?;
        let (disk, path) = (&*folder.disk, &folder.path);
        let clean_mark = path.join(CLEAN);
        let clean = disk.open(&clean_mark).is_ok();
        let checkpoints = Checkpoints::read(disk, path).map_err(LogDirError::Io)?;
        // From here on a crash is one.
        disk.remove(&clean_mark).and_then(|()| disk.sync_folder(path)).map_err(LogDirError::Io)?;
        let home = Self {
            world: world.clone(),
            folder,
            checkpoints: Arc::new(checkpoints),
            clean,
            is_shared,
            names: Mutex::default(),
        };
        home.remove_deleted(is_known).map_err(LogDirError::Io)?;
        Ok(home)
    }

    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    pub fn disk(&self) -> &dyn Disk {
        &*self.folder.disk
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.folder.path.join(name)
    }

    /// Writes the checkpoints: what need not be read after a crash, what is committed, and where logs start.
    pub fn checkpoint(&self, topics: &Topics) -> io::Result<()> {
        let of = (topics, self.folder.identity.node_id);
        // When it is released somebody may have it again.
        self.folder.at_work(|| self.checkpoints.write(self.disk(), self.path(), of)).unwrap_or(Ok(()))
    }

    /// The node stops: what is safe is marked as such, if all of it is.
    pub fn close(&self, topics: &Topics) {
        let mut closed = Ok(());
        for topic in topics.all() {
            for partition in topic.partitions() {
                let Some(replica) = partition.replica(self.folder.identity.node_id) else { continue };
                let one = replica.log.lock().close();
                if let Err(error) = &one {
                    tracing::error!(%error, topic = &*topic.name, "a log is not closed");
                }
                closed = closed.and(one);
            }
        }
        let closed = closed.and_then(|()| self.checkpoint(topics)).and_then(|()| {
            // The epoch is a number that a controller gives; there is none.
            replace(self.disk(), &self.join(CLEAN), br#"{"version":0,"brokerEpoch":-1}"#)
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the folder is not marked as closed: logs are looked through when it is opened again");
        }
        self.leave();
    }

    /// The node has ended, in order or not.
    pub fn leave(&self) {
        if !self.is_shared {
            self.folder.release();
        }
    }
}
