//! Kafka's open enums as every language has them: by name, `UNKNOWN(n)` for a number of a newer broker.

use dohle_client::admin as engine;

use super::shape::Wire;
use crate::cold::values::{Open, OpenNames};
use crate::failure::Failure;

/// An open enum of the engine.
pub trait Known: OpenNames + Sized {
    /// The value of a name.
    fn parse(name: &str) -> Option<Self>;
}

macro_rules! open {
    ($type:ident, $doc:literal) => {
        impl OpenNames for engine::$type {
            const TITLE: &'static str = stringify!($type);
            const DOC: &'static str = $doc;
            const NAMES: &'static [&'static str] = engine::$type::NAMES;
        }

        impl Known for engine::$type {
            fn parse(name: &str) -> Option<Self> {
                engine::$type::parse(name)
            }
        }

        impl Wire<engine::$type> for Open<engine::$type> {
            fn wire(from: engine::$type) -> Self {
                Self::new(from.name())
            }
        }
    };
}

open!(AclOperation, "What somebody may do, or not. `ANY` is only to look for. `UNKNOWN(n)`: one of a newer broker.");
open!(AclPatternType, "How the name in a rule is meant. `ANY` and `MATCH` are only to look for.");
open!(AclPermission, "Whether a rule allows or forbids. `ANY` is only to look for.");
open!(AclResourceType, "What a rule protects. `ANY` is only to look for.");
open!(AlterConfigOp, "What is done to a setting. `APPEND` and `SUBTRACT` are for lists.");
open!(ConfigKind, "What a configuration is of.");
open!(ConfigSource, "Where the value of a setting comes from.");
open!(ConfigType, "The type of a setting's value.");
open!(ScramMechanism, "How a user proves to know the password.");

/// The value of a name that a program gave as `path`.
pub fn known<N: Known>(open: &Open<N>, path: &str) -> Result<N, Failure> {
    let value = N::parse(&open.0);
    value.ok_or_else(|| Failure::argument(path, &format!("is none of {}", N::NAMES.join(", "))))
}
