//! What the broker does to its logs without being asked: deleting what is too old, compacting, making safe what is in files. When,
//! not what: that is in `log`.
//! Idle, it costs nothing: a task wakes when something may have become due, and no sooner than its interval allows; what
//! is written tells it that there may be something, once between two looks.
//! Driven by itself, in tasks that end with the broker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::{
    config::broker::{enabled, number},
    log::{Need, Tools},
    node::Node,
    partition::Replica,
    tasks::{Life, due},
};

/// The longest sleep while something will be due: the wall clock may be put forward, and the machine sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(300);

/// The tasks.
#[derive(Default)]
pub(crate) struct Housekeeping {
    retention: Chore,
    compaction: Chore,
    offsets: Chore,
    safety: Chore,
}

/// When one of them works.
#[derive(Default)]
struct Chore {
    /// Something was written since it began to look around.
    touched: AtomicBool,
    /// It has to think again about when to work.
    changed: Notify,
}

impl Housekeeping {
    /// Starts the tasks.
    pub fn run(&self, node: &Arc<Node>, life: &Life) {
        life.run(node, |node| async move { retain_for_ever(&node).await });
        life.run(node, |node| async move { compact_for_ever(&node).await });
        life.run(node, |node| async move { expire_offsets_for_ever(&node).await });
        if node.home.is_some() {
            life.run(node, |node| async move { make_safe_for_ever(&node).await });
        }
    }

    /// Something was written. Call without the log's lock.
    pub fn touch(&self) {
        self.retention.touch();
        self.compaction.touch();
        self.safety.touch();
    }

    /// Offsets were committed, or a group has changed.
    pub fn touch_offsets(&self) {
        self.offsets.touch();
    }

    /// What there is to do, or when, may be another now.
    pub fn reconfigured(&self) {
        self.retention.wake();
        self.compaction.wake();
        self.safety.wake();
    }
}

impl Chore {
    fn touch(&self) {
        // Mostly only read: every append comes here.
        if !self.touched.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.touched.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Work begins: whoever writes from here on says so again. What was written before is seen, as its log is locked to look.
    fn begin(&self) {
        self.touched.store(false, Ordering::Release);
    }

    /// After work: waits until something was written, but at least so long.
    async fn rest_for(&self, interval: Duration) {
        let soonest = Instant::now() + interval;
        loop {
            let next = self.touched.load(Ordering::Acquire).then_some(soonest);
            if due(next, &self.changed).await {
                return;
            }
        }
    }

    /// After work: waits until something may be due again, which may be at `due_ms` (since 1970), but at least for the
    /// milliseconds of the property `interval`.
    async fn rest(&self, node: &Node, due_ms: Option<i64>, interval: &str) {
        let done = Instant::now();
        loop {
            let interval = u64::try_from(number(&node.configs.now(), interval)).unwrap_or(0).max(1);
            let soonest = done + Duration::from_millis(interval);
            let until_due = |due_ms: i64| {
                let left = u64::try_from(due_ms.saturating_sub(node.world.wall_clock_ms())).unwrap_or(0);
                (Instant::now() + Duration::from_millis(left).min(LONGEST_SLEEP)).max(soonest)
            };
            let next = match self.touched.load(Ordering::Acquire) {
                true => Some(soonest),
                false => due_ms.map(until_due),
            };
            if due(next, &self.changed).await {
                return;
            }
        }
    }
}

async fn retain_for_ever(node: &Node) {
    let chore = &node.housekeeping.retention;
    loop {
        chore.begin();
        let due_ms = retain(node);
        chore.rest(node, due_ms, "log.retention.check.interval.ms").await;
    }
}

/// Forgets the offsets that were committed too long ago. They age by the timers' clock, not by the wall's.
async fn expire_offsets_for_ever(node: &Node) {
    let chore = &node.housekeeping.offsets;
    let keep = u64::try_from(number(&node.options, "offsets.retention.minutes")).unwrap_or(0);
    loop {
        chore.begin();
        let now = Instant::now();
        let due = node.groups.expire_offsets(now, Duration::from_secs(keep * 60));
        let after_ms = |due: Instant| i64::try_from((due - now).as_millis()).unwrap_or(i64::MAX).saturating_add(1);
        let due_ms = due.map(|due| node.world.wall_clock_ms().saturating_add(after_ms(due)));
        chore.rest(node, due_ms, "offsets.retention.check.interval.ms").await;
    }
}

/// Makes safe what was written to files, and notes up to where it is: that need not be read when the broker ends and starts again.
async fn make_safe_for_ever(node: &Arc<Node>) {
    let chore = &node.housekeeping.safety;
    loop {
        let of_topics = node.topics.all().into_iter().map(|topic| topic.config().flush_ms);
        let noted = number(&node.options, "log.flush.offset.checkpoint.interval.ms");
        let interval = of_topics.chain([noted]).min().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0).max(1);
        chore.rest_for(Duration::from_millis(interval)).await;
        chore.begin();
        for replica in node.replicas(|_| true) {
            make_safe(node, &replica).await;
        }
        let of = node.clone();
        let note = move || {
            if let Some(Err(error)) = of.home.as_ref().map(|home| home.checkpoint(&of.topics)) {
                tracing::error!(%error, "the checkpoints are not written");
            }
        };
        node.world.blocking(Box::new(note)).await;
    }
}

