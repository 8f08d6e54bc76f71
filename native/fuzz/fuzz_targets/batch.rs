//! A record set as a fetch response holds it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dohle_fuzz::record_set(data));
