use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
const MAX: usize = 64 << 20;

fn compress(codec: Compression, input: &[u8]) -> Vec<u8> {
    Compressor::new(codec, None).unwrap().compress(input).unwrap().to_vec()
}

fn decompress(codec: Compression, input: &[u8], max: usize) -> Result<Vec<u8>, CompressError> {
    let mut out = Output::from(b"before".to_vec());
    let result = Decompressor::new().decompress(codec, input, max, &mut out);
    assert!(out.starts_with(b"before"));
    if result.is_err() {
        assert_eq!(&out[..], b"before", "an error leaves the output as it was");
    }
    result.map(|()| out.into_vec().split_off(6))
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

fn json(len: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0.. {
        if text.len() >= len {
            break;
        }
        write!(text, r#"{{"id":{i},"name":"customer {}","amount":{}}}"#, i * 7919 % 1000, i % 97).unwrap();
    }
    text.truncate(len);
    text
}

#[test]
fn every_codec_round_trips_sizes_around_its_blocks() {
    for codec in CODECS {
        let mut compressor = Compressor::new(codec, None).unwrap();
        let mut decompressor = Decompressor::new();
        for len in [0, 1, 2, 100, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 131_072, 131_073, 1_000_000] {
            for input in [vec![0; len], noise(len), json(len)] {
                let packed = compressor.compress(&input).unwrap().to_vec();
                let mut out = Output::new();
                decompressor.decompress(codec, &packed, len, &mut out).unwrap();
                assert!(out[..] == input, "{codec} of {len} bytes");
            }
        }
    }
}

#[test]
fn every_level_round_trips_and_others_are_refused() {
    let input = json(20_000);
    for codec in Compression::ALL {
        let levels = codec.levels().map(|levels| (*levels.start().max(&-7))..=*levels.end());
        for level in levels.into_iter().flatten() {
            let packed = Compressor::new(codec, Some(level)).unwrap().compress(&input).unwrap().to_vec();
            assert!(decompress(codec, &packed, MAX).unwrap() == input, "{codec} level {level}");
        }
        let error = Compressor::new(codec, Some(99)).unwrap_err();
        assert_eq!(error, CompressError::InvalidLevel { codec, level: 99 });
    }
}

#[test]
fn names_and_numbers_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec: Compression = name.parse().unwrap();
        assert_eq!((codec.id(), codec.name()), (id as u8, name));
        assert_eq!(Compression::from_id(id as u8), Some(codec));
    }
    assert_eq!(Compression::from_id(5), None);
    assert_eq!("lzma".parse::<Compression>(), Err(CompressError::UnknownCodec));
}

#[test]
fn the_cap_holds_to_the_byte_and_a_bomb_is_stopped() {
    for codec in CODECS {
        let packed = compress(codec, &vec![0; 4 << 20]);
        assert_eq!(decompress(codec, &packed, 4 << 20).unwrap().len(), 4 << 20);
        for max in [0, 1, 65_536, 100_000, (4 << 20) - 1] {
            assert_eq!(decompress(codec, &packed, max), Err(CompressError::TooLarge { codec, limit: max }), "{codec}");
        }
    }
}

#[test]
fn several_members_frames_or_streams_are_read_as_one() {
    for codec in CODECS {
        let (a, b) = (json(70_000), noise(40_000));
        let packed = [compress(codec, &a), compress(codec, &b), compress(codec, &a)].concat();
        assert!(decompress(codec, &packed, MAX).unwrap() == [&a[..], &b, &a].concat(), "{codec}");
    }
    // Twice the same member: the trailer alone could not tell it from one.
    let packed = compress(Compression::Gzip, b"again").repeat(2);
    assert_eq!(decompress(Compression::Gzip, &packed, MAX).unwrap(), b"againagain");
}

