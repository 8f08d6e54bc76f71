//! Runs seeds of the simulation on all cores, says what there was, and for each seed that failed how to run it again.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // around the simulations, not in them

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dohle_simulation::{Report, Summary};

const USAGE: &str = "cargo run -p xtask -- simulate [options]
  --seeds N     how many seeds (default 500)
  --from S      the first of them (default 1)
  --seed S      this one alone
  --trace       print what happened
  --wire        print what went over the network, too
  --twice       run each seed twice, and fail where the runs differ
  --threads T   how many at a time (default: as many as there are cores)
  --help        this
Engine and a broker of three nodes in a simulated network and simulated time: each seed is one run, with its own faults.";

const AGAIN: &str = "cargo run -p xtask -- simulate";

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// A run takes less than a second of a processor. One that has not ended when the whole program has had so much for each of its
/// threads makes no step of virtual time any more, however slow the machine is.
const ENDLESS: Duration = Duration::from_secs(120);

struct Options {
    seeds: std::ops::Range<u64>,
    threads: usize,
    trace: bool,
    wire: bool,
    twice: bool,
}

/// What all threads share.
struct Progress {
    left: VecDeque<u64>,
    total: Summary,
    cpu: Duration,
    failed: Vec<u64>,
    /// What runs now, and how much time all threads had had when it began.
    running: BTreeMap<u64, Duration>,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => simulate(&options),
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("simulate: {wrong}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let (mut from, mut count, mut one) = (1, 500, None);
    let mut options = Options { seeds: 0..0, threads: cores(), trace: false, wire: false, twice: false };
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, String> {
            let value = args.next().ok_or_else(|| format!("{arg}: a number is missing"))?;
            value.parse().map_err(|_| format!("{arg}: {value} is not a whole number"))
        };
        match arg.as_str() {
            "--seeds" => count = number()?,
            "--from" => from = number()?,
            "--seed" => one = Some(number()?),
            "--threads" => options.threads = number()?.clamp(1, 1_000) as usize,
            "--trace" => options.trace = true,
            "--wire" => options.wire = true,
            "--twice" => options.twice = true,
            "--help" => return Ok(None),
            other => return Err(format!("{other} is not known")),
        }
    }
    options.seeds = one.map_or(from..from.saturating_add(count), |seed| seed..seed + 1);
    Ok(Some(options))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn simulate(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let (total, cpu, failed) = (Summary::default(), Duration::ZERO, Vec::new());
    let (left, running) = (options.seeds.clone().collect(), BTreeMap::new());
    let progress = Mutex::new(Progress { left, total, cpu, failed, running });
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads).map(|_| scope.spawn(|| work(options, &progress))).collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                tell(options, &progress.lock().expect("no thread panics with it"));
            }
        }
    });
    let Ok(Progress { total, cpu, mut failed, .. }) = progress.into_inner() else { return ExitCode::FAILURE };
    println!("{total}");
    let each = cpu.as_secs_f64() * 1_000.0 / total.runs.max(1) as f64;
    println!("{} s, {each:.0} ms of CPU per run", begun.elapsed().as_secs());
    failed.sort_unstable();
    match failed.as_slice() {
        [] => ExitCode::SUCCESS,
        failed => {
            println!("{} seeds failed: {failed:?}", failed.len());
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options, progress: &Mutex<Progress>) {
    loop {
        let next = progress.lock().expect("no thread panics with it").left.pop_front();
        let Some(seed) = next else { return };
        progress.lock().expect("no thread panics with it").running.insert(seed, cpu_time_of_all());
        let begun = cpu_time();
        let report = dohle_simulation::run(seed, options.wire);
        let again = options.twice.then(|| dohle_simulation::run(seed, options.wire));
        let differs = again.is_some_and(|again| again.digest != report.digest);
        let spent = cpu_time().saturating_sub(begun);
        let told = told_of(&report, options, differs);
        let mut progress = progress.lock().expect("no thread panics with it");
        print!("{told}");
        progress.running.remove(&seed);
        if differs || !report.violations.is_empty() {
            progress.failed.push(seed);
        }
        progress.total += report.summary;
        progress.cpu += spent;
    }
}

/// Says how far it is, and gives up on what does not end.
fn tell(options: &Options, progress: &Progress) {
    let (done, failed) = (progress.total.runs, progress.failed.len());
    eprintln!("{done} of {} seeds, {failed} failed", options.seeds.end - options.seeds.start);
    let (now, most) = (cpu_time_of_all(), ENDLESS * options.threads as u32);
    if let Some((seed, _)) = progress.running.iter().find(|(_, since)| now.saturating_sub(**since) > most) {
        println!("seed {seed} has no end: a task that never waits");
        println!("again: {AGAIN} --seed {seed}");
        std::process::exit(1);
    }
}

/// What is printed of one seed: nothing, when it is clean and nobody wants to see what happened.
fn told_of(report: &Report, options: &Options, differs: bool) -> String {
    let mut text = String::new();
    if options.trace {
        for line in report.history() {
            let _ = writeln!(text, "{line}");
        }
    }
    for line in &report.trace {
        let _ = writeln!(text, "{line}");
    }
    for violation in &report.violations {
        let _ = writeln!(text, "seed {}: {violation}", report.seed);
    }
    if differs {
        let _ = writeln!(text, "seed {}: two runs of it differ", report.seed);
    }
    if differs || !report.violations.is_empty() {
        let _ = writeln!(text, "again: {AGAIN} --seed {} --trace", report.seed);
    }
    text
}

/// Time that this thread has had of a processor.
#[cfg(unix)]
fn cpu_time() -> Duration {
    clock(rustix::time::ClockId::ThreadCPUTime)
}

/// Time that all threads have had of processors.
#[cfg(unix)]
fn cpu_time_of_all() -> Duration {
    clock(rustix::time::ClockId::ProcessCPUTime)
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(id);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Time that has passed, where nobody tells more.
#[cfg(not(unix))]
fn cpu_time() -> Duration {
    static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed()
}

#[cfg(not(unix))]
fn cpu_time_of_all() -> Duration {
    cpu_time()
}
