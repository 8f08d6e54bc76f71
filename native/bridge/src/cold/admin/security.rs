//! Users that log in with SCRAM, and delegation tokens.

use std::time::Duration;

use dohle_client::admin as engine;
use dohle_client::admin::ScramMechanism;

use super::names::known;
use super::shape::Wire;
use super::{ItemError, all, told};
use crate::cold::values::{Base64, Int64, Open, Secret, SecretBytes};
use crate::failure::Failure;

response! {
    /// How a user logs in.
    UserScramCredentials {
        /// The user's name.
        user: String,
        /// The ways there are.
        credentials: Vec<ScramCredential>,
        /// Why they cannot be told.
        error: Option<ItemError>,
    }
}

response! {
    /// A way to log in.
    ScramCredential from engine::ScramCredential {
        /// The mechanism.
        mechanism: Open<ScramMechanism>,
        /// How often the password is hashed.
        iterations: i32,
    }
}

part! {
    /// A change of how a user logs in.
    ScramChange {
        /// The user's name.
        user: String,
        /// The mechanism.
        mechanism: Open<ScramMechanism>,
        /// The new password; absent: the user can no longer log in with the mechanism. It never leaves this process, and never
        /// shows in a log or an error.
        password: Option<Secret>,
        /// How often the password is hashed: 4096 to 16384.
        ///
        /// Default: 4096.
        iterations: Option<i32>,
        /// The salt.
        ///
        /// Default: a random one.
        salt: Option<Base64>,
    }
}

operation! {
    /// How users log in with SCRAM (KIP-554; Kafka 2.7 or newer), by name. A user that cannot be told has an `error`.
    DescribeUserScramCredentials "admin.describeUserScramCredentials" -> Vec<UserScramCredentials> {
        /// Only these.
        ///
        /// Default: all that use SCRAM.
        users: Option<Vec<String>>,
    }
    |request, admin, timeout| {
        let items = admin.describe_user_scram_credentials(request.users, timeout).await?;
        let user = |item: engine::Item<Vec<engine::ScramCredential>>| {
            let (credentials, error) = told(item.result);
            UserScramCredentials { user: item.name, credentials: Wire::wire(credentials.unwrap_or_default()), error }
        };
        Ok(items.into_iter().map(user).collect())
    }
}

operation! {
    /// Changes how users log in with SCRAM (KIP-554; Kafka 2.7 or newer). A password is hashed here, beside the program's own
    /// thread; the broker never gets it. When some cannot be changed the others are, and the call fails.
    AlterUserScramCredentials "admin.alterUserScramCredentials" -> () {
        /// The changes.
        changes: Vec<ScramChange>,
    }
    |request, admin, timeout| {
        let change = |(index, of): (usize, ScramChange)| {
            let (user, mechanism) = (of.user, known(&of.mechanism, &format!("changes[{index}].mechanism"))?);
            let Some(Secret(password)) = of.password else {
                return Ok(engine::AlterScram::Delete { user, mechanism });
            };
            let (iterations, salt) = (of.iterations, of.salt.map(|salt| salt.0));
            let password = dohle_client::security::Secret::new(password);
            Ok(engine::AlterScram::Upsert { user, mechanism, password, iterations, salt })
        };
        let changes = request.changes.into_iter().enumerate().map(change).collect::<Result<_, Failure>>()?;
        all("alterUserScramCredentials", admin.alter_user_scram_credentials(changes, timeout).await?)?;
        Ok(())
    }
}

part! {
    /// Somebody.
    PrincipalName {
        /// The type.
        ///
        /// Default: `User`.
        r#type: Option<String>,
        /// The name.
        name: String,
    }
}

response! {
    /// Somebody.
    Principal from engine::Principal {
        /// The type: `User`.
        r#type from kind: String,
        /// The name.
        name: String,
    }
}

