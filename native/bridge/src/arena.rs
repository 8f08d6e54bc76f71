//! The arena: records on their way out, as a language writes them and [`crate::producer`] reads them.
//!
//! It is not a wire format: it never leaves the process, and both ends are always of the same version. The language owns
//! the memory and lends it for one call; nothing of it is kept when the call returns.
//!
//! # Layout
//!
//! Little-endian. Records follow each other; each begins at a multiple of 4 from the start of the arena:
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | u32 | topic id (as `topic` gave it); `0xFFFF_FFFF`: withdrawn, the record is skipped |
//! | 4 | i32 | partition; −1: the partitioner chooses |
//! | 8 | i64 | timestamp, milliseconds since the epoch; −1: now |
//! | 16 | i32 | key length; −1: null |
//! | 20 | i32 | value length; −1: null |
//! | 24 | u32 | length of the headers in bytes; 0: none |
//! | 28 | … | key, value, headers, without gaps; then up to 3 bytes to the next multiple of 4 |
//!
//! Headers are packed as the engine's record builder reads them: u32 count, then for each u32 name length, name,
//! i32 value length (−1: null), value.
//!
//! # Answers
//!
//! The call answers each accepted record with two u32: (group, index). Group `0xFFFF_FFFF` says that the record was
//! refused (index: its place in the list of this call's errors), `0xFFFF_FFFE` that it was skipped. The number of records
//! taken may be less than the arena holds: memory is full, the rest is to be offered again after the `space` entry.

use dohle_protocol::records::{Headers, PackedHeaders, RecordRef};

use crate::failure::Failure;

/// Length of the fixed part of a record.
pub const RECORD_HEADER: usize = 28;
/// Topic id of a record that its sender has taken back.
pub const WITHDRAWN: u32 = 0xFFFF_FFFF;
/// Answer group of a record that the engine refused.
pub const REFUSED: u32 = 0xFFFF_FFFF;
/// Answer group of a record that was skipped.
pub const SKIPPED: u32 = 0xFFFF_FFFE;

/// One record of an arena, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaRecord<'a> {
    /// The interned topic, or [`WITHDRAWN`].
    pub topic: u32,
    /// The partition asked for, if any.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; −1: now.
    pub timestamp: i64,
    /// The key, if it is not null.
    pub key: Option<&'a [u8]>,
    /// The value, if it is not null.
    pub value: Option<&'a [u8]>,
    /// The packed headers; empty: none.
    pub headers: &'a [u8],
}

impl<'a> ArenaRecord<'a> {
    /// The record as the engine appends it. `now` is the time of one that has none.
    #[inline]
    pub(crate) fn to_append(self, now: i64) -> Result<RecordRef<'a>, Failure> {
        let headers = match PackedHeaders::parse(self.headers) {
            _ if self.headers.is_empty() => Headers::None,
            Ok(packed) => Headers::Packed(packed),
            Err(_) => return Err(Failure::argument("headers", "are not packed as they should be")),
        };
        let timestamp = if self.timestamp == -1 { now } else { self.timestamp };
        Ok(RecordRef { timestamp, key: self.key, value: self.value, headers })
    }
}

/// Writes a record at the start of `free`; returns the bytes it takes. `None`, and nothing is written: it does not fit.
pub fn write(record: &ArenaRecord<'_>, free: &mut [u8]) -> Option<usize> {
    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
    let used = RECORD_HEADER + key.len() + value.len() + record.headers.len();
    i32::try_from(used).ok()?;
    let (place, length) = (free.get_mut(..used.next_multiple_of(4))?, used.next_multiple_of(4));
    let length_of = |part: Option<&[u8]>| part.map_or(-1, |part| part.len() as i32);
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        place[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&record.topic.to_le_bytes());
    put(&record.partition.unwrap_or(-1).to_le_bytes());
    put(&record.timestamp.to_le_bytes());
    put(&length_of(record.key).to_le_bytes());
    put(&length_of(record.value).to_le_bytes());
    put(&(record.headers.len() as u32).to_le_bytes());
    put(key);
    put(value);
    put(record.headers);
    place[used..].fill(0);
    Some(length)
}

/// Headers as an arena has them: see the module.
pub fn pack_headers(headers: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
    let mut packed = (headers.len() as u32).to_le_bytes().to_vec();
    for (name, value) in headers {
        packed.extend((name.len() as u32).to_le_bytes());
        packed.extend(name.as_bytes());
        packed.extend(value.map_or(-1, |value| value.len() as i32).to_le_bytes());
        packed.extend(value.unwrap_or_default());
    }
    packed
}

