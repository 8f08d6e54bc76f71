//! The topics of the broker: names, ids, configurations, partitions. No records: those are in `log`.
//! Where there is a log folder, a change is stored there before it is made (`storage::Turn`), one after the other.
//! Locks, in this order: the turn → `Topics::by` → `Topic::partitions` → `Topic::config` → `Partition::log`. None is held across
//! an await, and waiters are woken with none held.

use std::{
    cmp::Ordering::{Equal, Greater, Less},
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, RwLock};

use crate::{
    BrokerOptions,
    collections::Map,
    config::{TopicConfig, resource},
    log::{Log, Waiters},
    storage::{Image, Storage, Turn, refused},
};

/// Most partitions one topic may have: a typo must not eat the machine.
pub(crate) const MAX_PARTITIONS: i32 = 100_000;

#[derive(Default)]
pub(crate) struct Topics {
    by: RwLock<By>,
    version: Arc<AtomicU64>,
    /// None: everything is in memory.
    storage: Option<Arc<Storage>>,
}

#[derive(Default)]
struct By {
    name: BTreeMap<Arc<str>, Arc<Topic>>,
    /// Names with '.' or '_', by what Kafka's metrics would make of them.
    metric: BTreeMap<String, Arc<str>>,
    id: Map<[u8; 16], Arc<Topic>>,
}

/// A topic.
pub(crate) struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    config: RwLock<Arc<TopicConfig>>,
    partitions: RwLock<Vec<Arc<Partition>>>,
    /// Of all topics: counts what comes, goes and grows.
    version: Arc<AtomicU64>,
    storage: Option<Arc<Storage>>,
}

/// One partition: its log and who waits for it.
pub(crate) struct Partition {
    pub log: Mutex<Log>,
    pub waiters: Arc<Waiters>,
    deleted: AtomicBool,
}

/// Why a topic is not created, with Kafka's code and a sentence.
pub(crate) type Refusal = (ErrorCode, String);

impl Topics {
    /// Those that are in a log folder.
    pub fn open(storage: Arc<Storage>, image: &Image, options: &BrokerOptions) -> io::Result<Self> {
        let topics = Self { storage: Some(storage), ..Self::default() };
        for (id, topic) in &image.topics {
            let set = image.configs.get(&(resource::TOPIC, topic.name.clone())).cloned().unwrap_or_default();
            check_name(&topic.name).map_err(io::Error::other)?;
            let config = TopicConfig::new(options, set).or_else(|error| {
                tracing::error!(topic = topic.name, error, "the settings of a topic are not used");
                TopicConfig::new(options, Vec::new())
            });
            let (id, config) = (Uuid(*id), config.map_err(io::Error::other)?);
            let made = Topic::new(&topic.name, id, topic.partitions.max(1), config, &topics)
                .map_err(|error| io::Error::new(error.kind(), format!("topic {}: {error}", topic.name)))?;
            topics.insert(Arc::new(made));
        }
        Ok(topics)
    }

    pub fn named(&self, name: &str) -> Option<Arc<Topic>> {
        self.by.read().name.get(name).cloned()
    }

