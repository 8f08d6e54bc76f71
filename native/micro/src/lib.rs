//! The small pieces on the way of a record: append, seal, index, CRC, each codec, encoding a request.
//!
//! One list of cases for two judges: `benches/micro.rs` takes their time (criterion), `src/main.rs` runs one of them once,
//! so that callgrind can count its instructions (`npm run bench -- instructions`).
#![forbid(unsafe_code)]

mod data;

use dohle_protocol::compress::{Compression, Compressor, Decompressor, Output};
use dohle_protocol::frame;
use dohle_protocol::messages::ProduceRequest;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::records::{BatchBuilder, Headers, Indexer, RecordRef, Run, SealedBatch, batches, crc32c};

/// Records in one run of a case.
pub const RECORDS: usize = 1_000;

const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

/// What is done once per call; returns something that depends on all of it.
type Work = Box<dyn FnMut() -> usize>;

/// A thing to measure. Making it does what is not measured.
pub struct Case {
    /// Its name; a codec's comes after a dash.
    pub name: String,
    make: Box<dyn Fn() -> Work>,
}

impl Case {
    fn new<W: FnMut() -> usize + 'static>(name: impl Into<String>, make: impl Fn() -> W + 'static) -> Self {
        Case { name: name.into(), make: Box::new(move || Box::new(make())) }
    }

    /// Prepares it: what is measured are calls of the result.
    #[must_use]
    pub fn prepare(&self) -> Work {
        (self.make)()
    }
}

/// All of them, each over [`RECORDS`] records of 100 bytes.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("append", || append(false)),
        Case::new("append-keyed", || append(true)),
        Case::new("index", index),
        Case::new("crc", crc),
        Case::new("encode-request", encode_request),
    ];
    for (name, codec) in CODECS {
        cases.push(Case::new(format!("seal-{name}"), move || seal(codec)));
        if codec != Compression::None {
            cases.push(Case::new(format!("decompress-{name}"), move || decompress(codec)));
        }
    }
    cases
}

/// Into the open batch of a partition, in wire format; a new batch after 16 MiB.
fn append(keyed: bool) -> impl FnMut() -> usize {
    const CAPACITY: usize = 16 << 20;
    let values = data::records(RECORDS);
    let mut builder = BatchBuilder::new(CAPACITY);
    move || {
        if builder.len() > CAPACITY - 256 * 1024 {
            builder = BatchBuilder::new(CAPACITY);
        }
        fill(&mut builder, &values, keyed);
        builder.len()
    }
}

fn fill(builder: &mut BatchBuilder, values: &[Vec<u8>], keyed: bool) {
    for (i, value) in values.iter().enumerate() {
        let key = (i as u64).to_be_bytes();
        let record = RecordRef {
            timestamp: 1_767_225_600_000 + i as i64,
            key: keyed.then_some(&key[..]),
            value: Some(value),
            headers: Headers::None,
        };
        builder.append(&record);
    }
}

fn batch() -> BatchBuilder {
    let mut builder = BatchBuilder::new(256 * 1024);
    fill(&mut builder, &data::records(RECORDS), false);
    builder
}

fn sealed(codec: Compression) -> SealedBatch {
    let mut sealed = batch().seal(&mut Compressor::new(codec, None).expect("a codec"), false);
    sealed.stamp(4_711, 0, 0);
    sealed
}

/// Compression, header and CRC of a batch. The batch is built anew for each call and counts little beside them.
fn seal(codec: Compression) -> impl FnMut() -> usize {
    let values = data::records(RECORDS);
    let mut compressor = Compressor::new(codec, None).expect("a codec");
    let mut builder = BatchBuilder::new(256 * 1024);
    move || {
        fill(&mut builder, &values, false);
        let mut sealed = builder.seal_reset(&mut compressor, false);
        sealed.stamp(4_711, 0, 0);
        sealed.len()
    }
}

fn decompress(codec: Compression) -> impl FnMut() -> usize {
    let batch = batches(sealed(codec).bytes()).next().expect("a batch").expect("a good one");
    let mut decompressor = Decompressor::new();
    let mut out = Output::new();
    move || {
        out.clear();
        batch.plain_into(&mut decompressor, 1 << 30, &mut out).expect("what was compressed");
        out.len()
    }
}

/// What a language reads instead of parsing records.
fn index() -> impl FnMut() -> usize {
    let batch = batches(sealed(Compression::None).bytes()).next().expect("a batch").expect("a good one");
    let mut plain = Output::new();
    let header = batch.plain_into(&mut Decompressor::new(), 1 << 30, &mut plain).expect("plain records");
    let mut index = Vec::new();
    let run = Run { from_offset: 0, base_offset: 0, shift: 0, max_bytes: 1 << 30, at_least_one: true };
    move || {
        index.clear();
        Indexer::new(&header, &plain).run(&run, &mut index).expect("good records").count as usize
    }
}

/// The checksum of a batch of 100 KB.
fn crc() -> impl FnMut() -> usize {
    let bytes = sealed(Compression::None).bytes();
    move || crc32c(&bytes) as usize
}

/// A Produce request with a batch for each of six partitions; the batches are linked, not copied.
fn encode_request() -> impl FnMut() -> usize {
    let partition_data = (0..6).map(|index| PartitionProduceData {
        index,
        records: Some(sealed(Compression::Lz4).bytes()),
        ..PartitionProduceData::default()
    });
    let topic_data = vec![TopicProduceData {
        name: "orders".into(),
        partition_data: partition_data.collect(),
        ..TopicProduceData::default()
    }];
    let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..ProduceRequest::default() };
    move || frame::encode_request(12, 7, Some("dohle"), &request).expect("a request").0.len()
}
