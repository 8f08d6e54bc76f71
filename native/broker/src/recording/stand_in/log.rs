//! What was recorded of a partition: where its batches are in the file, and how its transactions ended.

use bytes::{Bytes, BytesMut};
use dohle_protocol::{
    compress::Decompressor,
    messages::fetch_response::AbortedTransaction,
    records::{ControlType, RawBatch, batches, set_offsets},
    schema::{Struct, Value},
};

use crate::recording::{Recording, What};

/// A partition.
#[derive(Default)]
pub(super) struct Log {
    /// By their first offset.
    batches: std::collections::BTreeMap<i64, Place>,
    high_watermark: i64,
    /// Producer id and first offset.
    aborted: Vec<(i64, i64)>,
    /// Producer id and offset of the marker.
    aborts: Vec<(i64, i64)>,
    /// Code and base offset that Produce was answered with, in order.
    pub answers: Vec<(i16, i64)>,
    pub next_answer: std::sync::atomic::AtomicUsize,
}

/// Where a batch is.
struct Place {
    entry: u64,
    /// In the frame.
    at: usize,
    len: usize,
    last: i64,
    max_timestamp: i64,
}

impl Log {
    /// Takes note of a partition in a Fetch answer.
    pub fn fetched(&mut self, partition: &Struct, frame: &Bytes, entry: u64) {
        self.high_watermark = self.high_watermark.max(partition.int("highWatermark").unwrap_or(0));
        for of in partition.structs("abortedTransactions") {
            if let (Some(id), Some(first)) = (of.int("producerId"), of.int("firstOffset"))
                && !self.aborted.contains(&(id, first))
            {
                self.aborted.push((id, first));
            }
        }
        let Some(records) = partition.field("records").and_then(Value::bytes) else { return };
        for batch in batches(records.clone()).map_while(Result::ok) {
            let header = batch.header();
            if header.attributes.is_control()
                && batch.plain(&mut Decompressor::new(), 1 << 20).ok().and_then(|plain| plain.control_type())
                    == Some(ControlType::Abort)
            {
                self.aborts.push((header.producer_id, header.base_offset));
            }
            self.place(&batch, header.base_offset, frame, entry);
        }
    }

    /// Takes note of records that were written.
    pub fn produced(&mut self, records: &Bytes, base: i64, frame: &Bytes, entry: u64) {
        let mut next = base;
        for batch in batches(records.clone()).map_while(Result::ok) {
            self.place(&batch, next, frame, entry);
            next += i64::from(batch.header().last_offset_delta) + 1;
        }
        self.high_watermark = self.high_watermark.max(next);
    }

    fn place(&mut self, batch: &RawBatch, base: i64, frame: &Bytes, entry: u64) {
        let header = batch.header();
        // Both are slices of one allocation.
        let at = (batch.bytes().as_ptr() as usize).wrapping_sub(frame.as_ptr() as usize);
        let (len, max_timestamp) = (batch.bytes().len(), header.max_timestamp);
        if header.magic == 2 && at + len <= frame.len() {
            let last = base + i64::from(header.last_offset_delta);
            self.batches.insert(base, Place { entry, at, len, last, max_timestamp });
        }
    }

    pub fn start(&self) -> i64 {
        self.batches.keys().next().copied().unwrap_or(self.high_watermark)
    }

    /// Behind what can be read.
    pub fn end(&self) -> i64 {
        self.batches.values().next_back().map_or(self.high_watermark, |place| place.last + 1)
    }

    /// Whether somebody may read from there: the end that clients were told may be behind what they have fetched.
    pub fn has(&self, offset: i64) -> bool {
        (self.start()..=self.end().max(self.high_watermark)).contains(&offset)
    }

    /// The first offset of a batch that is not older, and its time.
    pub fn at_time(&self, timestamp: i64) -> Option<(i64, i64)> {
        let found = self.batches.iter().find(|(_, place)| place.max_timestamp >= timestamp);
        found.map(|(base, place)| (*base, place.max_timestamp))
    }

    /// Records from an offset on: at least one batch if there is one, then as many as fit.
    pub fn read(&self, from: i64, most: usize, file: &mut Recording) -> Bytes {
        let first = self.batches.range(..=from).next_back().filter(|(_, place)| place.last >= from);
        let first = first.map_or(from, |(base, _)| *base);
        let mut out = BytesMut::new();
        for (base, place) in self.batches.range(first..) {
            if !out.is_empty() && out.len() + place.len > most {
                break;
            }
            let Ok(entry) = file.read_at(place.entry) else { break };
            let (What::Request(frame) | What::Response(frame)) = entry.what else { break };
            let Some(bytes) = frame.bytes.get(place.at..place.at + place.len) else { break };
            let from = out.len();
            out.extend_from_slice(bytes);
            set_offsets(&mut out[from..], *base, 0);
        }
        out.freeze()
    }

    /// The aborted transactions that readers from an offset on must know of: those that had not ended before it.
    pub fn aborted(&self, from: i64) -> Vec<AbortedTransaction> {
        let ended = |id: i64, first: i64| {
            let markers = self.aborts.iter().filter(|(of, at)| *of == id && *at > first).map(|(_, at)| *at);
            markers.min().unwrap_or(i64::MAX)
        };
        let of = self.aborted.iter().filter(|(id, first)| ended(*id, *first) >= from);
        of.map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
            ..Default::default()
        })
        .collect()
    }
}
