//! Delegation tokens (KIP-48): log-ins that others can be given, for a time.

use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::messages::create_delegation_token_request::CreatableRenewers;
use dohle_protocol::messages::describe_delegation_token_request::DescribeDelegationTokenOwner;
use dohle_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};

use super::Admin;
use super::each::{Route, whole};
use super::since::needs;
use crate::error::Result;

/// Somebody, such as `User` `alice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `User`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// Its id: the user name to log in with.
    pub token_id: String,
    /// Its secret: in base64 the password to log in with.
    pub hmac: Bytes,
    /// Whose log-in it is.
    pub owner: Principal,
    /// Who made it; none with brokers older than 3.3.
    pub requester: Option<Principal>,
    /// Who may make it last longer beside its owner; none right after it was made.
    pub renewers: Vec<Principal>,
    /// When it was made, in milliseconds since 1970.
    pub issued: i64,
    /// When it ends unless it is renewed, in milliseconds since 1970.
    pub expires: i64,
    /// When it ends in any case, in milliseconds since 1970.
    pub expires_finally: i64,
}

impl std::fmt::Debug for DelegationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelegationToken").field("token_id", &self.token_id).field("owner", &self.owner).finish()
    }
}

fn requester(kind: String, name: String) -> Option<Principal> {
    (!name.is_empty()).then_some(Principal { kind, name })
}

fn ms(of: Option<Duration>) -> i64 {
    of.map_or(-1, |of| i64::try_from(of.as_millis()).unwrap_or(i64::MAX))
}

impl Admin {
    /// Makes a token for this client's own log-in or, from Kafka 3.3 on, for that of another (KIP-373).
    pub async fn create_delegation_token(
        &self,
        owner: Option<Principal>,
        renewers: Vec<Principal>,
        lifetime: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<DelegationToken> {
        let make = |version, _| {
            needs(owner.is_some(), version, 3, "a token for another owner", "3.3")?;
            let renewer = |of: &Principal| CreatableRenewers {
                principal_type: of.kind.clone(),
                principal_name: of.name.clone(),
                ..Default::default()
            };
            Ok(CreateDelegationTokenRequest {
                owner_principal_type: owner.as_ref().map(|of| of.kind.clone()),
                owner_principal_name: owner.as_ref().map(|of| of.name.clone()),
                renewers: renewers.iter().map(renewer).collect(),
                max_lifetime_ms: ms(lifetime),
                ..Default::default()
            })
        };
        let read = |of: CreateDelegationTokenResponse| {
            whole(of.error_code, "createDelegationToken", None)?;
            Ok(DelegationToken {
                token_id: of.token_id,
                hmac: of.hmac,
                owner: Principal { kind: of.principal_type, name: of.principal_name },
                requester: requester(of.token_requester_principal_type, of.token_requester_principal_name),
                renewers: renewers.clone(),
                issued: of.issue_timestamp_ms,
                expires: of.expiry_timestamp_ms,
                expires_finally: of.max_timestamp_ms,
            })
        };
        self.one("createDelegationToken", Route::Controller, timeout, make, read).await
    }

    /// Makes a token last longer; none: as long as the broker lets it. The result is when it ends.
    pub async fn renew_delegation_token(
        &self,
        hmac: Bytes,
        period: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<i64> {
        let request = RenewDelegationTokenRequest { hmac, renew_period_ms: ms(period), ..Default::default() };
        let read = |of: RenewDelegationTokenResponse| {
            whole(of.error_code, "renewDelegationToken", None)?;
            Ok(of.expiry_timestamp_ms)
        };
        self.one("renewDelegationToken", Route::Controller, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// Lets a token end after a time; none: now. The result is when it ends.
    pub async fn expire_delegation_token(
        &self,
        hmac: Bytes,
        period: Option<Duration>,
        timeout: Option<Duration>,
    ) -> Result<i64> {
        let request = ExpireDelegationTokenRequest { hmac, expiry_time_period_ms: ms(period), ..Default::default() };
        let read = |of: ExpireDelegationTokenResponse| {
            whole(of.error_code, "expireDelegationToken", None)?;
            Ok(of.expiry_timestamp_ms)
        };
        self.one("expireDelegationToken", Route::Controller, timeout, |_, _| Ok(request.clone()), read).await
    }

    /// The tokens of these owners, or all that this client may see.
    pub async fn describe_delegation_tokens(
        &self,
        owners: Option<Vec<Principal>>,
        timeout: Option<Duration>,
    ) -> Result<Vec<DelegationToken>> {
        let owner = |of: Principal| DescribeDelegationTokenOwner {
            principal_type: of.kind,
            principal_name: of.name,
            ..Default::default()
        };
        let owners = owners.map(|owners| owners.into_iter().map(owner).collect());
        let request = DescribeDelegationTokenRequest { owners, ..Default::default() };
        let read = |response: DescribeDelegationTokenResponse| {
            whole(response.error_code, "describeDelegationTokens", None)?;
            let token = response.tokens.into_iter().map(|of| {
                let renewer = of.renewers.into_iter();
                DelegationToken {
                    token_id: of.token_id,
                    hmac: of.hmac,
                    owner: Principal { kind: of.principal_type, name: of.principal_name },
                    requester: requester(of.token_requester_principal_type, of.token_requester_principal_name),
                    renewers: renewer
                        .map(|of| Principal { kind: of.principal_type, name: of.principal_name })
                        .collect(),
                    issued: of.issue_timestamp,
                    expires: of.expiry_timestamp,
                    expires_finally: of.max_timestamp,
                }
            });
            Ok(token.collect::<Vec<_>>())
        };
        self.one("describeDelegationTokens", Route::Any, timeout, |_, _| Ok(request.clone()), read).await
    }
}
