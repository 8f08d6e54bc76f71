//! The topics of the broker: names, ids, configurations, partitions. No records: those are in `log`.
//! Locks, in this order: `Topics::by` → `Topic::partitions` → `Topic::config` → `Partition::log`. None is held across
//! an await, and waiters are woken with none held.

use std::{
    cmp::Ordering::{Equal, Greater, Less},
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dohle_protocol::{ErrorCode, Uuid};
use parking_lot::{Mutex, RwLock};

use crate::{
    collections::Map,
    config::TopicConfig,
    log::{Log, Waiters},
};

/// Most partitions one topic may have: a typo must not eat the machine.
pub(crate) const MAX_PARTITIONS: i32 = 100_000;

#[derive(Default)]
pub(crate) struct Topics {
    by: RwLock<By>,
    version: Arc<AtomicU64>,
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
        self.check(name, partitions)?;
        let topic = Arc::new(Topic::new(name, id, partitions, config, self.version.clone()));
        let mut by = self.by.write();
        // Looked at again under the write lock: two requests may create the same topic.
        if by.name.contains_key(name) {
            return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
        }
        by.name.insert(topic.name.clone(), topic.clone());
        if let Some(metric) = metric(name) {
            by.metric.insert(metric, topic.name.clone());
        }
        by.id.insert(id.0, topic.clone());
        self.version.fetch_add(1, Ordering::Release);
        Ok(topic)
    }

    /// Deletes a topic; its fetches end.
    pub fn delete(&self, name: &str) -> Option<Arc<Topic>> {
        let topic = {
            let mut by = self.by.write();
            let topic = by.name.remove(name)?;
            by.id.remove(&topic.id.0);
            if let Some(metric) = metric(name) {
                by.metric.remove(&metric);
            }
            self.version.fetch_add(1, Ordering::Release);
            topic
        };
        for partition in topic.partitions() {
            partition.deleted.store(true, Ordering::Release);
            partition.waiters.wake();
        }
        Some(topic)
    }
}

impl Topic {
    fn new(name: &str, id: Uuid, partitions: i32, config: TopicConfig, version: Arc<AtomicU64>) -> Self {
        let (name, config): (Arc<str>, _) = (name.into(), Arc::new(config));
        let partitions = (0..partitions).map(|index| Partition::new(id, index, &config)).collect();
        Self { name, id, config: RwLock::new(config), partitions: RwLock::new(partitions), version }
    }

    pub fn config(&self) -> Arc<TopicConfig> {
        self.config.read().clone()
    }

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
        let mut partitions = self.partitions.write();
        let config = self.config();
        let now = partitions.len() as i32;
        self.check_growth(now, count)?;
        partitions.extend((now..count).map(|index| Partition::new(self.id, index, &config)));
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
    fn new(topic: Uuid, index: i32, config: &Arc<TopicConfig>) -> Arc<Self> {
        let seed = (u128::from_be_bytes(topic.0) >> 64) as u64 ^ u64::from(index.cast_unsigned()) << 32;
        Arc::new(Self {
            log: Mutex::new(Log::new(config.clone(), seed)),
            waiters: Arc::default(),
            deleted: AtomicBool::new(false),
        })
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
    use crate::BrokerOptions;

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
        topics.delete("a.b");
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