/// An arena that does not hold what its lengths say: a defect of the language's writer, never of its user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("arena: record at byte {at}: {what}")]
pub struct ArenaError {
    /// Where the record begins.
    pub at: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads the records of an arena in order. Checks every length against what remains.
pub struct ArenaReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> ArenaReader<'a> {
    /// Reads from `start`, where an earlier call stopped, to the end of `bytes`.
    pub fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, at: start }
    }

    /// Where the next record begins.
    pub fn position(&self) -> usize {
        self.at
    }

    fn record(&mut self) -> Result<ArenaRecord<'a>, ArenaError> {
        let at = self.at;
        let fail = |what| ArenaError { at, what };
        let rest = self.bytes.get(at..).ok_or(fail("begins behind the end"))?;
        let (head, body) = rest.split_first_chunk::<RECORD_HEADER>().ok_or(fail("ends in its header"))?;
        let word = |i: usize| i32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let low = i64::from(word(8)) & 0xFFFF_FFFF;
        let mut body = body;
        let mut take = |length: i32, what| {
            let Ok(length) = usize::try_from(length) else {
                return Ok(None);
            };
            let (part, rest) = body.split_at_checked(length).ok_or(fail(what))?;
            body = rest;
            Ok(Some(part))
        };
        let key = take(word(16), "key is longer than the arena")?;
        let value = take(word(20), "value is longer than the arena")?;
        let headers = take(word(24), "headers are longer than the arena")?.unwrap_or_default();
        let used = self.bytes.len() - body.len();
        self.at = used.next_multiple_of(4);
        Ok(ArenaRecord {
            topic: word(0) as u32,
            partition: (word(4) >= 0).then_some(word(4)),
            timestamp: i64::from(word(12)) << 32 | low,
            key,
            value,
            headers,
        })
    }
}

impl<'a> Iterator for ArenaReader<'a> {
    type Item = Result<ArenaRecord<'a>, ArenaError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.bytes.len()).then(|| {
            let record = self.record();
            if record.is_err() {
                self.at = self.bytes.len();
            }
            record
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(record: &ArenaRecord, out: &mut Vec<u8>) {
        let mut bytes = [0xFF; 128];
        let written = super::write(record, &mut bytes).unwrap();
        out.extend(&bytes[..written]);
    }

    const EXAMPLES: [ArenaRecord; 3] = [
        ArenaRecord { topic: 0, partition: None, timestamp: -1, key: Some(b"k"), value: Some(b"value"), headers: b"" },
        ArenaRecord {
            topic: 7,
            partition: Some(3),
            timestamp: 1 << 40,
            key: None,
            value: None,
            headers: &[0, 0, 0, 0],
        },
        ArenaRecord { topic: WITHDRAWN, partition: None, timestamp: 0, key: Some(b""), value: Some(b""), headers: b"" },
    ];

    #[test]
    fn reads_what_was_written_and_can_stop_between_records() {
        let mut bytes = Vec::new();
        EXAMPLES.iter().for_each(|r| write(r, &mut bytes));
        let mut reader = ArenaReader::new(&bytes, 0);
        assert_eq!(reader.next(), Some(Ok(EXAMPLES[0])));
        let rest = ArenaReader::new(&bytes, reader.position());
        assert_eq!(rest.map(Result::unwrap).collect::<Vec<_>>(), EXAMPLES[1..]);
    }

    #[test]
    fn what_does_not_fit_is_not_written_and_packed_headers_are_read_back() {
        let headers = pack_headers(&[("a", Some(b"1")), ("b", None), ("a", Some(b""))]);
        let record = ArenaRecord { headers: &headers, ..EXAMPLES[0] };
        let mut bytes = [0xFF; 256];
        let length = super::write(&record, &mut bytes).unwrap();
        assert_eq!(ArenaReader::new(&bytes[..length], 0).next(), Some(Ok(record)));
        let packed: Vec<_> = PackedHeaders::parse(&headers).unwrap().iter().collect();
        assert_eq!(packed, [(&b"a"[..], Some(&b"1"[..])), (b"b", None), (b"a", Some(b""))]);
        let mut short = vec![0xFF; length - 1];
        assert_eq!(super::write(&record, &mut short), None);
        assert!(short.iter().all(|byte| *byte == 0xFF));
    }

    /// The same vectors that the TypeScript writer is held to.
    #[test]
    fn reads_the_vectors() {
        let file = "../../test/vectors/arena.json";
        let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for vector in vectors.as_array().unwrap() {
            let hex: String = vector["arena"].as_str().unwrap().split(' ').collect();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let records: Vec<_> = ArenaReader::new(&bytes, 0).map(Result::unwrap).collect();
            let [record] = records.as_slice() else { panic!("{}: {records:?}", vector["name"]) };
            let message = &vector["message"];
            assert_eq!(u64::from(record.topic), vector["topic"].as_u64().unwrap());
            assert_eq!(record.key, message["key"].as_str().map(str::as_bytes), "{}", vector["name"]);
            assert_eq!(record.value, message["value"].as_str().map(str::as_bytes), "{}", vector["name"]);
            assert_eq!(record.partition.map(i64::from), message["partition"].as_i64());
            assert_eq!(record.timestamp, message["timestamp"].as_i64().unwrap_or(-1));
            let headers = PackedHeaders::parse(record.headers).map(|headers| headers.iter().count()).unwrap_or(0);
            let (list, object) = (message["headers"].as_array(), message["headers"].as_object());
            assert_eq!(
                headers,
                list.map_or(0, Vec::len) + object.map_or(0, serde_json::Map::len),
                "{}",
                vector["name"]
            );
        }
    }

    #[test]
    fn a_length_that_leads_outside_is_an_error_and_ends_the_reading() {
        for cut in 1..RECORD_HEADER + 6 {
            let mut bytes = Vec::new();
            write(&EXAMPLES[0], &mut bytes);
            bytes.truncate(cut);
            let mut reader = ArenaReader::new(&bytes, 0);
            assert!(reader.next().is_some_and(|r| r.is_err()), "{cut}");
            assert_eq!(reader.next(), None);
        }
    }
}
