//! Kafka's small numbers that people know by their names. Open sets: a number of a newer broker is kept.

use std::borrow::Cow;
use std::fmt;

macro_rules! open_names {
    ($(#[$doc:meta])* $type:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub i8);

        impl $type {
            $($(#[$value_doc])* pub const $value: Self = Self($number);)*

            /// The names there are.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];

            const NUMBERS: &'static [i8] = &[$($number,)*];

            /// Kafka's name, or `UNKNOWN(n)`.
            pub fn name(self) -> Cow<'static, str> {
                match Self::NUMBERS.iter().position(|number| *number == self.0) {
                    Some(at) => Cow::Borrowed(Self::NAMES[at]),
                    None => Cow::Owned(format!("UNKNOWN({})", self.0)),
                }
            }

            /// The number of a name as [`Self::name`] gives it.
            pub fn parse(text: &str) -> Option<Self> {
                if let Some(at) = Self::NAMES.iter().position(|name| *name == text) {
                    return Some(Self(Self::NUMBERS[at]));
                }
                text.strip_prefix("UNKNOWN(")?.strip_suffix(')')?.parse().ok().map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.name())
            }
        }
    };
}

open_names! {
    /// What a configuration is of.
    ConfigKind {
        /// A topic.
        TOPIC = 2 "TOPIC",
        /// A broker, or with an empty name all of them.
        BROKER = 4 "BROKER",
        /// The log levels of a broker.
        BROKER_LOGGER = 8 "BROKER_LOGGER",
        /// A subscription to the metrics of clients (KIP-714).
        CLIENT_METRICS = 16 "CLIENT_METRICS",
        /// A group.
        GROUP = 32 "GROUP",
    }
}

open_names! {
    /// Where the value of a configuration comes from.
    ConfigSource {
        /// Set for this topic.
        DYNAMIC_TOPIC_CONFIG = 1 "DYNAMIC_TOPIC_CONFIG",
        /// Set for this broker while it ran.
        DYNAMIC_BROKER_CONFIG = 2 "DYNAMIC_BROKER_CONFIG",
        /// Set for all brokers while they ran.
        DYNAMIC_DEFAULT_BROKER_CONFIG = 3 "DYNAMIC_DEFAULT_BROKER_CONFIG",
        /// In the broker's file.
        STATIC_BROKER_CONFIG = 4 "STATIC_BROKER_CONFIG",
        /// Kafka's default.
        DEFAULT_CONFIG = 5 "DEFAULT_CONFIG",
        /// A log level set while the broker ran.
        DYNAMIC_BROKER_LOGGER_CONFIG = 6 "DYNAMIC_BROKER_LOGGER_CONFIG",
        /// Set for this subscription to metrics.
        DYNAMIC_CLIENT_METRICS_CONFIG = 7 "DYNAMIC_CLIENT_METRICS_CONFIG",
        /// Set for this group.
        DYNAMIC_GROUP_CONFIG = 8 "DYNAMIC_GROUP_CONFIG",
    }
}

open_names! {
    /// The type of a configuration's value.
    ConfigType {
        /// `true` or `false`.
        BOOLEAN = 1 "BOOLEAN",
        /// Text.
        STRING = 2 "STRING",
        /// A number of 32 bits.
        INT = 3 "INT",
        /// A number of 16 bits.
        SHORT = 4 "SHORT",
        /// A number of 64 bits.
        LONG = 5 "LONG",
        /// A number with a fraction.
        DOUBLE = 6 "DOUBLE",
        /// Several, separated by commas.
        LIST = 7 "LIST",
        /// The name of a Java class.
        CLASS = 8 "CLASS",
        /// A secret, never told.
        PASSWORD = 9 "PASSWORD",
    }
}

open_names! {
    /// What is done to one configuration.
    AlterConfigOp {
        /// Gives it a value.
        SET = 0 "SET",
        /// Gives it its default again.
        DELETE = 1 "DELETE",
        /// Adds to a list.
        APPEND = 2 "APPEND",
        /// Takes out of a list.
        SUBTRACT = 3 "SUBTRACT",
    }
}

open_names! {
    /// What an access rule protects.
    AclResourceType {
        /// All; only to look for.
        ANY = 1 "ANY",
        /// A topic.
        TOPIC = 2 "TOPIC",
        /// A group.
        GROUP = 3 "GROUP",
        /// The cluster; its name is `kafka-cluster`.
        CLUSTER = 4 "CLUSTER",
        /// A transactional id.
        TRANSACTIONAL_ID = 5 "TRANSACTIONAL_ID",
        /// A delegation token.
        DELEGATION_TOKEN = 6 "DELEGATION_TOKEN",
        /// A user, for the tokens of others.
        USER = 7 "USER",
    }
}

open_names! {
    /// How the name in an access rule is meant.
    AclPatternType {
        /// However; only to look for.
        ANY = 1 "ANY",
        /// All rules that concern the name; only to look for.
        MATCH = 2 "MATCH",
        /// The name itself; `*` is any.
        LITERAL = 3 "LITERAL",
        /// All names that begin with it.
        PREFIXED = 4 "PREFIXED",
    }
}

open_names! {
    /// What somebody wants to do.
    AclOperation {
        /// Any; only to look for.
        ANY = 1 "ANY",
        /// All there are.
        ALL = 2 "ALL",
        /// READ.
        READ = 3 "READ",
        /// WRITE.
        WRITE = 4 "WRITE",
        /// CREATE.
        CREATE = 5 "CREATE",
        /// DELETE.
        DELETE = 6 "DELETE",
        /// ALTER.
        ALTER = 7 "ALTER",
        /// DESCRIBE.
        DESCRIBE = 8 "DESCRIBE",
        /// CLUSTER_ACTION: what brokers do among themselves.
        CLUSTER_ACTION = 9 "CLUSTER_ACTION",
        /// DESCRIBE_CONFIGS.
        DESCRIBE_CONFIGS = 10 "DESCRIBE_CONFIGS",
        /// ALTER_CONFIGS.
        ALTER_CONFIGS = 11 "ALTER_CONFIGS",
        /// IDEMPOTENT_WRITE.
        IDEMPOTENT_WRITE = 12 "IDEMPOTENT_WRITE",
        /// CREATE_TOKENS.
        CREATE_TOKENS = 13 "CREATE_TOKENS",
        /// DESCRIBE_TOKENS.
        DESCRIBE_TOKENS = 14 "DESCRIBE_TOKENS",
        /// TWO_PHASE_COMMIT (KIP-939).
        TWO_PHASE_COMMIT = 15 "TWO_PHASE_COMMIT",
    }
}

open_names! {
    /// Whether a rule allows or forbids.
    AclPermission {
        /// Either; only to look for.
        ANY = 1 "ANY",
        /// It forbids; that wins over ALLOW.
        DENY = 2 "DENY",
        /// It allows.
        ALLOW = 3 "ALLOW",
    }
}

open_names! {
    /// How a user proves to know the password.
    ScramMechanism {
        /// With SHA-256.
        SHA_256 = 1 "SCRAM-SHA-256",
        /// With SHA-512.
        SHA_512 = 2 "SCRAM-SHA-512",
    }
}

/// The operations of a bit field as brokers answer it; none when it was not asked for.
pub(super) fn operations(bits: i32) -> Option<Vec<AclOperation>> {
    (bits != i32::MIN)
        .then(|| (0..32).filter(|bit| bits & (1 << bit) != 0).map(|bit| AclOperation(bit as i8)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_newer_broker_keeps_its_place() {
        assert_eq!(AclOperation::READ.name(), "READ");
        assert_eq!(AclOperation(77).name(), "UNKNOWN(77)");
        assert_eq!(AclOperation::parse("UNKNOWN(77)"), Some(AclOperation(77)));
        assert_eq!(AclOperation::parse("WRITE"), Some(AclOperation::WRITE));
        assert_eq!(AclOperation::parse("write"), None);
    }

    #[test]
    fn the_bits_of_operations_are_those_of_their_numbers() {
        assert_eq!(operations(1 << 3 | 1 << 8), Some(vec![AclOperation::READ, AclOperation::DESCRIBE]));
        assert_eq!(operations(i32::MIN), None);
        assert_eq!(operations(0), Some(vec![]));
    }
}
