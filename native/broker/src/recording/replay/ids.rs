//! Ids that brokers make up: what a recorded one is at the broker that is replayed to. Learned from pairs of answers, used in the
//! requests that follow.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use dohle_protocol::{
    Uuid,
    records::crc32c,
    schema::{Struct, Value},
};

/// What is known of both sides.
#[derive(Default)]
pub(super) struct Ids {
    recorded_topics: BTreeMap<[u8; 16], String>,
    topics: BTreeMap<[u8; 16], String>,
    by_name: BTreeMap<String, Uuid>,
    /// By the recorded id: the other id, and epochs.
    producers: BTreeMap<i64, Producer>,
    members: BTreeMap<String, String>,
    /// By group and recorded generation or member epoch.
    generations: BTreeMap<(String, i64), i64>,
}

#[derive(Clone, Default)]
struct Producer {
    id: i64,
    /// Recorded epoch and the other one, the last that was learned.
    epoch: (i64, i64),
}

const NAMES: [&str; 3] = ["name", "topicName", "topic"];
const PRODUCERS: [(&str, &str); 2] =
    [("producerId", "producerEpoch"), ("v3AndBelowProducerId", "v3AndBelowProducerEpoch")];
const GENERATIONS: [&str; 3] = ["generationId", "generationIdOrMemberEpoch", "memberEpoch"];

impl Ids {
    /// Puts this broker's ids in the place of recorded ones.
    pub fn translate(&self, request: &mut Struct, sessions: &BTreeMap<i64, i64>) {
        let mut group = String::new();
        request.each_struct(&mut |of| {
            if let Some(named) = of.text("groupId") {
                group = named.to_owned();
            }
            self.producer(of);
            for name in GENERATIONS {
                if let Some(Value::Int(generation)) = of.field_mut(name) {
                    *generation = *self.generations.get(&(group.clone(), *generation)).unwrap_or(generation);
                }
            }
            if let Some(Value::Int(session)) = of.field_mut("sessionId") {
                *session = *sessions.get(session).unwrap_or(session);
            }
            if let Some(Value::String(member)) = of.field_mut("memberId")
                && let Some(other) = self.members.get(member)
            {
                member.clone_from(other);
            }
            if let Some(Value::Uuid(id)) = of.field_mut("topicId") {
                *id = self.topic(*id);
            }
            if let Some(Value::Bytes(records)) = of.field_mut("records") {
                *records = self.batches(records);
            }
        });
    }

    fn topic(&self, recorded: Uuid) -> Uuid {
        let name = self.recorded_topics.get(&recorded.0);
        name.and_then(|name| self.by_name.get(name)).copied().unwrap_or(recorded)
    }

    fn producer(&self, of: &mut Struct) {
        for (id_name, epoch_name) in PRODUCERS {
            let Some(producer) = of.int(id_name).and_then(|id| self.producers.get(&id)) else { continue };
            if let Some(Value::Int(id)) = of.field_mut(id_name) {
                *id = producer.id;
            }
            if let Some(Value::Int(epoch)) = of.field_mut(epoch_name) {
                *epoch = producer.epoch(*epoch);
            }
        }
    }

    /// Record batches with this broker's producer ids in their headers.
    fn batches(&self, records: &Bytes) -> Bytes {
        const CRC: usize = 17;
        const COVERED: usize = 21;
        const PRODUCER: usize = 43;
        const HEADER: usize = 61;
        let mut out = BytesMut::from(&records[..]);
        let mut at = 0;
        while let Some(batch) = out.get_mut(at..).filter(|rest| rest.len() >= HEADER && rest[16] == 2) {
            let (_, rest) = batch.split_at(8);
            let length = rest.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes));
            let Some(length) = usize::try_from(length).ok().map(|length| 12 + length) else { break };
            if length < HEADER || length > batch.len() {
                break;
            }
            let batch = &mut batch[..length];
            let id = batch[PRODUCER..].first_chunk().map_or(-1, |bytes| i64::from_be_bytes(*bytes));
            let epoch = batch[PRODUCER + 8..].first_chunk().map_or(-1, |bytes| i16::from_be_bytes(*bytes));
            if let Some(producer) = self.producers.get(&id) {
                batch[PRODUCER..PRODUCER + 8].copy_from_slice(&producer.id.to_be_bytes());
                let epoch = producer.epoch(epoch.into()) as i16;
                batch[PRODUCER + 8..PRODUCER + 10].copy_from_slice(&epoch.to_be_bytes());
                let crc = crc32c(&batch[COVERED..]);
                batch[CRC..COVERED].copy_from_slice(&crc.to_be_bytes());
            }
            at += length;
        }
        out.freeze()
    }

    /// Takes note of what both answers to the same request made up.
    pub fn learn(
        &mut self,
        asked: Option<&Struct>,
        recorded: &Struct,
        other: &Struct,
        sessions: &mut BTreeMap<i64, i64>,
    ) {
        named_topics(recorded, &mut |name, id| drop(self.recorded_topics.insert(id.0, name.into())));
        named_topics(other, &mut |name, id| {
            self.topics.insert(id.0, name.into());
            self.by_name.insert(name.into(), id);
        });
        let ints = |name| recorded.int(name).zip(other.int(name));
        if let (Some((was, is)), Some(epoch)) = (ints("producerId"), ints("producerEpoch"))
            && was >= 0
            && is >= 0
        {
            self.producers.insert(was, Producer { id: is, epoch });
        }
        if let Some((was, is)) = ints("sessionId") {
            sessions.insert(was, is);
        }
        if let Some((was, is)) = recorded.text("memberId").zip(other.text("memberId")) {
            self.members.insert(was.into(), is.into());
        }
        let Some(group) = asked.and_then(|asked| asked.text("groupId")) else { return };
        for name in ["generationId", "memberEpoch"] {
            if let Some((was, is)) = ints(name)
                && was > 0
                && is > 0
            {
                self.generations.insert((group.into(), was), is);
            }
        }
    }

    /// The name of a topic, for what is recorded and for what this broker says; its id as text when nobody has named it.
    pub fn name(&self, recorded: bool, id: Uuid) -> String {
        let known = if recorded { &self.recorded_topics } else { &self.topics };
        known.get(&id.0).cloned().unwrap_or_else(|| "a topic that was never named".into())
    }
}

impl Producer {
    fn epoch(&self, recorded: i64) -> i64 {
        if recorded < 0 { recorded } else { recorded - self.epoch.0 + self.epoch.1 }
    }
}

fn named_topics(of: &Struct, found: &mut dyn FnMut(&str, Uuid)) {
    if let Some(Value::Uuid(id)) = of.field("topicId")
        && !id.is_zero()
        && let Some(name) = NAMES.iter().find_map(|name| of.text(name)).filter(|name| !name.is_empty())
    {
        found(name, *id);
    }
    for (_, value) in &of.fields {
        match value {
            Value::Struct(inner) => named_topics(inner, found),
            Value::Array(_) => value.structs().for_each(|inner| named_topics(inner, found)),
            _ => {}
        }
    }
}
