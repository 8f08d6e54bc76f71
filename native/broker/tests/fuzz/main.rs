//! Every request in every version the broker serves, of random and of meaningful values, sound and damaged.
//!
//! A session is one broker that is asked each of them once, in an order of the seed's; what it answers (ids, epochs, members)
//! is in what it is asked next. `FUZZ_SESSIONS=n` runs as many, `FUZZ_SEED=n` the one of a failure, `FUZZ_API=1` only Fetch.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // what a broker is asked comes from outside of its world

#[path = "../../../client/tests/sim/allocations.rs"]
mod allocations;
mod serve;

use std::env;

use allocations::Watch;
use dohle_protocol::reflect::Sampler;
use serve::{Session, kind};

/// What one request may make the broker and this test hold at a time: the largest are an answer with all configurations and
/// the tables of a decompressor. A length that is believed is gigabytes.
const MOST_HELD: usize = 8 << 20;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn seeds() -> Vec<u64> {
    match number("FUZZ_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("FUZZ_SESSIONS").unwrap_or(12)).collect(),
    }
}

async fn session(seed: u64) -> usize {
    let mut dice = Sampler::new(seed);
    let mut session = Session::start(seed).await;
    let mut requests = session.served().await;
    let wanted = number("FUZZ_API");
    requests.retain(|(api, _)| wanted.is_none_or(|wanted| wanted == *api as u64));
    let count = requests.len();
    while !requests.is_empty() {
        let (api, version) = requests.swap_remove(dice.below(requests.len()));
        let watch = Watch::begin();
        session.roll(kind(api), version, &mut dice).await;
        let held = watch.peak();
        assert!(held < MOST_HELD, "{} version {version} took {held} bytes", kind(api).name);
    }
    session.finish().await;
    count
}

#[test]
fn whatever_is_asked_the_broker_answers_and_lives_on() {
    for seed in seeds() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let ran = std::panic::catch_unwind(|| runtime.block_on(session(seed)));
        match ran {
            Ok(count) => assert!(count > 200 || number("FUZZ_API").is_some(), "{count} requests"),
            Err(panic) => {
                eprintln!("FUZZ_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}
