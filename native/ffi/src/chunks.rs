//! Records on their way in: chunks, handed over with their memory, and the words that tell how far one is with them.

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_bridge::consumer::{Chunk, ChunkControl, Polled, split_first_header};
use dohle_bridge::failure::Failure;

use crate::environment::{dohle_environment, timeout};
use crate::error::{dohle_error, given, given_mut, guarded};
use crate::text::handed_over;

/// How far the program is with the records of one chunk. It outlives the chunk's memory; free it with `dohle_progress_free`.
pub struct dohle_progress {
    control: Arc<ChunkControl>,
}

/// Records of one partition, decompressed and indexed. What its pointers lead to is the library's, to be read only, until `dohle_chunk_free`.
#[repr(C)]
pub struct dohle_chunk {
    /// `sizeof(dohle_chunk)`, set by the caller.
    pub size: u32,
    /// The partition's number.
    pub partition: i32,
    /// What the offset deltas in `index` are relative to.
    pub base_offset: i64,
    /// The partition's high watermark when the records were fetched.
    pub high_watermark: i64,
    /// Leader epoch of the records; −1: unknown.
    pub leader_epoch: i32,
    /// Grows with every change of the partition's assignment and place.
    pub epoch: u32,
    /// Number of records, at least 1.
    pub count: u32,
    /// Length of the topic's name in bytes.
    pub topic_length: u32,
    /// The topic's name, UTF-8. It does not end with a NUL.
    pub topic: *const c_char,
    /// What the index points into.
    pub bytes: *const u8,
    /// Number of bytes.
    pub bytes_length: usize,
    /// Ten numbers per record: offset delta (to `base_offset`), timestamp low, timestamp high (one 64-bit number of milliseconds since
    /// the epoch), key start, key length (−1: null), value start, value length (−1: null), headers start, headers length, header count.
    /// Starts are positions in `bytes`. `dohle_record_at` reads one.
    pub index: *const i32,
    /// Number of numbers in `index`: `10 * count`.
    pub index_length: usize,
    /// How far the program is with it. Handed over: free it with `dohle_progress_free` once nothing more is to be told.
    /// Of chunks that `partition.fetch` gave nobody asks it.
    pub progress: *mut dohle_progress,
    /// What keeps the memory. Not to be used.
    pub memory: *mut dohle_memory,
}

/// Keeps the memory of a chunk.
pub struct dohle_memory {
    _chunk: Chunk,
}

/// Fills the struct of a caller.
///
/// # Safety
///
/// `out` is NULL or leads to a `dohle_chunk` that nobody else uses.
pub(crate) unsafe fn hand_over(chunk: Chunk, out: *mut dohle_chunk) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let out = unsafe { checked(out) }?;
    let progress = Box::into_raw(Box::new(dohle_progress { control: chunk.control.clone() }));
    let (topic, bytes, index) = (chunk.topic.clone(), chunk.bytes.clone(), chunk.index.clone());
    // The three are kept by `memory` too, at the same addresses: they are shared, not copied.
    *out = dohle_chunk {
        size: out.size,
        partition: chunk.partition,
        base_offset: chunk.base_offset,
        high_watermark: chunk.high_watermark,
        leader_epoch: chunk.leader_epoch,
        epoch: chunk.epoch(),
        count: chunk.count,
        topic_length: topic.len() as u32,
        topic: topic.as_ptr().cast(),
        bytes: bytes.as_ptr(),
        bytes_length: bytes.len(),
        index: index.as_ptr(),
        index_length: index.len(),
        progress,
        memory: Box::into_raw(Box::new(dohle_memory { _chunk: chunk })),
    };
    Ok(())
}

/// The caller's struct, if it is as large as this library's.
///
/// # Safety
///
/// As [`hand_over`].
pub(crate) unsafe fn checked<'a>(out: *mut dohle_chunk) -> Result<&'a mut dohle_chunk, Failure> {
    // SAFETY: the caller's promise.
    let out = unsafe { given_mut(out, "chunk") }?;
    match out.size as usize >= size_of::<dohle_chunk>() {
        true => Ok(out),
        false => Err(Failure::argument("chunk", "its size is not that of dohle_chunk")),
    }
}

/// Takes the next chunk of a consumer, and never waits. This is its poll: a consumer that does not ask for `max.poll.interval.ms` leaves its group.
/// Result: 1 and `*chunk`, to be freed with `dohle_chunk_free`, and its `progress` with `dohle_progress_free`; 0: there is nothing now, an entry of kind
/// chunks tells when there is. Failures of the consumer come out here.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `chunk` leads to a `dohle_chunk` whose `size` is set and that nobody else uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_next_chunk(
    environment: *const dohle_environment,
    consumer: u32,
    chunk: *mut dohle_chunk,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        // SAFETY: this function's contract. Looked at first: a chunk that cannot be handed over must not be taken.
        unsafe { checked(chunk) }?;
        match environment.inner.consumer(consumer)?.next_chunk()? {
            // SAFETY: this function's contract.
            Some(next) => unsafe { hand_over(next, chunk) }.map(|()| 1),
            None => Ok(0),
        }
    })
}

