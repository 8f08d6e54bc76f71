//! The folders of partitions: `topic-index` while there is the topic, `topic-index.ID-delete` when it is about to go (Kafka's
//! LogManager.asyncDelete), `topic-index.ID-stray` when a topic of that name was made anew.

use std::{io, ops::Range, path::PathBuf, sync::Arc};

use dohle_protocol::{
    Uuid,
    messages::{PartitionRecord, RemoveTopicRecord},
};

use super::{Home, Record, Storage, Turn, identity};
use crate::{
    cluster::Standing,
    config::TopicConfig,
    log::{Checkpoint, Known, Log, Place},
    topics::Refusal,
};

const DELETED: &str = "-delete";
/// Kafka's DirectoryId.UNASSIGNED.
const UNASSIGNED: Uuid = Uuid(0_u128.to_be_bytes());
/// Longest name of a file.
const LONGEST_NAME: usize = 255;

impl Home {
    /// What of a partition was committed, as far as that was noted; none when there is nothing of it.
    pub fn committed(&self, topic: &str, id: Uuid, index: i32) -> Option<i64> {
        let found = identity::topic_of(self.disk(), &self.join(&format!("{topic}-{index}"))).ok()?;
        (found == Some(id)).then(|| self.checkpoints.of(&(topic.to_string(), index)).high_watermark)
    }

    /// Opens the log of a partition, which is made when there is none; not of a topic that is gone.
    pub fn log(
        &self,
        (topic, id, index): (&str, Uuid, i32),
        config: &Arc<TopicConfig>,
        seed: u64,
        is_gone: impl Fn() -> bool,
    ) -> io::Result<Log> {
        if self.folder.is_released() {
            return Err(io::Error::other("the node has ended"));
        }
        let folder = self.join(&format!("{topic}-{index}"));
        let names = self.names.lock();
        let there = identity::topic_of(self.disk(), &folder)?;
        let is_there = self.disk().list(&folder).is_ok();
        if is_gone() {
            // What is there may be of the next topic of its name, which was made after this one had gone.
            return Err(io::Error::other("the topic is deleted"));
        }
        if is_there && there != Some(id) {
            let aside = self.free(topic, index, id, "-stray");
            tracing::warn!(folder = %folder.display(), aside = %aside.display(), "a folder of another topic is in the way");
            self.disk().rename(&folder, &aside)?;
        }
        let key = (topic.to_string(), index);
        let known = match is_there && there == Some(id) {
            true => {
                let Checkpoint { start_offset, recovery_point, high_watermark, compacted_to } =
                    self.checkpoints.of(&key);
                let (compacted_to, committed) = (compacted_to.unwrap_or(0), Some(high_watermark));
                let clean = self.clean;
                Known { start_offset, recovery_point, committed, compacted_to, clean, ..Known::default() }
            }
            false => {
                self.checkpoints.begin(self.disk(), self.path(), &key)?;
                Known { clean: true, ..Known::default() }
            }
        };
        // What is read may be long, and has its name.
        let names = (there != Some(id)).then_some(names);
        let place = Place::new(self.folder.disk.clone(), folder.clone());
        let mut log = Log::open(place, config.clone(), seed, known, self.world.wall_clock_ms())?;
        let (of, checkpoints) = (self.folder.clone(), self.checkpoints.clone());
        log.before_cut(Box::new(move |end| checkpoints.cut(&*of.disk, &of.path, &key, end)));
        if there != Some(id) {
            identity::set_topic(self.disk(), &folder, id)?;
            self.disk().sync_folder(self.path())?;
        }
        drop(names);
        Ok(log)
    }

    /// Removes the folders of a topic's partitions: first they get another name, so that a crash leaves nothing that could be taken
    /// for one.
    pub fn remove(&self, topic: &str, id: Uuid, partitions: Range<i32>) -> io::Result<()> {
        let mut renamed = Vec::new();
        for index in partitions {
            let (folder, to) = (self.join(&format!("{topic}-{index}")), self.aside(topic, index, id, DELETED));
            let _names = self.names.lock();
            if identity::topic_of(self.disk(), &folder).is_ok_and(|there| there.is_some_and(|there| there != id)) {
                // The next topic of its name has it.
                continue;
            }
            match self.disk().rename(&folder, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done.map(|()| renamed.push(to))?,
            }
        }
        renamed.iter().try_for_each(|folder| self.disk().remove_folder(folder))
    }

