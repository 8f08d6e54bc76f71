//! Users who log in with SCRAM (KIP-554): what is kept of their passwords.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::topics::Refusal;

/// What is kept of a password. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} iterations)", self.iterations)
    }
}

/// The users: what they log in with, by mechanism.
#[derive(Default)]
pub(crate) struct Users {
    by_name: Mutex<BTreeMap<String, BTreeMap<i8, Credential>>>,
}

/// One change of a user.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Delete { mechanism: i8 },
    Set { mechanism: i8, credential: Credential },
}

/// Kafka's numbers: SCRAM-SHA-256 and SCRAM-SHA-512.
const MECHANISMS: std::ops::RangeInclusive<i8> = 1..=2;
const MAX_ITERATIONS: i32 = 16_384;
const MIN_ITERATIONS: i32 = 4_096;

impl Users {
    /// All of a user's mechanisms with their iterations; none when there is no such user.
    pub fn describe(&self, name: &str) -> Option<Vec<(i8, i32)>> {
        let users = self.by_name.lock();
        let of = users.get(name)?;
        Some(of.iter().map(|(mechanism, credential)| (*mechanism, credential.iterations)).collect())
    }

    /// What a user logs in with.
    pub fn credential(&self, name: &str, mechanism: i8) -> Option<Credential> {
        self.by_name.lock().get(name)?.get(&mechanism).cloned()
    }

    /// Sets what the settings say.
    pub fn set(&self, name: &str, mechanism: i8, credential: Credential) {
        self.by_name.lock().entry(name.into()).or_default().insert(mechanism, credential);
    }

    pub fn names(&self) -> Vec<String> {
        self.by_name.lock().keys().cloned().collect()
    }

    /// Makes the changes of one user, all or none.
    pub fn change(&self, name: &str, changes: &[Change]) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty".into()));
        }
        let mut users = self.by_name.lock();
        let mut of = users.get(name).cloned().unwrap_or_default();
        for change in changes {
            match change {
                Change::Delete { mechanism } | Change::Set { mechanism, .. } if !MECHANISMS.contains(mechanism) => {
                    return Err((ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism".into()));
                }
                Change::Delete { mechanism } => {
                    let reason = "Attempt to delete a user credential that does not exist";
                    of.remove(mechanism).ok_or((ErrorCode::RESOURCE_NOT_FOUND, reason.to_string()))?;
                }
                Change::Set { mechanism, credential } => {
                    check(credential)?;
                    of.insert(*mechanism, credential.clone());
                }
            }
        }
        if of.is_empty() {
            users.remove(name);
        } else {
            users.insert(name.into(), of);
        }
        Ok(())
    }
}

fn check(credential: &Credential) -> Result<(), Refusal> {
    let refused = |reason: &str| Err((ErrorCode::UNACCEPTABLE_CREDENTIAL, reason.to_string()));
    match credential.iterations {
        ..MIN_ITERATIONS => refused("Too few iterations"),
        n if n > MAX_ITERATIONS => refused("Too many iterations"),
        _ if credential.salt.is_empty() => refused("Salt must not be empty"),
        _ if credential.salted_password.is_empty() => refused("Salted password must not be empty"),
        _ => Ok(()),
    }
}
