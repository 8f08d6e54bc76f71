//! What Kafka checks about a batch before it appends it (ProduceRequest.validateRecords, UnifiedLog, LogValidator).
//! It looks at every record, also in compressed batches, as Kafka does; nothing is recompressed or converted.
//! Driven by Produce, outside the partition's lock.

use bytes::{Bytes, BytesMut};
use dohle_protocol::{
    ErrorCode,
    compress::{Compression, Decompressor},
    records::{self, BatchHeader, RawBatch, RecordError, RecordErrorKind, TimestampType},
};
use parking_lot::Mutex;

use super::producers::ProducerStamp;
use crate::config::TopicConfig;

/// Where every kind of batch has its magic byte.
const MAGIC_AT: usize = 16;

/// A batch that may be appended.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// As received; with log append time already set, when the topic wants that.
    pub bytes: Bytes,
    pub last_offset_delta: i32,
    pub max_timestamp: i64,
    /// −1 when the topic keeps the producer's times.
    pub append_time: i64,
    pub producer: Option<ProducerStamp>,
    /// It belongs to a transaction of its producer.
    pub transactional: bool,
    /// To one of version 2: a producer of which nothing is known begins at sequence 0 (KIP-890).
    pub v2: bool,
}

/// Why a batch is not appended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub code: ErrorCode,
    pub message: String,
    /// The records at fault: index in the batch, and why (KIP-467).
    pub records: Vec<(i32, String)>,
}

/// What the checks depend on.
pub(crate) struct Rules<'a> {
    /// Version of the Produce request.
    pub version: i16,
    pub config: &'a TopicConfig,
    pub now_ms: i64,
    pub max_decompressed_bytes: usize,
    pub decompressors: &'a Decompressors,
}

/// Decompressors to borrow: their state is large.
#[derive(Default)]
pub(crate) struct Decompressors(Mutex<Vec<Decompressor>>);

/// Checks the records of one partition of a Produce request.
pub(crate) fn validate(records: Option<Bytes>, rules: &Rules<'_>) -> Result<Batch, Refused> {
    let raw = only_batch(records.unwrap_or_default(), rules.version)?;
    let header = raw.header();
    if header.base_offset != 0 {
        return Err(invalid(format!(
            "The base offset of the record batch should be 0, but it is {}",
            header.base_offset
        )));
    }
    let (size, max) = (raw.bytes().len(), rules.config.max_message_bytes);
    if size > max {
        let message =
            format!("The record batch size is {size} bytes which exceeds the maximum configured value of {max}");
        return Err(Refused::new(ErrorCode::MESSAGE_TOO_LARGE, message));
    }
    raw.verify_crc().map_err(refused)?;
    check_header(&header)?;
    let max_timestamp = check_records(&raw, &header, rules)?;
    let producer = (header.producer_id >= 0).then(|| ProducerStamp {
        id: header.producer_id,
        epoch: header.producer_epoch,
        first_sequence: header.base_sequence,
        last_sequence: header.last_sequence(),
    });
    let batch = Batch {
        bytes: raw.bytes().clone(),
        last_offset_delta: header.last_offset_delta,
        max_timestamp,
        append_time: -1,
        producer,
        transactional: header.attributes.is_transactional(),
        v2: header.attributes.is_transactional() && rules.version >= 12,
    };
    Ok(if rules.config.log_append_time { batch.appended_at(rules.now_ms) } else { batch })
}

/// A Produce request carries exactly one batch of magic 2 per partition.
fn only_batch(records: Bytes, version: i16) -> Result<RawBatch, Refused> {
    // Looked at first: an old message set may well be no batch at all.
    if matches!(records.get(MAGIC_AT), Some(0 | 1)) {
        let message = "are only allowed to contain record batches with magic version 2";
        return Err(invalid(format!("Produce requests with version {version} {message}")));
    }
    let mut batches = records::batches(records);
    let Some(first) = batches.next() else {
        let message = "must have at least one record batch per partition";
        return Err(invalid(format!("Produce requests with version {version} {message}")));
    };
    let first = first.map_err(refused)?;
    if version < 7 && first.header().attributes.compression() == Some(Compression::Zstd) {
        let message = format!("Produce requests with version {version} are not allowed to use ZStandard compression");
        return Err(Refused::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, message));
    }
    if batches.next().is_some() || batches.rest() > 0 {
        let message = "are only allowed to contain exactly one record batch per partition";
        return Err(invalid(format!("Produce requests with version {version} {message}")));
    }
    Ok(first)
}

