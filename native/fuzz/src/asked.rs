//! Requests of a broker in memory, as one input: for each API (a byte), version (a byte), length (two bytes, little endian) and
//! body. `DOHLE_FUZZ_API=1` asks Fetch only, whatever the first byte says: a target for every request there is.
//! The mutator knows the schema; half of the time it leaves the bytes to libFuzzer.

use std::{env, sync::OnceLock};

use dohle_protocol::reflect::Sampler;

use crate::serve::{Kind, Known, Session, damage, kind};

/// More would only make one input slow.
const MOST_REQUESTS: usize = 24;

struct Asked<'a> {
    kind: &'static Kind,
    version: i16,
    body: &'a [u8],
}

/// API and version of all that is fuzzed.
fn served() -> &'static [(i16, i16)] {
    static SERVED: OnceLock<Vec<(i16, i16)>> = OnceLock::new();
    SERVED.get_or_init(|| {
        let mut served = run(async { Session::start(0).await.served().await });
        if let Ok(wanted) = env::var("DOHLE_FUZZ_API") {
            let wanted: i16 = wanted.parse().expect("DOHLE_FUZZ_API is the number of an API");
            served.retain(|(api, _)| *api == wanted);
            assert!(!served.is_empty(), "API {wanted} is not served");
        }
        served
    })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().expect("no I/O is asked for").block_on(future)
}

fn split(mut data: &[u8]) -> Vec<Asked<'_>> {
    let mut all = Vec::new();
    while let Some(([api, version, low, high], rest)) = data.split_first_chunk::<4>() {
        let body = &rest[..rest.len().min(usize::from(u16::from_le_bytes([*low, *high])))];
        let (api, version) = choose(*api, *version);
        all.push(Asked { kind: kind(api), version, body });
        data = &rest[body.len()..];
        if all.len() == MOST_REQUESTS {
            break;
        }
    }
    all
}

/// The API is the one of this number, or some other; the version counts from the oldest that is served.
fn choose(api: u8, version: u8) -> (i16, i16) {
    let served = served();
    let of_api: Vec<_> = served.iter().filter(|(key, _)| *key == i16::from(api)).collect();
    match of_api.is_empty() {
        true => served[(usize::from(api) * 7 + usize::from(version)) % served.len()],
        false => *of_api[usize::from(version) % of_api.len()],
    }
}

fn join(out: &mut Vec<u8>, api: i16, version: i16, body: &[u8]) {
    let body = &body[..body.len().min(usize::from(u16::MAX))];
    let oldest = served().iter().find(|(key, _)| *key == api).map_or(0, |(_, oldest)| *oldest);
    out.extend([api as u8, (version - oldest) as u8]);
    out.extend((body.len() as u16).to_le_bytes());
    out.extend(body);
}

/// Asks all of it of one broker.
pub fn serve(data: &[u8]) {
    run(async {
        let mut session = Session::start(1).await;
        for Asked { kind, version, body } in split(data) {
            // libFuzzer makes bodies that are none; those may be answered by hanging up.
            session.ask(kind, version, body, false).await;
        }
        session.finish().await;
    });
}

/// Another input, near this one; none when libFuzzer's own way is wanted.
pub fn mutated(data: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut dice = Sampler::new(u64::from(seed));
    if dice.below(2) == 0 {
        return None;
    }
    let known = Known::default();
    let asked = split(data);
    let chosen = dice.below(asked.len() + 1);
    let mut out = Vec::new();
    for (at, Asked { kind, version, body }) in asked.iter().enumerate() {
        let mut body = body.to_vec();
        if at == chosen {
            match dice.below(3) {
                0 => body = (kind.change)(&body, &mut dice, &known, *version).map_or(body, |changed| changed.to_vec()),
                1 => body = (kind.make)(&mut dice, &known, *version).to_vec(),
                _ => damage(&mut body, &mut dice),
            }
        }
        join(&mut out, kind.key.0, *version, &body);
    }
    if chosen == asked.len() {
        let (api, version) = served()[dice.below(served().len())];
        join(&mut out, api, version, &(kind(api).make)(&mut dice, &known, version));
    }
    Some(out)
}

/// One input for each request in each version.
pub fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    served().iter().map(|&(api, version)| {
        let mut dice = Sampler::new((api as u64) << 8 | version as u64);
        let mut input = Vec::new();
        for _ in 0..3 {
            join(&mut input, api, version, &(kind(api).make)(&mut dice, &Known::default(), version));
        }
        (format!("{}-{version}", kind(api).name), input)
    })
}
