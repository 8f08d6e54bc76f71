//! Which Kafka is needed for what, so that a broker that is too old is told as that.
//!
//! It decides nothing: whether a broker can is what it said itself.

use dohle_protocol::ApiKey;

use crate::error::{Error, ErrorKind, Result};

/// The first Kafka whose clients could use an API; none where every supported one has it.
fn first(api: ApiKey) -> Option<&'static str> {
    Some(match api {
        ApiKey::ELECT_LEADERS => "2.2",
        ApiKey::INCREMENTAL_ALTER_CONFIGS => "2.3",
        ApiKey::ALTER_PARTITION_REASSIGNMENTS | ApiKey::LIST_PARTITION_REASSIGNMENTS | ApiKey::OFFSET_DELETE => "2.4",
        ApiKey::DESCRIBE_CLIENT_QUOTAS | ApiKey::ALTER_CLIENT_QUOTAS => "2.6",
        ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS | ApiKey::ALTER_USER_SCRAM_CREDENTIALS | ApiKey::UPDATE_FEATURES => {
            "2.7"
        }
        ApiKey::DESCRIBE_CLUSTER | ApiKey::DESCRIBE_PRODUCERS | ApiKey::UNREGISTER_BROKER => "2.8",
        ApiKey::DESCRIBE_TRANSACTIONS | ApiKey::LIST_TRANSACTIONS => "3.0",
        ApiKey::DESCRIBE_QUORUM => "3.3",
        ApiKey::CONSUMER_GROUP_DESCRIBE | ApiKey::LIST_CONFIG_RESOURCES => "3.7",
        ApiKey::ADD_RAFT_VOTER | ApiKey::REMOVE_RAFT_VOTER => "3.9",
        ApiKey::DESCRIBE_TOPIC_PARTITIONS => "3.8",
        ApiKey::SHARE_GROUP_DESCRIBE
        | ApiKey::STREAMS_GROUP_DESCRIBE
        | ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS
        | ApiKey::ALTER_SHARE_GROUP_OFFSETS
        | ApiKey::DELETE_SHARE_GROUP_OFFSETS => "4.1",
        _ => return None,
    })
}

/// Says with an "unsupported" which Kafka has what was asked for.
pub(super) fn explain(api: ApiKey, error: Error) -> Error {
    match first(api).filter(|_| error.kind() == ErrorKind::Unsupported) {
        Some(kafka) => error.context(format_args!("needs Kafka {kafka} or newer")),
        None => error,
    }
}

/// Refuses something that a request of this version has no room for. `wanted`: whether it was asked for.
pub(super) fn needs(wanted: bool, version: i16, least: i16, what: &str, kafka: &str) -> Result<()> {
    if !wanted || version >= least {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("{what} needs Kafka {kafka} or newer; the broker is older")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_too_old_is_told_with_the_kafka_that_is_not() {
        let error = needs(true, 3, 4, "a filter of states", "2.6").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("Kafka 2.6 or newer"), "{error}");
        assert!(needs(false, 3, 4, "a filter of states", "2.6").is_ok());
        assert!(needs(true, 4, 4, "a filter of states", "2.6").is_ok());

        let unknown = || Error::new(ErrorKind::Unsupported, "the broker does not offer it");
        assert!(explain(ApiKey::DESCRIBE_QUORUM, unknown()).message().starts_with("needs Kafka 3.3 or newer: "));
        let other = explain(ApiKey::DESCRIBE_QUORUM, Error::invalid_argument("x"));
        assert_eq!(other.message(), "x");
    }
}
