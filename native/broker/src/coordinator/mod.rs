//! What the coordinators of groups and of transactions have in common: the internal topics in which they keep what they know, and
//! which partition of these has what. What is in a record is theirs: `group::records`.

pub(crate) mod internal;
mod ledger;

pub(crate) use ledger::{Entry, Found, Ledger, Origin, make};
