//! What Kafka says with its errors, where programs and people see it: clients show a broker's words, some of them match on them.

use std::collections::BTreeSet;

use dohle_protocol::ErrorCode;

/// Kafka's sentence for an error that has nothing more to say than its number. For numbers that this broker does not answer
/// bare in administration, those of our client.
pub(crate) fn words(code: ErrorCode) -> String {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "This server does not host this topic-partition.",
        ErrorCode::TOPIC_DELETION_DISABLED => "Topic deletion is disabled.",
        ErrorCode::ELECTION_NOT_NEEDED => "Leader election not needed for topic partition.",
        ErrorCode::UNKNOWN_TOPIC_ID => "This server does not host this topic ID.",
        other => other.text(),
    }
    .into()
}

/// What is wrong with the replicas that somebody assigns to a partition by hand, where these brokers are alive.
pub(crate) fn check_replicas(alive: &BTreeSet<i32>, replicas: &[i32]) -> Result<(), String> {
    let refused = |what: String| Err(format!("The manual partition assignment includes {what}"));
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    for (at, id) in sorted.iter().enumerate() {
        if !alive.contains(id) {
            return refused(format!("broker {id}, but no such broker is registered."));
        }
        if at > 0 && sorted[at - 1] == *id {
            return refused(format!("the broker {id} more than once."));
        }
    }
    if sorted.is_empty() { refused("an empty replica list.".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_is_wrong_with_replicas_is_said_in_the_order_of_their_ids() {
        let said = |replicas: &[i32]| check_replicas(&BTreeSet::from([2]), replicas).err().unwrap_or_default();
        assert_eq!(said(&[2]), "");
        assert_eq!(said(&[]), "The manual partition assignment includes an empty replica list.");
        let unknown =
            |id| format!("The manual partition assignment includes broker {id}, but no such broker is registered.");
        assert_eq!(said(&[7]), unknown(7));
        assert_eq!(said(&[2, 7, 1]), unknown(1));
        assert_eq!(said(&[7, 2]), unknown(7));
        let twice = "The manual partition assignment includes the broker 2 more than once.";
        assert_eq!(said(&[2, 2]), twice);
        assert_eq!(said(&[7, 2, 2]), twice);
    }
}
