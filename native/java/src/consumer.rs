//! Records on their way in, page by page.
//!
//! A reader takes a consumer's chunks and gives Java their records in pages of at most so many: the bytes of a page are copied
//! once, into a Java array that slices of it keep alive. Progress is told as Kafka's own consumer has it: what a poll has
//! given is passed (`position`) when it is given, and finished (committed) with the next poll, or when Java says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dohle_bridge::consumer::{Chunk, ChunkControl, ConsumerResource, INDEX_WORDS, Polled};
use dohle_bridge::failure::Failure;
use jni::objects::{JClass, JIntArray, JLongArray, JObject, JObjectArray};
use jni::sys::{jint, jlong};
use jni::{Env, EnvUnowned};

use crate::environment::environment;
use crate::guard::{Thrown, guarded, hot};

/// What `poll`, `more` and `question` end with.
const NOTHING: jint = 0;
const PAGE: jint = 1;
const WOKEN: jint = 2;
const QUESTION: jint = 3;

/// A chunk, and how many of its records were given.
struct Current {
    chunk: Chunk,
    given: u32,
}

/// A chunk of which records were given that are not finished yet.
struct InHand {
    control: Arc<ChunkControl>,
    given: u32,
}

/// See the module.
struct Reader {
    consumer: u32,
    current: Option<Current>,
    in_hand: Vec<InHand>,
}

impl Reader {
    fn consumer(&self) -> Result<Arc<ConsumerResource>, Failure> {
        environment().consumer(self.consumer)
    }

    /// Everything that was given is finished.
    fn finish(&mut self) {
        for InHand { control, given } in self.in_hand.drain(..) {
            control.finished.fetch_max(given, Ordering::AcqRel);
        }
    }

    /// What is left of a chunk, unless it must not be given any more: after a seek, a pause, or when the partition was taken away.
    fn rest(&mut self) -> bool {
        let left = |of: &Current| of.given < of.chunk.count && of.chunk.control.revoked.load(Ordering::Acquire) == 0;
        if !self.current.as_ref().is_some_and(left) {
            self.current = None;
        }
        self.current.is_some()
    }

    fn begin(&mut self, chunk: Chunk) {
        self.current = Some(Current { chunk, given: 0 });
    }

    /// Gives Java the next records, at most `most`.
    fn page<'local>(&mut self, env: &mut Env<'local>, most: jint, out: &Out<'local>) -> Result<jint, Thrown> {
        let Some(Current { chunk, given }) = &mut self.current else { return Ok(NOTHING) };
        let count = (chunk.count - *given).min(most.max(1) as u32);
        let from = *given as usize * INDEX_WORDS;
        let index = &chunk.index[from..from + count as usize * INDEX_WORDS];
        let (start, end) = span(index);
        let bytes = env.byte_array_from_slice(&chunk.bytes[start..end])?;
        let words = JIntArray::new(env, index.len())?;
        words.set_region(env, 0, index)?;
        let facts = [
            i64::from(chunk.partition),
            chunk.base_offset,
            i64::from(chunk.leader_epoch),
            chunk.high_watermark,
            start as i64,
        ];
        let numbers = JLongArray::new(env, facts.len())?;
        numbers.set_region(env, 0, &facts)?;
        let topic = env.new_string(&*chunk.topic)?;
        let parts: [JObject<'local>; 4] = [bytes.into(), words.into(), numbers.into(), topic.into()];
        for (place, part) in parts.iter().enumerate() {
            out.set_element(env, place, part)?;
        }
        // Only now, when nothing can fail any more.
        *given += count;
        chunk.control.stepped.fetch_max(*given, Ordering::AcqRel);
        let (control, given) = (&chunk.control, *given);
        match self.in_hand.last_mut().filter(|last| Arc::ptr_eq(&last.control, control)) {
            Some(last) => last.given = given,
            None => self.in_hand.push(InHand { control: control.clone(), given }),
        }
        Ok(PAGE)
    }
}

/// The part of a chunk's bytes that the records of these index words lie in.
fn span(index: &[i32]) -> (usize, usize) {
    let (mut start, mut end) = (usize::MAX, 0);
    for words in index.chunks_exact(INDEX_WORDS) {
        for (at, length) in [(words[3], words[4]), (words[5], words[6]), (words[7], words[8])] {
            if length > 0 {
                start = start.min(at as usize);
                end = end.max(at as usize + length as usize);
            }
        }
    }
    (start.min(end), end)
}

