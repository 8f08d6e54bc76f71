//! Operations on a client.

use std::sync::Arc;

use dohle_client::security::TlsMaterial;
use schemars::JsonSchema;
use serde::Deserialize;

use super::values::Secret;
use super::{Operation, Target};
use crate::client::ClientResource;
use crate::environment::Resource;
use crate::failure::Failure;

impl Target for Arc<ClientResource> {
    const NAME: &'static str = "client";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::Client(client) => Some(client.clone()),
            _ => None,
        }
    }
}

/// Closes all connections. What still waits fails with `CLOSED`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ClientClose")]
pub struct Close {}

impl Operation for Close {
    const NAME: &'static str = "client.close";
    const CLOSES: bool = true;
    type Target = Arc<ClientResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        target.client.close().await;
        Ok(())
    }
}

/// Takes other certificates and keys, in PEM, for all connections from the next one on; open ones live on with theirs. What is
/// absent stays as it is. When they cannot be used, nothing changes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTls {
    /// Whom to trust.
    ca: Option<String>,
    /// The client's certificate, with those between it and its authority behind it.
    cert: Option<String>,
    /// The certificate's private key.
    key: Option<Secret>,
    /// Opens the key when it is encrypted.
    passphrase: Option<Secret>,
}

impl Operation for SetTls {
    const NAME: &'static str = "client.setTls";
    type Target = Arc<ClientResource>;
    type Response = ();

    async fn run(self, target: Self::Target) -> Result<(), Failure> {
        let secret = |Secret(text)| dohle_client::security::Secret::new(text);
        let (key, passphrase) = (self.key.map(secret), self.passphrase.map(secret));
        target.client.set_tls(TlsMaterial { ca: self.ca, cert: self.cert, key, passphrase }).await?;
        Ok(())
    }
}
