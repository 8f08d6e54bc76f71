//! The Node-API edge: converts between JavaScript's values and `dohle-bridge`, decides nothing.
//!
//! One [`Edge`] per Node environment (main thread or worker). Its queue wakes JavaScript by one thread-safe function,
//! which keeps the process alive only while [`Edge::hold`] says so; a clean-up hook closes it before the environment goes.

#![warn(clippy::undocumented_unsafe_blocks)]

mod chunk;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dohle_bridge::consumer::{ChunkControl, Drive};
use dohle_bridge::environment::Environment;
use dohle_bridge::failure::Failure;
use dohle_bridge::queue::Wake;
use napi::bindgen_prelude::{External, Function, Int32ArraySlice};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Error, Result, Status, sys};
use napi_derive::napi;

use chunk::ChunkData;

type WakeFunction = ThreadsafeFunction<(), (), (), Status, false, true>;

struct NodeWake(Arc<WakeFunction>);

impl Wake for NodeWake {
    fn wake(&self) {
        self.0.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// The version of the add-on, which must be that of the package.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What one Node environment has of the engine.
#[napi]
pub struct Edge {
    environment: Arc<Environment>,
    wake: Arc<WakeFunction>,
    texts: RefCell<Vec<String>>,
    errors: RefCell<Vec<String>>,
    copies: Cell<bool>,
}

#[napi]
impl Edge {
    /// `wake` is called when there is something to drain. `copies`: never lend memory to JavaScript, as where that is
    /// not allowed (for tests).
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>, copies: bool) -> Result<Self> {
        let wake = Arc::new(wake.build_threadsafe_function().weak::<true>().build()?);
        let environment = Environment::new(Box::new(NodeWake(wake.clone())));
        // Hooks run in reverse order: this one before that of the thread-safe function, so nothing calls a dead one.
        env.add_env_cleanup_hook(environment.clone(), |environment| environment.close())?;
        Ok(Self { environment, wake, texts: RefCell::default(), errors: RefCell::default(), copies: Cell::new(copies) })
    }

    /// Makes a client, producer or consumer: `kind` is its name, `parent` the client of the latter two.
    #[napi(catch_unwind)]
    pub fn open(&self, kind: String, parent: u32, options: String) -> Result<u32> {
        let handle = match kind.as_str() {
            "client" => self.environment.open_client(&options),
            "producer" => self.environment.open_producer(parent, &options),
            "consumer" => self.environment.open_consumer(parent, &options, Drive::Queue),
            _ => Err(Failure::argument("kind", "is none")),
        };
        handle.map_err(thrown)
    }

    /// Runs an operation that never waits.
    #[napi(catch_unwind)]
    pub fn invoke(&self, handle: u32, operation: String, request: String) -> Result<String> {
        self.environment.invoke(handle, &operation, &request).map_err(thrown)
    }

    /// Starts an operation; its completion comes through the queue.
    #[napi(catch_unwind)]
    pub fn call(&self, id: u32, handle: u32, operation: String, request: String) {
        self.environment.call(id, handle, &operation, &request, None);
    }

    /// As `call`, with the records of an arena up to `end`.
    #[napi(catch_unwind)]
    pub fn call_with(
        &self,
        id: u32,
        handle: u32,
        operation: String,
        request: String,
        arena: &[u8],
        end: u32,
    ) -> Result<()> {
        let Some(arena) = arena.get(..end as usize) else {
            return Err(thrown(Failure::argument("arena", "ends before the place given")));
        };
        self.environment.call(id, handle, &operation, &request, Some(arena));
        Ok(())
    }

    /// The chunks that go with a completion.
    #[napi(catch_unwind)]
    pub fn chunks<'env>(&self, env: &'env Env, id: u32) -> Result<Vec<ChunkData<'env>>> {
        self.environment.take_chunks(id).into_iter().map(|chunk| ChunkData::new(env, chunk, &self.copies)).collect()
    }

    /// Stops an operation; its completion does not come.
    #[napi(catch_unwind)]
    pub fn cancel(&self, id: u32) {
        self.environment.cancel(id);
    }

    /// Writes entries of the queue into `words`; returns how many. Their texts are to be taken with `texts`.
    #[napi(catch_unwind)]
    pub fn drain(&self, mut words: Int32ArraySlice<'_>) -> u32 {
        // SAFETY: JavaScript gives memory of its own that nothing else uses during this call, which runs on its thread.
        let words = unsafe { words.as_mut() };
        self.environment.queue().drain(words, &mut self.texts.borrow_mut()) as u32
    }

    /// The texts of the last `drain`.
    #[napi(catch_unwind)]
    pub fn texts(&self) -> Vec<String> {
        self.texts.take()
    }

    /// The errors of the last `append`.
    #[napi(catch_unwind)]
    pub fn errors(&self) -> Vec<String> {
        self.errors.take()
    }

    /// The number of a topic for arenas of this producer.
    #[napi(catch_unwind)]
    pub fn topic(&self, producer: u32, name: String) -> Result<u32> {
        self.environment.producer(producer).and_then(|producer| producer.topic(&name)).map_err(thrown)
    }

    /// Appends the records of `arena` between two places. `answers[0]` becomes the place of the first record not taken,
    /// `answers[1]` the number of errors; then two words per record. Returns the number of records taken.
    #[napi(catch_unwind)]
    pub fn append(
        &self,
        producer: u32,
        arena: &[u8],
        start: u32,
        end: u32,
        mut answers: Int32ArraySlice<'_>,
    ) -> Result<u32> {
        let producer = self.environment.producer(producer).map_err(thrown)?;
        // SAFETY: the arena and the answers are private to our JavaScript, are two buffers, and are not touched during
        // this call, which runs on their thread. Every bit pattern is an i32 and a u32 of the same size and alignment.
        let answers = unsafe {
            let words = answers.as_mut();
            std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u32>(), words.len())
        };
        let (Some(arena), [position, errors, answers @ ..]) = (arena.get(..end as usize), answers) else {
            return Err(thrown(Failure::argument("append", "the arena ends before the place given")));
        };
        let appended = producer.append(arena, start as usize, answers).map_err(thrown)?;
        *position = appended.position as u32;
        *errors = appended.errors.len() as u32;
        if !appended.errors.is_empty() {
            *self.errors.borrow_mut() = appended.errors.iter().map(Failure::to_json).collect();
        }
        Ok(appended.count as u32)
    }

    /// The next chunk of a consumer, or null: then a `chunks` entry follows.
    #[napi(catch_unwind)]
    pub fn next_chunk<'env>(&self, env: &'env Env, consumer: u32) -> Result<Option<ChunkData<'env>>> {
        let chunk = self.environment.consumer(consumer).and_then(|consumer| consumer.next_chunk()).map_err(thrown)?;
        chunk.map(|chunk| ChunkData::new(env, chunk, &self.copies)).transpose()
    }

    /// The progress words of a chunk whose memory is not shared; true when nothing more of it may be yielded.
    #[napi(catch_unwind)]
    pub fn progress(&self, control: &External<Arc<ChunkControl>>, finished: u32, stepped: u32) -> bool {
        control.finished.store(finished, Ordering::Release);
        control.stepped.store(stepped, Ordering::Release);
        control.revoked.load(Ordering::Acquire) != 0
    }

    /// Keeps the process alive (true) or does not (false).
    #[napi(catch_unwind)]
    pub fn hold(&self, env: &Env, yes: bool) -> Result<()> {
        let status = self.wake.handle.with_read_aborted(|aborted| match (aborted, self.wake.handle.get_raw()) {
            (true, _) => sys::Status::napi_ok,
            // SAFETY: not aborted, and the lock that says so is held; `env` is this call's own environment, in which the
            // function was made.
            (false, function) if yes => unsafe { sys::napi_ref_threadsafe_function(env.raw(), function) },
            // SAFETY: as above.
            (false, function) => unsafe { sys::napi_unref_threadsafe_function(env.raw(), function) },
        });
        match Status::from(status) {
            Status::Ok => Ok(()),
            status => Err(Error::from_status(status)),
        }
    }
}

/// A failure as JavaScript gets it: an error whose message is the failure's JSON, which `ts/internal` reads.
fn thrown(failure: Failure) -> Error {
    Error::from_reason(failure.to_json())
}
