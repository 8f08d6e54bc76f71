//! One seed, one run: sets the stage, lets the simulated time pass, and has what happened judged.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{BrokerOptions, BrokerWorld};

use crate::checker::{self, Kind, Violation};
use crate::conductor::{self, CONDUCTOR};
use crate::faults::LATENCY;
use crate::history::{Copies, Event, Evidence, Log, What};
use crate::plan::{Commits, LENGTH, MEMBERS, NODES, Plan, TELLER, VERIFIER, WRITERS};
use crate::stage::{Command, METADATA, PORT, Stage, host_of};
use crate::summary::Summary;
use crate::workload::{members, teller, verifier, writers};
use crate::world::{Lost, Trace, alive};

const TICK: Duration = Duration::from_millis(5);
/// After this a run is given up.
const LIMIT: Duration = Duration::from_secs(600);

/// Of the brokers: who is silent is missed soon.
const PROPERTIES: [(&str, &str); 2] = [("broker.heartbeat.interval.ms", "300"), ("broker.session.timeout.ms", "1500")];

/// The log folder, on every disk, and the option that says when what is written there is made safe.
const LOG_DIR: &str = "/logs";
const FLUSH: &str = "log.flush.interval.messages";

/// What a run must have had at the least, or it has tested nothing.
pub const ACKNOWLEDGED: u64 = 500;
const FAULTS: u64 = 3;

/// What came of one seed.
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What is wrong; nothing, in a good run.
    pub violations: Vec<Violation>,
    /// What there was.
    pub summary: Summary,
    pub(crate) evidence: Evidence,
    /// A number that two runs share only when all that happened in them was the same.
    pub digest: u64,
    /// With a full trace: all that went over the network.
    pub trace: Vec<String>,
}

impl Report {
    /// What happened, a line for each event.
    pub fn history(&self) -> impl Iterator<Item = String> {
        self.evidence.history.iter().map(|event| format!("{:>10.3} {:?}", event.at.as_secs_f64(), event.what))
    }
}

/// Runs one seed. `full_trace`: keeps a line for everything that goes over the network.
pub fn run(seed: u64, full_trace: bool) -> Report {
    run_plan(seed, Plan::of(seed), full_trace)
}

/// Runs a seed that has another plan.
pub(crate) fn run_plan(seed: u64, plan: Plan, full_trace: bool) -> Report {
    let trace = Trace::new(full_trace);
    let mut options = BrokerOptions::default();
    options.host = "0.0.0.0".to_owned();
    options.port = PORT as u16;
    options.nodes = NODES.len() as i32;
    options.allow_non_loopback = true;
    options.group_consumer_heartbeat_interval_ms = 500;
    options.group_consumer_session_timeout_ms = 6_000;
    options.fault_seed = seed;
    for (name, value) in PROPERTIES {
        options.set(name, value).expect("a property of brokers");
    }
    if plan.on_disks {
        options.log_dir = Some(LOG_DIR.into());
        options.set(FLUSH, &plan.flush_messages.to_string()).expect("a property of brokers");
    }
    let stage = Stage::new(seed, plan.clone(), options, trace.clone());
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| simulate(&stage)));
    let mut history = stage.recorder.take();
    let at = history.last().map_or(Duration::ZERO, |event| event.at);
    let (log, copies) = ended.unwrap_or_else(|panic| Err(alive::text(&*panic))).unwrap_or_else(|what| {
        history.push(Event { at, what: What::Stuck { what } });
        Default::default()
    });
    for (host, text) in stage.panics() {
        history.push(Event { at, what: What::Panicked { host, text } });
    }
    let evidence = Evidence {
        history,
        log,
        copies,
        on_disks: plan.on_disks,
        delivery_timeout: plan.delivery_timeout,
        group_committed_only: plan.committed_only,
        exactly_once: plan.commits == Commits::InTransactions,
    };
    let summary = Summary::of(&evidence);
    let mut violations = checker::check(&evidence);
    violations.extend(vacuous(&summary));
    Report { seed, violations, summary, digest: trace.digest() ^ digest(&evidence), evidence, trace: trace.take() }
}

fn simulate(stage: &Arc<Stage>) -> Result<(Log, Copies), String> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(stage.seed)
        .tick_duration(TICK)
        .simulation_duration(LIMIT)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(LATENCY)
        .tcp_capacity(4096)
        .build();
    for node in NODES {
        let stage = stage.clone();
        sim.host(host_of(node), move || {
            let stage = stage.clone();
            async move {
                let _last = Burial(stage.clone(), host_of(node));
                let world: Arc<dyn BrokerWorld> = stage.world(host_of(node));
                stage.cluster().start_node(world, node).await?;
                std::future::pending().await
            }
        });
    }
    host(&mut sim, stage, WRITERS, writers::run);
    host(&mut sim, stage, TELLER, teller::run);
    for member in MEMBERS {
        host(&mut sim, stage, member, move |stage| members::run(stage, member));
    }
    host(&mut sim, stage, VERIFIER, verifier::run);
    let (found, conducting) = (Rc::new(RefCell::new(None)), stage.clone());
    let result = found.clone();
    sim.client(CONDUCTOR, async move {
        *result.borrow_mut() = Some(conductor::run(conducting).await);
        Ok(())
    });
    while !sim.step().map_err(|error| error.to_string())? {
        for command in stage.take_commands() {
            match command {
                Command::Crash(host) => {
                    stage.recorder.add(sim.elapsed(), What::Killed { host });
                    stage.world_of(host).iter().for_each(|world| world.crash());
                    if host != METADATA {
                        sim.crash(host);
                    }
                    if let Some(Lost { bytes, names }) = stage.crash_disk(host) {
                        stage.recorder.add(sim.elapsed(), What::Forgotten { host, bytes, names });
                    }
                }
                Command::Start(host) => sim.bounce(host),
                Command::Latency(a, b, longest) => sim.set_link_max_message_latency(a, b, longest),
            }
        }
    }
    found.take().ok_or_else(|| "the conductor ended without a result".to_owned())
}

/// A program, on a host of its own, that may be killed.
fn host<F: Future<Output = ()> + 'static>(
    sim: &mut turmoil::Sim<'static>,
    stage: &Arc<Stage>,
    name: &'static str,
    program: impl Fn(Arc<Stage>) -> F + Copy + 'static,
) {
    let stage = stage.clone();
    sim.host(name, move || {
        let stage = stage.clone();
        async move {
            let _last = Burial(stage.clone(), name);
            program(stage.clone()).await;
            stage.done(name);
            Ok(())
        }
    });
}

/// Is dropped last of all that a host has, in its name.
struct Burial(Arc<Stage>, &'static str);

impl Drop for Burial {
    fn drop(&mut self) {
        self.0.world_of(self.1).iter().for_each(|world| world.bury());
    }
}

/// A run in which next to nothing happened proves nothing.
fn vacuous(summary: &Summary) -> Option<Violation> {
    let Summary { virtual_time, acknowledged, compared, .. } = summary;
    let faults: u64 = summary.faults.values().sum();
    let enough = *virtual_time >= LENGTH && *acknowledged >= ACKNOWLEDGED && faults >= FAULTS && *compared > 0;
    (!enough).then(|| Violation {
        kind: Kind::Vacuous,
        detail: format!(
            "{virtual_time:?} of virtual time, {acknowledged} records acknowledged, {faults} faults, {compared} batches compared"
        ),
    })
}

fn digest(evidence: &Evidence) -> u64 {
    let lines = evidence.history.iter().map(|event| format!("{event:?}"));
    lines.fold(0, |digest, line| crate::world::hash(digest, line.as_bytes()))
}
