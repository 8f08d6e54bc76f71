//! How an admin operation and its types are written down: once, with the docs that every language gets.

use bytes::Bytes;
use dohle_protocol::Uuid;

use crate::cold::consumer::TopicPartition;
use crate::cold::values::{Base64, Int64, SecretBytes};

/// What crosses as something of its own, made from what the engine has.
pub trait Wire<S> {
    /// Makes it.
    fn wire(from: S) -> Self;
}

macro_rules! as_it_is {
    ($($type:ty),*) => {
        $(impl Wire<$type> for $type {
            fn wire(from: $type) -> Self {
                from
            }
        })*
    };
}

as_it_is!(bool, i16, i32, String);

impl Wire<&'static str> for String {
    fn wire(from: &'static str) -> Self {
        from.to_owned()
    }
}

impl Wire<Bytes> for Base64 {
    fn wire(from: Bytes) -> Self {
        Self(from.to_vec())
    }
}

impl Wire<Bytes> for SecretBytes {
    fn wire(from: Bytes) -> Self {
        Self(from.to_vec())
    }
}

impl Wire<i64> for Int64 {
    fn wire(from: i64) -> Self {
        Self(from)
    }
}

impl Wire<Uuid> for String {
    fn wire(from: Uuid) -> Self {
        from.to_string()
    }
}

impl Wire<dohle_client::consumer::TopicPartition> for TopicPartition {
    fn wire(from: dohle_client::consumer::TopicPartition) -> Self {
        Self::from(&from)
    }
}

impl<S, T: Wire<S>> Wire<Option<S>> for Option<T> {
    fn wire(from: Option<S>) -> Self {
        from.map(T::wire)
    }
}

impl<S, T: Wire<S>> Wire<Vec<S>> for Vec<T> {
    fn wire(from: Vec<S>) -> Self {
        from.into_iter().map(T::wire).collect()
    }
}

/// A member of the engine's type: of the same name, or of another.
macro_rules! member {
    ($from:ident $member:ident) => {
        $from.$member
    };
    ($from:ident $member:ident $taken:ident) => {
        $from.$taken
    };
}

/// A type of a response; `from`: that of the engine with the same members, or a member's name there.
macro_rules! response {
    ($(#[$doc:meta])* $name:ident from $engine:ty {
        $($(#[$member_doc:meta])* $member:ident $(from $taken:ident)?: $type:ty,)*
    }) => {
        response! { $(#[$doc])* $name { $($(#[$member_doc])* $member: $type,)* } }

        impl $crate::cold::admin::shape::Wire<$engine> for $name {
            fn wire(from: $engine) -> Self {
                Self { $($member: $crate::cold::admin::shape::Wire::wire(member!(from $member $($taken)?)),)* }
            }
        }
    };
    ($(#[$doc:meta])* $name:ident {
        $($(#[$member_doc:meta])* $member:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
        }
    };
}

/// A part of a request.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$member_doc:meta])* $member:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
        }
    };
}

/// An operation: its request, to which `timeoutMs` is added, and what is done.
macro_rules! operation {
    ($(#[$doc:meta])* $name:ident $operation:literal -> $response:ty {
        $($(#[$member_doc:meta])* $member:ident: $type:ty,)*
    } |$request:ident, $admin:ident, $timeout:ident| $body:block) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
            /// How long the call may take in milliseconds, retries included.
            ///
            /// Default: `defaultApiTimeoutMs` of the client.
            pub timeout_ms: Option<u32>,
        }

        impl $crate::cold::Operation for $name {
            const NAME: &'static str = $operation;
            type Target = $crate::cold::admin::Admin;
            type Response = $response;

            async fn run(self, admin: Self::Target) -> Result<Self::Response, $crate::failure::Failure> {
                let ($request, $admin) = (self, admin.0);
                let $timeout = $crate::cold::admin::timeout($request.timeout_ms);
                $body
            }
        }
    };
}