#[test]
fn trailing_bytes_are_refused() {
    for codec in CODECS {
        for tail in [&b"x"[..], b"trailing bytes, many"] {
            let packed = [&compress(codec, &json(1000)), tail].concat();
            assert!(decompress(codec, &packed, MAX).is_err(), "{codec}");
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for codec in CODECS {
        let mut packed = compress(codec, &json(400));
        while packed.pop().is_some() {
            // An xerial header without blocks is an empty stream.
            if codec != Compression::Snappy || packed.len() != 16 {
                assert!(decompress(codec, &packed, MAX).is_err(), "{codec} at {}", packed.len());
            }
        }
    }
}

#[test]
fn our_lz4_is_what_javas_reader_wants() {
    let packed = compress(Compression::Lz4, &json(200_000));
    assert_eq!(packed[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_eq!(packed[packed.len() - 4..], [0; 4]);
    // An outside reader agrees.
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(&packed[..]), &mut out).unwrap();
    assert!(out == json(200_000));
}

#[test]
fn lz4_frames_of_every_make_are_read() {
    let input = [json(300_000), noise(200_000), json(100_000)].concat();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for flags in 0..8 {
                let info = FrameInfo::new()
                    .block_mode(mode)
                    .block_size(size)
                    .block_checksums(flags & 1 != 0)
                    .content_checksum(flags & 2 != 0)
                    .content_size((flags & 4 != 0).then_some(input.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&input).unwrap();
                let packed = encoder.finish().unwrap();
                assert!(
                    decompress(Compression::Lz4, &packed, input.len()).unwrap() == input,
                    "{mode:?} {size:?} {flags}"
                );
                let short = input.len() - 1;
                assert!(matches!(decompress(Compression::Lz4, &packed, short), Err(CompressError::TooLarge { .. })));
            }
        }
    }
}

#[test]
fn skippable_frames_are_skipped() {
    let skip = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for codec in [Compression::Lz4, Compression::Zstd] {
        let frame = compress(codec, b"value");
        let packed = [&skip[..], &frame, &skip].concat();
        assert_eq!(decompress(codec, &packed, MAX).unwrap(), b"value");
    }
}

#[test]
fn lz4_errors_name_the_field() {
    let frame = compress(Compression::Lz4, b"value");
    let with = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        decompress(Compression::Lz4, &frame, MAX).unwrap_err().to_string()
    };
    assert_eq!(with(0, 9), "lz4: Magic at byte 0 is invalid");
    assert_eq!(with(4, 0x80), "lz4: Flags at byte 4 is invalid");
    assert_eq!(with(4, 0x61), "lz4: a dictionary at byte 4 is not supported");
    assert_eq!(with(5, 0x30), "lz4: Block size at byte 5 is invalid");
    assert_eq!(with(6, 0x83), "lz4: Header checksum at byte 6 does not match");
    assert_eq!(with(9, 0xff), "lz4: Block size at byte 7 is invalid");
}

#[test]
fn a_message_set_of_magic_0_may_have_a_wrong_lz4_header_checksum() {
    let mut packed = compress(Compression::Lz4, b"value");
    packed[6] ^= 0xff;
    let mut out = Output::new();
    Decompressor::new().decompress_legacy(Compression::Lz4, 0, &packed, MAX, &mut out).unwrap();
    assert_eq!(&out[..], b"value");
    assert!(Decompressor::new().decompress_legacy(Compression::Lz4, 1, &packed, MAX, &mut out).is_err());
}

#[test]
fn raw_snappy_is_read() {
    let input = json(100_000);
    let packed = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert!(decompress(Compression::Snappy, &packed, MAX).unwrap() == input);
}

#[test]
fn a_snappy_length_that_the_bytes_cannot_reach_allocates_nothing() {
    // Claims 256 MiB in seven bytes.
    let packed = [0x80, 0x80, 0x80, 0x80, 0x01, 0x00, 0x61];
    let error = decompress(Compression::Snappy, &packed, usize::MAX >> 1).unwrap_err();
    assert_eq!(error.to_string(), "snappy: Uncompressed length at byte 0 is invalid");
}

#[test]
fn zstd_without_a_content_size_is_read() {
    let input = json(1_000_000);
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    for part in input.chunks(10_007) {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    let mut packed = encoder.finish().unwrap();
    assert!(decompress(Compression::Zstd, &packed, input.len()).unwrap() == input);
    *packed.last_mut().unwrap() ^= 1;
    let error = decompress(Compression::Zstd, &packed, MAX).unwrap_err();
    assert_eq!(error.to_string(), "zstd: Content checksum at byte 0 does not match");
}

#[test]
fn gzip_with_a_false_size_in_its_trailer_is_refused() {
    let mut packed = compress(Compression::Gzip, &json(5000));
    let at = packed.len() - 4;
    packed[at] ^= 1;
    assert!(matches!(decompress(Compression::Gzip, &packed, MAX), Err(CompressError::Corrupt { .. })));
    packed[at] ^= 1;
    packed[at - 1] ^= 1;
    assert!(matches!(decompress(Compression::Gzip, &packed, MAX), Err(CompressError::Corrupt { .. })));
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(&CODECS[..])
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..2000), prop::collection::vec(0u8..4, 0..200_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_round_trip(codec in codec(), input in bytes()) {
        let packed = compress(codec, &input);
        prop_assert!(decompress(codec, &packed, input.len()).unwrap() == input);
    }

    #[test]
    fn mutated_input_never_panics_nor_exceeds_the_cap(
        codec in codec(),
        input in bytes(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut packed = compress(codec, &input);
        for (at, byte) in edits {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        if let Ok(out) = decompress(codec, &packed, 1 << 20) {
            prop_assert!(out.len() <= 1 << 20);
        }
    }

    #[test]
    fn noise_never_panics(codec in codec(), input in prop::collection::vec(any::<u8>(), 0..300), head in 0usize..17) {
        let mut packed = compress(codec, b"");
        packed.truncate(head);
        packed.extend(input);
        let _ = decompress(codec, &packed, 1 << 20);
    }
}
