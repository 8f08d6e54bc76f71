//! Users that log in with SCRAM (KIP-554). The password never leaves this client: the broker gets what it needs to check it.

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use dohle_protocol::messages::describe_user_scram_credentials_request::UserName;
use dohle_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use dohle_security::scram::Hash;
use zeroize::Zeroizing;

use super::each::{Route, unanswered, whole};
use super::names::ScramMechanism;
use super::{Admin, Item};
use crate::error::{Error, Result};
use crate::security::{Secret, off_thread};

/// Fewer make a password easy to guess; Kafka's clients refuse them.
const LEAST_ITERATIONS: i32 = 4_096;
/// More make every login slow; the broker refuses them.
const MOST_ITERATIONS: i32 = 16_384;
const SALT_BYTES: usize = 24;

/// How a user logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramCredential {
    /// The mechanism.
    pub mechanism: ScramMechanism,
    /// How often the password is hashed.
    pub iterations: i32,
}

/// A change of how users log in.
#[derive(Clone, PartialEq, Eq)]
pub enum AlterScram {
    /// The user can log in with this mechanism and password from then on.
    Upsert {
        /// The user's name.
        user: String,
        /// The mechanism.
        mechanism: ScramMechanism,
        /// The password. It is hashed as it is, as Kafka's own tools do.
        password: Secret,
        /// How often it is hashed; none: 4096.
        iterations: Option<i32>,
        /// None: a random one.
        salt: Option<Vec<u8>>,
    },
    /// The user can no longer log in with this mechanism.
    Delete {
        /// The user's name.
        user: String,
        /// The mechanism.
        mechanism: ScramMechanism,
    },
}

impl std::fmt::Debug for AlterScram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AlterScram::Upsert { user, mechanism, .. } => write!(f, "Upsert {{ {user}, {mechanism}, *** }}"),
            AlterScram::Delete { user, mechanism } => write!(f, "Delete {{ {user}, {mechanism} }}"),
        }
    }
}

impl AlterScram {
    fn user(&self) -> &str {
        match self {
            AlterScram::Upsert { user, .. } | AlterScram::Delete { user, .. } => user,
        }
    }

    fn check(&self) -> Result<()> {
        let AlterScram::Upsert { user, iterations: Some(iterations), .. } = self else { return Ok(()) };
        if (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(iterations) {
            return Ok(());
        }
        let range = format!("{LEAST_ITERATIONS} to {MOST_ITERATIONS}");
        Err(Error::invalid_argument(format!("iterations: {iterations} of user {user} is not in {range}")))
    }
}

impl Admin {
    /// How users log in; none given: all that use SCRAM. One result per user.
    pub async fn describe_user_scram_credentials(
        &self,
        users: Option<Vec<String>>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<ScramCredential>>>> {
        let doing = "describeUserScramCredentials";
        let name = |name: &String| UserName { name: name.clone(), ..Default::default() };
        let users = users.map(|users| users.iter().map(name).collect());
        let request = DescribeUserScramCredentialsRequest { users, ..Default::default() };
        let read = |response: DescribeUserScramCredentialsResponse| {
            whole(response.error_code, doing, response.error_message.as_deref())?;
            let item = response.results.into_iter().map(|of| {
                let doing = format!("{doing}: {}", of.user);
                let credential = of
                    .credential_infos
                    .into_iter()
                    .map(|of| ScramCredential { mechanism: ScramMechanism(of.mechanism), iterations: of.iterations });
                let credentials: Vec<_> = credential.collect();
                let result = whole(of.error_code, &doing, of.error_message.as_deref()).map(|()| credentials);
                Item { name: of.user, result }
            });
            Ok(item.collect::<Vec<_>>())
        };
        let mut items = self.one(doing, Route::Any, timeout, |_, _| Ok(request.clone()), read).await?;
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    /// Changes how users log in. One result per change, in the order given.
    pub async fn alter_user_scram_credentials(
        &self,
        changes: Vec<AlterScram>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<()>>> {
        let doing = "alterUserScramCredentials";
        changes.iter().try_for_each(AlterScram::check)?;
        let users: Vec<String> = changes.iter().map(|change| change.user().to_owned()).collect();
        let mut request = AlterUserScramCredentialsRequest::default();
        // Many users take their time; it is part of the call's.
        let attempts = self.start(doing, timeout);
        for change in changes {
            match change {
                AlterScram::Delete { user, mechanism } => request.deletions.push(ScramCredentialDeletion {
                    name: user,
                    mechanism: mechanism.0,
                    ..Default::default()
                }),
                AlterScram::Upsert { user, mechanism, password, iterations, salt } => {
                    let salt = salt.unwrap_or_else(|| self.salt());
                    let iterations = iterations.unwrap_or(LEAST_ITERATIONS);
                    let salted = attempts.limit(self.salted(mechanism, password, salt.clone(), iterations)).await??;
                    request.upsertions.push(ScramCredentialUpsertion {
                        name: user,
                        mechanism: mechanism.0,
                        iterations,
                        salt: Bytes::from(salt),
                        salted_password: Bytes::copy_from_slice(&salted),
                        ..Default::default()
                    });
                }
            }
        }
        let read = |response: AlterUserScramCredentialsResponse| {
            let moved = response.results.iter().find(|of| of.error_code == ErrorCode::NOT_CONTROLLER.0);
            moved.map_or(Ok(()), |of| whole(of.error_code, doing, None))?;
            Ok(response.results)
        };
        let left = Some(attempts.left());
        let told = self.one(doing, Route::Controller, left, |_, _| Ok(request.clone()), read).await?;
        let item = |user: String| {
            let doing = format!("{doing}: {user}");
            let result = match told.iter().find(|of| of.user == user) {
                Some(of) => whole(of.error_code, &doing, of.error_message.as_deref()),
                None => Err(unanswered(&doing)),
            };
            Item { name: user, result }
        };
        Ok(users.into_iter().map(item).collect())
    }

    /// A salt is public; it only must differ from that of others.
    fn salt(&self) -> Vec<u8> {
        let words = (0..SALT_BYTES / 8).map(|_| self.client.world().random_u64());
        words.flat_map(u64::to_le_bytes).collect()
    }

    async fn salted(
        &self,
        mechanism: ScramMechanism,
        password: Secret,
        salt: Vec<u8>,
        iterations: i32,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let hash = match mechanism {
            ScramMechanism::SHA_256 => Hash::Sha256,
            ScramMechanism::SHA_512 => Hash::Sha512,
            _ => return Err(Error::invalid_argument(format!("mechanism: {mechanism} is not one that can be set"))),
        };
        let iterations = iterations.unsigned_abs();
        off_thread(&**self.client.world(), move || hash.salted_password(password.expose(), &salt, iterations)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_never_shows_its_password() {
        let change = AlterScram::Upsert {
            user: "alice".into(),
            mechanism: ScramMechanism::SHA_256,
            password: Secret::new("hunter2"),
            iterations: Some(4_095),
            salt: None,
        };
        assert!(!format!("{change:?}").contains("hunter2"));
        let error = change.check().unwrap_err();
        assert_eq!(error.message(), "iterations: 4095 of user alice is not in 4096 to 16384");
    }
}
