//! A record that owns its parts, and how it is written and read.

use bytes::Bytes;
use dohle_protocol::records::{Headers, RecordRef, WireHeaders};

use super::Batch;
use crate::consumer::{Chunk, INDEX_WORDS};

/// A record. Its parts may be slices of one larger piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its offset; of no meaning when it is written.
    pub offset: i64,
    /// Milliseconds since the epoch; none: the time of the call when it is written, and old records have none.
    pub timestamp: Option<i64>,
    /// The key; none is Kafka's null.
    pub key: Option<Bytes>,
    /// The value; none is Kafka's null.
    pub value: Option<Bytes>,
    /// Names with values, in order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// A record to write.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: Some(key.into()), value: Some(value.into()), ..Self::default() }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let of = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + of(value) + 10).sum::<usize>();
        32 + of(&self.key) + of(&self.value) + headers
    }

    pub(super) fn append_to(&self, batch: &mut Batch, now: i64) {
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            self.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        batch.push(&RecordRef {
            timestamp: self.timestamp.unwrap_or(now),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::List(&headers),
        });
    }
}

/// The records of a chunk, sharing its memory.
pub(super) fn records_of(chunk: &Chunk) -> impl Iterator<Item = Record> {
    (0..chunk.count).map(|k| {
        let row = &chunk.index[k as usize * INDEX_WORDS..][..INDEX_WORDS];
        let part = |at: usize| {
            let length = usize::try_from(row[at + 1]).ok()?;
            Some(chunk.bytes.slice(row[at] as usize..row[at] as usize + length))
        };
        let timestamp = i64::from(row[2]) << 32 | i64::from(row[1] as u32);
        let wire = part(7).unwrap_or_default();
        // The indexer has been over these bytes: they are headers.
        let headers = WireHeaders::parse(&wire, row[9] as u32)
            .map(|headers| {
                headers.iter().map(|(name, value)| (wire.slice_ref(name), value.map(|v| wire.slice_ref(v)))).collect()
            })
            .unwrap_or_default();
        Record {
            offset: chunk.offset(k),
            timestamp: (timestamp >= 0).then_some(timestamp),
            key: part(3),
            value: part(5),
            headers,
        }
    })
}