fn check_header(header: &BatchHeader) -> Result<(), Refused> {
    let (count, range) = (header.record_count, i64::from(header.last_offset_delta) + 1);
    if count <= 0 {
        return Err(invalid(format!("Invalid reported count for record batch: {count}")));
    }
    if range != i64::from(count) {
        return Err(invalid(format!("Inconsistent batch offset range {range} and record count {count}")));
    }
    if header.attributes.is_control() {
        return Err(invalid("Clients are not allowed to write control records".into()));
    }
    if header.attributes.is_transactional() && header.producer_id < 0 {
        return Err(invalid("A transactional record batch must name its producer".into()));
    }
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        let (sequence, epoch) = (header.base_sequence, header.producer_epoch);
        return Err(invalid(format!(
            "Invalid sequence number {sequence} or epoch {epoch} of producer {}",
            header.producer_id
        )));
    }
    Ok(())
}

/// Looks at every record; answers the largest timestamp.
fn check_records(raw: &RawBatch, header: &BatchHeader, rules: &Rules<'_>) -> Result<i64, Refused> {
    let plain = rules.decompressors.with(|one| raw.plain(one, rules.max_decompressed_bytes)).map_err(refused)?;
    let create_time = !rules.config.log_append_time;
    let claims_append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let mut max_timestamp = -1;
    let mut faults = Faults::default();
    for (index, record) in plain.iter().enumerate() {
        let (index, record) = (index as i32, record.map_err(refused)?);
        if record.offset != i64::from(index) {
            let message = format!("the record has offset {}, expected is {index}", record.offset);
            return Err(invalid(format!("Record {index} of the batch does not have incremental offsets: {message}")));
        }
        max_timestamp = max_timestamp.max(record.timestamp);
        if rules.config.compacted && record.key.is_none() {
            faults.add(ErrorCode::INVALID_RECORD, index, "Compacted topic cannot accept message without key".into());
        } else if create_time && claims_append_time {
            let message = "Invalid timestamp type: a producer should not set it to LogAppendTime";
            faults.add(ErrorCode::INVALID_TIMESTAMP, index, message.into());
        } else if create_time && !timestamp_allowed(record.timestamp, rules) {
            let message = format!("Timestamp {} of the record is out of the allowed range", record.timestamp);
            faults.add(ErrorCode::INVALID_TIMESTAMP, index, message);
        }
    }
    faults.into_result().map(|()| max_timestamp)
}

fn timestamp_allowed(timestamp: i64, rules: &Rules<'_>) -> bool {
    let (before, after) = (rules.config.timestamp_before_max_ms, rules.config.timestamp_after_max_ms);
    timestamp == -1
        || rules.now_ms.saturating_sub(timestamp) <= before && timestamp.saturating_sub(rules.now_ms) <= after
}

/// Records at fault, with the code of the first.
#[derive(Default)]
struct Faults {
    code: Option<ErrorCode>,
    records: Vec<(i32, String)>,
}

impl Faults {
    fn add(&mut self, code: ErrorCode, index: i32, message: String) {
        self.code.get_or_insert(code);
        self.records.push((index, message));
    }

    fn into_result(self) -> Result<(), Refused> {
        let Some(code) = self.code else { return Ok(()) };
        let shown: Vec<String> = self.records.iter().take(3).map(|(at, message)| format!("{at}: {message}")).collect();
        let message = format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first three \
             errors at most: {}",
            self.records.len(),
            shown.join("; ")
        );
        Err(Refused { code, message, records: self.records })
    }
}

impl Batch {
    fn appended_at(mut self, now_ms: i64) -> Self {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        records::set_log_append_time(&mut bytes, now_ms);
        self.bytes = bytes.freeze();
        self.max_timestamp = now_ms;
        self.append_time = now_ms;
        self
    }
}

impl Refused {
    pub fn new(code: ErrorCode, message: String) -> Self {
        Self { code, message, records: Vec::new() }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.text().into())
    }
}

impl Decompressors {
    /// Lends one to `work`.
    pub fn with<T>(&self, work: impl FnOnce(&mut Decompressor) -> T) -> T {
        let mut one = self.0.lock().pop().unwrap_or_default();
        let done = work(&mut one);
        self.0.lock().push(one);
        done
    }
}

fn invalid(message: String) -> Refused {
    Refused::new(ErrorCode::INVALID_RECORD, message)
}

/// Damage is CORRUPT_MESSAGE, which clients retry; a batch that says something impossible is INVALID_RECORD.
fn refused(error: RecordError) -> Refused {
    let code = match error.kind {
        RecordErrorKind::Crc { .. } | RecordErrorKind::Truncated { .. } | RecordErrorKind::Compression(_) => {
            ErrorCode::CORRUPT_MESSAGE
        }
        _ => ErrorCode::INVALID_RECORD,
    };
    Refused::new(code, error.to_string())
}
