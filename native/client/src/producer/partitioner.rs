//! Chooses the partition of a record that names none: by key as Java or librdkafka does, without a key by bytes (KIP-794).
//! Not a place for leaders or connections. Called on the append path; the only lock is taken when a sticky partition has
//! had its share, once per some hundred records.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::hashes::{crc32, fnv1a, murmur2};
use crate::generated::options::Partitioner as Kind;

/// Bytes without a key that go to one partition before the next one has its turn, if `batch.size` is not less.
const STICKY_BYTES: usize = 64 * 1024;

/// How many batches more than the least loaded partition may wait in one before it is passed over (KIP-794's adaptive half).
const BACKLOG: u32 = 8;

/// The rule, one per producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partitioner {
    kind: Kind,
    ignore_keys: bool,
    sticky_bytes: u32,
}

/// What is remembered of one topic.
pub(crate) struct Memo {
    /// The sticky partition above, the bytes that went there below.
    sticky: AtomicU64,
    counter: AtomicU64,
    turns: Mutex<Turns>,
}

/// Every partition has its turn before any has a second one: far more even than drawing lots each time.
#[derive(Default)]
struct Turns {
    order: Vec<u32>,
    next: usize,
}

/// What the partitioner may know of a partition.
pub(crate) trait Load {
    /// Whether it has a leader, and the batches that wait in it.
    fn load(&self, partition: u32) -> (bool, u32);
}

/// A choice; `sticky` ones are to be followed by [`Partitioner::wrote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub partition: u32,
    pub sticky: bool,
}

const NONE: u32 = u32::MAX;

impl Memo {
    pub fn new(seed: u64) -> Self {
        Self { sticky: pack(NONE, 0).into(), counter: seed.into(), turns: Mutex::default() }
    }

    /// SplitMix64: even enough for partitions, and the same in every replay of a simulation.
    fn random(&self) -> u64 {
        let mut z = self.counter.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&self, count: u32) -> u32 {
        ((u128::from(self.random()) * u128::from(count)) >> 64) as u32
    }
}

impl Partitioner {
    pub fn new(kind: Kind, ignore_keys: bool, batch_size: usize) -> Self {
        Self { kind, ignore_keys, sticky_bytes: batch_size.min(STICKY_BYTES) as u32 }
    }

    /// The partition, of `count` (at least one), for a record with this key.
    pub fn choose(&self, key: Option<&[u8]>, count: u32, memo: &Memo, load: &impl Load) -> Choice {
        let hash = match self.kind {
            Kind::Default => key.filter(|_| !self.ignore_keys).map(java),
            Kind::Murmur2Random => key.map(java),
            Kind::Murmur2 => Some(java(key.unwrap_or_default())),
            Kind::ConsistentRandom => key.filter(|key| !key.is_empty()).map(crc32),
            Kind::Consistent => Some(crc32(key.unwrap_or_default())),
            Kind::Fnv1aRandom => key.map(fnv1a),
            Kind::Fnv1a => Some(fnv1a(key.unwrap_or_default())),
            Kind::RoundRobin => Some(memo.counter.fetch_add(1, Ordering::Relaxed) as u32),
            Kind::Random => key.map(|_| memo.below(count)),
        };
        match hash {
            Some(hash) => Choice { partition: hash % count, sticky: false },
            None => Choice { partition: self.sticky(count, memo, load), sticky: true },
        }
    }

    fn sticky(&self, count: u32, memo: &Memo, load: &impl Load) -> u32 {
        let (partition, _) = unpack(memo.sticky.load(Ordering::Relaxed));
        if partition < count {
            return partition;
        }
        let next = memo.next_turn(count, load);
        memo.sticky.store(pack(next, 0), Ordering::Relaxed);
        next
    }

    /// A record of so many bytes went to the sticky partition that was chosen.
    pub fn wrote(&self, partition: u32, bytes: usize, count: u32, memo: &Memo, load: &impl Load) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX / 2).min(u32::MAX / 2);
        let (current, so_far) = unpack(memo.sticky.load(Ordering::Relaxed));
        if current != partition {
            return; // another thread has moved on
        }
        let so_far = so_far.saturating_add(bytes);
        if so_far < self.sticky_bytes {
            // Two threads may count over each other: a share is then a little larger, which nobody relies on.
            memo.sticky.store(pack(partition, so_far), Ordering::Relaxed);
        } else {
            memo.sticky.store(pack(memo.next_turn(count, load), 0), Ordering::Relaxed);
        }
    }
}

impl Memo {
    fn next_turn(&self, count: u32, load: &impl Load) -> u32 {
        let mut turns = self.turns.lock();
        if turns.order.len() != count as usize {
            *turns = Turns { order: (0..count).collect(), next: count as usize };
        }
        let least = (0..count).map(|p| load.load(p)).filter(|(led, _)| *led).map(|(_, waiting)| waiting).min();
        let mut passed_over = 0;
        loop {
            if turns.next == turns.order.len() {
                self.shuffle(&mut turns.order);
                turns.next = 0;
            }
            let partition = turns.order[turns.next];
            turns.next += 1;
            let (led, waiting) = load.load(partition);
            let good = least.is_none_or(|least| led && waiting <= least.saturating_add(BACKLOG));
            passed_over += 1;
            if good || passed_over > 2 * count {
                return partition;
            }
        }
    }

