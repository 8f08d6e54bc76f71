use proptest::prelude::*;

use super::messages::message;
use super::*;
use crate::compress::Output;

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
