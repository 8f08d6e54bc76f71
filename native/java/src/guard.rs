//! What every exported function goes through: no panic leaves it, and a failure becomes a Java exception, as data.
//!
//! The exception is `io.dohle.internal.NativeFailure`, whose message is the failure's JSON; Java makes its own classes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dohle_bridge::failure::{Class, Failure};
use jni::objects::JString;
use jni::strings::JNIString;
use jni::{Env, EnvUnowned, Outcome};

/// Why a function ends with an exception.
pub(crate) enum Thrown {
    /// The engine's or the bridge's failure.
    Failure(Failure),
    /// JNI's own: an exception is on its way already, or the JVM has no memory.
    Jni(jni::errors::Error),
}

impl From<Failure> for Thrown {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<jni::errors::Error> for Thrown {
    fn from(error: jni::errors::Error) -> Self {
        Self::Jni(error)
    }
}

/// Runs a function that makes or reads objects of Java.
pub(crate) fn guarded<'local, T: Default>(
    mut env: EnvUnowned<'local>,
    body: impl FnOnce(&mut Env<'local>) -> Result<T, Thrown>,
) -> T {
    let failure = match env.with_env(body).into_outcome() {
        Outcome::Ok(value) => return value,
        Outcome::Err(Thrown::Failure(failure)) => failure,
        Outcome::Err(Thrown::Jni(error)) => Failure::new("UNSUPPORTED", Class::Other, format!("JNI: {error}")),
        Outcome::Panic(payload) => Failure::of_panic(&*payload),
    };
    throw(env, &failure);
    T::default()
}

/// Runs a function that needs nothing of Java: the way of every record, without JNI's book-keeping.
#[inline]
pub(crate) fn hot<T: Default>(env: EnvUnowned<'_>, body: impl FnOnce() -> Result<T, Failure>) -> T {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::of_panic(&*payload),
    };
    throw(env, &failure);
    T::default()
}

/// Throws a failure, unless Java has an exception on its way already.
#[cold]
fn throw(mut env: EnvUnowned<'_>, failure: &Failure) {
    let text = JNIString::from(failure.to_json());
    let thrown = env.with_env(|env| -> jni::errors::Result<()> {
        if env.exception_check() {
            return Ok(());
        }
        env.throw_new(jni::jni_str!("io/dohle/internal/NativeFailure"), text)
    });
    // What is left to do when even that fails: Java gets the default value.
    drop(thrown.into_outcome());
}

/// The text of a Java string.
pub(crate) fn text(env: &Env<'_>, string: &JString<'_>) -> Result<String, Thrown> {
    Ok(string.try_to_string(env)?)
}