    /// A name that nothing has.
    fn free(&self, topic: &str, index: i32, id: Uuid, suffix: &str) -> PathBuf {
        let ids = (0..).map(|nth| Uuid((u128::from_be_bytes(id.0).wrapping_add(nth)).to_be_bytes()));
        let mut names = ids.map(|id| self.aside(topic, index, id, suffix));
        names.find(|name| self.disk().list(name).is_err()).expect("endless")
    }

    fn aside(&self, topic: &str, index: i32, id: Uuid, suffix: &str) -> PathBuf {
        let unique: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let behind = format!("-{index}.{unique}{suffix}");
        let most = LONGEST_NAME - behind.len();
        self.join(&format!("{}{behind}", &topic[..topic.len().min(most)]))
    }

    /// What a deletion has left, goes; what belongs to no topic is told.
    pub(super) fn remove_deleted(&self, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
        for folder in self.disk().list(self.path())?.into_iter().filter(|found| found.folder) {
            if is_deleted(&folder.name) {
                self.disk().remove_folder(&self.join(&folder.name))?;
                continue;
            }
            let known = folder.name.rsplit_once('-');
            let known = known.is_some_and(|(topic, _)| topic == "__cluster_metadata" || is_known(topic));
            if !known && !folder.name.ends_with("-stray") {
                tracing::warn!(folder = folder.name, "a folder belongs to no topic, and is left alone");
            }
        }
        Ok(())
    }
}

impl Storage {
    /// The records of partitions.
    pub(super) fn partition_records(&self, topic_id: Uuid, first: i32, standings: &[Standing]) -> Vec<Record> {
        let directories = self.directories.lock();
        // Unassigned: whatever folder that node has.
        let directory = |node: &i32| directories.get(node).copied().unwrap_or(UNASSIGNED);
        let record = |(partition_id, of): (i32, &Standing)| {
            Record::Partition(PartitionRecord {
                partition_id,
                topic_id,
                replicas: of.replicas.clone(),
                isr: of.in_sync.clone(),
                adding_replicas: of.adding.clone(),
                removing_replicas: of.removing.clone(),
                leader: of.leader.unwrap_or(-1),
                leader_epoch: of.leader_epoch,
                partition_epoch: of.epoch,
                directories: of.replicas.iter().map(directory).collect(),
                ..Default::default()
            })
        };
        (first..).zip(standings).map(record).collect()
    }
}

/// Whether a folder has the name that `remove` gives: `topic-index.ID-delete`. Others may have names that end so.
fn is_deleted(name: &str) -> bool {
    let of = name.strip_suffix(DELETED).and_then(|name| name.rsplit_once('.'));
    of.is_some_and(|(of, id)| {
        let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let index = of.rsplit_once('-').map(|(_, index)| index);
        hex && index.is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

impl Turn<'_> {
    /// Stores that a topic has got more partitions.
    pub fn partitions(&mut self, id: Uuid, first: i32, added: &[Standing]) -> Result<(), Refusal> {
        let records = self.storage.partition_records(id, first, added);
        self.append(&records)
    }

    /// Stores who leads partitions, and who has them, from now on: a record of a partition as a whole says all of that.
    pub fn standings<'s>(&mut self, all: impl Iterator<Item = (Uuid, i32, &'s Standing)>) -> Result<(), Refusal> {
        let records =
            all.flat_map(|(id, index, new)| self.storage.partition_records(id, index, std::slice::from_ref(new)));
        let records: Vec<Record> = records.collect();
        self.append(&records)
    }

    /// Stores that a topic is gone.
    pub fn remove_topic(&mut self, topic_id: Uuid) -> Result<(), Refusal> {
        self.append(&[Record::RemoveTopic(RemoveTopicRecord { topic_id, ..Default::default() })])
    }
}
