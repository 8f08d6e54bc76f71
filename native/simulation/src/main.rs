fn main() {
    let mut args = std::env::args().skip(1);
    let seed: u64 = args.next().unwrap().parse().unwrap();
    if let Some(to) = args.next() {
        let mut total = dohle_simulation::Summary::default();
        for s in seed..to.parse().unwrap() {
            let r = dohle_simulation::run(s, false);
            if !r.violations.is_empty() { println!("seed {s}: {} {:?}", r.violations.len(), r.violations.iter().take(3).collect::<Vec<_>>()); }
            total += r.summary;
        }
        println!("{total}");
        return;
    }
    let r = dohle_simulation::run(seed, false);
    for e in &r.evidence.history { println!("{:?} {:?}", e.at, e.what); }
    for v in &r.violations { println!("{v}"); }
    println!("{}", r.summary);
}
