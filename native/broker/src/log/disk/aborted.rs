//! `.txnindex` (Kafka's TransactionIndex): the transactions that were aborted with a marker in this segment, in the order of
//! the markers. 34 bytes each: a version and the message AbortedTxn. There is no file when there was none.

use std::io;

use bytes::Bytes;
use dohle_protocol::{Decoder, Encoder, Message, messages::AbortedTxn};

use super::{
    super::transactions::{Aborted, Transactions},
    invalid, names,
    place::Place,
};
use crate::disk::{read_all, replace};

const VERSION: i16 = 0;
const ENTRY: usize = 34;
/// Beyond any real file of these.
const MOST: u64 = 1 << 30;

/// The file of the segment that begins at this offset.
pub fn read(place: &Place, base_offset: i64) -> io::Result<Vec<Aborted>> {
    let path = place.path(&names::name(base_offset, names::TXN_INDEX));
    let bytes = read_all(&*place.disk, &path, MOST)?.unwrap_or_default();
    let mut found = Vec::new();
    for entry in bytes.chunks_exact(ENTRY) {
        let aborted = parse(entry)?;
        // Anything else is torn or damaged: the segment is to be recovered.
        if aborted.last_offset < base_offset || aborted.first_offset > aborted.last_offset {
            return Err(invalid(format!("{}: an entry that cannot be its own", path.display())));
        }
        found.push(aborted);
    }
    if bytes.len() % ENTRY == 0 { Ok(found) } else { Err(invalid(format!("{}: half an entry", path.display()))) }
}

/// Appends an entry to the file that has `count` of them.
pub fn append(place: &Place, base_offset: i64, count: usize, aborted: &Aborted) -> io::Result<()> {
    let path = place.path(&names::name(base_offset, names::TXN_INDEX));
    let file = match place.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => place.disk.create(&path)?,
        opened => opened?,
    };
    file.write_at(&print(aborted)?, (count * ENTRY) as u64)
}

/// Puts a file with these in the place of what is there.
pub fn write(place: &Place, name: &str, all: &[Aborted]) -> io::Result<()> {
    if all.is_empty() {
        return place.disk.remove(&place.path(name));
    }
    let entries = all.iter().map(print).collect::<io::Result<Vec<_>>>()?;
    replace(&*place.disk, &place.path(name), &entries.concat())
}

/// Writes the file of the segment between these offsets.
pub fn write_segment(place: &Place, base_offset: i64, end: i64, all: &Transactions) -> io::Result<()> {
    write(place, &names::name(base_offset, names::TXN_INDEX), &all.aborted_with_markers(base_offset, end))
}

fn print(aborted: &Aborted) -> io::Result<Vec<u8>> {
    let message = AbortedTxn {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
        last_offset: aborted.last_offset,
        last_stable_offset: aborted.last_stable_offset,
    };
    let mut encoder = Encoder::with_capacity(ENTRY);
    encoder.i16(VERSION);
    message.encode(&mut encoder, VERSION).map_err(io::Error::other)?;
    Ok(encoder.finish().to_bytes().to_vec())
}

fn parse(entry: &[u8]) -> io::Result<Aborted> {
    let mut decoder = Decoder::new(Bytes::copy_from_slice(entry));
    let version = decoder.i16("version").map_err(|error| invalid(error.to_string()))?;
    let message = AbortedTxn::decode(&mut decoder, version).map_err(|error| invalid(error.to_string()))?;
    Ok(Aborted {
        producer_id: message.producer_id,
        first_offset: message.first_offset,
        last_offset: message.last_offset,
        last_stable_offset: message.last_stable_offset,
    })
}
