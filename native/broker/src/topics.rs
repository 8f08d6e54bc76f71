//! The topics of a cluster: names, ids, configurations, partitions. No records: those are in `log`.
//! Where there is a log folder, a change is stored there before it is made (`storage::Turn`), one after the other.
//! Locks, in this order: the turn → `Topics::by` → `Topic::partitions` → `Topic::config` → those of partitions. None is held across
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
use parking_lot::RwLock;

use crate::{
    BrokerOptions,
    cluster::{Loss, Standing},
    collections::Map,
    config::{TopicConfig, resource},
    log::Log,
    partition::{Partition, Replica},
    storage::{Home, Image, Storage, Turn, refused},
};

/// Most partitions one topic may have: a typo must not eat the machine.
pub(crate) const MAX_PARTITIONS: i32 = 100_000;

#[derive(Default)]
pub(crate) struct Topics {
    by: RwLock<By>,
    version: Arc<AtomicU64>,
    /// None: everything is in memory.
    storage: Option<Arc<Storage>>,
    homes: Arc<Homes>,
}

/// Where nodes keep what they have of partitions; those that are not here, in memory.
type Homes = RwLock<BTreeMap<i32, Arc<Home>>>;

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
    /// It was deleted: there may be another one of its name.
    is_gone: AtomicBool,
    /// Of all topics: counts what comes, goes and grows.
    version: Arc<AtomicU64>,
    storage: Option<Arc<Storage>>,
    homes: Arc<Homes>,
}

/// Partitions of which a node has lost something.
pub(crate) type Losses = Vec<(Arc<Partition>, Loss)>;

/// Why a topic is not created, with Kafka's code and a sentence.
pub(crate) type Refusal = (ErrorCode, String);

impl Topics {
    /// None yet.
    pub fn new(storage: Option<Arc<Storage>>) -> Self {
        Self { storage, ..Self::default() }
    }

    /// Those that are in a log folder; no node has anything of them yet.
    pub fn load(&self, image: &Image, options: &BrokerOptions) -> io::Result<()> {
        for (id, topic) in &image.topics {
            let set = image.configs.get(&(resource::TOPIC, topic.name.clone())).cloned().unwrap_or_default();
            check_name(&topic.name).map_err(io::Error::other)?;
            let config = TopicConfig::new(options, set).or_else(|error| {
                tracing::error!(topic = topic.name, error, "the settings of a topic are not used");
                TopicConfig::new(options, Vec::new())
            });
            let (id, config) = (Uuid(*id), config.map_err(io::Error::other)?);
            let made = Topic::new(&topic.name, id, config, self);
            let partitions = topic.standings().into_iter().map(|standing| Partition::new(standing, Vec::new()));
            made.partitions.write().extend(partitions);
            self.insert(Arc::new(made));
        }
        Ok(())
    }

    /// A node has come: what it has of partitions is there from now on. Answers those of which it has lost something.
    pub fn open_replicas(&self, node: i32, home: Option<&Arc<Home>>) -> io::Result<Losses> {
        home.into_iter().for_each(|home| drop(self.homes.write().insert(node, home.clone())));
        let mut lost = Vec::new();
        for topic in self.all() {
            for (index, partition) in (0..).zip(topic.partitions()) {
                let (standing, before) = (partition.standing(), partition.replica(node));
                // In memory it is still what it was.
                if !standing.replicas.contains(&node) || before.is_some() && home.is_none() {
                    continue;
                }
                // Whoever still has it writes nothing more.
                before.iter().for_each(|before| before.log.lock().abandon());
                let committed = home.map(|home| home.committed(&topic.name, topic.id, index));
                let replica = match topic.make_replica(node, index) {
                    Ok(replica) => replica,
                    Err(_) if partition.deleted() => continue,
                    Err(error) => return Err(io::Error::new(error.kind(), format!("topic {}: {error}", topic.name))),
                };
                let end = {
                    let mut log = replica.log.lock();
                    // It does not lead before the controller says so.
                    log.follow(standing.leader_epoch);
                    log.end().0
                };
                topic.put_replica(&partition, replica.clone());
                if partition.deleted() {
                    // Meanwhile: who has done that may not have found its folder.
                    replica.log.lock().abandon();
                    topic.remove_replica(node, index)?;
                    continue;
                }
                let loss = match committed {
                    Some(None) => Some(Loss::All),
                    Some(Some(committed)) if end < committed => Some(Loss::End),
                    _ => None,
                };
                if let Some(loss) = loss {
                    tracing::error!(
                        node,
                        topic = &*topic.name,
                        index,
                        ?loss,
                        end,
                        ?committed,
                        "a copy has lost what was committed"
                    );
                    lost.push((partition, loss));
                }
            }
        }
        Ok(lost)
    }

