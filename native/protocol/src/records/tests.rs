//! What the tests of records share; the tests are beside it by topic.

mod compacted;
mod messages;
mod properties;
mod reading;
mod sealing;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::compress::{Compression, Compressor, Decompressor};

const MAX: usize = 64 << 20;
const ALL: Run = Run { from_offset: 0, base_offset: 0, shift: 0, max_bytes: MAX, at_least_one: true };

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    fn plain(timestamp: i64, key: &str, value: &str) -> Self {
        Self { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }

    fn from(view: &RecordView<'_>) -> Self {
        Self {
            timestamp: view.timestamp,
            key: view.key.map(<[u8]>::to_vec),
            value: view.value.map(<[u8]>::to_vec),
            headers: view.headers.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect(),
        }
    }

    fn append(&self, builder: &mut BatchBuilder) -> u32 {
        let list: Vec<_> = self.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        let record = RecordRef {
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::List(&list),
        };
        let before = builder.len();
        let index = builder.append(&record);
        assert!(builder.len() - before <= BatchBuilder::record_size_bound(&record));
        index
    }
}

fn sealed(records: &[Owned], codec: Compression) -> SealedBatch {
    let mut builder = BatchBuilder::new(0);
    for (i, record) in records.iter().enumerate() {
        assert_eq!(record.append(&mut builder) as usize, i);
    }
    let mut batch = builder.seal(&mut Compressor::new(codec, None).unwrap(), false);
    batch.stamp(-1, -1, -1);
    batch
}

fn read(bytes: Bytes) -> Result<Vec<Owned>, RecordError> {
    let mut records = Vec::new();
    for batch in batches(bytes) {
        let batch = batch?;
        batch.verify_crc()?;
        for record in batch.plain(&mut Decompressor::new(), MAX)?.iter() {
            records.push(Owned::from(&record?));
        }
    }
    Ok(records)
}

fn some_records(count: usize) -> Vec<Owned> {
    (0..count).map(|i| Owned::plain(1_700_000_000_000 + i as i64, &format!("key {i}"), &format!("value {i}"))).collect()
}

fn edited(batch: &SealedBatch, edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch.bytes()[..]);
    edit(&mut bytes);
    bytes.freeze()
}

/// Renews the CRC after an edit, so that the fault behind it is found.
fn forged(batch: &SealedBatch, edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    edited(batch, |bytes| {
        edit(bytes);
        header::put_crc(bytes);
    })
}
