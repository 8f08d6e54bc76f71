use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::compress::{Compression, Compressor, Decompressor, Output};

const MAX: usize = 64 << 20;
const ALL: Run = Run { from_offset: 0, base_offset: 0, shift: 0, max_bytes: MAX, at_least_one: true };

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    fn plain(timestamp: i64, key: &str, value: &str) -> Self {
        Self { timestamp, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
    }

    fn from(view: &RecordView<'_>) -> Self {
        Self {
            timestamp: view.timestamp,
            key: view.key.map(<[u8]>::to_vec),
            value: view.value.map(<[u8]>::to_vec),
            headers: view.headers.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect(),
        }
    }

    fn append(&self, builder: &mut BatchBuilder) -> u32 {
        let list: Vec<_> = self.headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        let record = RecordRef {
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::List(&list),
        };
        let before = builder.len();
        let index = builder.append(&record);
        assert!(builder.len() - before <= BatchBuilder::record_size_bound(&record));
        index
    }
}

fn sealed(records: &[Owned], codec: Compression) -> SealedBatch {
    let mut builder = BatchBuilder::new(0);
    for (i, record) in records.iter().enumerate() {
        assert_eq!(record.append(&mut builder) as usize, i);
    }
    let mut batch = builder.seal(&mut Compressor::new(codec, None).unwrap(), false);
    batch.stamp(-1, -1, -1);
    batch
}

fn read(bytes: Bytes) -> Result<Vec<Owned>, RecordError> {
    let mut records = Vec::new();
    for batch in batches(bytes) {
        let batch = batch?;
        batch.verify_crc()?;
        for record in batch.plain(&mut Decompressor::new(), MAX)?.iter() {
            records.push(Owned::from(&record?));
        }
    }
    Ok(records)
}

fn some_records(count: usize) -> Vec<Owned> {
    (0..count).map(|i| Owned::plain(1_700_000_000_000 + i as i64, &format!("key {i}"), &format!("value {i}"))).collect()
}

fn edited(batch: &SealedBatch, edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch.bytes()[..]);
    edit(&mut bytes);
    bytes.freeze()
}

/// Renews the CRC after an edit, so that the fault behind it is found.
fn forged(batch: &SealedBatch, edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    edited(batch, |bytes| {
        edit(bytes);
        header::put_crc(bytes);
    })
}

#[test]
fn an_uncompressed_batch_is_sealed_and_stamped_in_place() {
    let mut builder = BatchBuilder::new(1000);
    Owned::plain(5, "k", "v").append(&mut builder);
    let mut batch = builder.seal(&mut Compressor::new(Compression::None, None).unwrap(), true);
    batch.stamp(1, 2, 3);
    let first = batch.bytes();
    let at = first.as_ptr();
    drop(first);
    batch.stamp(7, 8, 9);
    assert_eq!(batch.bytes().as_ptr(), at, "nobody else holds the bytes: nothing is copied");

    let written = batch.bytes();
    batch.stamp(7, 9, 0);
    assert_ne!(batch.bytes().as_ptr(), at, "a write in flight keeps its own bytes");
    let header = |bytes| {
        *match batches(bytes).next() {
            Some(Ok(RawBatch::V2(batch))) => {
                batch.verify_crc().unwrap();
                batch
            }
            other => panic!("{other:?}"),
        }
        .header()
    };
    let old = header(written);
    assert_eq!((old.producer_id, old.producer_epoch, old.base_sequence), (7, 8, 9));
    let new = header(batch.bytes());
    assert_eq!((new.producer_id, new.producer_epoch, new.base_sequence), (7, 9, 0));
    assert!(new.attributes.is_transactional() && !new.attributes.is_control());
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let mut batch = sealed(&[Owned::plain(1000, "k", "v")], Compression::None);
    batch.stamp(0x0102_0304_0506_0708, 9, 10);
    #[rustfmt::skip]
    let body = [
        0, 0, 0, 0, 0, 0, 0, 0, // BaseOffset
        0, 0, 0, 58, // BatchLength
        255, 255, 255, 255, // PartitionLeaderEpoch
        2, // Magic
    ];
    assert_eq!(batch.bytes()[..17], body);
    #[rustfmt::skip]
    let rest = [
        0, 0, // Attributes
        0, 0, 0, 0, // LastOffsetDelta
        0, 0, 0, 0, 0, 0, 3, 232, // BaseTimestamp
        0, 0, 0, 0, 0, 0, 3, 232, // MaxTimestamp
        1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 0, 0, 10, // producer
        0, 0, 0, 1, // count
        16, 0, 0, 0, 2, b'k', 2, b'v', 0, // the record
    ];
    assert_eq!(batch.bytes()[21..], rest);
}

