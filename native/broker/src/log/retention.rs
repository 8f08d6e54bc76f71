//! Which segments go because they are old or too many (`cleanup.policy=delete`), as Kafka's UnifiedLog.deleteOldSegments decides:
//! whole segments from the front, by the time of their youngest record and by size; the active one only when all of it is too
//! old. Driven by the housekeeping task, and for bytes by every append: what is kept may be in memory.

use super::{Log, Segment, segment};

impl Log {
    /// Deletes what is too old or too much. Answers when (in milliseconds since 1970) there is next something that is too old.
    pub fn retain(&mut self, now_ms: i64) -> Option<i64> {
        if !self.config.deletes || self.check_disk().is_err() {
            return None;
        }
        if let Some(bytes) = self.config.retention_bytes {
            let mut excess = self.size().saturating_sub(bytes);
            self.delete_oldest(|segment, _| {
                let left = excess.checked_sub(segment.len());
                excess = left.unwrap_or(excess);
                left.is_some()
            });
        }
        let keep_ms = self.config.retention_ms?;
        self.delete_oldest(|segment, _| now_ms.saturating_sub(segment.largest_timestamp()) > keep_ms);
        let oldest = self.segments.front().filter(|segment| !segment.is_empty())?;
        Some(oldest.largest_timestamp().saturating_add(keep_ms).saturating_add(1))
    }

    /// After an append: closed segments that are more than enough.
    pub(super) fn retain_bytes(&mut self) {
        let Some(bytes) = self.config.retention_bytes.filter(|_| self.config.deletes && self.segments.len() > 1) else {
            return;
        };
        // As Kafka: a segment goes only when what is left is still at least the limit.
        let mut left = self.size();
        self.delete_oldest(|segment, active| {
            left = left.saturating_sub(segment.len());
            !active && left >= bytes
        });
    }

    /// Deletes segments from the front for as long as `goes` says so, which is told of each whether it is the active one.
    fn delete_oldest(&mut self, mut goes: impl FnMut(&Segment, bool) -> bool) {
        let last = self.segments.len() - 1;
        let old = self.segments.iter().enumerate();
        let nothing = |at: usize, segment: &Segment| at == last && segment.is_empty();
        let end = |at: usize| self.segments.get(at + 1).map_or(self.next_offset, |next| next.base_offset);
        // What is not committed stays.
        let may_go = |at: usize, segment: &Segment| !nothing(at, segment) && end(at) <= self.high_watermark;
        let count = old.take_while(|(at, segment)| may_go(*at, segment) && goes(segment, *at == last)).count();
        if count == 0 {
            return;
        }
        if count > last
            && let Err(error) = self.roll(segment::FIRST_CAPACITY)
        {
            tracing::error!(%error, "a segment cannot be begun, and so the one before it not be deleted");
            return;
        }
        self.remove_first(count);
        tracing::debug!(segments = count, start_offset = self.start_offset, "deleted by retention");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dohle_protocol::ErrorCode;

    use super::super::{
        Isolation,
        tests::{Append, config, log},
    };

    #[test]
    fn a_segment_goes_when_its_youngest_record_is_older_than_the_time_to_keep() {
        let mut log = log(&[("retention.ms", "100"), ("segment.bytes", "14")]);
        for timestamp in [1000, 1050, 1020] {
            log.put(Append { timestamp, ..Append::default() });
        }
        assert_eq!((log.retain(1100), log.start_offset()), (Some(1101), 0), "not older than 100, but just as old");
        assert_eq!((log.retain(1101), log.start_offset()), (Some(1151), 1));
        assert_eq!((log.retain(1150), log.start_offset()), (Some(1151), 1), "one that is older waits behind it");
        let early = log.read(0, 1 << 20, true, Isolation::ReadUncommitted);
        assert_eq!(early.err(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    }

    #[test]
    fn the_active_segment_goes_when_all_of_it_is_old_and_offsets_go_on() {
        let mut log = log(&[("retention.ms", "100")]);
        log.put(Append { timestamp: 1000, ..Append::default() });
        assert_eq!(log.retain(1101), None, "nothing is left");
        assert_eq!((log.start_offset(), log.high_watermark(), log.size()), (1, 1, 0));
        assert_eq!(log.put(Append { timestamp: 2000, ..Append::default() }), 1);
        assert_eq!(
            log.read(1, 1 << 20, true, Isolation::ReadUncommitted).map(|slice| slice.bytes.is_empty()),
            Ok(false)
        );
    }

    #[test]
    fn records_without_a_time_are_kept_by_the_time_of_their_append() {
        let mut log = log(&[("retention.ms", "100")]);
        log.put(Append { timestamp: -1, now_ms: 5000, ..Append::default() });
        assert_eq!((log.retain(5100), log.start_offset()), (Some(5101), 0));
        assert_eq!((log.retain(5101), log.start_offset()), (None, 1));
    }

    #[test]
    fn a_compacted_topic_keeps_everything_unless_it_deletes_too() {
        let settings = [("retention.ms", "1"), ("retention.bytes", "0"), ("segment.bytes", "14")];
        for (policy, start) in [("compact", 0), ("compact,delete", 3)] {
            let mut log = log(&settings);
            log.set_config(Arc::new(config(&[&settings[..], &[("cleanup.policy", policy)]].concat())));
            for _ in 0..3 {
                log.put(Append::default());
            }
            log.retain(1 << 40);
            assert_eq!(log.start_offset(), start, "{policy}");
        }
    }

    #[test]
    fn bytes_are_kept_up_to_the_limit_and_not_below() {
        let mut log = log(&[("segment.bytes", "14"), ("retention.ms", "-1")]);
        for _ in 0..5 {
            log.put(Append::default());
        }
        let each = log.size() / 5;
        let limit = |bytes: u64| Arc::new(config(&[("retention.bytes", &bytes.to_string())]));
        for (bytes, start) in [(each * 5, 0), (each * 4 + 1, 0), (each * 4, 1), (each * 2 - 1, 3), (0, 5)] {
            log.set_config(limit(bytes));
            log.retain(2000);
            assert_eq!(log.start_offset(), start, "{bytes} bytes");
        }
    }
}
