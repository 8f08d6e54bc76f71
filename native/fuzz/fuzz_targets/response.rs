//! A response frame as a client gets it; the first two bytes choose the API and the version.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dohle_fuzz::response_frame(data));