    pub fn with_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.by.read().id.get(&id.0).cloned()
    }

    /// All topics, by name.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.by.read().name.values().cloned().collect()
    }

    /// Another number whenever topics have come, gone or grown. Read it before looking at them.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether a topic of this name could be created.
    pub fn check(&self, name: &str, partitions: i32) -> Result<(), Refusal> {
        check_name(name).map_err(|reason| (ErrorCode::INVALID_TOPIC_EXCEPTION, reason))?;
        if partitions < 1 {
            let reason = "Number of partitions was set to an invalid non-positive value.";
            return Err((ErrorCode::INVALID_PARTITIONS, reason.into()));
        }
        check_most(partitions)?;
        let by = self.by.read();
        if by.name.contains_key(name) {
            return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
        }
        if let Some(other) = metric(name).and_then(|metric| by.metric.get(&metric)) {
            let reason = format!("Topic '{name}' collides with existing topic: {other}");
            return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, reason));
        }
        Ok(())
    }

    /// Creates a topic, or says why not.
    pub fn create(&self, name: &str, id: Uuid, partitions: i32, config: TopicConfig) -> Result<Arc<Topic>, Refusal> {
        let mut turn = self.storage.as_ref().map(|storage| storage.turn());
        self.check(name, partitions)?;
        let topic = Topic::new(name, id, partitions, config, self);
        let topic = topic.map_err(refused).and_then(|topic| self.store(turn.as_mut(), topic, partitions));
        if let (Err(_), Some(storage)) = (&topic, &self.storage) {
            let _ = storage.remove(name, id, 0..partitions);
        }
        let topic = topic?;
        match self.insert(topic.clone()) {
            true => Ok(topic),
            // In memory two requests may create the same topic.
            false => Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists."))),
        }
    }

    fn store(&self, turn: Option<&mut Turn<'_>>, topic: Topic, partitions: i32) -> Result<Arc<Topic>, Refusal> {
        if let Some(turn) = turn {
            turn.topic(&topic.name, topic.id, partitions, &topic.config().set)?;
        }
        Ok(Arc::new(topic))
    }

    /// Puts a topic among the others, unless there is one of its name.
    fn insert(&self, topic: Arc<Topic>) -> bool {
        let mut by = self.by.write();
        if by.name.contains_key(&topic.name) {
            return false;
        }
        by.name.insert(topic.name.clone(), topic.clone());
        if let Some(metric) = metric(&topic.name) {
            by.metric.insert(metric, topic.name.clone());
        }
        by.id.insert(topic.id.0, topic);
        self.version.fetch_add(1, Ordering::Release);
        true
    }

    /// Deletes a topic; its fetches end.
    pub fn delete(&self, name: &str) -> Result<Arc<Topic>, ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let mut turn = self.storage.as_ref().map(|storage| storage.turn());
        if let Some(turn) = &mut turn {
            turn.remove_topic(self.named(name).ok_or(unknown)?.id).map_err(|(code, _)| code)?;
        }
        let topic = {
            let mut by = self.by.write();
            let topic = by.name.remove(name).ok_or(unknown)?;
            by.id.remove(&topic.id.0);
            if let Some(metric) = metric(name) {
                by.metric.remove(&metric);
            }
            self.version.fetch_add(1, Ordering::Release);
            topic
        };
        for partition in topic.partitions() {
            partition.deleted.store(true, Ordering::Release);
            partition.log.lock().abandon();
            partition.waiters.wake();
        }
        if let Some(storage) = &self.storage
            && let Err(error) = storage.remove(name, topic.id, 0..topic.partition_count())
        {
            // It is gone from the metadata: what is left goes when the broker starts.
            tracing::error!(%error, topic = name, "the folders of a deleted topic are not removed");
        }
        Ok(topic)
    }
}

impl Topic {
    fn new(name: &str, id: Uuid, partitions: i32, config: TopicConfig, of: &Topics) -> io::Result<Self> {
        let (version, storage) = (of.version.clone(), of.storage.clone());
        let (config, partitions) = (RwLock::new(Arc::new(config)), (0, partitions));
        let topic = Self { name: name.into(), id, config, partitions: RwLock::default(), version, storage };
        *topic.partitions.write() = topic.make(partitions.0, partitions.1)?;
        Ok(topic)
    }

    /// Partitions from one index to another.
    fn make(&self, from: i32, to: i32) -> io::Result<Vec<Arc<Partition>>> {
        let config = self.config();
        (from..to).map(|index| Partition::new(self, index, &config)).collect()
    }

    pub fn config(&self) -> Arc<TopicConfig> {
        self.config.read().clone()
    }

    /// Stores the settings of a configuration, and gives it to the topic.
    pub fn store_config(&self, config: TopicConfig) -> Result<(), Refusal> {
        if let Some(storage) = &self.storage {
            storage.store_config((resource::TOPIC, &self.name), &self.config().set, &config.set)?;
        }
        self.set_config(config);
        Ok(())
    }