#[test]
fn timestamps_are_64_bit_deltas_in_both_directions() {
    let records: Vec<_> =
        [0, 1_786_000_000_000, -1, i64::MAX, i64::MIN, 5].map(|timestamp| Owned::plain(timestamp, "", "")).into();
    let batch = sealed(&records, Compression::None);
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (0, i64::MAX));
    assert_eq!(read(batch.bytes()).unwrap(), records);
}

#[test]
fn a_builder_is_reused_after_a_seal() {
    let mut builder = BatchBuilder::new(4096);
    for codec in Compression::ALL {
        let mut compressor = Compressor::new(codec, None).unwrap();
        let records = some_records(50);
        records.iter().for_each(|record| _ = record.append(&mut builder));
        assert_eq!(builder.count(), 50);
        let mut batch = builder.seal_reset(&mut compressor, false);
        assert!(builder.is_empty() && builder.len() == BATCH_HEADER_LEN && builder.max_timestamp() == -1);
        batch.stamp(-1, -1, -1);
        assert_eq!(read(batch.bytes()).unwrap(), records);
        assert_eq!(batch.len(), batch.bytes().len());
    }
}

#[test]
fn a_batch_that_would_grow_stays_plain() {
    for codec in Compression::ALL {
        let batch = sealed(&[Owned::plain(0, "a", "b")], codec);
        let header = batches(batch.bytes()).next().unwrap().unwrap().header();
        assert_eq!(header.attributes.compression(), Some(Compression::None));
        let batch = sealed(&some_records(100), codec);
        let header = batches(batch.bytes()).next().unwrap().unwrap().header();
        assert_eq!(header.attributes.compression(), Some(codec));
    }
}

#[test]
fn packed_headers_are_written_as_lists_are() {
    let list: [(&[u8], Option<&[u8]>); 4] =
        [(b"a", Some(b"1")), (b"", None), (b"a", Some(b"")), ("ключ".as_bytes(), Some(&[0xff; 300]))];
    let mut packed = 4u32.to_le_bytes().to_vec();
    for (name, value) in list {
        packed.extend((name.len() as u32).to_le_bytes());
        packed.extend(name);
        packed.extend(value.map_or(-1, |value| value.len() as i32).to_le_bytes());
        packed.extend(value.unwrap_or_default());
    }
    let parsed = PackedHeaders::parse(&packed).unwrap();
    assert!(parsed.iter().eq(list) && parsed.count() == 4);
    let record = |headers| RecordRef { timestamp: 1, key: None, value: Some(b""), headers };
    let mut builders = [BatchBuilder::new(0), BatchBuilder::new(0), BatchBuilder::new(0)];
    builders[0].append(&record(Headers::List(&list)));
    builders[1].append(&record(Headers::Packed(parsed)));
    let none = &mut Compressor::new(Compression::None, None).unwrap();
    let [a, b, mut c] = builders;
    let mut a = a.seal(none, false);
    a.stamp(-1, -1, -1);
    let plain = batches(a.bytes()).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
    let view = plain.iter().next().unwrap().unwrap();
    assert!(view.headers.iter().eq(list));
    assert_eq!(WireHeaders::parse(view.headers.as_bytes(), 4), Ok(view.headers));
    c.append(&view.as_ref());
    for other in [b, c] {
        let mut other = other.seal(none, false);
        other.stamp(-1, -1, -1);
        assert_eq!(other.bytes(), a.bytes());
    }

    for cut in 1..packed.len() {
        assert!(PackedHeaders::parse(&packed[..cut]).is_err(), "{cut}");
    }
    assert_eq!(PackedHeaders::parse(&[]).unwrap().count(), 0);
    packed.push(0);
    assert_eq!(PackedHeaders::parse(&packed).unwrap_err().kind, RecordErrorKind::TrailingBytes(1));
    let bad = [&1u32.to_le_bytes()[..], &1u32.to_le_bytes(), &[0xff], &(-1i32).to_le_bytes()].concat();
    assert_eq!(PackedHeaders::parse(&bad).unwrap_err().kind, RecordErrorKind::Utf8);
    let bad = [u32::MAX.to_le_bytes(), 0u32.to_le_bytes()].concat();
    assert!(PackedHeaders::parse(&bad).is_err(), "a false count costs nothing");
}

