use super::*;

pub(super) fn message(
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

    // There is no offset behind these.
    assert_eq!(legacy(message(1, i64::MAX, 0, 0, None, None)).unwrap_err().field, "Offset");
    let inner = message(0, i64::MAX, 0, 0, None, None);
    let packed = Compressor::new(Compression::Lz4, None).unwrap().compress(&inner).unwrap().to_vec();
    assert_eq!(legacy(message(0, 5, 3, 0, None, Some(&packed))).unwrap_err().field, "Offset");
}
