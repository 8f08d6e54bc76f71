//! What the scenarios share: a simulated network, a broker in it, and the ways in which it is cut.

use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions, Faults};
use dohle_client::World;
use dohle_client::generated::options::ClientOptions;
use dohle_simulation::world::{SimWorld, Trace};

const PORT: u16 = 9092;

/// A network with latencies of 1 to 30 ms and ticks of 5 ms.
pub fn simulation(seed: u64) -> turmoil::Sim<'static> {
    simulation_of(seed, Duration::from_secs(600), Duration::from_millis(30))
}

/// As [`simulation`], with a length and a largest latency of its own.
pub fn simulation_of(seed: u64, length: Duration, latency: Duration) -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(length)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(latency)
        .tcp_capacity(4096)
        .build()
}

/// Runs until all hosts that have an end are at it. With `SIM_TRACE` set, what happened is printed, also on failure.
pub fn run_to_the_end(mut sim: turmoil::Sim<'static>, trace: Trace) -> Vec<String> {
    let outcome = sim.run();
    let steps = trace.take();
    if std::env::var_os("SIM_TRACE").is_some() {
        steps.iter().for_each(|step| eprintln!("{step}"));
    }
    outcome.expect("the simulation ends");
    steps
}

/// The host `broker`.
pub fn host_broker(sim: &mut turmoil::Sim<'static>, seed: u64, partitions: i32, trace: &Trace) {
    host_faulty_broker(sim, seed, partitions, trace, |_| {});
}

/// The host `broker`; `arm` is given its faults when it starts.
pub fn host_faulty_broker(
    sim: &mut turmoil::Sim<'static>,
    seed: u64,
    partitions: i32,
    trace: &Trace,
    arm: impl Fn(&Faults) + Clone + 'static,
) {
    let trace = trace.clone();
    sim.host("broker", move || {
        let world = Arc::new(SimWorld::new("broker", seed, trace.clone()));
        let arm = arm.clone();
        async move {
            let mut options = BrokerOptions::default();
            options.host = "0.0.0.0".to_owned();
            options.port = PORT;
            options.allow_non_loopback = true;
            options.partitions = partitions;
            let broker = Broker::start(world, options).await?;
            arm(broker.faults());
            std::future::pending().await
        }
    });
}

/// A client of that broker whose time limits fit the length of the cuts.
pub fn client_options() -> ClientOptions {
    ClientOptions {
        bootstrap_servers: vec![format!("broker:{PORT}")],
        request_timeout: Duration::from_millis(800),
        socket_connection_setup_timeout: Duration::from_millis(300),
        socket_connection_setup_timeout_max: Duration::from_millis(600),
        ..ClientOptions::default()
    }
}

/// A way to disturb the network between two hosts.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// What is sent is lost, both ways, and the connections break in the end.
    Broken,
    /// What the broker answers is lost, and the connections break in the end: requests are done, and nobody learns of it.
    AnswersLost,
    /// What is sent arrives later.
    Held,
    /// What is sent is lost, and connections stay open, with nobody at the other end: only time limits help.
    Silent,
}

impl Cut {
    pub const ALL: [Cut; 4] = [Cut::Broken, Cut::AnswersLost, Cut::Held, Cut::Silent];

    fn begin(self, host: &str) {
        match self {
            Cut::Broken | Cut::Silent => turmoil::partition(host, "broker"),
            Cut::AnswersLost => turmoil::partition_oneway("broker", host),
            Cut::Held => turmoil::hold(host, "broker"),
        }
    }

    fn end(self, host: &str, world: &SimWorld) {
        match self {
            Cut::Broken | Cut::Silent => turmoil::repair(host, "broker"),
            Cut::AnswersLost => turmoil::repair_oneway("broker", host),
            Cut::Held => turmoil::release(host, "broker"),
        }
        if matches!(self, Cut::Broken | Cut::AnswersLost) {
            world.break_connections();
        }
    }
}

/// Five cuts between `host` and the broker, for a moment or for longer than a request may take.
pub async fn cut_the_network(world: Arc<SimWorld>, trace: Trace, host: &'static str, kinds: &[Cut]) {
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100 + world.random_u64() % 700)).await;
        let cut = kinds[(world.random_u64() % kinds.len() as u64) as usize];
        let pause = Duration::from_millis(10 + world.random_u64() % 1500);
        trace.note(format!("network of {host}: {cut:?} for {pause:?}"));
        cut.begin(host);
        tokio::time::sleep(pause).await;
        cut.end(host, &world);
    }
}