#[test]
fn a_truncated_last_batch_is_left_out_at_every_byte() {
    let (a, b) = (sealed(&some_records(3), Compression::None), sealed(&some_records(40), Compression::Lz4));
    let both = Bytes::from([a.bytes(), b.bytes()].concat());
    for cut in 0..=both.len() {
        let mut set = batches(both.slice(..cut));
        let whole = set.by_ref().map(Result::unwrap).count();
        let expected = usize::from(cut >= a.len()) + usize::from(cut == both.len());
        assert_eq!((whole, set.rest()), (expected, cut - [0, a.len(), both.len()][expected]));
    }
}

#[test]
fn an_empty_batch_keeps_its_last_offset() {
    // As compaction leaves it.
    let bytes = forged(&sealed(&some_records(5), Compression::None), |bytes| {
        bytes.truncate(BATCH_HEADER_LEN);
        header::put(bytes, header::at::LENGTH, &49i32.to_be_bytes());
        header::put(bytes, header::at::RECORD_COUNT, &0i32.to_be_bytes());
        header::put(bytes, header::at::BASE_TIMESTAMP, &(-1i64).to_be_bytes());
        set_offsets(bytes, 100, 3);
    });
    let batch = batches(bytes).next().unwrap().unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.last_offset(), batch.header().record_count, batch.header().partition_leader_epoch), (104, 0, 3));
    assert_eq!(batch.plain(&mut Decompressor::new(), MAX).unwrap().iter().count(), 0);
    let mut indexer = Indexer::new(&batch.header(), &[]);
    assert_eq!(indexer.run(&ALL, &mut Vec::new()).unwrap().count, 0);
}

#[test]
fn log_append_time_holds_for_every_record() {
    let bytes = edited(&sealed(&some_records(3), Compression::None), |bytes| set_log_append_time(bytes, 42));
    let batch = batches(bytes).next().unwrap().unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    let plain = batch.plain(&mut Decompressor::new(), MAX).unwrap();
    assert!(plain.iter().all(|record| record.unwrap().timestamp == 42));
    let mut index = Vec::new();
    Indexer::new(plain.header(), plain.records()).run(&ALL, &mut index).unwrap();
    assert!(index.chunks(INDEX_WIDTH).all(|row| row[1..3] == [42, 0]));
}

#[test]
fn a_delete_horizon_is_read_and_shifts_no_timestamp() {
    let bytes = forged(&sealed(&some_records(1), Compression::None), |bytes| {
        bytes[header::at::ATTRIBUTES + 1] |= 0x40;
    });
    let header = batches(bytes).next().unwrap().unwrap().header();
    assert_eq!(header.delete_horizon(), Some(1_700_000_000_000));
}

