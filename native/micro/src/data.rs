//! Records like those of the benchmark (`bench/lib/data.mjs`): JSON of 100 bytes that lz4 brings to about half.

/// So many records, the same ones every time.
pub fn records(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(0x0d0b_1e64);
    (0..count).map(|_| record(&mut random).into_bytes()).collect()
}

fn record(random: &mut Random) -> String {
    const KINDS: [&str; 6] = ["view", "click", "search", "purchase", "return", "login"];
    const CITIES: [&str; 6] = ["Hamburg", "Aachen", "Lisbon", "Nairobi", "Osaka", "Quito"];
    let id = (u64::from(random.next()) << 32) | u64::from(random.next());
    let user = random.next() % 900_000 + 100_000;
    let kind = KINDS[random.next() as usize % KINDS.len()];
    let city = CITIES[random.next() as usize % CITIES.len()];
    let head = format!(r#"{{"id":"{id:016x}","user":{user},"kind":"{kind}","city":"{city}","pad":""#);
    format!(r#"{head}{:-<1$}"}}"#, format!("{:08x}", random.next()), 98 - head.len())
}

/// mulberry32.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x6d2b_79f5);
        let mut t = (self.0 ^ (self.0 >> 15)).wrapping_mul(1 | self.0);
        t = t.wrapping_add((t ^ (t >> 7)).wrapping_mul(61 | t)) ^ t;
        t ^ (t >> 14)
    }
}
