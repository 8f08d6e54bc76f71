use super::*;

fn batch(codec: Compression) -> Batch {
    let records: Vec<Owned> = (0..20).map(|n| Owned::plain(1000 + n, &format!("key {n}"), &"v".repeat(50))).collect();
    let mut sealed = sealed(&records, codec);
    sealed.stamp(7, 3, 40);
    let mut bytes = BytesMut::from(&sealed.bytes()[..]);
    set_offsets(&mut bytes, 500, 9);
    parse(bytes.freeze())
}

fn parse(bytes: Bytes) -> Batch {
    match batches(bytes).next() {
        Some(Ok(RawBatch::V2(batch))) => {
            batch.verify_crc().unwrap();
            batch
        }
        other => panic!("{other:?}"),
    }
}

/// What compaction must not change.
fn identity(batch: &Batch) -> (i64, i64, i32, i64, i16, i32, i32) {
    let h = batch.header();
    let (sequence, last) = (h.base_sequence, h.last_sequence());
    (h.base_offset, h.last_offset(), h.partition_leader_epoch, h.producer_id, h.producer_epoch, sequence, last)
}

#[test]
fn a_thinned_batch_keeps_offsets_times_and_producer_in_every_codec() {
    for codec in Compression::ALL {
        for horizon in [None, Some(77_000)] {
            let old = batch(codec);
            let plain = old.plain(&mut Decompressor::new(), MAX).unwrap();
            let keep: Vec<_> = plain.iter().map(Result::unwrap).filter(|record| record.offset % 7 == 0).collect();
            let mut compressor = Compressor::new(codec, None).unwrap();
            let new = parse(thinned(old.header(), &keep, horizon, &mut compressor).unwrap());
            assert_eq!(identity(&new), identity(&old), "{codec}");
            assert_eq!(new.header().attributes.compression(), Some(codec));
            assert_eq!(new.header().delete_horizon(), horizon);
            assert_eq!((new.header().record_count, new.header().max_timestamp), (3, 1018));
            let read = new.plain(&mut Decompressor::new(), MAX).unwrap();
            let read: Vec<_> = read.iter().map(Result::unwrap).map(|r| (r.offset, Owned::from(&r))).collect();
            let kept: Vec<_> = keep.iter().map(|r| (r.offset, Owned::from(r))).collect();
            assert_eq!(read, kept, "{codec} {horizon:?}");
        }
    }
}

#[test]
fn an_emptied_batch_is_its_header() {
    let old = batch(Compression::Zstd);
    let new = parse(emptied(old.header()));
    assert_eq!(identity(&new), identity(&old));
    assert_eq!((new.bytes().len(), new.header().record_count), (BATCH_HEADER_LEN, 0));
    assert_eq!((new.header().base_timestamp, new.header().max_timestamp), (-1, 1019));
    assert_eq!(new.plain(&mut Decompressor::new(), MAX).unwrap().iter().count(), 0);
    assert_eq!(new.header().attributes, Attributes(0));
}

#[test]
fn a_thinned_batch_with_log_append_time_keeps_it() {
    let mut bytes = BytesMut::from(&batch(Compression::None).bytes()[..]);
    set_log_append_time(&mut bytes, 9999);
    let old = parse(bytes.freeze());
    let plain = old.plain(&mut Decompressor::new(), MAX).unwrap();
    let keep = [plain.iter().nth(4).unwrap().unwrap()];
    let mut compressor = Compressor::new(Compression::None, None).unwrap();
    let new = parse(thinned(old.header(), &keep, None, &mut compressor).unwrap());
    assert_eq!(new.header().max_timestamp, 9999);
    let read = new.plain(&mut Decompressor::new(), MAX).unwrap();
    assert_eq!(read.iter().map(|record| record.unwrap().timestamp).collect::<Vec<_>>(), [9999]);
}
