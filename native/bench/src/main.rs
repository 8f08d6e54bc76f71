//! `dohle-rust`: the `client` crate alone, as one client of the benchmark (`npm run bench`).
//!
//! One process is one round: it takes the flags that all clients take and prints its result as one line of JSON.
//! The calls are made on the main thread; one more thread does the I/O, as in every language.
#![forbid(unsafe_code)]

mod both;
mod consume;
mod job;
mod produce;
mod watch;

use std::sync::Arc;

use dohle_client::{Client, ClientOptions, TokioWorld};
use job::Job;
use tokio::runtime::Runtime;

fn main() {
    let job = Job::from_flags();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = match job.mode.as_str() {
        "produce" | "enqueue" | "single" => produce::stream(&job, &runtime),
        "sequential" => produce::sequential(&job, &runtime),
        "consume" | "consume-batches" => consume::all(&job, &runtime),
        "end-to-end" => both::end_to_end(&job, &runtime),
        "fan" => both::fan(&job, &runtime),
        other => panic!("no mode {other}"),
    };
    println!("{result}");
}

/// A client with the default options.
fn connect(job: &Job, runtime: &Runtime) -> Client {
    let options = ClientOptions { bootstrap_servers: vec![job.brokers.clone()], ..ClientOptions::default() };
    let world = Arc::new(TokioWorld::new(runtime.handle().clone()));
    Client::new(world, options).expect("a client")
}
