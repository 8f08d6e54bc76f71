//! What an interrupted deletion or compaction has left in a folder, settled as Kafka's LogLoader does it: `.deleted` and `.cleaned`
//! go, a complete `.swap` replaces the segments that it was made of.

use std::io;

use super::{heads::Heads, names, place::Place};
use crate::disk::Listed;

/// Settles it. Answers whether anything was found.
pub fn settle(place: &Place) -> io::Result<bool> {
    let files: Vec<Listed> = place.disk.list(&place.folder)?.into_iter().filter(|file| !file.folder).collect();
    let of = |suffix: &'static str| {
        let with =
            files.iter().filter_map(move |file| names::parse(&file.name).map(|(offset, kind)| (file, offset, kind)));
        with.filter(move |(_, _, kind)| kind.ends_with(suffix)).map(move |(file, offset, kind)| {
            (file.name.clone(), offset, kind.strip_suffix(suffix).unwrap_or(kind).to_string(), file.len)
        })
    };
    let remove = |name: &str| place.disk.remove(&place.path(name));
    let half_written = files.iter().filter(|file| file.name.ends_with(".tmp")).map(|file| file.name.clone());
    for name in of(names::DELETED).map(|(name, ..)| name).chain(half_written) {
        remove(&name)?;
    }
    // The files of one compaction get their names one after the other: what has a smaller offset than one that has none yet
    // may be a part of it.
    let first_cleaned = of(names::CLEANED).map(|(_, offset, ..)| offset).min().unwrap_or(i64::MAX);
    let mut swaps = Vec::new();
    for swap in of(names::SWAP).filter(|(_, _, kind, _)| names::OF_SEGMENT.contains(&&**kind)) {
        if swap.1 >= first_cleaned { remove(&swap.0)? } else { swaps.push(swap) }
    }
    for (name, ..) in of(names::CLEANED) {
        remove(&name)?;
    }
    let mut replaced: Option<(i64, i64)> = None;
    for (name, offset, kind, len) in &swaps {
        if kind == names::LOG {
            let end = end_of(place, name, *len)?.unwrap_or(*offset);
            replaced = Some(replaced.map_or((*offset, end), |(from, to)| (from.min(*offset), to.max(end))));
        }
    }
    if let Some((from, to)) = replaced {
        for file in &files {
            let inside =
                |(offset, kind): (i64, &str)| (from..to).contains(&offset) && names::OF_SEGMENT.contains(&kind);
            if names::parse(&file.name).is_some_and(inside) {
                remove(&file.name)?;
            }
        }
    }
    for (name, offset, kind, _) in &swaps {
        place.disk.rename(&place.path(name), &place.path(&names::name(*offset, kind)))?;
    }
    let found = files
        .iter()
        .filter_map(|file| names::parse(&file.name))
        .any(|(_, kind)| [names::DELETED, names::CLEANED, names::SWAP].iter().any(|suffix| kind.ends_with(suffix)));
    if found {
        place.disk.sync_folder(&place.folder)?;
    }
    Ok(found)
}

/// The offset behind the last batch of a file.
fn end_of(place: &Place, name: &str, len: u64) -> io::Result<Option<i64>> {
    let file = place.disk.open(&place.path(name))?;
    let mut heads = Heads::new(&*file, 0, len);
    let mut end = None;
    loop {
        match heads.next() {
            Ok(Some(head)) => end = Some(head.last_offset + 1),
            Ok(None) => return Ok(end),
            // Opening it will find, and cut, what is wrong.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(end),
            Err(error) => return Err(error),
        }
    }
}
