//! A producer whose records get stuck, in each of the places where they can be: `delivery.timeout.ms` bounds them all,
//! whatever else is configured.

use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{Action, Faults, Rule, When};
use dohle_client::Client;
use dohle_client::generated::options::{ClientOptions, ProducerOptions};
use dohle_client::producer::{AppendError, Persistence, Producer};
use dohle_protocol::records::{Headers, RecordRef};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_simulation::world::{SimWorld, Trace};
use tokio::time::{Instant, sleep, timeout};

use super::network::{client_options, host_faulty_broker, run_to_the_end, simulation_of};
use super::produce::{Sink, TOPIC};

const LIMIT: Duration = Duration::from_secs(10);
/// Records that came within a moment expire as one, and a timer may be late.
const EARLY: Duration = Duration::from_millis(250);
const LATE: Duration = Duration::from_millis(100);

/// What keeps the records.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub name: &'static str,
    arm: fn(&Faults),
    /// Where there is no broker at all.
    server: &'static str,
    persistence: Persistence,
}

const fn trap(name: &'static str, persistence: Persistence, arm: fn(&Faults)) -> Trap {
    Trap { name, arm, server: "broker:9092", persistence }
}

fn always(faults: &Faults, api: ApiKey, action: Action) {
    faults.add(Rule::new(action).api(api.0).forever());
}

fn error(code: ErrorCode, when: When) -> Action {
    Action::Error { code: code.0, when }
}

use Persistence::{NotPersisted, PossiblyPersisted};

pub const TRAPS: [Trap; 12] = [
    Trap { server: "nobody:9092", ..trap("nobody listens", NotPersisted, |_| {}) },
    trap("versions are never told", NotPersisted, |f| {
        always(f, ApiKey::API_VERSIONS, Action::Drop { when: When::Before });
    }),
    trap("metadata never come", NotPersisted, |f| always(f, ApiKey::METADATA, Action::Drop { when: When::Before })),
    trap("connections break at metadata", NotPersisted, |f| {
        always(f, ApiKey::METADATA, Action::Close { when: When::Before });
    }),
    trap("no producer id", NotPersisted, |f| {
        always(f, ApiKey::INIT_PRODUCER_ID, error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, When::Before));
    }),
    trap("no answer about the producer id", NotPersisted, |f| {
        always(f, ApiKey::INIT_PRODUCER_ID, Action::Drop { when: When::Before });
    }),
    trap("requests are lost", PossiblyPersisted, |f| always(f, ApiKey::PRODUCE, Action::Drop { when: When::Before })),
    trap("answers are lost", PossiblyPersisted, |f| always(f, ApiKey::PRODUCE, Action::Drop { when: When::After })),
    trap("connections break", PossiblyPersisted, |f| always(f, ApiKey::PRODUCE, Action::Close { when: When::Before })),
    trap("another one leads", PossiblyPersisted, |f| {
        always(f, ApiKey::PRODUCE, error(ErrorCode::NOT_LEADER_OR_FOLLOWER, When::Before));
    }),
    trap("too few replicas", NotPersisted, |f| {
        always(f, ApiKey::PRODUCE, error(ErrorCode::NOT_ENOUGH_REPLICAS, When::Before));
    }),
    // The time in the waiting room counts, too.
    trap("metadata come late, answers never", PossiblyPersisted, |f| {
        f.add(Rule::new(Action::Delay { millis: 4_000, when: When::Before }).api(ApiKey::METADATA.0).count(1));
        always(f, ApiKey::PRODUCE, Action::Drop { when: When::Before });
    }),
];

/// Sends into the trap, at once and a while later, and checks when the records are given up.
pub fn run(trap: Trap) {
    let trace = Trace::default();
    let mut sim = simulation_of(1, Duration::from_secs(120), Duration::from_millis(5));
    host_faulty_broker(&mut sim, 1, 1, &trace, trap.arm);
    sim.host("nobody", || async { std::future::pending().await });
    let tracing = trace.clone();
    sim.client("client", async move {
        let world = Arc::new(SimWorld::new("client", 1, tracing.clone()));
        let options = ClientOptions {
            bootstrap_servers: vec![trap.server.to_owned()],
            request_timeout: Duration::from_secs(30),
            ..client_options()
        };
        let client = Client::new(world, options).unwrap();
        let sink = Arc::new(Sink::new(tracing));
        let options = ProducerOptions { delivery_timeout: LIMIT, ..ProducerOptions::default() };
        assert!(options.max_block > LIMIT);
        let producer = Producer::new(&client, options, sink.clone()).unwrap();
        let begun = Instant::now();
        send(&producer);
        sleep(Duration::from_secs(3)).await;
        send(&producer);
        for (at, sent) in [Duration::ZERO, Duration::from_secs(3)].into_iter().enumerate() {
            let all = async {
                while sink.deliveries().iter().map(|delivery| delivery.count).sum::<u32>() <= at as u32 {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(2 * LIMIT, all).await.unwrap_or_else(|_| panic!("{}: record {at} never settles", trap.name));
            let took = begun.elapsed() - sent;
            assert!(took < LIMIT + LATE, "{}: record {at} after {took:?}", trap.name);
            // The second one may go with the first, in whose batch it is.
            assert!(at > 0 || took > LIMIT - EARLY, "{}: given up after {took:?}", trap.name);
        }
        for delivery in sink.deliveries() {
            let error = delivery.error.expect("nothing gets through");
            let expected = ["DELIVERY_TIMEOUT", "MAX_BLOCK_TIMEOUT", "LEADER_NOT_AVAILABLE"];
            assert!(expected.contains(&error.code().as_ref()), "{}: {error}", trap.name);
            // What was still in the open batch when the time was over has never left.
            let truth = [trap.persistence, NotPersisted];
            assert!(truth.contains(&delivery.persistence), "{}: {:?}", trap.name, delivery.persistence);
        }
        timeout(2 * LIMIT, producer.close(None)).await.expect("closes");
        client.close().await;
        Ok(())
    });
    run_to_the_end(sim, trace);
}

fn send(producer: &Producer) {
    let record = RecordRef { timestamp: -1, key: None, value: Some(b"stuck"), headers: Headers::None };
    let topic = producer.topic(TOPIC).unwrap();
    match producer.append(topic, None, &record) {
        Ok(_) => producer.poke(),
        Err(AppendError::Full) => panic!("so little fills no 32 MiB"),
        Err(AppendError::Invalid(error)) => panic!("{error}"),
    }
}
