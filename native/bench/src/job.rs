//! What the runner asks for. The flags are the same for all clients.

use std::collections::BTreeMap;

/// One round.
pub struct Job {
    pub brokers: String,
    pub topic: String,
    pub mode: String,
    pub codec: String,
    pub acks: String,
    /// Records to be measured, and those before them that are not.
    pub records: u64,
    pub warmup: u64,
    /// Records under way at most; 0: no bound.
    pub window: u64,
    pub partitions: i32,
    /// Records per second, and for how many seconds, of an open loop.
    pub rate: u64,
    pub seconds: u64,
    /// Producers and as many consumers.
    pub clients: u64,
    data: Vec<u8>,
    bytes: usize,
    keys: Vec<[u8; 8]>,
}

impl Job {
    /// From the command line. Panics with what is wrong: the runner shows it.
    pub fn from_flags() -> Self {
        let mut flags = BTreeMap::new();
        let mut words = std::env::args().skip(1);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            flags.insert(name, value);
        }
        let text = |name: &str| flags.get(name).cloned().unwrap_or_else(|| panic!("{name} is needed"));
        let number = |name: &str| flags.get(name).map_or(0, |value| value.parse::<u64>().expect(name));
        let keyed = number("--keyed") == 1;
        let key = |i: u64| format!("{:08}", i * 7919 % 10_000 + 10_000_000).into_bytes().try_into().expect("8 bytes");
        Job {
            brokers: text("--brokers"),
            topic: text("--topic"),
            mode: text("--mode"),
            codec: text("--codec"),
            acks: flags.get("--acks").cloned().unwrap_or_else(|| "all".into()),
            records: number("--records"),
            warmup: number("--warmup"),
            window: number("--window"),
            partitions: number("--partitions") as i32,
            rate: number("--rate"),
            seconds: number("--seconds"),
            clients: number("--clients").max(1),
            data: std::fs::read(text("--data")).expect("--data: a file"),
            bytes: number("--bytes") as usize,
            keys: if keyed { (0..10_000).map(key).collect() } else { Vec::new() },
        }
    }

    /// The value of record `i`.
    pub fn value(&self, i: u64) -> &[u8] {
        let at = i as usize % (self.data.len() / self.bytes) * self.bytes;
        &self.data[at..at + self.bytes]
    }

    /// The key of record `i`; one of 10,000, or none.
    pub fn key(&self, i: u64) -> Option<&[u8]> {
        (!self.keys.is_empty()).then(|| &self.keys[i as usize % self.keys.len()][..])
    }
}
