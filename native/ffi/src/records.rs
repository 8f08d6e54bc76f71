//! Records on their way out: the arena, and the call that takes it.

use std::ffi::c_char;

use dohle_bridge::arena::{self, ArenaRecord};
use dohle_bridge::failure::Failure;

use crate::calls::bytes;
use crate::environment::dohle_environment;
use crate::error::{dohle_error, given, given_mut, guarded};
use crate::text::lent;

/// A header of a record. Its name is UTF-8 of `name_length` bytes, its value bytes or NULL, which is not the same as no bytes.
#[repr(C)]
pub struct dohle_header {
    /// The name.
    pub name: *const c_char,
    /// Its length in bytes.
    pub name_length: usize,
    /// The value, or NULL.
    pub value: *const u8,
    /// Its length in bytes.
    pub value_length: usize,
}

/// A record to be written into an arena.
#[repr(C)]
pub struct dohle_record {
    /// `sizeof(dohle_record)`.
    pub size: u32,
    /// The topic's number, from `dohle_topic`.
    pub topic: u32,
    /// The partition; −1: the partitioner chooses, by the key if there is one.
    pub partition: i32,
    /// Number of headers.
    pub header_count: u32,
    /// Milliseconds since the epoch; −1: now.
    pub timestamp: i64,
    /// The key, or NULL.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_length: usize,
    /// The value, or NULL: a tombstone.
    pub value: *const u8,
    /// Its length in bytes.
    pub value_length: usize,
    /// The headers, or NULL when there are none.
    pub headers: *const dohle_header,
}

/// The number of a topic in the arenas of this producer. The topic need not exist yet. Result: 0, and `*topic`.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `name` is text; `topic` leads to a place for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_topic(
    environment: *const dohle_environment,
    producer: u32,
    name: *const c_char,
    topic: *mut u32,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (environment, name, out) =
            unsafe { (given(environment, "environment")?, lent(name, "name")?, given_mut(topic, "topic")?) };
        *out = environment.inner.producer(producer)?.topic(name)?;
        Ok(0)
    })
}

/// Writes a record into an arena of `capacity` bytes, from byte `*position` (0 at first), and moves `*position` behind it. Nothing is written when it does not
/// fit. Result: 1 written, 0 there is no room: append what the arena holds, and begin anew; a record that does not fit into an empty arena needs
/// a larger one (its key, value and headers, 12 bytes per header, and 40).
///
/// # Safety
///
/// `arena` leads to `capacity` bytes that nobody else uses during the call; `record` to a record whose pointers lead to as many bytes, headers
/// included, as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_arena_write(
    arena: *mut u8,
    capacity: usize,
    position: *mut usize,
    record: *const dohle_record,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (record, position) = unsafe { (given(record, "record")?, given_mut(position, "position")?) };
        if (record.size as usize) < size_of::<dohle_record>() {
            return Err(Failure::argument("record", "its size is not that of dohle_record"));
        }
        if arena.is_null() {
            return Err(Failure::argument("arena", "is NULL"));
        }
        if record.partition < -1 {
            return Err(Failure::argument("partition", &format!("{} is below -1", record.partition)));
        }
        // SAFETY: this function's contract.
        let arena = unsafe { std::slice::from_raw_parts_mut(arena, capacity) };
        // SAFETY: this function's contract.
        let (key, value) = unsafe { (bytes(record.key, record.key_length), bytes(record.value, record.value_length)) };
        // SAFETY: this function's contract.
        let headers = unsafe { packed(record) }?;
        let record = ArenaRecord {
            topic: record.topic,
            partition: (record.partition >= 0).then_some(record.partition),
            timestamp: record.timestamp,
            key,
            value,
            headers: &headers,
        };
        match arena.get_mut(*position..).and_then(|free| arena::write(&record, free)) {
            Some(written) => *position += written,
            None => return Ok(0),
        }
        Ok(1)
    })
}

/// The headers of a record as an arena has them. Without headers nothing is allocated.
///
/// # Safety
///
/// As for [`dohle_arena_write`].
unsafe fn packed(record: &dohle_record) -> Result<Vec<u8>, Failure> {
    let count = record.header_count as usize;
    if count == 0 {
        return Ok(Vec::new());
    }
    if record.headers.is_null() {
        return Err(Failure::argument("headers", "is NULL"));
    }
    // SAFETY: not null, and the caller's promise.
    let headers = unsafe { std::slice::from_raw_parts(record.headers, count) };
    let mut pairs = Vec::with_capacity(count);
    for header in headers {
        // SAFETY: the caller's promise.
        let (name, value) =
            unsafe { (bytes(header.name.cast(), header.name_length), bytes(header.value, header.value_length)) };
        let name = std::str::from_utf8(name.unwrap_or_default());
        pairs.push((name.map_err(|_| Failure::argument("headers", "a name is not UTF-8"))?, value));
    }
    Ok(arena::pack_headers(&pairs))
}

/// What became of the records of an arena.
#[repr(C)]
pub struct dohle_appended {
    /// `sizeof(dohle_appended)`, set by the caller.
    pub size: u32,
    /// Number of records answered. Less than the arena holds: the producer's memory is full, or there was no room for answers.
    pub count: u32,
    /// Where the first record that was not taken begins.
    pub position: u64,
    /// Number of records that were refused, each with its answer; `error` tells why the first of them was.
    pub refused: u32,
    /// 1: memory is full. An entry of kind space tells when the rest can be appended.
    pub full: u32,
}

/// Gives a producer the records of an arena from byte `start` to byte `end`, and never waits. For each record that it takes it answers two numbers
/// in `answers`: the group and the record's index in it, to which entries of kind delivery refer. The group 0xFFFFFFFF means that the record
/// was refused: it is not sent. Result: 0, and `*appended`; when it says that records were refused, `*error` is set all the same, and is the first one's.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `arena` leads to `end` bytes that nobody writes during the call; `answers` to `2 * capacity` numbers and
/// `appended` to a `dohle_appended` that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_append(
    environment: *const dohle_environment,
    producer: u32,
    arena: *const u8,
    start: usize,
    end: usize,
    answers: *mut u32,
    capacity: usize,
    appended: *mut dohle_appended,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let (environment, out) = unsafe { (given(environment, "environment")?, given_mut(appended, "appended")?) };
        if (out.size as usize) < size_of::<dohle_appended>() {
            return Err(Failure::argument("appended", "its size is not that of dohle_appended"));
        }
        // SAFETY: this function's contract.
        let arena = unsafe { bytes(arena, end) }.ok_or_else(|| Failure::argument("arena", "is NULL"))?;
        if answers.is_null() || start > end {
            return Err(Failure::argument("answers", "is NULL, or the arena ends before it begins"));
        }
        // SAFETY: not null, and this function's contract.
        let answers = unsafe { std::slice::from_raw_parts_mut(answers, 2 * capacity) };
        let producer = environment.inner.producer(producer)?;
        let done = producer.append(arena, start, answers)?;
        let size = out.size;
        *out = dohle_appended {
            size,
            count: done.count as u32,
            position: done.position as u64,
            refused: done.errors.len() as u32,
            full: u32::from(done.count < capacity && done.position < end),
        };
        if !(done.errors.is_empty() || error.is_null()) {
            // SAFETY: not null, and this function's contract.
            unsafe { error.write(dohle_error::several(done.errors)) };
        }
        Ok(0)
    })
}