    fn shuffle(&self, order: &mut [u32]) {
        for i in (1..order.len()).rev() {
            order.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

fn java(key: &[u8]) -> u32 {
    murmur2(key) & 0x7fff_ffff
}

fn pack(partition: u32, bytes: u32) -> u64 {
    u64::from(partition) << 32 | u64::from(bytes)
}

fn unpack(sticky: u64) -> (u32, u32) {
    ((sticky >> 32) as u32, sticky as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Even;
    impl Load for Even {
        fn load(&self, _: u32) -> (bool, u32) {
            (true, 0)
        }
    }

    fn spread(kind: Kind, records: u32, count: u32, load: &impl Load, batch_size: usize) -> Vec<u32> {
        let (partitioner, memo) = (Partitioner::new(kind, false, batch_size), Memo::new(7));
        let mut counts = vec![0; count as usize];
        for _ in 0..records {
            let choice = partitioner.choose(None, count, &memo, load);
            counts[choice.partition as usize] += 1;
            if choice.sticky {
                partitioner.wrote(choice.partition, 110, count, &memo, load);
            }
        }
        counts
    }

    #[test]
    fn records_without_a_key_spread_evenly_over_six_partitions() {
        for batch_size in [16 * 1024, 256 * 1024, 1 << 20] {
            for count in spread(Kind::Default, 600_000, 6, &Even, batch_size) {
                assert!((90_000..=110_000).contains(&count), "{count} with batches of {batch_size}");
            }
        }
        assert_eq!(spread(Kind::RoundRobin, 600, 6, &Even, 1), [100; 6]);
    }

    #[test]
    fn records_without_a_key_stay_in_one_partition_until_it_had_its_bytes() {
        let (partitioner, memo) = (Partitioner::new(Kind::Default, false, 1000), Memo::new(1));
        let mut runs = Vec::<(u32, u32)>::new();
        for _ in 0..100 {
            let choice = partitioner.choose(None, 6, &memo, &Even);
            match runs.last_mut() {
                Some((partition, run)) if *partition == choice.partition => *run += 1,
                _ => runs.push((choice.partition, 1)),
            }
            partitioner.wrote(choice.partition, 100, 6, &memo, &Even);
        }
        assert!(runs.iter().all(|(_, run)| run % 10 == 0), "{runs:?}");
    }

    #[test]
    fn partitions_without_a_leader_or_with_a_long_queue_are_passed_over() {
        struct Uneven;
        impl Load for Uneven {
            fn load(&self, partition: u32) -> (bool, u32) {
                (partition != 2, if partition == 1 { 100 } else { 3 })
            }
        }
        let counts = spread(Kind::Default, 10_000, 4, &Uneven, 1000);
        assert_eq!((counts[1], counts[2]), (0, 0));
        assert!(counts[0] > 4000 && counts[3] > 4000);
    }

    #[test]
    fn no_partition_with_a_leader_still_gives_one() {
        struct Headless;
        impl Load for Headless {
            fn load(&self, _: u32) -> (bool, u32) {
                (false, 0)
            }
        }
        assert_eq!(spread(Kind::Default, 1000, 3, &Headless, 1000).iter().sum::<u32>(), 1000);
    }

    #[test]
    fn keys_choose_as_java_and_librdkafka_do() {
        let by = |kind, key: Option<&str>| {
            Partitioner::new(kind, false, 1000).choose(key.map(str::as_bytes), 1000, &Memo::new(1), &Even)
        };
        let hashed = |partition| Choice { partition, sticky: false };
        for kind in [Kind::Default, Kind::Murmur2, Kind::Murmur2Random] {
            // −790332482 & 0x7fffffff = 1357151166
            assert_eq!(by(kind, Some("foobar")), hashed(166));
        }
        assert_eq!(by(Kind::Murmur2, None), by(Kind::Murmur2, Some("")));
        assert_eq!(by(Kind::Consistent, None), hashed(0));
        assert_eq!(by(Kind::Consistent, Some("123456789")), hashed(0xcbf4_3926 % 1000));
        assert_eq!(by(Kind::Fnv1a, Some("4")), hashed(0x310c_a263 % 1000));
        for kind in [Kind::Default, Kind::Murmur2Random, Kind::Fnv1aRandom, Kind::ConsistentRandom, Kind::Random] {
            assert!(by(kind, None).sticky, "{kind:?}");
        }
        assert!(by(Kind::ConsistentRandom, Some("")).sticky, "librdkafka takes an empty key as none here");
        assert!(!by(Kind::Murmur2Random, Some("")).sticky);
        assert!(Partitioner::new(Kind::Default, true, 1000).choose(Some(b"k"), 9, &Memo::new(1), &Even).sticky);
    }
}
