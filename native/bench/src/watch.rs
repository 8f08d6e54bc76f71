//! The measured window: wall and CPU time of this process, its memory and threads.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Wall and CPU time (user and system) since it was begun.
pub struct Watch {
    wall: Instant,
    cpu: Duration,
}

impl Watch {
    /// From here on.
    pub fn begin() -> Self {
        Watch { wall: Instant::now(), cpu: cpu() }
    }

    /// Starts the wall clock again, not that of the CPU: the first record of a consumer has come.
    pub fn arrived(&mut self) {
        self.wall = Instant::now();
    }

    /// The result as JSON. `written`: records in the topic by this process; `latencies`: of single ones.
    pub fn end(self, records: u64, written: u64, latencies: Option<Vec<Duration>>) -> String {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), (cpu() - self.cpu).as_secs_f64());
        let percentiles = latencies.map(percentiles).unwrap_or_default();
        format!(
            r#"{{"version":"{}","records":{records},"written":{written},"seconds":{wall:.6},"cpuSeconds":{cpu:.6},"peakRssKb":{},"threads":{}{percentiles}}}"#,
            env!("CARGO_PKG_VERSION"),
            status("VmHWM:"),
            status("Threads:"),
        )
    }
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() as f64 * part) as usize).min(times.len() - 1)].as_nanos() as f64 / 1e3;
    match times.is_empty() {
        true => String::new(),
        false => format!(r#","p50":{:.1},"p99":{:.1},"p999":{:.1}"#, at(0.5), at(0.99), at(0.999)),
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A number of `/proc/self/status`; −1 where there is none.
fn status(field: &str) -> i64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(-1)
}