/// Syncs without the log's lock.
async fn make_safe(node: &Node, replica: &Replica) {
    let flush = match replica.log.lock().due_flush() {
        Ok(None) => return,
        Ok(Some(flush)) => flush,
        Err(error) => {
            tracing::error!(%error, "a log cannot be made safe");
            return;
        }
    };
    let done = Arc::new(Mutex::new(None));
    let told = done.clone();
    node.world.blocking(Box::new(move || *told.lock() = Some(flush.run()))).await;
    let done = done.lock().take();
    match done {
        Some(Ok(to)) => replica.log.lock().flushed(to),
        Some(Err(error)) => replica.log.lock().flush_failed(error),
        None => {}
    }
}

async fn compact_for_ever(node: &Node) {
    let chore = &node.housekeeping.compaction;
    loop {
        chore.begin();
        let due_ms = compact(node).await;
        chore.rest(node, due_ms, "log.cleaner.backoff.ms").await;
    }
}

/// Deletes what is too old or too much everywhere; answers when there is next something that is too old.
fn retain(node: &Node) -> Option<i64> {
    let now_ms = node.world.wall_clock_ms();
    let replicas = node.replicas(|topic| topic.config().retains()).into_iter();
    replicas.filter_map(|replica| replica.log.lock().retain(now_ms)).min()
}

/// Compacts what is to be compacted; answers when time alone may bring about more.
async fn compact(node: &Node) -> Option<i64> {
    if !enabled(&node.options, "log.cleaner.enable") {
        return None;
    }
    let mut due = Vec::new();
    for replica in node.replicas(|topic| topic.config().compacted) {
        due.extend(compact_one(node, &replica).await);
    }
    due.into_iter().min()
}

async fn compact_one(node: &Node, replica: &Replica) -> Option<i64> {
    let (decompressors, max_decompressed_bytes) = (&node.decompressors, node.options.max_decompressed_bytes);
    let tools = Tools { decompressors, max_decompressed_bytes };
    loop {
        let need = replica.log.lock().compact(node.world.wall_clock_ms());
        let work = match need {
            Need::Later(due) => return due,
            Need::Now(work) => work,
        };
        let replaced = work.run(&tools).await.map(|compacted| replica.log.lock().replace(compacted));
        match replaced {
            Ok(true) => {}
            // Retention was there meanwhile: at the next look, then.
            Ok(false) => return Some(node.world.wall_clock_ms()),
            Err(_) if replica.log.lock().is_abandoned() => return None,
            Err(error) => {
                tracing::error!(%error, "a partition cannot be compacted");
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr};

    use super::*;
    use crate::{
        BrokerOptions, BrokerWorld,
        cluster::Shared,
        world::{BoxFuture, Listener},
    };

    /// A world whose wall clock is the runtime's, which the test holds.
    struct Paused(Instant);

    impl BrokerWorld for Paused {
        fn listen(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
            Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
        }

        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
        }

        fn wall_clock_ms(&self) -> i64 {
            self.0.elapsed().as_millis() as i64
        }

        fn random_u64(&self) -> u64 {
            4
        }

        fn spawn(&self, _: BoxFuture<'static, ()>) {}
    }

    fn node() -> Arc<Node> {
        let mut options = BrokerOptions::new();
        options.set("log.retention.check.interval.ms", "10000").unwrap();
        let world = Arc::new(Paused(Instant::now()));
        let cluster = Shared::new(world.clone(), options.clone()).ok().unwrap();
        Node::new(cluster, world, options, Vec::new()).ok().unwrap()
    }

    /// When a chore works within `seconds` of its start, in seconds; it is touched at `touched`, and its interval is 10 s.
    async fn looks(seconds: u64, touched: &[u64], due: impl Fn(usize) -> Option<i64>) -> Vec<u64> {
        let (node, start, chore) = (node(), Instant::now(), Chore::default());
        let mut looks = Vec::new();
        let work = async {
            loop {
                chore.begin();
                looks.push(start.elapsed().as_secs());
                chore.rest(&node, due(looks.len() - 1), "log.retention.check.interval.ms").await;
            }
        };
        let touch = async {
            for second in touched {
                tokio::time::sleep_until(start + Duration::from_secs(*second)).await;
                chore.touch();
            }
            tokio::time::sleep_until(start + Duration::from_secs(seconds)).await;
        };
        tokio::select! {
            biased;
            () = work => {}
            () = touch => {}
        }
        looks
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_broker_looks_at_nothing() {
        assert_eq!(looks(1_000_000, &[], |_| None).await, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_looked_at_once_an_interval_at_most() {
        assert_eq!(looks(1_000_000, &[3, 4, 5, 100, 100, 105], |_| None).await, [0, 10, 100, 110]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_looks_when_something_is_due_and_no_sooner_than_the_interval_allows() {
        let due = |at: usize| [Some(45_000), Some(46_000), Some(1000), None].get(at).copied().flatten();
        assert_eq!(looks(1_000_000, &[], due).await, [0, 45, 55, 65]);
        let far = |at: usize| (at == 0).then_some(400_000);
        assert_eq!(looks(350, &[], far).await, [0, 300], "the wall clock may have been put forward meanwhile");
    }
}
