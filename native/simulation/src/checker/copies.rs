//! What nodes have against what other nodes have.

use super::Facts;

/// Of each copy that is not as the first one, where it begins to differ.
pub(super) fn divergent(facts: &Facts<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, copies) in &facts.evidence.copies {
        let Some((first, batches)) = copies.first_key_value() else { continue };
        for (node, others) in copies.iter().skip(1) {
            let longest = batches.len().max(others.len());
            if let Some(at) = (0..longest).find(|at| batches.get(*at) != others.get(*at)) {
                let (one, other) = (batches.get(at), others.get(at));
                wrong.push(format!("{place:?}: batch {at} is {one:?} on node {first}, {other:?} on node {node}"));
            }
        }
    }
    wrong
}