/// As `dohle_next_chunk`, but waits for a chunk, on the caller's thread, for at most `timeout_ms` milliseconds; below 0: for ever. For polling and
/// listening consumers. Result: 1 and `*chunk`; 0: nothing came in time; 2: `dohle_wake` ended it; 3 (of a listening consumer) and `*question`, text
/// that is handed over (`dohle_text_free`): `{id, name, deadlineMs, request}`, to be answered with the operation `environment.answer`.
///
/// # Safety
///
/// As `dohle_next_chunk`; `question` leads to a place for a pointer, and may be NULL for a consumer that is not a listening one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_poll(
    environment: *const dohle_environment,
    consumer: u32,
    timeout_ms: i64,
    chunk: *mut dohle_chunk,
    question: *mut *mut c_char,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        // SAFETY: as in `dohle_next_chunk`.
        unsafe { checked(chunk) }?;
        match environment.inner.consumer(consumer)?.poll(timeout(timeout_ms))? {
            // SAFETY: this function's contract.
            Polled::Chunk(next) => unsafe { hand_over(next, chunk) }.map(|()| 1),
            Polled::Nothing => Ok(0),
            Polled::Woken => Ok(2),
            // SAFETY: this function's contract.
            Polled::Question(text) => unsafe { ask(&text, question) },
        }
    })
}

/// Waits for a question only, as a program does that closes a listening consumer: `dohle_start` of `consumer.close`, then this until it fails
/// with `CLOSED`, then `dohle_operation_wait`. Result: 3 and `*question`; 0: nothing came in time; 2: `dohle_wake` ended it, or the end of the consumer.
///
/// # Safety
///
/// `environment` as in `dohle_wait`; `question` leads to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_question(
    environment: *const dohle_environment,
    consumer: u32,
    timeout_ms: i64,
    question: *mut *mut c_char,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        let environment = unsafe { given(environment, "environment") }?;
        match environment.inner.consumer(consumer)?.question(timeout(timeout_ms))? {
            Polled::Woken => Ok(2),
            // SAFETY: this function's contract.
            Polled::Question(text) => unsafe { ask(&text, question) },
            Polled::Nothing | Polled::Chunk(_) => Ok(0),
        }
    })
}

/// Hands a question over.
///
/// # Safety
///
/// `out` is NULL or leads to a place for a pointer.
unsafe fn ask(text: &str, out: *mut *mut c_char) -> Result<i32, Failure> {
    // SAFETY: the caller's promise.
    *unsafe { given_mut(out, "question") }? = handed_over(text);
    Ok(3)
}

/// Ends the `dohle_poll` or `dohle_question` of a consumer that is waiting, or else the next one, with 2. Result: 0.
///
/// # Safety
///
/// `environment` as in `dohle_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_wake(
    environment: *const dohle_environment,
    consumer: u32,
    error: *mut *mut dohle_error,
) -> i32 {
    guarded(error, || {
        // SAFETY: this function's contract.
        unsafe { given(environment, "environment") }?.inner.consumer(consumer)?.wake();
        Ok(0)
    })
}

/// Frees the memory of a chunk, not its progress, and sets the pointers to it to NULL; once more: nothing happens. NULL: nothing happens.
///
/// # Safety
///
/// `chunk` is NULL or leads to a `dohle_chunk` that this library filled and whose memory nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_chunk_free(chunk: *mut dohle_chunk) {
    // SAFETY: this function's contract.
    let Some(chunk) = (unsafe { chunk.as_mut() }) else { return };
    let memory = std::mem::replace(&mut chunk.memory, std::ptr::null_mut());
    (chunk.topic, chunk.bytes, chunk.index) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
    (chunk.bytes_length, chunk.index_length) = (0, 0);
    if !memory.is_null() {
        // SAFETY: it was made by `Box::into_raw`, and is taken out of the struct, so that it is freed once.
        drop(unsafe { Box::from_raw(memory) });
    }
}

/// Tells how far the program is with a chunk: `finished` records from its start are done (what a commit covers), `stepped` were begun. Neither goes back.
/// Result: 0; 1: nothing more of the chunk is to be used, after a seek, a pause, or when the partition was taken away.
///
/// To be called before each record is begun, or once per chunk; with `finished` = `count` before the next chunk is asked for.
///
/// # Safety
///
/// `progress` is NULL (result: 1) or a progress that is not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_progress_set(progress: *const dohle_progress, finished: u32, stepped: u32) -> i32 {
    // SAFETY: this function's contract.
    let Some(progress) = (unsafe { progress.as_ref() }) else { return 1 };
    progress.control.finished.fetch_max(finished, Ordering::AcqRel);
    progress.control.stepped.fetch_max(stepped, Ordering::AcqRel);
    i32::from(progress.control.revoked.load(Ordering::Acquire) != 0)
}

