//! Records that say what they are: who wrote them, as which one, of what, and a sum over all of it.

use crate::history::{Place, RecordId};
use crate::stage::TOPICS;
use crate::world::hash;

/// The value of a record.
pub fn write(id: RecordId, source: Option<(Place, i64)>, padding: usize) -> String {
    let (topic, partition, offset) =
        source.map_or(("-", -1, -1), |(place, offset)| (place.topic, place.partition, offset));
    let text = format!("{} {} {topic} {partition} {offset} {:.<padding$}", id.writer, id.n, "");
    format!("{text} {:016x}", hash(0, text.as_bytes()))
}

/// What a value says; none when it is not as it was written.
pub fn read(value: &[u8]) -> Option<(RecordId, Option<(Place, i64)>)> {
    let (text, sum) = std::str::from_utf8(value).ok()?.rsplit_once(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != hash(0, text.as_bytes()) {
        return None;
    }
    let mut words = text.split(' ');
    let id = RecordId { writer: words.next()?.parse().ok()?, n: words.next()?.parse().ok()? };
    let topic = words.next()?;
    let partition = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    let source = TOPICS.iter().find(|(name, _)| *name == topic).map(|(topic, _)| (Place { topic, partition }, offset));
    Some((id, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let id = RecordId { writer: 3, n: 14 };
        for source in [None, Some((Place { topic: "orders", partition: 2 }, 77))] {
            let text = write(id, source, 9);
            assert_eq!(read(text.as_bytes()), Some((id, source)));
            for at in 0..text.len() {
                let mut hurt = text.clone().into_bytes();
                hurt[at] ^= 1;
                assert_eq!(read(&hurt), None, "byte {at}");
            }
        }
    }
}
