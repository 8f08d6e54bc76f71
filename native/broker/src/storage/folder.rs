//! A folder that is somebody's: locked while it is used, with `meta.properties` that say whose it is. It is the cluster's, which has
//! its metadata there and, with one node, that node's partitions too; or one node's of several, in the cluster's.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dohle_protocol::Uuid;
use parking_lot::Mutex;

use super::{
    LogDirError, home,
    identity::{self, Identity},
    metadata,
};
use crate::{
    disk::{Disk, make_folder},
    node::base64,
};

const LOCK: &str = ".lock";
/// What the folders of several nodes are called, before their ids.
const NODE: &str = "node-";

/// The folder.
pub(super) struct Folder {
    pub disk: Arc<dyn Disk>,
    pub path: PathBuf,
    pub identity: Identity,
    /// Held until it is closed, or gone.
    lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// What a folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// The metadata and the partitions of a broker alone.
    All,
    /// The metadata of several nodes, and their folders.
    Metadata,
    /// The partitions of one of several nodes.
    Partitions,
}

impl Folder {
    /// Opens it, or makes it.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        holds: Holds,
        node_id: i32,
        cluster_id: Option<&str>,
        new_id: impl Fn() -> Uuid,
    ) -> Result<Self, LogDirError> {
        make_folder(&*disk, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => LogDirError::Damaged("it is no folder".into()),
            _ => LogDirError::Io(error),
        })?;
        let lock = disk.lock(&path.join(LOCK)).map_err(LogDirError::Io)?.ok_or(LogDirError::InUse)?;
        let identity = identify(&*disk, path, holds, node_id, cluster_id, new_id)?;
        Ok(Self { disk, path: path.to_path_buf(), identity, lock: Mutex::new(Some(lock)) })
    }

    /// It is free for others, when who is at work in it has done; nothing is opened in it any more.
    pub fn release(&self) {
        self.lock.lock().take();
    }

    pub fn is_released(&self) -> bool {
        // Not waited for: who is at work in it has it, and may want what is locked here.
        self.lock.try_lock().is_some_and(|lock| lock.is_none())
    }

    /// Works in it, one at a time; none when it is released. Call without a lock that the work takes.
    pub fn at_work<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let lock = self.lock.lock();
        lock.is_some().then(work)
    }

    /// Where one of several nodes has its own.
    pub fn of_node(&self, node_id: i32) -> PathBuf {
        self.path.join(format!("{NODE}{node_id}"))
    }
}

/// Whose the folder is; ours, if it was nobody's.
fn identify(
    disk: &dyn Disk,
    folder: &Path,
    holds: Holds,
    node_id: i32,
    cluster_id: Option<&str>,
    new_id: impl Fn() -> Uuid,
) -> Result<Identity, LogDirError> {
    let found = identity::read(disk, folder)?;
    let (partition, node) = (a_partition(disk, folder)?.or(a_mark(disk, folder)), a_node(disk, folder)?);
    match (holds, &partition, &node) {
        (Holds::Metadata, Some(found), _) => return Err(LogDirError::OfOne { found: found.clone() }),
        (Holds::All, _, Some(found)) => return Err(LogDirError::OfSeveral { found: found.clone() }),
        _ => {}
    }
    let (metadata, content) = (has_metadata(disk, folder), partition.or(node));
    let Some(found) = found else {
        if let Some(though) = Some(metadata::FOLDER.to_string()).filter(|_| metadata).or(content) {
            return Err(missing(identity::META, &though));
        }
        let cluster_id = cluster_id.map_or_else(|| base64(new_id()), str::to_string);
        let new = Identity { cluster_id, node_id, directory_id: new_id() };
        identity::write(disk, folder, &new)?;
        return Ok(new);
    };
    if found.node_id != node_id {
        return Err(LogDirError::OtherNode { found: found.node_id, given: node_id });
    }
    if let Some(name) = content.filter(|_| holds != Holds::Partitions && !metadata) {
        return Err(missing(metadata::FOLDER, &name));
    }
    match cluster_id.filter(|given| *given != found.cluster_id) {
        Some(given) => Err(LogDirError::OtherCluster { found: found.cluster_id, given: given.into() }),
        None => Ok(found),
    }
}

fn has_metadata(disk: &dyn Disk, folder: &Path) -> bool {
    let files = disk.list(&folder.join(metadata::FOLDER)).unwrap_or_default();
    files.iter().any(|file| file.name.ends_with(".log"))
}

/// The name of a folder that has a partition of a topic, if there is one.
fn a_partition(disk: &dyn Disk, folder: &Path) -> Result<Option<String>, LogDirError> {
    let mut names = folders(disk, folder)?.filter(|name| name != metadata::FOLDER);
    Ok(names.find(|name| identity::topic_of(disk, &folder.join(name)).is_ok_and(|id| id.is_some())))
}

/// What a broker alone leaves when it stops.
fn a_mark(disk: &dyn Disk, folder: &Path) -> Option<String> {
    disk.open_to_read(&folder.join(home::CLEAN)).is_ok().then(|| home::CLEAN.to_string())
}

/// The name of the folder of one of several nodes, if there is one.
fn a_node(disk: &dyn Disk, folder: &Path) -> Result<Option<String>, LogDirError> {
    let named = |name: &String| name.strip_prefix(NODE).is_some_and(|id| id.parse::<i32>().is_ok());
    let mut names = folders(disk, folder)?.filter(named);
    Ok(names.find(|name| disk.open_to_read(&folder.join(name).join(identity::META)).is_ok()))
}

fn folders(disk: &dyn Disk, folder: &Path) -> Result<impl Iterator<Item = String>, LogDirError> {
    let found = disk.list(folder).map_err(LogDirError::Io)?.into_iter();
    Ok(found.filter(|found| found.folder).map(|found| found.name))
}

fn missing(what: &str, though: &str) -> LogDirError {
    let why = format!("{what} is missing, though {though} is there: put it back, or take an empty folder");
    LogDirError::Damaged(why)
}