type Out<'local> = JObjectArray<'local, JObject<'local>>;

/// The reader at an address.
///
/// # Safety
///
/// `address` is one that `reader` gave and `freeReader` has not been given, and nobody else uses it meanwhile: Java's consumer
/// lets one thread in at a time.
unsafe fn reader<'a>(address: jlong) -> &'a mut Reader {
    // SAFETY: this function's contract.
    unsafe { &mut *(address as *mut Reader) }
}

/// `long reader(int consumer)`: the reader of a consumer, to be freed with `freeReader`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_reader<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    consumer: jint,
) -> jlong {
    hot(env, || {
        let reader = Reader { consumer: consumer as u32, current: None, in_hand: Vec::new() };
        Ok(Box::into_raw(Box::new(reader)) as jlong)
    })
}

/// `void freeReader(long reader)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_freeReader<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
) {
    hot(env, || {
        // SAFETY: it was made by `Box::into_raw`, and Java gives each address once.
        drop(unsafe { Box::from_raw(address as *mut Reader) });
        Ok(())
    });
}

/// `void finish(long reader)`: what was given so far is done, and a commit covers it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_finish<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
) {
    hot(env, || {
        // SAFETY: one thread at a time, and the address is its consumer's.
        unsafe { reader(address) }.finish();
        Ok(())
    });
}

/// `int poll(long reader, long timeout, int most, Object[] out)`: finishes what was given before, and waits on the caller's
/// thread, for at most `timeout` milliseconds. 1: a page is in `out` (bytes, index, `{partition, base offset, leader epoch, high
/// watermark, where the bytes begin}`, topic); 2: woken; 3: a question, its JSON is in `out`; 0: nothing came.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_poll<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
    timeout: jlong,
    most: jint,
    out: Out<'local>,
) -> jint {
    guarded(env, |env| {
        // SAFETY: one thread at a time, and the address is its consumer's.
        let reader = unsafe { reader(address) };
        let consumer = reader.consumer()?;
        reader.finish();
        // A chunk may last for many polls: the group's questions do not wait for its end.
        let polled = if reader.rest() {
            consumer.question(Some(Duration::ZERO))?
        } else {
            consumer.poll(Some(Duration::from_millis(timeout.max(0) as u64)))?
        };
        match polled {
            Polled::Chunk(chunk) => reader.begin(chunk),
            Polled::Nothing => {}
            Polled::Woken => return Ok(WOKEN),
            Polled::Question(text) => return ask(env, &text, &out),
        }
        reader.page(env, most, &out)
    })
}

/// `int more(long reader, int most, Object[] out)`: more pages of the same poll, of what is here already. 1 or 0.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_more<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
    most: jint,
    out: Out<'local>,
) -> jint {
    guarded(env, |env| {
        // SAFETY: one thread at a time, and the address is its consumer's.
        let reader = unsafe { reader(address) };
        if !reader.rest()
            && let Some(chunk) = reader.consumer()?.next_chunk()?
        {
            reader.begin(chunk);
        }
        reader.page(env, most, &out)
    })
}

/// `int question(int consumer, long timeout, Object[] out)`: waits for a question only, as while the consumer leaves its group.
/// 3, 2 or 0, as `poll`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_question<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    consumer: jint,
    timeout: jlong,
    out: Out<'local>,
) -> jint {
    guarded(env, |env| {
        let timeout = Duration::from_millis(timeout.max(0) as u64);
        match environment().consumer(consumer as u32)?.question(Some(timeout))? {
            Polled::Question(text) => ask(env, &text, &out),
            Polled::Woken => Ok(WOKEN),
            Polled::Nothing | Polled::Chunk(_) => Ok(NOTHING),
        }
    })
}

fn ask<'local>(env: &mut Env<'local>, text: &str, out: &Out<'local>) -> Result<jint, Thrown> {
    let text: JObject<'local> = env.new_string(text)?.into();
    out.set_element(env, 0, &text)?;
    Ok(QUESTION)
}

/// `void wake(int consumer)`: ends its `poll` or `question` that waits, or else the next one. From any thread.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_wake<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    consumer: jint,
) {
    hot(env, || {
        environment().consumer(consumer as u32)?.wake();
        Ok(())
    });
}
