//! Values that mean something: those a broker has told (ids, members, epochs), and names of fields with what one writes there.
//! A request of random values alone names no topic that there is, and is refused at the door.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use dohle_protocol::{
    Uuid,
    compress::{Compression, Compressor},
    records::{BatchBuilder, Headers, RecordRef},
    reflect::{FieldFacts, Reflect, ReflectError, Sampler, Slot, Visitor},
};

/// Kept of each name.
const KEPT: usize = 12;

/// A broker without connections answers nobody.
const NEVER_SAID: [&str; 1] = ["max.connections"];

#[derive(Default)]
pub struct Known {
    numbers: BTreeMap<&'static str, VecDeque<i64>>,
    texts: BTreeMap<&'static str, VecDeque<String>>,
    ids: VecDeque<Uuid>,
}

impl Known {
    /// Writes known values into most fields of a request.
    pub fn season(&self, request: &mut dyn Reflect, version: i16, dice: &mut Sampler) {
        visit(request, version, &mut |name, leaf| {
            if dice.below(8) > 0 || bounded(name) {
                self.write(meaning(name), name, leaf, dice);
            }
        });
    }

    /// Keeps what an answer tells.
    pub fn learn(&mut self, response: &mut dyn Reflect, version: i16) {
        visit(response, version, &mut |name, leaf| {
            let name = meaning(name);
            let number = match leaf {
                Slot::I16(number) => i64::from(*number),
                Slot::I32(number) => i64::from(*number),
                Slot::I64(number) => *number,
                Slot::Uuid(id) => return keep(&mut self.ids, *id),
                Slot::String(text) if NEVER_SAID.contains(&text.as_str()) => return,
                Slot::String(text) => return keep(self.texts.entry(name).or_default(), text.clone()),
                _ => return,
            };
            keep(self.numbers.entry(name).or_default(), number);
        });
    }

    fn write(&self, meaning: &'static str, name: &str, leaf: Slot<'_>, dice: &mut Sampler) {
        let told = self.numbers.get(meaning).filter(|_| !bounded(name));
        let mut number = || {
            let usual = numbers(name);
            match told {
                Some(told) if dice.below(2) == 0 => told[dice.below(told.len())],
                _ => usual[dice.below(usual.len())],
            }
        };
        match leaf {
            Slot::I8(x) => *x = number() as i8,
            Slot::I16(x) => *x = number() as i16,
            Slot::I32(x) => *x = number() as i32,
            Slot::I64(x) => *x = number(),
            Slot::String(x) => {
                let usual = texts(meaning);
                *x = match self.texts.get(meaning) {
                    Some(told) if dice.below(2) == 0 || usual.is_empty() => told[dice.below(told.len())].clone(),
                    _ if usual.is_empty() => return,
                    _ => usual[dice.below(usual.len())].to_owned(),
                };
            }
            Slot::Uuid(x) if !self.ids.is_empty() => *x = self.ids[dice.below(self.ids.len())],
            Slot::Bytes(x) if meaning == "records" => *x = self.batch(dice),
            _ => {}
        }
    }

    /// A batch that most brokers take; of a producer that is known, or of none.
    fn batch(&self, dice: &mut Sampler) -> Bytes {
        let known = |name: &str| self.numbers.get(name);
        let mut builder = BatchBuilder::new(256);
        for n in 0..1 + dice.below(4) {
            let key = (dice.below(3) > 0).then_some(&b"key"[..dice.below(4)]);
            let value = (dice.below(4) > 0).then_some(&b"value value value"[..dice.below(17)]);
            let timestamp = 1_700_000_000_000 + n as i64;
            builder.append(&RecordRef { timestamp, key, value, headers: Headers::None });
        }
        let codec = Compression::ALL[dice.below(Compression::ALL.len())];
        let mut compressor = Compressor::new(codec, None).expect("every codec has a default level");
        let mut sealed = builder.seal(&mut compressor, dice.below(3) == 0);
        match (known("producerId"), known("producerEpoch")) {
            (Some(ids), Some(epochs)) if dice.below(2) == 0 => {
                let (id, epoch) = (ids[dice.below(ids.len())], epochs[dice.below(epochs.len())]);
                sealed.stamp(id, epoch as i16, [0, 0, 1, -1][dice.below(4)]);
            }
            _ => sealed.stamp(-1, -1, -1),
        }
        sealed.bytes()
    }
}

