//! The fetch half: keeps one fetch in flight per broker and session and turns responses into chunks.
//! Not who is assigned what (group/) nor what is committed (commit.rs).
//! Driven by its own task, woken by `Shared::fetcher` and by metadata updates.
//!
//! The seam, all of it on [`Shared`] and [`super::subscription::Subscription`]:
//! - what to fetch: `shared.with(|s| s.iter()…)` where `Partition::fetchable()`; note `epoch` and `fetch` in the request;
//! - what to look up: `FetchState::Reset` → ListOffsets → `change(|s| s.resolved(tp, epoch, position))`;
//!   `FetchState::Validate` → OffsetForLeaderEpoch → `validated` / `truncated` / `reset`;
//!   (`FetchState::Committed` is the coordinator's: it calls `resolved` or `reset`);
//! - what came: watermarks into `Partition::{high_watermark, last_stable, log_start}`, then `shared.deliver(tp, epoch, chunks, fetch)`;
//! - out of range: `change(|s| s.reset(tp, epoch, …))` by policy, or `s.fail(tp, epoch)` and `shared.raise(NO_OFFSET)`;
//! - connection: `Lane::Fetch(shared.number)`, so that consumers of one client do not wait for each other;
//! - credit: fetch while `shared.buffered() < fetch.buffer.bytes`; handing a chunk over wakes `shared.fetcher`;
//! - the end: `shared.is_closed()`, checked after every wake-up.

use std::sync::Arc;

use super::shared::Shared;

/// Runs until the consumer closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    while !shared.is_closed() {
        shared.fetcher.notified().await;
    }
}
