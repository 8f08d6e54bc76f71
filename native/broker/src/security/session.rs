//! One connection: who is at its other end, and how far it has got in proving it.
//!
//! On a listener with SASL, as Kafka's `SaslServerAuthenticator`: ApiVersions at most once, then SaslHandshake, then messages of the
//! mechanism (in SaslAuthenticate requests after handshake version 1, bare after version 0), then everything. A session
//! that has an end (KIP-368) goes on when the client begins anew with a SaslHandshake; used after its end, it is killed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use dohle_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Guard, Principal,
    options::Mechanism,
    sasl::{Progress, Proven, Refused, Step},
};
use crate::node::Node;

/// A connection of a client.
pub(crate) struct Session {
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end: the address that the client reached us at.
    pub local: SocketAddr,
    pub guard: Arc<Guard>,
    who: Mutex<Who>,
    /// None on a listener without SASL.
    login: Option<Mutex<Login>>,
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Who {
    pub principal: Principal,
    /// Whether it logged in with a delegation token.
    pub by_token: bool,
}

struct Login {
    state: State,
    /// What the client has logged in with.
    mechanism: Option<Mechanism>,
    ends: Option<Instant>,
    began: Option<Instant>,
}

enum State {
    Start,
    /// ApiVersions was answered.
    Versioned,
    /// A mechanism was chosen; `bare`: its messages are frames of their own.
    Exchange {
        mechanism: Mechanism,
        bare: bool,
        step: Step,
    },
    Done,
}

/// Whether a request may be served now.
#[derive(Debug, PartialEq)]
pub(crate) enum Admission {
    Serve,
    /// It is answered with this, and the connection closed.
    Refuse(ErrorCode),
    Close(String),
}

/// The answer to a message of a mechanism.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub bytes: Bytes,
    /// 0: for ever, or not done yet.
    pub lifetime_ms: i64,
}

/// A client that begins again sooner is told that it may not.
const LEAST_SESSION: Duration = Duration::from_secs(1);

impl Session {
    pub fn new(peer: SocketAddr, local: SocketAddr, guard: Arc<Guard>, principal: Principal) -> Self {
        let login = Login { state: State::Start, mechanism: None, ends: None, began: None };
        let login = guard.sasl.is_some().then(|| Mutex::new(login));
        Self { peer, local, guard, who: Mutex::new(Who { principal, by_token: false }), login }
    }

    /// Who it is now.
    pub fn who(&self) -> Who {
        self.who.lock().clone()
    }

    /// Who may ask for delegation tokens: somebody who has logged in, and not with such a token.
    pub fn may_have_tokens(&self) -> Option<Principal> {
        let who = self.who();
        let known = self.login.is_some() || who.principal != Principal::anonymous();
        (known && !who.by_token).then_some(who.principal)
    }

    /// The client's address as ACLs have it.
    pub fn host(&self) -> String {
        self.peer.ip().to_canonical().to_string()
    }

    /// Whether the client has yet to prove itself.
    pub fn is_stranger(&self) -> bool {
        self.login.as_ref().is_some_and(|login| login.lock().mechanism.is_none())
    }

    /// Whether the next frame is no request, but a message of a mechanism.
    pub fn is_bare(&self) -> bool {
        let bare = |login: &Mutex<Login>| matches!(login.lock().state, State::Exchange { bare: true, .. });
        self.login.as_ref().is_some_and(bare)
    }

    /// Whether a request may be served now.
    pub fn admit(&self, api: ApiKey) -> Admission {
        let Some(login) = &self.login else { return Admission::Serve };
        let mut login = login.lock();
        match (&login.state, api) {
            (State::Start, ApiKey::API_VERSIONS) => login.state = State::Versioned,
            (State::Start | State::Versioned, ApiKey::SASL_HANDSHAKE)
            | (State::Exchange { .. }, ApiKey::SASL_AUTHENTICATE) => {}
            (State::Start | State::Versioned, api) => {
                return Admission::Close(format!("{} before the client has logged in", api.name()));
            }
            (State::Exchange { .. }, _) => return Admission::Refuse(ErrorCode::ILLEGAL_SASL_STATE),
            (State::Done, ApiKey::SASL_HANDSHAKE) => {}
            (State::Done, _) if login.ends.is_some_and(|ends| Instant::now() >= ends) => {
                return Admission::Close("the session has ended, and the client did not log in again".into());
            }
            (State::Done, _) => {}
        }
        Admission::Serve
    }

    /// ApiVersions was asked in a version that is not known, and may be asked again.
    pub fn versions_unknown(&self) {
        if let Some(login) = &self.login {
            let mut login = login.lock();
            if matches!(login.state, State::Versioned) {
                login.state = State::Start;
            }
        }
    }