/// Three 32-bit words that a program may use instead of `dohle_progress_set`, without a call: finished, stepped (both written by the program, with
/// plain aligned stores), revoked (read by it; not 0: nothing more is to be used). They live as long as the progress.
///
/// # Safety
///
/// `progress` is NULL (then the result is too) or a progress that is not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_progress_words(progress: *const dohle_progress) -> *mut u32 {
    // SAFETY: this function's contract.
    match unsafe { progress.as_ref() } {
        // Three atomic u32 in C's layout.
        Some(progress) => Arc::as_ptr(&progress.control).cast::<u32>().cast_mut(),
        None => std::ptr::null_mut(),
    }
}

/// Frees a progress: what it told last counts. NULL: nothing happens.
///
/// # Safety
///
/// `progress` is NULL, or a progress that is not freed yet and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_progress_free(progress: *mut dohle_progress) {
    if !progress.is_null() {
        // SAFETY: this function's contract; it was made by `Box::into_raw`.
        drop(unsafe { Box::from_raw(progress) });
    }
}

/// A record of a chunk. Its pointers lead into the chunk.
#[repr(C)]
pub struct dohle_message {
    /// `sizeof(dohle_message)`, set by the caller.
    pub size: u32,
    /// Number of headers, to be read with `dohle_next_header`.
    pub header_count: u32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since the epoch; −1: none.
    pub timestamp: i64,
    /// The key, or NULL.
    pub key: *const u8,
    /// Its length in bytes.
    pub key_length: usize,
    /// The value, or NULL.
    pub value: *const u8,
    /// Its length in bytes.
    pub value_length: usize,
    /// The headers as they were sent: for `dohle_next_header`.
    pub headers: *const u8,
    /// Their length in bytes.
    pub headers_length: usize,
}

/// Reads a record of a chunk by its place, from 0. Result: 1 and `*message`; 0: the chunk has no such record.
///
/// # Safety
///
/// `chunk` leads to a chunk whose memory is not freed; `message` to a `dohle_message` whose `size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_record_at(chunk: *const dohle_chunk, place: u32, message: *mut dohle_message) -> i32 {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: this function's contract.
        let (chunk, out) = unsafe { (given(chunk, "chunk")?, given_mut(message, "message")?) };
        if (out.size as usize) < size_of::<dohle_message>() || chunk.index.is_null() {
            return Err(Failure::argument("message", "its size is not that of dohle_message, or the chunk is freed"));
        }
        // SAFETY: this function's contract: the pointers and lengths are those that this library wrote.
        let (index, bytes) = unsafe {
            (
                std::slice::from_raw_parts(chunk.index, chunk.index_length),
                std::slice::from_raw_parts(chunk.bytes, chunk.bytes_length),
            )
        };
        let Some(words) = index.chunks_exact(10).nth(place as usize) else { return Ok(0) };
        let part = |start: i32, length: i32| {
            let (start, length) = (start as usize, usize::try_from(length).ok()?);
            bytes.get(start..start + length).map(|part| (part.as_ptr(), part.len()))
        };
        let none = (std::ptr::null(), 0);
        let (key, value) = (part(words[3], words[4]).unwrap_or(none), part(words[5], words[6]).unwrap_or(none));
        let headers = part(words[7], words[8]).unwrap_or(none);
        *out = dohle_message {
            size: out.size,
            header_count: words[9] as u32,
            offset: chunk.base_offset + i64::from(words[0]),
            timestamp: i64::from(words[2]) << 32 | i64::from(words[1] as u32),
            key: key.0,
            key_length: key.1,
            value: value.0,
            value_length: value.1,
            headers: headers.0,
            headers_length: headers.1,
        };
        Ok(1)
    })
}

/// Reads the next header of a message, and moves `message->headers` and `headers_length` behind it. Result: 1 and the four outputs, which lead
/// into the chunk (the name is UTF-8 without a NUL; a value of NULL is null); 0: there is no more.
///
/// # Safety
///
/// `message` was filled by `dohle_record_at` from a chunk whose memory is not freed; the outputs lead to places for what they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dohle_next_header(
    message: *mut dohle_message,
    name: *mut *const c_char,
    name_length: *mut usize,
    value: *mut *const u8,
    value_length: *mut usize,
) -> i32 {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: this function's contract.
        let message = unsafe { given_mut(message, "message") }?;
        if message.headers.is_null() || message.header_count == 0 {
            return Ok(0);
        }
        // SAFETY: this function's contract.
        let headers = unsafe { std::slice::from_raw_parts(message.headers, message.headers_length) };
        let Some(((header_name, header_value), rest)) = split_first_header(headers) else { return Ok(0) };
        // SAFETY: this function's contract.
        let (name, name_length, value, value_length) = unsafe {
            (
                given_mut(name, "name")?,
                given_mut(name_length, "name_length")?,
                given_mut(value, "value")?,
                given_mut(value_length, "value_length")?,
            )
        };
        (*name, *name_length) = (header_name.as_ptr().cast(), header_name.len());
        (*value, *value_length) = header_value.map_or((std::ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        (message.headers, message.headers_length) = (rest.as_ptr(), rest.len());
        message.header_count -= 1;
        Ok(1)
    })
}
