//! One record out per call.
//!
//! An outbox is a producer and a piece of memory that Java sees as a direct `ByteBuffer`: it writes key, value and headers there,
//! one after the other, and the call has only numbers. So a record costs one crossing and no lock of the garbage collector.
//! A record that is larger than that comes as arrays.

use std::sync::Arc;

use dohle_bridge::arena::ArenaRecord;
use dohle_bridge::failure::Failure;
use dohle_bridge::producer::ProducerResource;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JByteBuffer, JClass, JString};
use jni::sys::{jint, jlong};

use crate::environment::environment;
use crate::guard::{guarded, hot, text};

/// Bytes of an outbox: most records fit.
const CAPACITY: usize = 32 << 10;
/// Answer of `append` when the producer's memory is full; an entry of kind space follows.
const FULL: jlong = -1;

/// See the module.
pub(crate) struct Outbox {
    producer: Arc<ProducerResource>,
    memory: Box<[u8]>,
}

/// The outbox at an address.
///
/// # Safety
///
/// `address` is one that `outbox` gave and `freeOutbox` has not been given, and nobody else uses it meanwhile: Java holds the
/// lock of its `Outbox` for every call with it.
unsafe fn outbox<'a>(address: jlong) -> &'a mut Outbox {
    // SAFETY: this function's contract.
    unsafe { &mut *(address as *mut Outbox) }
}

/// `long outbox(int producer)`: the outbox of a producer, to be freed with `freeOutbox`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_outbox<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    producer: jint,
) -> jlong {
    hot(env, || {
        let producer = environment().producer(producer as u32)?;
        let memory = vec![0; CAPACITY].into_boxed_slice();
        Ok(Box::into_raw(Box::new(Outbox { producer, memory })) as jlong)
    })
}

/// `ByteBuffer memory(long outbox)`: its memory, which must not be used after `freeOutbox`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_memory<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
) -> JByteBuffer<'local> {
    guarded(env, |env| {
        // SAFETY: Java holds the lock, and the address is its outbox's.
        let memory = unsafe { &mut outbox(address).memory };
        // SAFETY: the memory stays where it is until `freeOutbox`, after which Java does not touch it.
        Ok(unsafe { env.new_direct_byte_buffer(memory.as_mut_ptr(), memory.len()) }?)
    })
}

/// `void freeOutbox(long outbox)`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_freeOutbox<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
) {
    hot(env, || {
        // SAFETY: it was made by `Box::into_raw`, and Java gives each address once, under the lock.
        drop(unsafe { Box::from_raw(address as *mut Outbox) });
        Ok(())
    });
}

/// `int topic(long outbox, String name)`: the topic's number in `append`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_topic<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
    name: JString<'local>,
) -> jint {
    guarded(env, |env| {
        let name = text(env, &name)?;
        // SAFETY: Java holds the lock, and the address is its outbox's.
        Ok(unsafe { outbox(address) }.producer.topic(&name)? as jint)
    })
}

/// `long append(long outbox, int topic, int partition, long timestamp, int key, int value, int headers)`: appends the record
/// whose key, value and headers, of these lengths (−1: null), are in the outbox's memory. Group and index, or −1: memory is full.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_append<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
    topic: jint,
    partition: jint,
    timestamp: jlong,
    key: jint,
    value: jint,
    headers: jint,
) -> jlong {
    hot(env, || {
        // SAFETY: Java holds the lock, and the address is its outbox's.
        let Outbox { producer, memory } = unsafe { outbox(address) };
        let mut rest = &memory[..];
        let mut part = |length: jint| -> Result<Option<&[u8]>, Failure> {
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            let (part, behind) =
                rest.split_at_checked(length).ok_or_else(|| Failure::panic("longer than an outbox"))?;
            rest = behind;
            Ok(Some(part))
        };
        let (key, value) = (part(key)?, part(value)?);
        let headers = part(headers)?.unwrap_or_default();
        append(producer, topic, partition, timestamp, key, value, headers)
    })
}

/// `long appendLarge(long outbox, int topic, int partition, long timestamp, byte[] key, byte[] value, byte[] headers)`: as
/// `append`, of a record that the outbox has no room for.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_appendLarge<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    address: jlong,
    topic: jint,
    partition: jint,
    timestamp: jlong,
    key: JByteArray<'local>,
    value: JByteArray<'local>,
    headers: JByteArray<'local>,
) -> jlong {
    guarded(env, |env| {
        let copy = |array: &JByteArray<'local>| match array.is_null() {
            true => Ok(None),
            false => env.convert_byte_array(array).map(Some),
        };
        let (key, value, headers) = (copy(&key)?, copy(&value)?, copy(&headers)?.unwrap_or_default());
        // SAFETY: Java holds the lock, and the address is its outbox's.
        let producer = unsafe { &outbox(address).producer };
        Ok(append(producer, topic, partition, timestamp, key.as_deref(), value.as_deref(), &headers)?)
    })
}

#[inline]
fn append(
    producer: &ProducerResource,
    topic: jint,
    partition: jint,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[u8],
) -> Result<jlong, Failure> {
    let partition = (partition >= 0).then_some(partition);
    let record = ArenaRecord { topic: topic as u32, partition, timestamp, key, value, headers };
    Ok(match producer.append_record(&record)? {
        Some((group, index)) => i64::from(group) << 32 | i64::from(index),
        None => FULL,
    })
}