#[test]
fn markers_are_read_and_written() {
    for (control, id) in [(ControlType::Abort, 0), (ControlType::Commit, 1), (ControlType::Other(5), 5)] {
        let bytes = control_batch(control, 7, 1, 99, 1000);
        let batch = batches(bytes).next().unwrap().unwrap();
        batch.verify_crc().unwrap();
        let header = batch.header();
        assert!(header.attributes.is_control() && header.attributes.is_transactional());
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 1, -1));
        let plain = batch.plain(&mut Decompressor::new(), MAX).unwrap();
        assert_eq!(plain.control_type(), Some(control));
        assert_eq!(control.id(), id);
        assert_eq!(plain.iter().next().unwrap().unwrap().value, Some(&[0, 0, 0, 0, 0, 99][..]));
    }
    let data = sealed(&some_records(1), Compression::None);
    let plain = batches(data.bytes()).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
    assert_eq!(plain.control_type(), None);
}

#[test]
fn sequences_wrap_to_zero() {
    let mut batch = sealed(&some_records(3), Compression::None);
    for (base, last) in [(0, 2), (i32::MAX - 2, i32::MAX), (i32::MAX - 1, 0), (i32::MAX, 1), (-1, -1)] {
        batch.stamp(1, 0, base);
        assert_eq!(batches(batch.bytes()).next().unwrap().unwrap().header().last_sequence(), last);
    }
}

#[test]
fn a_malformed_header_is_named() {
    use header::at;
    let batch = sealed(&some_records(3), Compression::None);
    let fault = |at: usize, field: &[u8]| {
        let bytes = forged(&batch, |bytes| header::put(bytes, at, field));
        let error = batches(bytes).find_map(Result::err).unwrap();
        (error.field, error.position)
    };
    assert_eq!(fault(at::MAGIC, &[3]), ("Magic", 16));
    assert_eq!(fault(at::LENGTH, &48i32.to_be_bytes()), ("BatchLength", 8));
    assert_eq!(fault(at::LENGTH, &(-5i32).to_be_bytes()), ("BatchLength", 8));
    assert_eq!(fault(at::RECORD_COUNT, &(-1i32).to_be_bytes()), ("RecordCount", 57));
    assert_eq!(fault(at::RECORD_COUNT, &4i32.to_be_bytes()), ("RecordCount", 57));
    assert_eq!(fault(at::LAST_OFFSET_DELTA, &(-1i32).to_be_bytes()), ("LastOffsetDelta", 23));
    assert_eq!(fault(at::BASE_OFFSET, &(-1i64).to_be_bytes()), ("BaseOffset", 0));

    let bytes = forged(&batch, |bytes| bytes[at::ATTRIBUTES + 1] = 7);
    let batch = batches(bytes).next().unwrap().unwrap();
    let error = batch.plain(&mut Decompressor::new(), MAX).unwrap_err();
    assert_eq!((error.field, error.position, error.base_offset), ("Attributes", 21, Some(0)));
}

