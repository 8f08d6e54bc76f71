//! What the fuzz targets do with their bytes: decode what an adversary may send, and check what was accepted.
//! Nothing is asserted about rejected input but that rejecting it is all that happens.
//! Driven by cargo-fuzz, see README.md; `seeds.rs` makes the first corpus.

pub mod asked;
/// How a broker in memory is asked, and what its answers must be: shared with the broker's own tests.
#[path = "../../broker/tests/fuzz/serve/mod.rs"]
pub mod serve;

use bytes::Bytes;
use dohle_protocol::compress::{Compression, Compressor, Decompressor, Output};
use dohle_protocol::records::{Indexer, Run, batches};
use dohle_protocol::{Decoder, Encoder, Message, Request, for_each_request, frame, messages};

/// What comes out of a decompressor at most.
pub const MAX_PLAIN: usize = 1 << 20;

macro_rules! requests {
    ($($name:ident)*) => {
        const RESPONSES: &[fn(Bytes, i16)] = &[$(response::<messages::$name>),*];

        fn request(header: &frame::RequestHeader, d: Decoder) {
            match header.api_key {
                $(<messages::$name as Request>::API_KEY => message::<messages::$name>(d, header.api_version),)*
                _ => {}
            }
        }
    };
}

for_each_request!(requests);

/// A frame as a broker reads it.
pub fn request_frame(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let _ = frame::peek_correlation_id(&frame);
    if let Ok((header, d)) = frame::decode_request_header(frame) {
        request(&header, d);
    }
}

/// A frame as a client reads it: which API (byte 0) and version (byte 1) it expects is its own knowledge.
pub fn response_frame(data: &[u8]) {
    let Some(([api, version], frame)) = data.split_first_chunk::<2>() else { return };
    RESPONSES[usize::from(*api) % RESPONSES.len()](Bytes::copy_from_slice(frame), i16::from(*version));
}

fn response<R: Request>(bytes: Bytes, version: i16) {
    let version = R::MIN_VERSION + version % (R::MAX_VERSION - R::MIN_VERSION + 1);
    let Ok((correlation_id, read)) = frame::decode_response::<R>(bytes, version) else { return };
    let canonical = frame::encode_response::<R>(version, correlation_id, &read).expect("what was read can be written");
    let (_, again) = frame::decode_response::<R>(canonical.to_bytes().slice(4..), version).expect("and be read again");
    let once_more = frame::encode_response::<R>(version, correlation_id, &again).expect("and be written again");
    // Compared as bytes: a float may not be a number, which is unequal to itself.
    assert_eq!(canonical.to_bytes(), once_more.to_bytes());
}

fn message<M: Message>(mut d: Decoder, version: i16) {
    let Ok(read) = M::decode(&mut d, version) else { return };
    let canonical = encode(&read, version);
    let again = M::decode(&mut Decoder::new(canonical.clone()), version).expect("what was written can be read");
    assert_eq!(encode(&again, version), canonical);
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut e = Encoder::new();
    message.encode(&mut e, version).expect("what was read can be written");
    e.finish().to_bytes()
}

/// A record set: every batch is decompressed, iterated and indexed, whatever its CRC says.
pub fn record_set(data: &[u8]) {
    let mut decompressor = Decompressor::new();
    for batch in batches(Bytes::copy_from_slice(data)) {
        let Ok(batch) = batch else { return };
        let _ = batch.verify_crc();
        let Ok(plain) = batch.plain(&mut decompressor, MAX_PLAIN) else { continue };
        let _ = plain.control_type();
        let read: Result<Vec<_>, _> = plain.iter().collect();
        let mut index = Vec::new();
        let mut indexer = Indexer::new(plain.header(), plain.records());
        let run = Run {
            from_offset: i64::MIN,
            base_offset: plain.header().base_offset,
            shift: 0,
            max_bytes: usize::MAX,
            at_least_one: true,
        };
        let indexed = indexer.run(&run, &mut index);
        if let (Ok(read), Ok(indexed)) = (&read, &indexed) {
            assert_eq!(read.len(), indexed.count as usize);
            for record in read {
                assert!(record.headers.iter().count() == record.headers.count());
            }
        }
    }
}

/// A decompressor on any bytes; and the same bytes compressed and decompressed.
pub fn codec(codec: Compression, data: &[u8]) {
    let mut decompressor = Decompressor::new();
    let mut out = Output::new();
    match decompressor.decompress(codec, data, MAX_PLAIN, &mut out) {
        Ok(()) => assert!(out.len() <= MAX_PLAIN),
        Err(_) => assert!(out.is_empty()),
    }
    let mut compressor = Compressor::new(codec, None).expect("every codec has a default level");
    let packed = compressor.compress(data).expect("enough memory");
    out.clear();
    decompressor.decompress(codec, packed, data.len(), &mut out).expect("our own output");
    assert_eq!(&out[..], data);
}
