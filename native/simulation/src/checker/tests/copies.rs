//! Planted in what nodes have.

use super::*;
use crate::history::Batch;

/// Changes the batches of one of the copies of a partition that has some.
fn in_a_copy(change: impl FnOnce(&mut Vec<Batch>)) {
    planted(&[Kind::DivergentCopies], |evidence| {
        let copies = evidence.copies.values_mut().find(|copies| copies.values().all(|batches| batches.len() > 1));
        change(copies.unwrap().last_entry().unwrap().get_mut());
    });
}

#[test]
fn a_copy_that_has_not_what_others_have_is_divergent() {
    in_a_copy(|batches| drop(batches.pop()));
    in_a_copy(|batches| drop(batches.remove(0)));
    in_a_copy(|batches| batches[0].epoch += 1);
    in_a_copy(|batches| {
        let mut bytes = batches[1].bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        batches[1].bytes = bytes.into();
    });
}

#[test]
fn each_partition_has_a_copy_on_each_node() {
    let copies = clean().copies;
    assert!(copies.values().all(|copies| copies.len() == NODES.len()));
    for topic in [ORDERS, INVOICES, "__consumer_offsets", "__transaction_state"] {
        let of_topic = copies.iter().filter(|(place, _)| place.topic == topic);
        assert!(of_topic.flat_map(|(_, copies)| &copies[&1]).next().is_some(), "nothing is in {topic}");
    }
}
