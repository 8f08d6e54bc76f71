use bytes::BytesMut;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::records::{BatchBuilder, Headers, RecordRef, control_batch, set_offsets};

use super::*;

const RULES: Rules = Rules { read_committed: false, check_crcs: true, max_decompressed: 1 << 27 };
const COMMITTED: Rules = Rules { read_committed: true, ..RULES };

fn batch(base: i64, values: &[&[u8]], codec: Compression, producer: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for value in values {
        builder.append(&RecordRef { timestamp: 5, key: None, value: Some(value), headers: Headers::None });
    }
    let mut sealed = builder.seal(&mut Compressor::new(codec, None).unwrap(), producer.is_some());
    sealed.stamp(producer.unwrap_or(-1), 0, 0);
    at(base, &sealed.bytes())
}

fn at(base: i64, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::from(bytes);
    set_offsets(&mut bytes, base, 4);
    bytes.to_vec()
}

fn marker(base: i64, producer: i64, control: ControlType) -> Vec<u8> {
    at(base, &control_batch(control, producer, 0, 0, 0))
}

fn cut_from(from: i64, parts: &[Vec<u8>], aborted: &[(i64, i64)], rules: Rules) -> Cut {
    let fetched = Fetched {
        topic: "t".into(),
        partition: 3,
        epoch: 9,
        from: Position::at(from),
        records: parts.concat().into(),
        aborted: aborted.to_vec(),
        high_watermark: 1000,
    };
    cut(fetched, rules, usize::MAX, &mut Decompressor::new(), &Spare::new(1 << 20))
}

fn offsets(cut: &Cut) -> Vec<i64> {
    cut.chunks.iter().flat_map(|chunk| (0..chunk.count).map(|k| chunk.offset(k))).collect()
}

fn values(cut: &Cut) -> Vec<&[u8]> {
    let of = |chunk: &Chunk, k: usize| {
        let row = &chunk.index[k * 10..];
        (row[5] as usize, row[6] as usize)
    };
    let each = |chunk| (0..).map(move |k| (chunk, k)).take(chunk_count(chunk));
    fn chunk_count(chunk: &Chunk) -> usize {
        chunk.count as usize
    }
    cut.chunks
        .iter()
        .flat_map(each)
        .map(|(chunk, k)| {
            let (start, len) = of(chunk, k);
            &chunk.bytes[start..start + len]
        })
        .collect()
}

#[test]
fn plain_batches_become_one_chunk_without_a_copy() {
    let parts = [
        batch(10, &[b"a", b"b"], Compression::None, None),
        batch(12, &[b"c"], Compression::None, None),
        batch(20, &[b"d"], Compression::None, None),
    ];
    let cut = cut_from(11, &parts, &[], RULES);
    assert_eq!((offsets(&cut), values(&cut)), (vec![11, 12, 20], vec![&b"b"[..], b"c", b"d"]));
    assert_eq!(cut.chunks.len(), 1);
    let chunk = &cut.chunks[0];
    assert_eq!((chunk.base_offset, chunk.leader_epoch, chunk.epoch, chunk.partition), (11, 4, 9, 3));
    assert_eq!(chunk.next, Position { offset: 21, leader_epoch: 4 });
    assert_eq!((cut.next, cut.error), (chunk.next, None));
}

#[test]
fn small_compressed_batches_share_a_chunk() {
    let value = [b'x'; 400];
    for codec in Compression::ALL {
        let parts: Vec<_> = (0..20).map(|i| batch(i * 2, &[&value, &value], codec, None)).collect();
        let cut = cut_from(3, &parts, &[], RULES);
        assert_eq!(cut.chunks.len(), 1);
        assert_eq!(offsets(&cut), (3..40).collect::<Vec<_>>());
        assert!(values(&cut).iter().all(|got| *got == value));
    }
}

#[test]
fn codecs_may_be_mixed() {
    let value = [b'y'; 300];
    let parts: Vec<_> =
        Compression::ALL.iter().cycle().take(25).zip(0..).map(|(&c, i)| batch(i, &[&value], c, None)).collect();
    let cut = cut_from(0, &parts, &[], RULES);
    assert_eq!(offsets(&cut), (0..25).collect::<Vec<_>>());
    assert!(values(&cut).iter().all(|got| *got == value));
}

#[test]
fn chunks_are_bounded_and_a_larger_record_is_alone() {
    let (small, large) = (vec![1; 1000], vec![2; 400_000]);
    let mut list: Vec<&[u8]> = vec![&small; 600];
    list.insert(100, &large);
    for codec in Compression::ALL {
        let cut = cut_from(0, &[batch(0, &list, codec, None), batch(601, &list, codec, None)], &[], RULES);
        assert_eq!(offsets(&cut), (0..1202).collect::<Vec<_>>(), "{codec}");
        assert!(values(&cut).iter().zip(list.iter().chain(&list)).all(|(got, want)| got == want));
        for chunk in &cut.chunks {
            assert!(chunk.bytes.len() <= CHUNK_BYTES || chunk.count == 1, "{codec} {}", chunk.bytes.len());
        }
        assert!(cut.chunks.len() <= 10, "{codec} {}", cut.chunks.len());
        assert_eq!(cut.next.offset, 1202);
    }
}