    /// Gives the topic a configuration whose settings are those that it has.
    pub fn set_config(&self, config: TopicConfig) {
        let config = Arc::new(config);
        *self.config.write() = config.clone();
        // Partitions that are added meanwhile read the configuration while they hold this lock, and so find it.
        for partition in self.partitions.read().iter() {
            partition.log.lock().set_config(config.clone());
        }
    }

    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.partitions.read().get(usize::try_from(index).ok()?).cloned()
    }

    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().clone()
    }

    pub fn partition_count(&self) -> i32 {
        self.partitions.read().len() as i32
    }

    /// Adds partitions up to `count`.
    pub fn grow(&self, count: i32) -> Result<(), Refusal> {
        let mut turn = self.storage.as_ref().map(|storage| storage.turn());
        let mut partitions = self.partitions.write();
        let now = partitions.len() as i32;
        self.check_growth(now, count)?;
        let made = self
            .make(now, count)
            .map_err(refused)
            .and_then(|made| turn.as_mut().map_or(Ok(()), |turn| turn.partitions(self.id, now..count)).map(|()| made));
        if let (Err(_), Some(storage)) = (&made, &self.storage) {
            let _ = storage.remove(&self.name, self.id, now..count);
        }
        partitions.extend(made?);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Whether `grow` would.
    pub fn may_grow(&self, count: i32) -> Result<(), Refusal> {
        self.check_growth(self.partition_count(), count)
    }

    fn check_growth(&self, now: i32, count: i32) -> Result<(), Refusal> {
        let reason = match count.cmp(&now) {
            Greater => return check_most(count),
            Equal => format!("Topic already has {now} partition(s)."),
            Less => {
                format!("The topic {} currently has {now} partition(s); {count} would not be an increase.", self.name)
            }
        };
        Err((ErrorCode::INVALID_PARTITIONS, reason))
    }
}

/// A bound of this broker's own: they are all in its memory.
fn check_most(partitions: i32) -> Result<(), Refusal> {
    if partitions <= MAX_PARTITIONS {
        return Ok(());
    }
    let reason = format!("Number of partitions must be at most {MAX_PARTITIONS}, not {partitions}.");
    Err((ErrorCode::INVALID_PARTITIONS, reason))
}

impl Partition {
    fn new(topic: &Topic, index: i32, config: &Arc<TopicConfig>) -> io::Result<Arc<Self>> {
        let seed = (u128::from_be_bytes(topic.id.0) >> 64) as u64 ^ u64::from(index.cast_unsigned()) << 32;
        let log = match &topic.storage {
            None => Log::new(config.clone(), seed),
            Some(storage) => storage.log(&topic.name, topic.id, index, config, seed)?,
        };
        Ok(Arc::new(Self { log: Mutex::new(log), waiters: Arc::default(), deleted: AtomicBool::new(false) }))
    }

    /// Its topic was deleted: whoever still holds it must let go.
    pub fn deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

/// The name in Kafka's metrics, if it is another one or could be that of another topic: '.' becomes '_' there, and so Kafka
/// refuses topics that differ in nothing else.
fn metric(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// Kafka's rule for names; it also keeps them safe as names of files.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err("Topic name is invalid: the empty string is not allowed".into()),
        "." | ".." => Err(format!("Topic name is invalid: '{name}' is not allowed")),
        _ if name.len() > 249 => Err(format!(
            "Topic name is invalid: the length of '{}' is longer than the max allowed length 249",
            name.escape_debug()
        )),
        _ if !name.chars().all(legal) => Err(format!(
            "Topic name is invalid: '{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            name.escape_debug()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(topics: &Topics, name: &str, id: u8) -> Result<Arc<Topic>, Refusal> {
        topics.create(name, Uuid([id; 16]), 2, TopicConfig::new(&BrokerOptions::default(), Vec::new()).unwrap())
    }

    #[test]
    fn names_that_are_unsafe_as_paths_are_refused() {
        for name in ["", ".", "..", "a/b", "a\\b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert_eq!(check_name("Orders.v1_2-x"), Ok(()));
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_only_collide() {
        let topics = Topics::default();
        create(&topics, "a.b", 1).unwrap();
        assert_eq!(create(&topics, "a_b", 2).err().unwrap().0, ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert_eq!(create(&topics, "a.b", 3).err().unwrap().0, ErrorCode::TOPIC_ALREADY_EXISTS);
        assert!(create(&topics, "ab", 4).is_ok());
        topics.delete("a.b").unwrap();
        assert!(create(&topics, "a_b", 5).is_ok());
    }

    #[test]
    fn a_recreated_topic_has_another_id_and_the_old_one_is_gone() {
        let topics = Topics::default();
        let old = create(&topics, "t", 1).unwrap();
        topics.delete("t").unwrap();
        create(&topics, "t", 2).unwrap();
        assert!(topics.with_id(old.id).is_none());
        assert!(old.partition(0).unwrap().deleted());
        assert_eq!(topics.named("t").unwrap().id, Uuid([2; 16]));
    }
}