#[test]
fn a_wrong_crc_says_both_values_and_the_offset() {
    let bytes = edited(&sealed(&some_records(3), Compression::None), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let error = batches(bytes).next().unwrap().unwrap().verify_crc().unwrap_err();
    assert!(matches!(error.kind, RecordErrorKind::Crc { .. }));
    assert!(error.to_string().starts_with("record batch at offset 0: Crc at byte 17: checksum 0x"), "{error}");
}

#[test]
fn a_compressed_batch_cannot_claim_more_records_than_its_bytes_hold() {
    let bytes = forged(&sealed(&some_records(100), Compression::Zstd), |bytes| {
        header::put(bytes, header::at::LAST_OFFSET_DELTA, &999_999i32.to_be_bytes());
        header::put(bytes, header::at::RECORD_COUNT, &1_000_000i32.to_be_bytes());
    });
    let error = batches(bytes).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap_err();
    assert_eq!(error.field, "RecordCount");
}

#[test]
fn a_malformed_record_is_named() {
    let batch = sealed(&some_records(2), Compression::None);
    // Record 0: length, attributes, timestamp, offset, key length (1 byte each), key.
    let fault = |at: usize, byte: u8| {
        let bytes = forged(&batch, |bytes| bytes[BATCH_HEADER_LEN + at] = byte);
        let plain = batches(bytes).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
        let iterated = plain.iter().find_map(Result::err).unwrap();
        let mut index = vec![1, 2, 3];
        let indexed = Indexer::new(plain.header(), plain.records()).run(&ALL, &mut index).unwrap_err();
        assert_eq!((iterated, index), (indexed.clone(), vec![1, 2, 3]));
        (indexed.field, indexed.position, indexed.record)
    };
    assert_eq!(fault(0, 0x7f), ("Length", 0, Some(0)));
    assert_eq!(fault(0, 0), ("Attributes", 1, Some(0)));
    assert_eq!(fault(3, 0x40), ("OffsetDelta", 3, Some(0)));
    assert_eq!(fault(4, 3), ("Key", 4, Some(0)));
    assert_eq!(fault(4, 0x7e), ("Key", 5, Some(0)));
}

#[test]
fn a_record_that_does_not_fit_waits_for_the_next_chunk() {
    let batch = sealed(&some_records(2), Compression::None);
    let plain = batches(batch.bytes()).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
    let mut indexer = Indexer::new(plain.header(), plain.records());
    let mut index = Vec::new();
    let run = indexer.run(&Run { max_bytes: 3, at_least_one: false, ..ALL }, &mut index).unwrap();
    assert_eq!((run.count, indexer.position(), index.len()), (0, 0, 0));
    let run = indexer.run(&Run { max_bytes: 3, ..ALL }, &mut index).unwrap();
    assert_eq!((run.count, run.last_offset), (1, 0));
}

#[test]
fn runs_cut_a_batch_into_chunks() {
    let records = some_records(1000);
    let batch = sealed(&records, Compression::Zstd);
    let plain = batches(batch.bytes()).next().unwrap().unwrap().plain(&mut Decompressor::new(), MAX).unwrap();
    let mut header = *plain.header();
    header.base_offset = 5_000_000_000;
    for max in [1, 100, 1000, 1 << 20] {
        let mut indexer = Indexer::new(&header, plain.records());
        indexer.skip_below(5_000_000_010).unwrap();
        let mut seen = 10usize;
        while !indexer.is_done() {
            let (start, mut index) = (indexer.position(), Vec::new());
            let base = 5_000_000_000 + seen as i64;
            let run = indexer
                .run(&Run { base_offset: base, shift: -(start as i64), max_bytes: max, ..ALL }, &mut index)
                .unwrap();
            assert!(run.count == 1 || run.end - run.start <= max);
            let chunk = &plain.records()[run.start..run.end];
            for (i, row) in index.chunks(INDEX_WIDTH).enumerate() {
                let slice = |start: i32, len: i32| &chunk[start as usize..(start + len) as usize];
                assert_eq!(row[0], i as i32);
                assert_eq!(i64::from(row[2]) << 32 | i64::from(row[1] as u32), records[seen].timestamp);
                assert_eq!(slice(row[3], row[4]), records[seen].key.as_deref().unwrap());
                assert_eq!(slice(row[5], row[6]), records[seen].value.as_deref().unwrap());
                assert_eq!(row[8..], [0, 0]);
                seen += 1;
            }
            assert_eq!(run.last_offset, 5_000_000_000 + seen as i64 - 1);
        }
        assert_eq!(seen, 1000);
    }
}

fn message(
    magic: i8,
    offset: i64,
    attributes: i8,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = vec![magic as u8, attributes as u8];
    if magic == 1 {
        body.extend(timestamp.to_be_bytes());
    }
    for field in [key, value] {
        body.extend(field.map_or(-1, |field| field.len() as i32).to_be_bytes());
        body.extend(field.unwrap_or_default());
    }
    let crc = crc_fast::crc32_iso_hdlc(&body);
    [&offset.to_be_bytes()[..], &(body.len() as i32 + 4).to_be_bytes(), &crc.to_be_bytes(), &body].concat()
}

fn legacy(bytes: Vec<u8>) -> Result<Vec<(i64, Owned)>, RecordError> {
    let mut all = Vec::new();
    for batch in batches(Bytes::from(bytes)) {
        let batch = batch?;
        batch.verify_crc()?;
        for record in batch.plain(&mut Decompressor::new(), MAX)?.iter() {
            let record = record?;
            all.push((record.offset, Owned::from(&record)));
        }
    }
    Ok(all)
}

#[test]
fn message_sets_of_magic_0_and_1_are_read() {
    for magic in [0, 1] {
        let time = |timestamp| if magic == 0 { -1 } else { timestamp };
        let set = [
            message(magic, 10, 0, 77, Some(b"k"), Some(b"v")),
            message(magic, 12, 0, 78, None, Some(b"")),
            message(magic, 13, 0, 79, Some(b""), None),
        ]
        .concat();
        let read = legacy(set.clone()).unwrap();
        assert_eq!(read[0], (10, Owned::plain(time(77), "k", "v")));
        assert_eq!((read[1].0, read[1].1.key.clone(), read[2].1.value.clone()), (12, None, None));
        assert_eq!(legacy(set[..set.len() - 1].to_vec()).unwrap().len(), 2, "a truncated message is left out");
    }
}

#[test]
fn wrappers_have_absolute_offsets_in_magic_0_and_relative_ones_in_magic_1() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        for magic in [0i8, 1] {
            let first = if magic == 0 { 100 } else { 0 };
            // The one in the middle was compacted away.
            let inner = [(first, 5), (first + 2, 9)]
                .map(|(offset, timestamp)| message(magic, offset, 0, timestamp, Some(b"k"), Some(&[7; 500])))
                .concat();
            let packed = Compressor::new(codec, None).unwrap().compress(&inner).unwrap().to_vec();
            let wrapper = message(magic, 102, codec.id() as i8, 9, None, Some(&packed));
            let read = legacy(wrapper).unwrap();
            assert_eq!(read.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [100, 102]);
            assert_eq!(read[1].1.timestamp, if magic == 0 { -1 } else { 9 });
            assert_eq!(read[1].1.value.as_deref(), Some(&[7; 500][..]));
        }
        let inner = message(1, 0, 0, 5, None, None);
        let packed = Compressor::new(codec, None).unwrap().compress(&inner).unwrap().to_vec();
        let wrapper = message(1, 50, codec.id() as i8 | 8, 1234, None, Some(&packed));
        assert_eq!(legacy(wrapper).unwrap()[0].1.timestamp, 1234, "log append time is the wrapper's");
    }
}

