use super::*;

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
    // There is no offset behind the last of its three records.
    assert_eq!(fault(at::BASE_OFFSET, &(i64::MAX - 2).to_be_bytes()), ("LastOffsetDelta", 23));

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