response! {
    /// A token to log in with.
    DelegationToken from engine::DelegationToken {
        /// Its id: the user name to log in with, with `sasl.delegationToken`.
        token_id: String,
        /// Its secret: in base64 the password to log in with. Printed or made JSON of, it does not show; its bytes are there for
        /// who asks for them.
        hmac: SecretBytes,
        /// Whose log-in it is.
        owner: Principal,
        /// Who made it; none with brokers older than 3.3.
        requester: Option<Principal>,
        /// Who may make it last longer beside its owner.
        renewers: Vec<Principal>,
        /// When it was made, in milliseconds since 1970.
        issued: Int64,
        /// When it ends unless it is renewed, in milliseconds since 1970.
        expires: Int64,
        /// When it ends in any case, in milliseconds since 1970.
        expires_finally: Int64,
    }
}

fn principal(of: PrincipalName) -> engine::Principal {
    engine::Principal { kind: of.r#type.unwrap_or_else(|| "User".to_owned()), name: of.name }
}

fn duration(ms: Option<Int64>, path: &str) -> Result<Option<Duration>, Failure> {
    let ms = ms.map(|ms| u64::try_from(ms.0).map_err(|_| Failure::argument(path, "is below 0")));
    Ok(ms.transpose()?.map(Duration::from_millis))
}

operation! {
    /// Makes a token to log in with (KIP-48). This client must have logged in, not with a token.
    CreateDelegationToken "admin.createDelegationToken" -> DelegationToken {
        /// Whose log-in it is (KIP-373); from Kafka 3.3 on.
        ///
        /// Default: this client's own.
        owner: Option<PrincipalName>,
        /// Who may make it last longer beside its owner.
        ///
        /// Default: nobody.
        renewers: Option<Vec<PrincipalName>>,
        /// After how many milliseconds it ends in any case.
        ///
        /// Default: the broker's `delegation.token.max.lifetime.ms`.
        lifetime_ms: Option<Int64>,
    }
    |request, admin, timeout| {
        let renewers = request.renewers.unwrap_or_default().into_iter().map(principal).collect();
        let lifetime = duration(request.lifetime_ms, "lifetimeMs")?;
        let owner = request.owner.map(principal);
        Ok(Wire::wire(admin.create_delegation_token(owner, renewers, lifetime, timeout).await?))
    }
}

operation! {
    /// Makes a token last longer (KIP-48), and tells when it ends then, in milliseconds since 1970.
    RenewDelegationToken "admin.renewDelegationToken" -> Int64 {
        /// The token's secret.
        hmac: SecretBytes,
        /// For how many milliseconds from now.
        ///
        /// Default: the broker's `delegation.token.expiry.time.ms`.
        period_ms: Option<Int64>,
    }
    |request, admin, timeout| {
        let period = duration(request.period_ms, "periodMs")?;
        Ok(Int64(admin.renew_delegation_token(request.hmac.0.into(), period, timeout).await?))
    }
}

operation! {
    /// Lets a token end (KIP-48), and tells when it does, in milliseconds since 1970.
    ExpireDelegationToken "admin.expireDelegationToken" -> Int64 {
        /// The token's secret.
        hmac: SecretBytes,
        /// After how many milliseconds from now.
        ///
        /// Default: at once.
        period_ms: Option<Int64>,
    }
    |request, admin, timeout| {
        let period = duration(request.period_ms, "periodMs")?;
        Ok(Int64(admin.expire_delegation_token(request.hmac.0.into(), period, timeout).await?))
    }
}

operation! {
    /// The tokens that this client may see (KIP-48).
    DescribeDelegationTokens "admin.describeDelegationTokens" -> Vec<DelegationToken> {
        /// Only those that one of these owns or may renew.
        ///
        /// Default: all.
        owners: Option<Vec<PrincipalName>>,
    }
    |request, admin, timeout| {
        let owners = request.owners.map(|owners| owners.into_iter().map(principal).collect());
        Ok(Wire::wire(admin.describe_delegation_tokens(owners, timeout).await?))
    }
}
