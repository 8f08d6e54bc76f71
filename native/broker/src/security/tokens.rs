//! Delegation tokens (KIP-48): made by somebody who has logged in, shown by programs that act for them, with SCRAM and the token's
//! HMAC as password. As Kafka: without `delegation.token.secret.key` there are none.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_security::scram::{Hash, Keys};
use parking_lot::Mutex;

use super::{
    Principal,
    sasl::{
        Proven,
        scram::{owner, random},
    },
};
use crate::{BrokerOptions, config::broker, node::Node};

/// A token.
#[derive(Clone)]
pub(crate) struct Token {
    pub id: String,
    pub owner: Principal,
    pub requester: Principal,
    pub renewers: Vec<Principal>,
    pub issued_ms: i64,
    pub max_ms: i64,
    pub expires_ms: i64,
    pub hmac: Bytes,
}

/// The tokens.
#[derive(Default)]
pub(crate) struct Tokens {
    secret: Option<dohle_security::Secret>,
    max_lifetime_ms: i64,
    lifetime_ms: i64,
    all: Mutex<BTreeMap<String, Token>>,
}

const ITERATIONS: u32 = 4096;

impl Tokens {
    pub fn new(options: &BrokerOptions) -> Self {
        Self {
            secret: options.secrets.get("delegation.token.secret.key").filter(|key| !key.expose().is_empty()).cloned(),
            max_lifetime_ms: broker::number(options, "delegation.token.max.lifetime.ms"),
            lifetime_ms: broker::number(options, "delegation.token.expiry.time.ms"),
            all: Mutex::default(),
        }
    }

    pub fn enabled(&self) -> bool {
        self.secret.is_some()
    }

    /// Makes one.
    pub fn create(&self, now_ms: i64, who: [Principal; 2], renewers: Vec<Principal>, max_ms: i64) -> Option<Token> {
        let secret = self.secret.as_ref()?;
        let [owner, requester] = who;
        let life = if max_ms > 0 { max_ms.min(self.max_lifetime_ms) } else { self.max_lifetime_ms };
        let max_ms = now_ms.saturating_add(life);
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<16>());
        let hmac = Bytes::from(Hash::Sha512.hmac(secret.expose().as_bytes(), id.as_bytes()));
        let expires_ms = max_ms.min(now_ms.saturating_add(self.lifetime_ms));
        let token = Token { id, owner, requester, renewers, issued_ms: now_ms, max_ms, expires_ms, hmac };
        let mut all = self.all.lock();
        all.retain(|_, token| token.expires_ms > now_ms);
        all.insert(token.id.clone(), token.clone());
        Some(token)
    }

    /// Those that are good.
    pub fn all(&self, now_ms: i64) -> Vec<Token> {
        self.all.lock().values().filter(|token| token.expires_ms > now_ms).cloned().collect()
    }

    /// Changes when a token ends: `None` ends it now, `Some` after so long. Only its owner, its requester and its renewers may.
    pub fn change(&self, now_ms: i64, who: &Principal, hmac: &[u8], after: Option<i64>) -> Result<i64, ErrorCode> {
        let mut all = self.all.lock();
        let found = all.values_mut().find(|token| dohle_security::is_same(&token.hmac, hmac));
        let token = found.ok_or(ErrorCode::DELEGATION_TOKEN_NOT_FOUND)?;
        if token.owner != *who && token.requester != *who && !token.renewers.contains(who) {
            return Err(ErrorCode::DELEGATION_TOKEN_OWNER_MISMATCH);
        }
        if token.expires_ms <= now_ms || token.max_ms <= now_ms {
            return Err(ErrorCode::DELEGATION_TOKEN_EXPIRED);
        }
        let Some(after) = after else {
            let id = token.id.clone();
            all.remove(&id);
            return Ok(now_ms);
        };
        let after = if after < 0 { self.lifetime_ms } else { after };
        token.expires_ms = token.max_ms.min(now_ms.saturating_add(after));
        Ok(token.expires_ms)
    }

    /// What somebody who has the token can prove with SCRAM: keys, salt, iterations, and who they are then.
    pub fn keys(&self, node: &Node, id: &str, hash: Hash) -> Option<(Keys, Bytes, i32, Proven)> {
        let now_ms = node.world.wall_clock_ms();
        let token = self.all.lock().get(id).filter(|token| token.expires_ms > now_ms).cloned()?;
        let salt = random::<24>();
        let keys = Keys::new(hash, &STANDARD.encode(&token.hmac), &salt, ITERATIONS);
        Some((keys, Bytes::copy_from_slice(&salt), ITERATIONS as i32, owner(token.owner, token.expires_ms)))
    }
}

impl Token {
    /// Whether it is somebody's own.
    pub fn is_of(&self, who: &Principal) -> bool {
        self.owner == *who || self.requester == *who || self.renewers.contains(who)
    }
}
