//! Records that were fetched, then and now. Which answer brings a record depends on the moment, so records are compared by their
//! offsets, over all answers; only those are held that one side has had and the other not yet.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode,
    compress::Decompressor,
    records::{RecordView, batches, crc32c},
    schema::{Struct, Value},
};

use super::ids::Ids;

/// Most bytes of a batch after decompression.
const MOST: usize = 256 << 20;

/// Records of which one side is missing yet: its checksum, by topic, partition and offset.
#[derive(Default)]
pub(super) struct Records {
    was: Waiting,
    is: Waiting,
    decompressor: Decompressor,
}

type Waiting = BTreeMap<(String, i64, i64), u32>;

impl Records {
    /// Takes note of two answers to the same Fetch, and adds what differs already.
    pub fn fetched(&mut self, was: &Struct, is: &Struct, ids: &Ids, found: &mut Vec<String>) {
        let code = |answer: &Struct| answer.int("errorCode").unwrap_or(0);
        if code(was) != code(is) {
            found.push(format!("errorCode: was {}, is {}", code(was), code(is)));
        }
        let (errors_then, errors_now) = (errors(was, true, ids), errors(is, false, ids));
        for ((topic, partition), code) in &errors_then {
            let now = errors_now.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
            if now != *code {
                found.push(format!("{topic}-{partition}: errorCode was {}, is {}", named(*code), named(now)));
            }
        }
        for ((topic, partition), code) in &errors_now {
            if !errors_then.contains_key(&(topic.clone(), *partition)) {
                found.push(format!("{topic}-{partition}: errorCode was 0, is {}", named(*code)));
            }
        }
        for (answer, recorded) in [(was, true), (is, false)] {
            for (topic, partition) in partitions(answer, recorded, ids) {
                let index = partition.int("partitionIndex").unwrap_or(-1);
                for (offset, sum) in self.read(partition) {
                    self.take(recorded, (topic.clone(), index, offset), sum, found);
                }
            }
        }
    }

    fn take(&mut self, recorded: bool, key: (String, i64, i64), sum: u32, found: &mut Vec<String>) {
        let (mine, other) = if recorded { (&mut self.was, &mut self.is) } else { (&mut self.is, &mut self.was) };
        match other.remove(&key) {
            None => drop(mine.insert(key, sum)),
            Some(same) if same == sum => {}
            Some(_) => found.push(format!("{}-{}: the record at offset {} is another", key.0, key.1, key.2)),
        }
    }

    /// Offsets and checksums of the records of a partition.
    fn read(&mut self, partition: &Struct) -> Vec<(i64, u32)> {
        let mut read = Vec::new();
        let Some(records) = partition.field("records").and_then(Value::bytes) else { return read };
        for batch in batches(records.clone()).map_while(Result::ok) {
            // The coordinator's own; what they say is seen in what their transactions' records become.
            if batch.header().attributes.is_control() {
                continue;
            }
            let Ok(plain) = batch.plain(&mut self.decompressor, MOST) else { continue };
            read.extend(plain.iter().map_while(Result::ok).map(|record| (record.offset, sum(&record))));
        }
        read
    }

    /// What the recording has and the replay has not brought, one line per partition.
    pub fn missing(&self) -> Vec<String> {
        let mut partitions: BTreeMap<(&str, i64), (u64, i64)> = BTreeMap::new();
        for (topic, partition, offset) in self.was.keys() {
            partitions.entry((topic.as_str(), *partition)).or_insert((0, *offset)).0 += 1;
        }
        let line = |((topic, partition), (count, first)): ((&str, i64), (u64, i64))| {
            format!("{topic}-{partition}: {count} recorded records were not fetched again, the first at offset {first}")
        };
        partitions.into_iter().map(line).collect()
    }
}

fn partitions<'a>(answer: &'a Struct, recorded: bool, ids: &Ids) -> Vec<(String, &'a Struct)> {
    let mut all = Vec::new();
    for topic in answer.structs("responses") {
        let name = match (topic.text("topic"), topic.field("topicId")) {
            (Some(name), _) => name.to_owned(),
            (_, Some(Value::Uuid(id))) => ids.name(recorded, *id),
            _ => continue,
        };
        all.extend(topic.structs("partitions").map(|partition| (name.clone(), partition)));
    }
    all
}

fn errors(answer: &Struct, recorded: bool, ids: &Ids) -> BTreeMap<(String, i64), i64> {
    let error = |(topic, partition): (String, &Struct)| {
        let code = partition.int("errorCode").filter(|code| *code != 0)?;
        Some(((topic, partition.int("partitionIndex").unwrap_or(-1)), code))
    };
    partitions(answer, recorded, ids).into_iter().filter_map(error).collect()
}

fn named(code: i64) -> String {
    ErrorCode(code as i16).to_string()
}

fn sum(record: &RecordView<'_>) -> u32 {
    let mut bytes = Vec::new();
    let mut put = |part: Option<&[u8]>| {
        bytes.extend_from_slice(&part.map_or(-1, |part| part.len() as i64).to_be_bytes());
        bytes.extend_from_slice(part.unwrap_or_default());
    };
    put(record.key);
    put(record.value);
    for (name, value) in record.headers.iter() {
        put(Some(name));
        put(value);
    }
    crc32c(&bytes)
}
