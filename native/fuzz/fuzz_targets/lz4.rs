//! The lz4 decompressor on any bytes, and lz4 there and back.
#![no_main]

use dohle_protocol::compress::Compression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dohle_fuzz::codec(Compression::Lz4, data));
