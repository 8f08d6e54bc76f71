//! Reading for those who keep their own place ([`crate::partition`]): what a fetch brought, cut as the consumer cuts it.

use std::sync::Arc;

use dohle_protocol::compress::Decompressor;
use dohle_protocol::messages::fetch_response::PartitionData;

use super::chunk::{self, CutError, Fetched};
use super::handover::{Chunk, Position};
use super::spare::Spare;

pub(crate) use super::chunk::Rules;

/// The chunks at and behind `offset`, and where to read on. An error only when nothing could be read: what comes before one is
/// good, and the next fetch begins at it.
pub(crate) fn cut(
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    data: PartitionData,
    rules: Rules,
    budget: usize,
    decompressor: &mut Decompressor,
) -> Result<(Vec<Chunk>, i64), CutError> {
    let records = data.records.unwrap_or_default();
    if records.is_empty() {
        return Ok((Vec::new(), offset));
    }
    let aborted = data.aborted_transactions.unwrap_or_default();
    let fetched = Fetched {
        topic,
        partition,
        epoch: 0,
        from: Position { offset, leader_epoch: -1 },
        records,
        aborted: aborted.iter().map(|entry| (entry.producer_id, entry.first_offset)).collect(),
        high_watermark: data.high_watermark,
    };
    let cut = chunk::cut(fetched, rules, budget, decompressor, &Spare::new(0));
    match cut.error {
        Some(error) if cut.next.offset == offset => Err(error),
        _ => Ok((cut.chunks, cut.next.offset)),
    }
}
