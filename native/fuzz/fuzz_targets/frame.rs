//! A request frame as a broker gets it: header, then the message of its API and version.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dohle_fuzz::request_frame(data));