#[test]
fn malformed_messages_are_refused() {
    let good = message(1, 10, 0, 77, Some(b"k"), Some(b"v"));
    for at in 12..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        assert!(legacy(bad).is_err(), "byte {at}");
    }
    let inner = [message(1, 3, 0, 0, None, None), message(1, 2, 0, 0, None, None)].concat();
    let packed = Compressor::new(Compression::Lz4, None).unwrap().compress(&inner).unwrap().to_vec();
    let error = legacy(message(1, 5, 3, 0, None, Some(&packed))).unwrap_err();
    assert_eq!((error.field, error.record, error.base_offset), ("Offset", Some(1), Some(5)));
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (0usize..20_000).prop_map(|len| vec![b'x'; len]),
    ]
}

fn record() -> impl Strategy<Value = Owned> {
    let headers = prop::collection::vec((text(), prop::option::of(text())), 0..4);
    (any::<i64>(), prop::option::of(text()), prop::option::of(text()), headers)
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

fn read_everything(bytes: Bytes) {
    let mut decompressor = Decompressor::new();
    for batch in batches(bytes).flatten() {
        let _ = batch.verify_crc();
        let mut out = Output::new();
        if let Ok(header) = batch.plain_into(&mut decompressor, 1 << 20, &mut out) {
            let mut indexer = Indexer::new(&header, &out);
            let mut index = Vec::new();
            while !indexer.is_done() && indexer.run(&Run { max_bytes: 100, ..ALL }, &mut index).is_ok() {}
            for row in index.chunks(INDEX_WIDTH) {
                let end = |start: i32, len: i32| start as usize + len.max(0) as usize;
                assert!(end(row[3], row[4]) <= out.len() && end(row[5], row[6]) <= out.len());
                let headers = &out[row[7] as usize..end(row[7], row[8])];
                assert!(WireHeaders::parse(headers, row[9] as u32).is_ok());
            }
        }
        if let Ok(plain) = batch.plain(&mut decompressor, 1 << 20) {
            let _ = plain.control_type();
            plain.iter().flatten().for_each(|record| assert!(record.headers.iter().count() == record.headers.count()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_records_round_trip(records in prop::collection::vec(record(), 1..30), codec in codec()) {
        let batch = sealed(&records, codec);
        prop_assert_eq!(read(batch.bytes()).unwrap(), records);
    }

    #[test]
    fn the_index_says_what_the_iterator_says(
        records in prop::collection::vec(record(), 1..30), codec in codec(), max in 1usize..5000, from in 0i64..30,
    ) {
        let batch = sealed(&records, codec);
        let raw = batches(batch.bytes()).next().unwrap().unwrap();
        let mut out = Output::from(b"ahead".to_vec());
        let header = raw.plain_into(&mut Decompressor::new(), MAX, &mut out).unwrap();
        let mut indexer = Indexer::new(&header, &out[5..]);
        let mut index = Vec::new();
        while !indexer.is_done() {
            indexer.run(&Run { from_offset: from, shift: 5, max_bytes: max, ..ALL }, &mut index).unwrap();
        }
        let views: Vec<_> = RecordIter::new(&header, &out[5..]).map(Result::unwrap).filter(|view| view.offset >= from).collect();
        prop_assert_eq!(views.len() * INDEX_WIDTH, index.len());
        for (view, row) in views.iter().zip(index.chunks(INDEX_WIDTH)) {
            let slice = |start: i32, len: i32| (len >= 0).then(|| &out[start as usize..(start + len) as usize]);
            prop_assert_eq!(i64::from(row[0]), view.offset);
            prop_assert_eq!(i64::from(row[2]) << 32 | i64::from(row[1] as u32), view.timestamp);
            prop_assert_eq!(slice(row[3], row[4]), view.key);
            prop_assert_eq!(slice(row[5], row[6]), view.value);
            prop_assert_eq!(slice(row[7], row[8]), Some(view.headers.as_bytes()));
            prop_assert_eq!(row[9] as usize, view.headers.count());
        }
    }

    #[test]
    fn mutations_never_panic(
        records in prop::collection::vec(record(), 1..10),
        codec in codec(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let batch = sealed(&records, codec);
        read_everything(edited(&batch, |bytes| {
            for (at, byte) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        }));
    }

    #[test]
    fn mutations_of_message_sets_never_panic(
        values in prop::collection::vec(text(), 1..5),
        magic in 0i8..2,
        codec in 0u8..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut set: Vec<u8> = values.iter().enumerate()
            .flat_map(|(i, value)| message(magic, i as i64, 0, 3, None, Some(value))).collect();
        if let Some(codec) = Compression::from_id(codec).filter(|&codec| codec != Compression::None) {
            let packed = Compressor::new(codec, None).unwrap().compress(&set).unwrap().to_vec();
            set = message(magic, 9, codec.id() as i8, 3, None, Some(&packed));
        }
        for (at, byte) in edits {
            let at = at.index(set.len());
            set[at] = byte;
        }
        read_everything(Bytes::from(set));
    }

    #[test]
    fn a_record_cut_at_any_byte_is_an_error(records in prop::collection::vec(record(), 1..4)) {
        let batch = sealed(&records, Compression::None);
        let plain = batch.bytes().slice(BATCH_HEADER_LEN..);
        let header = batches(batch.bytes()).next().unwrap().unwrap().header();
        let step = 1 + plain.len() / 300;
        for cut in (0..plain.len()).step_by(step) {
            prop_assert!(RecordIter::new(&header, &plain[..cut]).any(|record| record.is_err()), "{}", cut);
        }
    }
}
