//! Record batches exchanged with Kafka's `MemoryRecords`: every codec, magic 0 to 2, both directions.

use crate::java::oracle;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use dohle_protocol::compress::{Compression, Compressor, Decompressor};
use dohle_protocol::records::{
    BatchBuilder, ControlType, Headers, PlainBatch, RecordRef, TimestampType, batches, control_batch,
    set_log_append_time, set_offsets,
};
use dohle_protocol::reflect::Sampler;
use serde_json::{Value, json};

const MAX: usize = 1 << 24;

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Record {
    fn random(random: &mut Sampler, offset: i64) -> Record {
        const NOW: i64 = 1_790_000_000_000;
        let headers = match random.below(3) {
            0 => (0..random.below(5)).map(|i| (format!("名-{}", i % 2).into_bytes(), blob(random))).collect(),
            _ => Vec::new(),
        };
        let timestamp = match random.below(8) {
            0 => 0,
            1 => i64::MAX / 2,
            _ => NOW + random.below(100_000) as i64 - 50_000,
        };
        Record { offset, timestamp, key: blob(random), value: blob(random), headers }
    }

    fn to_json(&self) -> Value {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let header = |(name, value): &(Vec<u8>, _)| json!([String::from_utf8_lossy(name), text(value)]);
        json!({
            "offset": self.offset, "timestamp": self.timestamp, "key": text(&self.key), "value": text(&self.value),
            "headers": self.headers.iter().map(header).collect::<Vec<_>>(),
        })
    }

    fn append(&self, builder: &mut BatchBuilder) {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref())).collect();
        let headers = if headers.is_empty() { Headers::None } else { Headers::List(&headers) };
        let (timestamp, key, value) = (self.timestamp, self.key.as_deref(), self.value.as_deref());
        builder.append(&RecordRef { timestamp, key, value, headers });
    }
}

fn blob(random: &mut Sampler) -> Option<Vec<u8>> {
    match random.below(10) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some((0..random.below(3000)).map(|_| random.next_u64() as u8).collect()),
        3 => Some(vec![b'x'; random.below(100_000)]),
        _ => Some(format!("{{\"order\":{},\"state\":\"paid\"}}", random.below(1000)).into_bytes()),
    }
}

/// Up to 40 records, with gaps between their offsets when `sparse`.
fn records(random: &mut Sampler, base_offset: i64, sparse: bool) -> Vec<Record> {
    let mut offset = base_offset;
    let mut all = Vec::new();
    for _ in 0..=random.below(40) {
        all.push(Record::random(random, offset));
        offset += 1 + if sparse { random.below(1000) as i64 } else { 0 };
    }
    all
}

