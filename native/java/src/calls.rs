//! Handles and cold operations: everything that is not hot, as JSON.

use dohle_bridge::consumer::Drive;
use dohle_bridge::failure::Failure;
use jni::EnvUnowned;
use jni::objects::{JClass, JString};
use jni::sys::jint;

use crate::environment::environment;
use crate::guard::{guarded, text};

/// `String version()`: the version that the library was built as.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_version<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
) -> JString<'local> {
    guarded(env, |env| Ok(env.new_string(env!("CARGO_PKG_VERSION"))?))
}

/// `int open(String kind, int parent, String options)`: a client, or a producer or consumer of one.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_open<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    kind: JString<'local>,
    parent: jint,
    options: JString<'local>,
) -> jint {
    guarded(env, |env| {
        let (kind, parent, options) = (text(env, &kind)?, parent as u32, text(env, &options)?);
        let handle = match kind.as_str() {
            "client" => environment().open_client(&options),
            "producer" => environment().open_producer(parent, &options),
            "consumer" => environment().open_consumer(parent, &options, Drive::Listen),
            _ => Err(Failure::argument("kind", "is none of client, producer and consumer")),
        };
        Ok(handle? as jint)
    })
}

/// `String invoke(int handle, String operation, String request)`: an operation that never waits.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_invoke<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    handle: jint,
    operation: JString<'local>,
    request: JString<'local>,
) -> JString<'local> {
    guarded(env, |env| {
        let (operation, request) = (text(env, &operation)?, text(env, &request)?);
        let response = environment().invoke(handle as u32, &operation, &request)?;
        Ok(env.new_string(response)?)
    })
}

/// `void call(int id, int handle, String operation, String request)`: an operation whose completion comes to the pump.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_call<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    id: jint,
    handle: jint,
    operation: JString<'local>,
    request: JString<'local>,
) {
    guarded(env, |env| {
        let (operation, request) = (text(env, &operation)?, text(env, &request)?);
        environment().call(id as u32, handle as u32, &operation, &request, None);
        Ok(())
    });
}

/// `void cancel(int id)`: stops a call; its completion does not come.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_cancel<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    id: jint,
) {
    guarded(env, |_| {
        environment().cancel(id as u32);
        Ok(())
    });
}
