//! The one environment of a JVM, and what its pump thread calls.

use std::sync::{Arc, LazyLock};

use dohle_bridge::environment::Environment;
use dohle_bridge::queue::{ENTRY_WORDS, Wake};
use jni::EnvUnowned;
use jni::objects::{JClass, JIntArray, JObjectArray, JString};
use jni::sys::jint;
use parking_lot::{Condvar, Mutex};

use crate::guard::guarded;

/// What the pump waits for.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Waits until it is rung, and silences it: what comes after this rings again.
    fn wait(&self) {
        let mut rung = self.rung.lock();
        self.changed.wait_while(&mut rung, |rung| !*rung);
        *rung = false;
    }
}

struct Ringer(Arc<Bell>);

impl Wake for Ringer {
    fn wake(&self) {
        self.0.ring();
    }
}

/// Lives as long as the process: a class loader that goes takes nothing with it, and threads of the engine may run until the end.
static ENVIRONMENT: LazyLock<(Arc<Environment>, Arc<Bell>)> = LazyLock::new(|| {
    let bell = Arc::new(Bell::default());
    (Environment::new(Box::new(Ringer(bell.clone()))), bell)
});

/// The environment.
pub(crate) fn environment() -> &'static Arc<Environment> {
    &ENVIRONMENT.0
}

/// `int next(int[] words, String[] texts)`: waits on the caller's thread, the pump, and takes what there is, at most as many
/// entries as there is room for. The words are those of the bridge's queue; the text of entry `i` comes to `texts[i]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_dohle_internal_Native_next<'local>(
    env: EnvUnowned<'local>,
    _class: JClass<'local>,
    words: JIntArray<'local>,
    texts: JObjectArray<'local, JString<'local>>,
) -> jint {
    guarded(env, |env| {
        let capacity = (words.len(env)? / ENTRY_WORDS).min(texts.len(env)?);
        let (environment, bell) = &*ENVIRONMENT;
        let (mut entries, mut said) = (vec![0; capacity * ENTRY_WORDS], Vec::new());
        bell.wait();
        let count = environment.queue().drain(&mut entries, &mut said);
        if count == capacity {
            bell.ring();
        }
        for (place, entry) in entries.chunks_exact(ENTRY_WORDS).take(count).enumerate() {
            if let Some(text) = usize::try_from(entry[7]).ok().and_then(|at| said.get(at)) {
                let text = env.new_string(text)?;
                texts.set_element(env, place, &text)?;
                env.delete_local_ref(text);
            }
        }
        words.set_region(env, 0, &entries[..count * ENTRY_WORDS])?;
        Ok(count as jint)
    })
}
