use super::*;

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