/// What Java's reader says of a record set, in our words.
fn described(plain: &PlainBatch, codec: &str, magic: i8) -> Value {
    let header = plain.header();
    let records: Vec<Value> = plain
        .iter()
        .map(|record| {
            let record = record.unwrap();
            let owned = Record {
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers.iter().map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect(),
            };
            owned.to_json()
        })
        .collect();
    // Magic 0 has no timestamp type, which Java gives a name of its own.
    let timestamp_type = match header.attributes.timestamp_type() {
        _ if magic == 0 => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    json!({
        "magic": magic, "codec": codec, "baseOffset": header.base_offset, "lastOffset": header.last_offset(),
        "valid": true, "timestampType": timestamp_type, "maxTimestamp": header.max_timestamp,
        "leaderEpoch": header.partition_leader_epoch, "producerId": header.producer_id,
        "producerEpoch": header.producer_epoch, "baseSequence": header.base_sequence,
        "transactional": header.attributes.is_transactional(), "control": header.attributes.is_control(),
        "records": records,
    })
}

/// Everything that our reader finds, in the form of Java's answer.
fn read(bytes: &Bytes) -> Vec<Value> {
    let mut decompressor = Decompressor::new();
    batches(bytes.clone())
        .map(|batch| {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let codec = batch.header().attributes.compression().unwrap();
            let plain = batch.plain(&mut decompressor, MAX).unwrap();
            described(&plain, codec.name(), batch.header().magic)
        })
        .collect()
}

#[test]
fn what_kafka_writes_in_magic_2_we_read_as_kafka_does() {
    let Some(mut java) = oracle() else { return };
    for seed in 0..150 {
        let mut random = Sampler::new(seed);
        let codec = Compression::ALL[seed as usize % 5];
        let base_offset = [0, 7, 1 << 40][random.below(3)];
        let records = records(&mut random, base_offset, seed % 3 == 0);
        let mut question = json!({
            "magic": 2, "codec": codec.name(), "baseOffset": base_offset, "leaderEpoch": random.below(9),
            "records": records.iter().map(Record::to_json).collect::<Vec<_>>(),
        });
        match seed % 7 {
            1 => question["logAppendTime"] = 1_790_000_000_123_i64.into(),
            2 => question["deleteHorizon"] = 1_790_000_009_999_i64.into(),
            3 | 4 => {
                question["producerId"] = 4711.into();
                question["producerEpoch"] = 3.into();
                question["baseSequence"] = (i32::MAX - 3).into();
                question["transactional"] = (seed % 7 == 4).into();
            }
            _ => {}
        }
        let bytes = Bytes::from(java.write_batch(&question).unwrap());
        let theirs = java.read_batches(&bytes).unwrap();
        assert_eq!(theirs, Value::Array(read(&bytes)), "seed {seed} {codec}");
        let header = batches(bytes).next().unwrap().unwrap().header();
        assert_eq!(header.delete_horizon().is_some(), seed % 7 == 2);
    }
}

#[test]
fn what_kafka_writes_in_magic_0_and_1_we_read_as_kafka_does() {
    let Some(mut java) = oracle() else { return };
    for seed in 0..120 {
        let mut random = Sampler::new(1000 + seed);
        let codec = Compression::ALL[seed as usize % 4];
        let magic = (seed / 4 % 2) as i8;
        let base_offset = [0, 7, 1 << 40][random.below(3)];
        let mut records = records(&mut random, base_offset, seed % 3 == 0);
        for record in &mut records {
            record.headers.clear();
        }
        let mut question = json!({
            "magic": magic, "codec": codec.name(), "baseOffset": base_offset,
            "records": records.iter().map(Record::to_json).collect::<Vec<_>>(),
        });
        if magic == 1 && seed % 5 == 0 {
            question["logAppendTime"] = 1_790_000_000_123_i64.into();
        }
        let bytes = Bytes::from(java.write_batch(&question).unwrap());
        let theirs = java.read_batches(&bytes).unwrap();
        assert_eq!(theirs, Value::Array(read(&bytes)), "seed {seed} magic {magic} {codec}");
    }
}

#[test]
fn what_we_write_kafka_reads_and_finds_valid() {
    let Some(mut java) = oracle() else { return };
    for seed in 0..150 {
        let mut random = Sampler::new(2000 + seed);
        let codec = Compression::ALL[seed as usize % 5];
        let level = codec.levels().filter(|_| seed % 2 == 0).map(|levels| {
            let width = (levels.end() - levels.start() + 1) as usize;
            levels.start() + random.below(width) as i32
        });
        let records = records(&mut random, 0, false);
        let mut builder = BatchBuilder::new(64);
        records.iter().for_each(|record| record.append(&mut builder));
        let mut sealed = builder.seal(&mut Compressor::new(codec, level).unwrap(), seed % 3 == 0);
        sealed.stamp(9, 1, seed as i32);
        let mut bytes = BytesMut::from(&sealed.bytes()[..]);
        let base_offset = [0, 1 << 40][random.below(2)];
        set_offsets(&mut bytes, base_offset, 5);
        let append_time = (seed % 4 == 1).then_some(1_790_000_000_456);
        if let Some(timestamp) = append_time {
            set_log_append_time(&mut bytes, timestamp);
        }
        let bytes = bytes.freeze();
        let theirs = java.read_batches(&bytes).unwrap_or_else(|e| panic!("seed {seed} {codec} {level:?}: {e}"));
        assert_eq!(theirs, Value::Array(read(&bytes)), "seed {seed} {codec} {level:?}");
        let sent: Vec<Value> = records
            .iter()
            .map(|record| {
                Record {
                    offset: base_offset + record.offset,
                    timestamp: append_time.unwrap_or(record.timestamp),
                    ..record.clone()
                }
                .to_json()
            })
            .collect();
        assert_eq!(theirs[0]["records"], Value::Array(sent), "seed {seed} {codec} {level:?}");
    }
}

#[test]
fn without_compression_our_batch_is_kafkas_byte_for_byte() {
    let Some(mut java) = oracle() else { return };
    for seed in 0..60 {
        let mut random = Sampler::new(3000 + seed);
        let records = records(&mut random, 0, false);
        let transactional = seed % 2 == 0;
        let question = json!({
            "magic": 2, "codec": "none", "baseOffset": 0, "producerId": 77, "producerEpoch": 2, "baseSequence": 11,
            "transactional": transactional, "records": records.iter().map(Record::to_json).collect::<Vec<_>>(),
        });
        let theirs = java.write_batch(&question).unwrap();
        let mut builder = BatchBuilder::new(64);
        records.iter().for_each(|record| record.append(&mut builder));
        let mut sealed = builder.seal(&mut Compressor::new(Compression::None, None).unwrap(), transactional);
        sealed.stamp(77, 2, 11);
        let mut ours = BytesMut::from(&sealed.bytes()[..]);
        set_offsets(&mut ours, 0, -1);
        assert!(ours == theirs, "seed {seed}");
    }
}

#[test]
fn transaction_markers_are_kafkas_byte_for_byte() {
    let Some(mut java) = oracle() else { return };
    for (name, control) in [("COMMIT", ControlType::Commit), ("ABORT", ControlType::Abort)] {
        let timestamp = 1_790_000_000_000_i64;
        let question = json!({
            "marker": name, "baseOffset": 99, "timestamp": timestamp, "leaderEpoch": 4, "producerId": 1234567890123_i64,
            "producerEpoch": 7, "coordinatorEpoch": 12,
        });
        let theirs = Bytes::from(java.write_batch(&question).unwrap());
        let mut ours = BytesMut::from(&control_batch(control, 1_234_567_890_123, 7, 12, timestamp)[..]);
        set_offsets(&mut ours, 99, 4);
        assert_eq!(ours, theirs, "{name}");
        let plain = batches(theirs).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
        assert_eq!(plain.control_type(), Some(control));
    }
}

#[test]
fn several_batches_and_a_truncated_last_one_are_read_as_kafka_does() {
    let Some(mut java) = oracle() else { return };
    let mut set = Vec::new();
    for seed in 0..6 {
        let records = records(&mut Sampler::new(4000 + seed), seed as i64 * 100_000, true);
        let question = json!({
            "magic": 2, "codec": Compression::ALL[seed as usize % 5].name(), "baseOffset": seed * 100_000,
            "records": records.iter().map(Record::to_json).collect::<Vec<_>>(),
        });
        set.extend(java.write_batch(&question).unwrap());
    }
    for cut in [0, 1, 40] {
        let bytes = Bytes::copy_from_slice(&set[..set.len() - cut]);
        let theirs = java.read_batches(&bytes).unwrap();
        assert_eq!(theirs.as_array().unwrap().len(), if cut == 0 { 6 } else { 5 });
        assert_eq!(theirs, Value::Array(read(&bytes)), "{cut} bytes cut off");
    }
}