/// Changes some bytes.
pub fn damage(body: &mut Vec<u8>, dice: &mut Sampler) {
    for _ in 0..=dice.below(3) {
        if body.is_empty() {
            return;
        }
        let at = dice.below(body.len());
        match dice.below(5) {
            0 => body[at] = dice.next_u64() as u8,
            1 => body[at] ^= 1 << dice.below(8),
            2 => body[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
            // The largest length there is, in a flexible version.
            3 => body[at..].iter_mut().take(5).zip([0xff, 0xff, 0xff, 0xff, 0x07]).for_each(|(byte, to)| *byte = to),
            _ => body.truncate(at),
        }
    }
}

fn keep<T: PartialEq>(all: &mut VecDeque<T>, one: T) {
    if !all.contains(&one) {
        all.push_back(one);
    }
    if all.len() > KEPT {
        all.pop_front();
    }
}

/// Fields that mean the same in different messages.
fn meaning(name: &'static str) -> &'static str {
    match name {
        "topic" | "topicName" | "resourceName" | "topics" | "topicNames" => "name",
        "group" | "groups" | "groupsNames" | "key" | "coordinatorKeys" => "groupId",
        "v3AndBelowTransactionalId" | "transactionalIds" => "transactionalId",
        "partition" | "partitions" | "partitionIndex" | "partitionIndexes" | "partitionId" | "index" => "partition",
        "generationIdOrMemberEpoch" | "memberEpoch" | "generationId" => "memberEpoch",
        "fetchOffset" | "committedOffset" | "baseOffset" | "startOffset" | "logStartOffset" => "offset",
        "brokerId" | "nodeId" | "leaderId" | "replicas" | "brokerIds" => "node",
        "epoch" | "producerEpoch" => "producerEpoch",
        name => name,
    }
}

/// Numbers of which a broker makes as many things as they say.
fn bounded(name: &str) -> bool {
    matches!(name, "numPartitions" | "count")
}

fn numbers(name: &str) -> &'static [i64] {
    match name {
        "numPartitions" | "count" => &[1, 2, 5, -1, 0, 100_001, i32::MAX as i64],
        "replicationFactor" => &[1, -1, 1, 3],
        "acks" => &[-1, 1, 1, 0, 2],
        "replicaId" => &[-1, -1, -1, 1],
        "minBytes" | "maxWaitMs" => &[0, 1, 100],
        "maxBytes" | "partitionMaxBytes" | "responsePartitionLimit" => &[0, 1, 1 << 20, i32::MAX as i64],
        "memberEpoch" | "sessionEpoch" | "generationIdOrMemberEpoch" | "generationId" => &[0, 1, -1, -2, 2],
        "timestamp" => &[-1, -2, -3, -4, -5, 0, 1_700_000_000_000],
        "iterations" => &[4096, 8192, 0, 1 << 30],
        name if name.ends_with("Ms") => &[0, 1, 100, 6_000, 30_000, -1],
        name if name.ends_with("Type") || name.ends_with("Operation") || name == "operation" => {
            &[0, 1, 2, 3, 4, 5, 8, 16, 32, 127]
        }
        _ => &[0, 1, 2, -1, 3, 7],
    }
}

fn texts(meaning: &str) -> &'static [&'static str] {
    match meaning {
        "name" => &[
            "t",
            "u",
            "new",
            "__consumer_offsets",
            "",
            "1",
            "range",
            "cleanup.policy",
            "retention.bytes",
            "kraft.version",
        ],
        "groupId" => &["g", "h", "", "tx"],
        "transactionalId" => &["tx", "ty", ""],
        "memberId" | "instanceId" | "groupInstanceId" => &["", "m"],
        "protocolType" => &["consumer", ""],
        "protocolName" => &["range", ""],
        "serverAssignor" => &["uniform", "range", "none"],
        "value" => &["compact", "delete", "100", "-1", "x", ""],
        "entityType" => &["user", "client-id", "ip"],
        "subscribedTopicRegex" => &["t.*", "(", "[a-z]+"],
        "subscribedTopicNames" | "coordinatorKey" => &["t", "u"],
        "principal" | "principalFilter" => &["User:a", "User:*", "a"],
        "host" | "hostFilter" => &["*", "127.0.0.1"],
        _ => &[],
    }
}

/// Shows every value that is neither a struct nor a list, with the name of its field.
fn visit(message: &mut dyn Reflect, version: i16, each: &mut dyn FnMut(&'static str, Slot<'_>)) {
    if let Err(error) = message.reflect(version, &mut Leaves(each)) {
        unreachable!("nothing here fails: {error}");
    }
}

struct Leaves<'a>(&'a mut dyn FnMut(&'static str, Slot<'_>));

impl Leaves<'_> {
    fn show(&mut self, name: &'static str, slot: Slot<'_>, version: i16) -> Result<(), ReflectError> {
        match slot {
            Slot::Object(object) => object.reflect(version, self)?,
            Slot::Array(elements) => {
                for at in 0..elements.len() {
                    self.show(name, elements.at(at), version)?;
                }
            }
            Slot::Optional(place) => {
                if let Some(value) = place.value() {
                    self.show(name, value, version)?;
                }
            }
            leaf => (self.0)(name, leaf),
        }
        Ok(())
    }
}

impl Visitor for Leaves<'_> {
    fn field(&mut self, field: FieldFacts, slot: Slot<'_>, version: i16) -> Result<(), ReflectError> {
        self.show(field.name, slot, version)
    }
}
