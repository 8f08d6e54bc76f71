//! `.snapshot` (Kafka's ProducerStateManager): what was known of a partition's producers at the offset in the file's name, so
//! that only what was written after it must be read again. A version, then the message ProducerSnapshot with a CRC over its entries.

use std::{io, sync::Arc};

use bytes::Bytes;
use dohle_protocol::{
    Decoder, Encoder, Message,
    messages::{ProducerSnapshot, producer_snapshot::ProducerEntry},
    records::crc32c,
};

use super::{invalid, names, place::Place};
use crate::disk::{DiskFile, read_all};

const VERSION: i16 = 1;
/// Behind the version and the CRC: what the CRC is of.
const ENTRIES_AT: usize = 6;
const MOST: u64 = 1 << 30;

/// The entries of the snapshot at this offset; an error of the kind `InvalidData` when it is damaged.
pub fn read(place: &Place, offset: i64) -> io::Result<Vec<ProducerEntry>> {
    let path = place.path(&names::name(offset, names::SNAPSHOT));
    let missing = || io::Error::new(io::ErrorKind::NotFound, path.display().to_string());
    let bytes = read_all(&*place.disk, &path, MOST)?.ok_or_else(missing)?;
    parse(bytes.into()).map_err(|error| invalid(format!("{}: {error}", path.display())))
}

/// Writes the snapshot at this offset. One that a crash has torn is noticed by its CRC, and an older one is as good.
pub fn write(place: &Place, offset: i64, entries: Vec<ProducerEntry>) -> io::Result<Arc<dyn DiskFile>> {
    let file = place.disk.create(&place.path(&names::name(offset, names::SNAPSHOT)))?;
    file.write_at(&print(entries)?, 0)?;
    Ok(file)
}

/// The offsets of the snapshots among these names.
pub fn offsets<'a>(names: impl Iterator<Item = &'a str>) -> Vec<i64> {
    names.filter_map(names::parse).filter(|(_, kind)| *kind == names::SNAPSHOT).map(|(offset, _)| offset).collect()
}

fn print(producer_entries: Vec<ProducerEntry>) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new();
    encoder.i16(VERSION);
    let message = ProducerSnapshot { crc: 0, producer_entries };
    message.encode(&mut encoder, VERSION).map_err(io::Error::other)?;
    let mut bytes = encoder.finish().to_bytes().to_vec();
    let crc = crc32c(&bytes[ENTRIES_AT..]);
    bytes[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes)
}

fn parse(bytes: Bytes) -> Result<Vec<ProducerEntry>, String> {
    let crc = bytes.get(ENTRIES_AT..).map(crc32c).ok_or("too short")?;
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16("version").map_err(|error| error.to_string())?;
    let message = ProducerSnapshot::decode(&mut decoder, version).map_err(|error| error.to_string())?;
    if message.crc == crc { Ok(message.producer_entries) } else { Err("its CRC is of something else".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_back_and_every_flipped_bit_is_noticed() {
        let entry = ProducerEntry { producer_id: 7, epoch: 1, last_sequence: 9, last_offset: 40, ..Default::default() };
        let bytes = print(vec![entry.clone()]).unwrap();
        assert_eq!(parse(bytes.clone().into()), Ok(vec![entry]));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(flipped.into()).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(parse(bytes[..cut].to_vec().into()).is_err(), "cut at {cut}");
        }
    }
}
