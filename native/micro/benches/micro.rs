//! Times of the cases in `src/lib.rs`: `npm run bench -- micro`, or `cargo bench -p dohle-micro -- lz4`.
#![allow(missing_docs)] // what criterion's macros make

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dohle_micro::{RECORDS, cases};

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for case in cases() {
        let mut work = case.prepare();
        group.bench_function(&case.name, |bencher| bencher.iter(&mut work));
    }
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