    /// A node has not come after all.
    pub fn close_replicas(&self, node: i32) {
        self.homes.write().remove(&node);
        let partitions = self.all().into_iter().flat_map(|topic| topic.partitions());
        for replica in partitions.filter_map(|partition| partition.replica(node)) {
            replica.log.lock().abandon();
        }
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

    /// Creates a topic with a partition for each of these, or says why not.
    pub fn create(
        &self,
        name: &str,
        id: Uuid,
        standings: Vec<Standing>,
        config: TopicConfig,
    ) -> Result<Arc<Topic>, Refusal> {
        let mut turn = self.storage.as_ref().map(|storage| storage.turn());
        let partitions = i32::try_from(standings.len()).unwrap_or(i32::MAX);
        self.check(name, partitions)?;
        let topic = Topic::new(name, id, config, self);
        let made = topic.make(0, standings.clone()).map_err(refused);
        let topic = made.and_then(|made| {
            topic.partitions.write().extend(made);
            self.store(turn.as_mut(), topic, &standings)
        });
        if topic.is_err() {
            self.remove_files(name, id, 0..partitions);
        }
        let topic = topic?;
        match self.insert(topic.clone()) {
            true => Ok(topic),
            // In memory two requests may create the same topic.
            false => Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists."))),
        }
    }

    fn store(&self, turn: Option<&mut Turn<'_>>, topic: Topic, standings: &[Standing]) -> Result<Arc<Topic>, Refusal> {
        if let Some(turn) = turn {
            turn.topic(&topic.name, topic.id, standings, &topic.config().set)?;
        }
        Ok(Arc::new(topic))
    }

    fn remove_files(&self, name: &str, id: Uuid, partitions: std::ops::Range<i32>) {
        for home in self.homes.read().values() {
            if let Err(error) = home.remove(name, id, partitions.clone()) {
                // It is gone from the metadata: what is left goes when the broker starts.
                tracing::error!(%error, topic = name, "the folders of a deleted topic are not removed");
            }
        }
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
            partition.delete();
        }
        topic.is_gone.store(true, Ordering::Release);
        self.remove_files(name, topic.id, 0..topic.partition_count());
        Ok(topic)
    }
}

impl Topic {
    /// Without partitions.
    fn new(name: &str, id: Uuid, config: TopicConfig, of: &Topics) -> Self {
        let (version, storage, homes) = (of.version.clone(), of.storage.clone(), of.homes.clone());
        let (config, partitions) = (RwLock::new(Arc::new(config)), RwLock::default());
        Self { name: name.into(), id, config, partitions, is_gone: AtomicBool::new(false), version, storage, homes }
    }

    /// Partitions from an index on.
    fn make(&self, from: i32, standings: Vec<Standing>) -> io::Result<Vec<Arc<Partition>>> {
        let make = |(index, standing): (i32, Standing)| {
            let replicas: Vec<Arc<Replica>> =
                standing.replicas.iter().map(|node| self.make_replica(*node, index)).collect::<io::Result<_>>()?;
            // Nobody leads but the leader, before the controller tells them all.
            for replica in replicas.iter().filter(|replica| Some(replica.node) != standing.leader) {
                replica.log.lock().follow(standing.leader_epoch);
            }
            Ok(Partition::new(standing, replicas))
        };
        (from..).zip(standings).map(make).collect()
    }

    /// What a node has of a partition; empty, if it had nothing.
    pub fn make_replica(&self, node: i32, index: i32) -> io::Result<Arc<Replica>> {
        let config = self.config();
        let seed = (u128::from_be_bytes(self.id.0) >> 64) as u64 ^ u64::from(index.cast_unsigned()) << 32;
        let log = match self.homes.read().get(&node) {
            None => Log::new(config, seed),
            Some(home) => {
                home.log((&self.name, self.id, index), &config, seed, || self.is_gone.load(Ordering::Acquire))?
            }
        };
        Ok(Replica::new(node, log))
    }

    /// What was made is the node's copy of a partition from now on.
    pub fn put_replica(&self, partition: &Partition, replica: Arc<Replica>) {
        partition.put_replica(replica.clone());
        // The settings may have changed since it was made; if they change now, it is among those that are told.
        let config = self.config.read();
        replica.log.lock().set_config(config.clone());
    }

    /// What a node had of a partition goes.
    pub fn remove_replica(&self, node: i32, index: i32) -> io::Result<()> {
        self.homes.read().get(&node).map_or(Ok(()), |home| home.remove(&self.name, self.id, index..index + 1))
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
        for replica in self.partitions.read().iter().flat_map(|partition| partition.replicas()) {
            replica.log.lock().set_config(config.clone());
            // More may be committed, with other copies that must have it.
            replica.wake();
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

    /// Adds a partition for each of these, up to `count`.
    pub fn grow(&self, count: i32, standings: Vec<Standing>) -> Result<(), Refusal> {
        let mut turn = self.storage.as_ref().map(|storage| storage.turn());
        let mut partitions = self.partitions.write();
        let now = partitions.len() as i32;
        self.check_growth(now, count)?;
        if standings.len() as i64 != i64::from(count - now) {
            // Somebody else was faster.
            return Err((ErrorCode::INVALID_PARTITIONS, format!("Topic already has {now} partition(s).")));
        }
        let stored = |made| match &mut turn {
            None => Ok(made),
            Some(turn) => turn.partitions(self.id, now, &standings).map(|()| made),
        };
        let made = self.make(now, standings.clone()).map_err(refused).and_then(stored);
        if made.is_err() {
            for home in self.homes.read().values() {
                let _ = home.remove(&self.name, self.id, now..count);
            }
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
        let (standings, config) =
            (vec![Standing::of_one(1); 2], TopicConfig::new(&BrokerOptions::default(), Vec::new()));
        topics.create(name, Uuid([id; 16]), standings, config.unwrap())
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
    fn a_copy_that_was_made_while_its_topic_was_altered_has_the_new_settings() {
        let topics = Topics::default();
        let topic = create(&topics, "t", 1).unwrap();
        let (partition, made) = (topic.partition(0).unwrap(), topic.make_replica(2, 0).unwrap());
        let set = [("min.insync.replicas".to_string(), "2".to_string())];
        topic.set_config(TopicConfig::new(&BrokerOptions::default(), set).unwrap());
        topic.put_replica(&partition, made.clone());
        let mut log = made.log.lock();
        log.lead(1, &[(1, true), (3, true)]).unwrap();
        assert_eq!(log.least_in_sync(), 2);
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
