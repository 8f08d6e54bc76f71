//! Java's `StickyAssignor`: as balanced and as faithful as `cooperative-sticky`, but eager: members own nothing when they
//! join, so each tells in its user data what it was given last, and in which generation.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::super::handover::TopicPartition;
use super::super::protocol::{Member, by_topic};
use super::{Counts, Racks, cooperative_sticky};

pub(super) fn assign(counts: &Counts, racks: &Racks, members: &[Member]) -> Vec<Vec<TopicPartition>> {
    let members: Vec<Member> = members
        .iter()
        .map(|member| {
            let (owned, generation) = member.user_data.as_deref().and_then(read).unwrap_or((Vec::new(), -1));
            Member { owned, generation, ..member.clone() }
        })
        .collect();
    cooperative_sticky::balanced(counts, racks, &members)
}

/// Java's `StickyAssignorUserData`, version 1: topics with their partitions, then the generation.
pub(super) fn user_data(given: &[TopicPartition], generation: i32) -> Bytes {
    let topics = by_topic(given);
    let mut bytes = BytesMut::new();
    bytes.put_i32(topics.len() as i32);
    for (topic, partitions) in topics {
        bytes.put_i16(topic.len() as i16);
        bytes.put_slice(topic.as_bytes());
        bytes.put_i32(partitions.len() as i32);
        partitions.into_iter().for_each(|partition| bytes.put_i32(partition));
    }
    bytes.put_i32(generation);
    bytes.freeze()
}

/// Both versions (0 has no generation); what is neither counts for nothing, as in Java.
fn read(mut bytes: &[u8]) -> Option<(Vec<TopicPartition>, i32)> {
    let mut owned = Vec::new();
    for _ in 0..int(&mut bytes)? {
        let length = i16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?);
        let topic = std::str::from_utf8(take(&mut bytes, usize::try_from(length).ok()?)?).ok()?;
        let topic: std::sync::Arc<str> = topic.into();
        for _ in 0..int(&mut bytes)? {
            owned.push(TopicPartition::new(topic.clone(), int(&mut bytes)?));
        }
    }
    let generation = if bytes.is_empty() { -1 } else { int(&mut bytes)? };
    Some((owned, generation))
}

fn int(bytes: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_last_is_read_as_it_was_written_in_both_versions_and_nonsense_counts_for_nothing() {
        let given = [TopicPartition::new("a", 0), TopicPartition::new("a", 3), TopicPartition::new("b", 1)];
        let bytes = user_data(&given, 7);
        assert_eq!(read(&bytes), Some((given.to_vec(), 7)));
        assert_eq!(read(&bytes[..bytes.len() - 4]), Some((given.to_vec(), -1)));
        assert_eq!(read(&user_data(&[], -1)), Some((Vec::new(), -1)));
        for cut in [1, 3, 5, 9, bytes.len() - 5] {
            assert_eq!(read(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(read(&[0x7f, 0xff, 0xff, 0xff]), None);
    }
}
