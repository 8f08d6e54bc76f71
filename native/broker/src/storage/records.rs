//! The records of `__cluster_metadata-0` (KIP-631) that are written and read here: each is a frame version, the record's type and its
//! version as varints, then the record. What they say together is the [`Image`]. Others, which Kafka writes, are passed over.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use dohle_protocol::{
    Decoder, Encoder, Message, Uuid,
    messages::{ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, RemoveTopicRecord, TopicRecord},
};

use crate::cluster::Standing;

const FRAME: u32 = 1;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    RemoveTopic(RemoveTopicRecord),
    Feature(FeatureLevelRecord),
    ProducerIds(ProducerIdsRecord),
}

/// What all records say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Image {
    pub topics: BTreeMap<[u8; 16], TopicImage>,
    /// What was set, by type and name of the resource.
    pub configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    pub features: BTreeMap<String, i16>,
    pub next_producer_id: i64,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TopicImage {
    pub name: String,
    pub partitions: BTreeMap<i32, Standing>,
}

impl TopicImage {
    /// Of its partitions, in their order.
    pub fn standings(&self) -> Vec<Standing> {
        let last = self.partitions.last_key_value().map_or(0, |(index, _)| *index);
        (0..=last).map(|index| self.partitions.get(&index).cloned().unwrap_or_default()).collect()
    }
}

/// Kafka's number of topics among the types of resources.
const TOPIC: i8 = crate::config::resource::TOPIC;

impl Record {
    pub fn encode(&self) -> io::Result<Bytes> {
        match self {
            Self::Topic(record) => framed(2, record, 0),
            Self::Partition(record) => framed(3, record, 1),
            Self::Config(record) => framed(4, record, 0),
            Self::RemoveTopic(record) => framed(9, record, 0),
            Self::Feature(record) => framed(12, record, 0),
            Self::ProducerIds(record) => framed(15, record, 0),
        }
    }

    /// None when it is of a type that is not known here.
    pub fn decode(bytes: &[u8]) -> io::Result<Option<Self>> {
        let decoder = &mut Decoder::new(Bytes::copy_from_slice(bytes));
        let mut number = |what| decoder.varint(what).map_err(damaged);
        let (frame, kind, version) = (number("frame version")?, number("type")?, number("version")?);
        if frame != FRAME {
            return Err(damaged(format!("a frame of version {frame}")));
        }
        let version = i16::try_from(version).map_err(damaged)?;
        Ok(Some(match kind {
            2 => Self::Topic(TopicRecord::decode(decoder, version).map_err(damaged)?),
            3 => Self::Partition(PartitionRecord::decode(decoder, version).map_err(damaged)?),
            4 => Self::Config(ConfigRecord::decode(decoder, version).map_err(damaged)?),
            9 => Self::RemoveTopic(RemoveTopicRecord::decode(decoder, version).map_err(damaged)?),
            12 => Self::Feature(FeatureLevelRecord::decode(decoder, version).map_err(damaged)?),
            15 => Self::ProducerIds(ProducerIdsRecord::decode(decoder, version).map_err(damaged)?),
            _ => return Ok(None),
        }))
    }
}

fn framed(kind: u32, record: &impl Message, version: i16) -> io::Result<Bytes> {
    let mut encoder = Encoder::new();
    encoder.varint(FRAME);
    encoder.varint(kind);
    encoder.varint(version.unsigned_abs().into());
    record.encode(&mut encoder, version).map_err(io::Error::other)?;
    Ok(encoder.finish().to_bytes())
}

fn damaged(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a record of the cluster's metadata: {}", why.to_string()))
}

impl Image {
    /// Takes a record in.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Topic(TopicRecord { name, topic_id, .. }) => {
                self.topics.insert(topic_id.0, TopicImage { name: name.clone(), ..TopicImage::default() });
            }
            Record::Partition(record) => {
                if let Some(topic) = self.topics.get_mut(&record.topic_id.0) {
                    topic.partitions.insert(record.partition_id, standing(record));
                }
            }
            Record::Config(ConfigRecord { resource_type, resource_name, name, value, .. }) => {
                let key = (*resource_type, resource_name.clone());
                let set = self.configs.entry(key.clone()).or_default();
                match value {
                    Some(value) => drop(set.insert(name.clone(), value.clone())),
                    None => drop(set.remove(name)),
                }
                if set.is_empty() {
                    self.configs.remove(&key);
                }
            }
            Record::RemoveTopic(RemoveTopicRecord { topic_id, .. }) => {
                if let Some(topic) = self.topics.remove(&topic_id.0) {
                    self.configs.remove(&(TOPIC, topic.name));
                }
            }
            Record::Feature(FeatureLevelRecord { name, feature_level, .. }) => {
                self.features.insert(name.clone(), *feature_level);
            }
            Record::ProducerIds(record) => self.next_producer_id = self.next_producer_id.max(record.next_producer_id),
        }
    }
}

fn standing(record: &PartitionRecord) -> Standing {
    Standing {
        replicas: record.replicas.clone(),
        in_sync: record.isr.clone(),
        leader: Some(record.leader).filter(|leader| *leader >= 0),
        leader_epoch: record.leader_epoch,
        epoch: record.partition_epoch,
        adding: record.adding_replicas.clone(),
        removing: record.removing_replicas.clone(),
        passing: Vec::new(),
    }
}

/// The records of a new topic.
pub(super) fn topic(name: &str, id: Uuid, set: &BTreeMap<String, String>) -> Vec<Record> {
    let topic = Record::Topic(TopicRecord { name: name.into(), topic_id: id, ..Default::default() });
    let configs = set.iter().map(|(key, value)| config(TOPIC, name, key, Some(value)));
    [topic].into_iter().chain(configs).collect()
}

/// What makes one set of settings of another.
pub(super) fn changes(
    (kind, name): (i8, &str),
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<Record> {
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| config(kind, name, key, None));
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    gone.chain(new.map(|(key, value)| config(kind, name, key, Some(value)))).collect()
}

fn config(resource_type: i8, resource_name: &str, name: &str, value: Option<&String>) -> Record {
    let (resource_name, name, value) = (resource_name.into(), name.into(), value.cloned());
    Record::Config(ConfigRecord { resource_type, resource_name, name, value, ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn records_are_read_back_and_say_together_what_there_is() {
        let id = Uuid([7; 16]);
        let mut records = topic("t", id, &set(&[("a", "1"), ("b", "2")]));
        for partition_id in 0..3 {
            records.push(Record::Partition(PartitionRecord { partition_id, topic_id: id, ..Default::default() }));
        }
        records.extend(changes((TOPIC, "t"), &set(&[("a", "1"), ("b", "2")]), &set(&[("b", "3")])));
        let mut image = Image::default();
        for record in &records {
            let read = Record::decode(&record.encode().unwrap()).unwrap().unwrap();
            assert_eq!(read, *record);
            image.apply(&read);
        }
        assert_eq!((&*image.topics[&id.0].name, image.topics[&id.0].standings().len()), ("t", 3));
        assert_eq!(image.configs[&(TOPIC, "t".to_string())], set(&[("b", "3")]));
        image.apply(&Record::RemoveTopic(RemoveTopicRecord { topic_id: id, ..Default::default() }));
        assert_eq!(image, Image::default());
    }

    #[test]
    fn a_record_of_another_type_is_passed_over_and_a_torn_one_is_an_error() {
        assert_eq!(Record::decode(&[1, 27, 0, 5, 5]).unwrap(), None);
        let whole = topic("t", Uuid([7; 16]), &BTreeMap::new())[0].encode().unwrap();
        for cut in 0..whole.len() {
            assert!(Record::decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
