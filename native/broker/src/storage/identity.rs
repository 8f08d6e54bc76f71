//! Whose a log folder is: `meta.properties` (Kafka's MetaProperties, version 1) has the ids of cluster, node and folder, and
//! `partition.metadata` in each partition's folder the id of its topic (KIP-516).

use std::path::Path;

use dohle_protocol::Uuid;

use super::LogDirError;
use crate::{
    config::properties,
    disk::{Disk, read_all, replace},
};

pub(super) const META: &str = "meta.properties";
const PARTITION: &str = "partition.metadata";
const MOST: u64 = 1 << 20;

/// Whose a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
}

/// Reads `meta.properties`; none when there is none.
pub(super) fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<Identity>, LogDirError> {
    let path = folder.join(META);
    let Some(bytes) = read_all(disk, &path, MOST).map_err(LogDirError::Io)? else { return Ok(None) };
    parse(&bytes).map(Some).map_err(|why| LogDirError::Damaged(format!("{META}: {why}")))
}

fn parse(bytes: &[u8]) -> Result<Identity, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not a text")?;
    let lines = properties::parse(text).map_err(|(line, why)| format!("line {line}: {why}"))?;
    let value = |key: &str| lines.iter().rfind(|line| line.key == key).map(|line| line.value.trim());
    let needed = |key: &str| value(key).ok_or(format!("without {key}"));
    match needed("version")? {
        "1" => {}
        "0" => return Err("version 0, of a Kafka with ZooKeeper; version 1 is read".into()),
        other => return Err(format!("version {other}; version 1 is read")),
    }
    let node_id = needed("node.id")?.parse().map_err(|_| "node.id is no number")?;
    let directory_id = value("directory.id").map_or(Ok(Uuid::ZERO), str::parse).map_err(|error| error.to_string())?;
    Ok(Identity { cluster_id: needed("cluster.id")?.into(), node_id, directory_id })
}

/// Writes `meta.properties`.
pub(super) fn write(disk: &dyn Disk, folder: &Path, of: &Identity) -> Result<(), LogDirError> {
    let Identity { cluster_id, node_id, directory_id } = of;
    let text = format!("cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion=1\n");
    replace(disk, &folder.join(META), text.as_bytes()).map_err(LogDirError::Io)
}

/// The topic that a partition's folder is of; none when it does not say.
pub(super) fn topic_of(disk: &dyn Disk, folder: &Path) -> std::io::Result<Option<Uuid>> {
    let Some(bytes) = read_all(disk, &folder.join(PARTITION), MOST)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = |key: &str| text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()));
    Ok(value("topic_id").filter(|_| value("version") == Some("0")).and_then(|id| id.parse().ok()))
}

/// Says which topic a partition's folder is of.
pub(super) fn set_topic(disk: &dyn Disk, folder: &Path, id: Uuid) -> std::io::Result<()> {
    replace(disk, &folder.join(PARTITION), format!("version: 0\ntopic_id: {id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;

    #[test]
    fn what_is_written_is_read_and_what_is_none_is_told() {
        let (disk, folder) = (MemoryDisk::default(), Path::new("/logs"));
        let of = Identity { cluster_id: "M2_lUWE0Tji0FTnJxdjAfA".into(), node_id: 3, directory_id: Uuid([7; 16]) };
        assert!(read(&disk, folder).unwrap().is_none());
        write(&disk, folder, &of).unwrap();
        assert_eq!(read(&disk, folder).unwrap(), Some(of));
        for wrong in
            ["", "version=0\nbroker.id=1\n", "version=1\ncluster.id=x\n", "version=1\ncluster.id=x\nnode.id=y\n"]
        {
            disk.set(folder.join(META), wrong.into());
            assert!(matches!(read(&disk, folder), Err(LogDirError::Damaged(_))), "{wrong}");
        }
    }

    #[test]
    fn a_partitions_folder_says_which_topic_it_is_of() {
        let (disk, folder) = (MemoryDisk::default(), Path::new("/logs/t-0"));
        assert_eq!(topic_of(&disk, folder).unwrap(), None);
        set_topic(&disk, folder, Uuid([7; 16])).unwrap();
        assert_eq!(topic_of(&disk, folder).unwrap(), Some(Uuid([7; 16])));
        disk.set(folder.join(PARTITION), b"version: 1\ntopic_id: x".to_vec());
        assert_eq!(topic_of(&disk, folder).unwrap(), None);
    }
}
