//! `dohle-micro --list` names the cases; `dohle-micro NAME` runs one: once to warm up, once in [`measured`].
//!
//! Driven by `bench/lib/instructions.mjs` under callgrind, which collects inside `measured` only.
#![forbid(unsafe_code)]

use std::hint::black_box;

use dohle_micro::cases;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "--list".into());
    if name == "--list" {
        return cases().iter().for_each(|case| println!("{}", case.name));
    }
    let Some(case) = cases().into_iter().find(|case| case.name == name) else { panic!("no case {name}") };
    let mut work = case.prepare();
    black_box(work());
    black_box(measured(&mut *work));
}

/// Found by its name in the program's symbols.
#[inline(never)]
fn measured(work: &mut dyn FnMut() -> usize) -> usize {
    black_box(work)()
}