#[test]
fn a_budget_ends_at_a_batch_boundary() {
    let value = vec![7; 50_000];
    let parts: Vec<_> = (0..50).map(|i| batch(i, &[&value], Compression::Lz4, None)).collect();
    let records: Bytes = parts.concat().into();
    let mut from = Position::at(0);
    let mut seen = Vec::new();
    while from.offset < 50 {
        let fetched = Fetched {
            topic: "t".into(),
            partition: 0,
            epoch: 1,
            from,
            records: records.clone(),
            aborted: Vec::new(),
            high_watermark: 50,
        };
        let cut = cut(fetched, RULES, 400_000, &mut Decompressor::new(), &Spare::new(1 << 20));
        assert!(cut.charge <= 400_000 + CHUNK_BYTES && cut.error.is_none());
        seen.extend(offsets(&cut));
        from = cut.next;
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[test]
fn control_batches_are_never_shown_and_are_passed() {
    let parts = [
        batch(0, &[b"a"], Compression::None, Some(7)),
        marker(1, 7, ControlType::Commit),
        batch(2, &[b"b"], Compression::None, None),
        marker(3, 8, ControlType::Abort),
    ];
    for rules in [RULES, COMMITTED] {
        let cut = cut_from(0, &parts, &[], rules);
        assert_eq!(offsets(&cut), [0, 2]);
        assert_eq!((cut.next.offset, cut.chunks.last().unwrap().next.offset), (4, 4));
    }
    let only = cut_from(1, &parts[1..2], &[], COMMITTED);
    assert!(only.chunks.is_empty() && only.error.is_none());
    assert_eq!(only.next.offset, 2);
}

#[test]
fn aborted_transactions_are_left_out_whatever_the_order_of_the_list() {
    let parts = [
        batch(0, &[b"a1"], Compression::None, Some(1)),
        batch(1, &[b"b1"], Compression::None, Some(2)),
        batch(2, &[b"p"], Compression::None, None),
        marker(3, 1, ControlType::Abort),
        batch(4, &[b"a2"], Compression::None, Some(1)),
        batch(5, &[b"b2"], Compression::None, Some(2)),
        marker(6, 1, ControlType::Commit),
        marker(7, 2, ControlType::Abort),
        batch(8, &[b"b3"], Compression::None, Some(2)),
        batch(9, &[b"a3"], Compression::None, Some(1)),
    ];
    // Producer 1 aborts again at 9; its marker comes in a later response.
    for list in [[(1, 0), (2, 1), (1, 9)], [(1, 9), (2, 1), (1, 0)]] {
        let cut = cut_from(0, &parts, &list, COMMITTED);
        assert_eq!(values(&cut), [b"p".as_slice(), b"a2", b"b3"]);
        assert_eq!(cut.next.offset, 10);
    }
    assert_eq!(values(&cut_from(0, &parts, &[(1, 0)], RULES)).len(), 7, "read_uncommitted shows them");
}

#[test]
fn an_abort_marker_without_an_entry_is_no_error() {
    let cut = cut_from(0, &[marker(0, 5, ControlType::Abort)], &[], COMMITTED);
    assert_eq!((cut.next.offset, cut.error), (1, None));
}

#[test]
fn an_empty_batch_moves_the_position() {
    let mut bytes = batch(5, &[b"a", b"b", b"c"], Compression::None, None);
    bytes.truncate(61);
    bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
    bytes[57..61].fill(0);
    let rules = Rules { check_crcs: false, ..RULES };
    let cut = cut_from(5, &[bytes], &[], rules);
    assert!(cut.chunks.is_empty() && cut.error.is_none());
    assert_eq!(cut.next.offset, 8);
}

#[test]
fn what_comes_before_a_corrupt_batch_is_delivered() {
    let good = batch(0, &[b"a", b"b"], Compression::None, None);
    let mut bad = batch(2, &[b"c"], Compression::None, None);
    *bad.last_mut().unwrap() ^= 1;
    let cut = cut_from(0, &[good, bad.clone()], &[], RULES);
    assert_eq!((offsets(&cut), cut.next.offset), (vec![0, 1], 2));
    assert!(cut.error.unwrap().to_string().starts_with("record batch at offset 2: Crc at byte"));
    let cut = cut_from(2, &[bad], &[], RULES);
    assert_eq!((cut.chunks.len(), cut.next.offset), (0, 2));
}

#[test]
fn a_bomb_is_refused() {
    let zeros = vec![0; 1 << 20];
    let rules = Rules { max_decompressed: 1 << 19, ..RULES };
    let cut = cut_from(0, &[batch(0, &[&zeros], Compression::Zstd, None)], &[], rules);
    assert!(cut.error.unwrap().to_string().contains("more than 524288 bytes"));
}

#[test]
fn bytes_without_a_whole_batch_are_an_error_and_none_are_not() {
    let part = batch(0, &[b"a"], Compression::None, None);
    let cut = cut_from(0, &[part[..30].to_vec()], &[], RULES);
    assert_eq!(cut.error, Some(CutError::NoBatch { bytes: 30 }));
    let cut = cut_from(100, &[part], &[], RULES);
    assert!(matches!(cut.error, Some(CutError::NoBatch { .. })));
    assert_eq!(cut_from(0, &[], &[], RULES).error, None);
}

#[test]
fn batches_too_far_apart_for_32_bits_are_in_chunks_of_their_own() {
    for codec in [Compression::None, Compression::Lz4] {
        let value = [1; 500];
        let far = 3_000_000_000;
        let cut = cut_from(0, &[batch(0, &[&value], codec, None), batch(far, &[&value], codec, None)], &[], RULES);
        assert_eq!((offsets(&cut), cut.chunks.len()), (vec![0, far], 2));
    }
}