    /// Chooses a mechanism. What is offered comes back in any case.
    pub fn handshake(&self, version: i16, name: &str) -> (ErrorCode, Vec<String>) {
        let (Some(login), Some(server)) = (&self.login, &self.guard.sasl) else {
            return (ErrorCode::ILLEGAL_SASL_STATE, Vec::new());
        };
        let offered = server.names();
        let mut login = login.lock();
        let now = Instant::now();
        if matches!(login.state, State::Done) {
            let soon = login.began.is_some_and(|began| now - began < LEAST_SESSION);
            if login.ends.is_none() || soon {
                return (ErrorCode::ILLEGAL_SASL_STATE, Vec::new());
            }
            login.began = Some(now);
        }
        let Some(mechanism) = server.offers(name) else { return (ErrorCode::UNSUPPORTED_SASL_MECHANISM, offered) };
        let step = match login.mechanism {
            Some(before) if before != mechanism => Step::Doomed(format!(
                "SASL mechanism '{}' requested by client is not supported for re-authentication of mechanism '{}'",
                mechanism.name(),
                before.name()
            )),
            _ => Step::First,
        };
        login.state = State::Exchange { mechanism, bare: version == 0, step };
        (ErrorCode::NONE, offered)
    }

    /// Takes a message of the mechanism. An error is a code and a sentence; the connection is then to be closed.
    pub fn authenticate(&self, node: &Node, message: &[u8]) -> Result<Said, (ErrorCode, String)> {
        let (Some(login), Some(server)) = (&self.login, &self.guard.sasl) else {
            let why = "SaslAuthenticate request received after successful authentication";
            return Err((ErrorCode::ILLEGAL_SASL_STATE, why.into()));
        };
        let mut login = login.lock();
        let State::Exchange { mechanism, bare, step } = std::mem::replace(&mut login.state, State::Done) else {
            let why = "SaslAuthenticate request received after successful authentication";
            return Err((ErrorCode::ILLEGAL_SASL_STATE, why.into()));
        };
        let again = login.mechanism.is_some();
        match server.step(node, mechanism, step, message) {
            Ok(Progress::Goes(bytes, step)) => {
                login.state = State::Exchange { mechanism, bare, step };
                Ok(Said { bytes, lifetime_ms: 0 })
            }
            Ok(Progress::Done(bytes, proven)) => {
                let lifetime_ms = self.admitted(node, &mut login, mechanism, proven)?;
                Ok(Said { bytes, lifetime_ms })
            }
            Err(refused) => Err(self.refused(mechanism, refused, again)),
        }
    }

    fn admitted(
        &self,
        node: &Node,
        login: &mut Login,
        mechanism: Mechanism,
        proven: Proven,
    ) -> Result<i64, (ErrorCode, String)> {
        let mut who = self.who.lock();
        if login.mechanism.is_some() && who.principal != proven.principal {
            let shown = |of: &Principal| format!("{}.{}", of.kind(), of.name());
            let (now, before) = (shown(&proven.principal), shown(&who.principal));
            let why = format!("Cannot change principals during re-authentication from {now}: {before}");
            return Err(self.refused(mechanism, Refused::Told(why), true));
        }
        let max = self.guard.sasl.as_ref().map_or(0, |server| server.max_reauth_ms(mechanism));
        let of_credential = proven.expires_at_ms.map(|at| (at - node.world.wall_clock_ms()).max(1));
        let lifetime = of_credential.into_iter().chain((max > 0).then_some(max)).min();
        let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        login.ends = lifetime.and_then(|ms| Instant::now().checked_add(duration(ms)));
        login.mechanism = Some(mechanism);
        tracing::debug!(peer = %self.peer, principal = %proven.principal, mechanism = mechanism.name(), "logged in");
        *who = Who { principal: proven.principal, by_token: proven.by_token };
        Ok(lifetime.unwrap_or(0))
    }

    fn refused(&self, mechanism: Mechanism, refused: Refused, again: bool) -> (ErrorCode, String) {
        let when = if again { "re-authentication" } else { "authentication" };
        let name = mechanism.name();
        let told = match refused {
            Refused::Told(why) => why,
            // Whether there is such a user is nobody's business.
            Refused::Hidden => {
                format!("Authentication failed during {when} due to invalid credentials with SASL mechanism {name}")
            }
        };
        tracing::info!(peer = %self.peer, listener = self.guard.listener, mechanism = name, "failed {when}");
        (ErrorCode::SASL_AUTHENTICATION_FAILED, told)
    }
}
