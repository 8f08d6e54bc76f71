//! What one seed decides before the run: how the group works, and which faults come when. Plain data.
//!
//! Three rows of faults run side by side: one of the network between clients and nodes, one of the nodes, one of the
//! application. Those of one row follow each other, so that none ends what another one has begun.

use std::time::Duration;

use dohle_protocol::ApiKey;
use dohle_protocol::compress::Compression;

use crate::world::mixed;

/// Seeded choices.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(mixed(seed ^ 0x51ed_270b_0f4c_95a7))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn between_ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.below(high - low))
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// How the members of the group commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    Automatic,
    /// After some records, and before partitions are given up.
    ByHand,
    /// Consume, process, produce: in transactions.
    InTransactions,
}

/// How the group shares its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Range,
    Cooperative,
    /// KIP-848.
    Modern,
}

/// Which way nothing gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Both,
    /// From the node to the host: requests are done, and nobody learns of it.
    Answers,
    Requests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What is sent between a host and a node is lost; `breaks`: the connections break in the end, else only time limits help.
    Partition { host: &'static str, node: i32, way: Way, breaks: bool },
    /// What is sent arrives later.
    Hold { host: &'static str, node: i32 },
    /// Everything takes longer.
    SlowLink { host: &'static str, node: i32, latency: Duration },
    /// All connections of a host are reset at once.
    Reset { host: &'static str },
    /// The next requests of an API are carried out, and their answers lost with the connection.
    LostReplies { api: ApiKey, count: u32 },
    /// A node is killed, and starts again.
    CrashNode { node: i32 },
    /// All nodes are killed at once, and start again.
    CrashAll,
    /// Power fails everywhere: a new cluster starts from the disks, its nodes in this order, each so long after the one before.
    ColdStart { order: [i32; 3], apart: [Duration; 3] },
    /// A node is stopped in order, and starts again.
    RestartNode { node: i32 },
    /// Two nodes do not reach each other.
    CutNodes { a: i32, b: i32 },
    /// Another node is to lead a partition.
    MoveLeader { partition: i32, to: i32 },
    /// A program is killed, and starts again.
    Kill { host: &'static str },
    /// A member leaves in order, and comes again.
    Rejoin { host: &'static str },
    /// A member takes very long for one record.
    SlowHandler { host: &'static str },
}

/// The fault's name in totals.
pub const COLD_START: &str = "cold start";

impl Fault {
    /// Its name in totals.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Partition { way: Way::Both, .. } => "partition",
            Self::Partition { .. } => "one-way partition",
            Self::Hold { .. } => "hold",
            Self::SlowLink { .. } => "slow link",
            Self::Reset { .. } => "reset",
            Self::LostReplies { .. } => "lost replies",
            Self::CrashNode { .. } => "node killed",
            Self::CrashAll => "all nodes killed",
            Self::ColdStart { .. } => COLD_START,
            Self::RestartNode { .. } => "node restarted",
            Self::CutNodes { .. } => "nodes cut",
            Self::MoveLeader { .. } => "leader moved",
            Self::Kill { .. } => "program killed",
            Self::Rejoin { .. } => "member restarted",
            Self::SlowHandler { .. } => "slow handler",
        }
    }
}

/// A fault, how long after the one before it begins, and how long it lasts.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub pause: Duration,
    pub fault: Fault,
    pub length: Duration,
}

/// The nodes of the cluster.
pub const NODES: [i32; 3] = [1, 2, 3];
pub const WRITERS: &str = "writers";
pub const TELLER: &str = "teller";
pub const MEMBERS: [&str; 3] = ["member-a", "member-b", "member-c"];
pub const VERIFIER: &str = "verifier";
/// Those whose network is disturbed.
const DISTURBED: [&str; 6] = [WRITERS, TELLER, MEMBERS[0], MEMBERS[1], MEMBERS[2], VERIFIER];
const KILLED: [&str; 4] = [TELLER, MEMBERS[0], MEMBERS[1], MEMBERS[2]];

/// When the first faults may come, and until when all are over.
pub const FAULTS: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_secs(24);
/// The least virtual time of a run.
pub const LENGTH: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Plan {
    pub commits: Commits,
    pub sharing: Sharing,
    /// The group reads committed records only.
    pub committed_only: bool,
    pub delivery_timeout: Duration,
    pub compression: Compression,
    pub linger: Option<Duration>,
    pub rows: [Vec<Planned>; 3],
    /// Nodes keep their logs on disks, which forget what was not synced when their node is killed.
    pub on_disks: bool,
    /// There, at most so many messages that were acknowledged are not safe yet: one means none.
    pub flush_messages: u64,
    /// How long partitions write to one segment.
    pub roll: Option<Duration>,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let commits = dice.of(&[Commits::Automatic, Commits::ByHand, Commits::InTransactions]);
        let on_disks = dice.below(3) == 0;
        let node = if on_disks { node_on_disk } else { node };
        Self {
            commits,
            sharing: dice.of(&[Sharing::Range, Sharing::Cooperative, Sharing::Modern]),
            committed_only: commits == Commits::InTransactions || dice.below(2) == 0,
            // In one of four runs records expire.
            delivery_timeout: Duration::from_secs(if dice.below(4) == 0 { 3 } else { 120 }),
            compression: dice.of(&[Compression::None, Compression::None, Compression::Lz4, Compression::Zstd]),
            linger: dice.of(&[None, None, Some(Duration::from_millis(20))]),
            rows: [
                row(&mut dice, 2..5, 100..3_000, network),
                row(&mut dice, 1..4, 500..6_000, node),
                row(&mut dice, 1..4, 500..5_000, application),
            ],
            on_disks,
            flush_messages: 1,
            roll: dice.of(&[None, Some(Duration::from_secs(3))]),
        }
    }
}

/// Some faults one after the other, as many of those that were thrown as there is time for.
fn row(
    dice: &mut Dice,
    count: std::ops::Range<u64>,
    length_ms: std::ops::Range<u64>,
    fault: fn(&mut Dice) -> Fault,
) -> Vec<Planned> {
    let mut left = FAULTS.end - FAULTS.start;
    let mut row = Vec::new();
    for _ in 0..count.start + dice.below(count.end - count.start) {
        let planned = Planned {
            pause: dice.between_ms(0, 5_000),
            fault: fault(dice),
            length: dice.between_ms(length_ms.start, length_ms.end),
        };
        let Some(rest) = left.checked_sub(planned.pause + planned.length) else { break };
        left = rest;
        row.push(planned);
    }
    row
}

fn network(dice: &mut Dice) -> Fault {
    let (host, node) = (dice.of(&DISTURBED), dice.of(&NODES));
    match dice.below(6) {
        0 | 1 => Fault::Partition {
            host,
            node,
            way: dice.of(&[Way::Both, Way::Answers, Way::Requests]),
            breaks: dice.below(2) == 0,
        },
        2 => Fault::Hold { host, node },
        3 => Fault::SlowLink { host, node, latency: dice.between_ms(100, 700) },
        4 => Fault::Reset { host },
        _ => {
            let api = dice.of(&[
                ApiKey::PRODUCE,
                ApiKey::PRODUCE,
                ApiKey::END_TXN,
                ApiKey::OFFSET_COMMIT,
                ApiKey::TXN_OFFSET_COMMIT,
                ApiKey::INIT_PRODUCER_ID,
                ApiKey::JOIN_GROUP,
                ApiKey::SYNC_GROUP,
                ApiKey::HEARTBEAT,
                ApiKey::CONSUMER_GROUP_HEARTBEAT,
                ApiKey::FETCH,
            ]);
            Fault::LostReplies { api, count: 1 + dice.below(4) as u32 }
        }
    }
}

fn node(dice: &mut Dice) -> Fault {
    let first = dice.below(NODES.len() as u64) as usize;
    let (node, other) = (NODES[first], NODES[(first + 1) % NODES.len()]);
    match dice.below(12) {
        0..=4 => Fault::CrashNode { node },
        5 => Fault::CrashAll,
        6 | 7 => Fault::RestartNode { node },
        8 | 9 => Fault::CutNodes { a: node, b: other },
        _ => Fault::MoveLeader { partition: dice.below(3) as i32, to: node },
    }
}

/// All of them may start again without what is in memory.
fn node_on_disk(dice: &mut Dice) -> Fault {
    if dice.below(5) > 0 {
        return node(dice);
    }
    let mut order = NODES;
    (1..order.len()).for_each(|at| order.swap(at, dice.below(at as u64 + 1) as usize));
    let mut apart = [Duration::ZERO; NODES.len()];
    apart.fill_with(|| dice.between_ms(0, 3_000));
    Fault::ColdStart { order, apart }
}

fn application(dice: &mut Dice) -> Fault {
    match dice.below(5) {
        0 | 1 => Fault::Kill { host: dice.of(&KILLED) },
        2 | 3 => Fault::Rejoin { host: dice.of(&MEMBERS) },
        _ => Fault::SlowHandler { host: dice.of(&MEMBERS) },
    }
}
