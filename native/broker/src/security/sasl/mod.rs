//! The mechanisms that a listener offers, the broker's side: a message in, an answer or a refusal out. Which request is allowed
//! when is for [`session`](super::session).

mod bearer;
mod plain;
pub(crate) mod scram;

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_security::Secret;

pub(crate) use bearer::object as token_part;

use super::{Principal, Settings, Wrong, jaas, options::Mechanism};
use crate::{BrokerOptions, config::split, node::Node};

const MECHANISMS: &str = "sasl.enabled.mechanisms";
const JAAS: &str = "sasl.jaas.config";
const MAX_REAUTH: &str = "connections.max.reauth.ms";

/// What a listener offers.
pub(crate) struct Server {
    offered: Vec<Mechanism>,
    /// Those who log in with PLAIN.
    plain: BTreeMap<String, Secret>,
    bearer: Option<bearer::Validator>,
    max_reauth_ms: BTreeMap<&'static str, i64>,
}

/// Where an exchange stands.
pub(crate) enum Step {
    First,
    Scram(Box<scram::Waiting>),
    /// OAUTHBEARER: the client is told why, and has to say that it has understood.
    Unbelieved(String),
    /// It will be refused, for this reason.
    Doomed(String),
}

/// What a message comes to.
pub(crate) enum Progress {
    Goes(Bytes, Step),
    Done(Bytes, Proven),
}

/// Who has proven who it is.
#[derive(Debug)]
pub(crate) struct Proven {
    pub principal: Principal,
    pub by_token: bool,
    pub expires_at_ms: Option<i64>,
}

impl Proven {
    fn user(name: &str) -> Self {
        Self { principal: Principal::user(name), by_token: false, expires_at_ms: None }
    }
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// The client is told this.
    Told(String),
    /// The client is told that it failed.
    Hidden,
}

impl Server {
    pub fn new(settings: &Settings<'_>) -> Result<Self, Wrong> {
        let wrong = |name: &'static str, why: String| Err((name, format!("{name}: {why}")));
        let text = settings.text(MECHANISMS).unwrap_or_default();
        let mut offered = Vec::new();
        for name in split(&text) {
            match Mechanism::named(name) {
                Some(mechanism) if offered.contains(&mechanism) => {}
                Some(mechanism) => offered.push(mechanism),
                None => {
                    let known = Mechanism::ALL.map(Mechanism::name).join(", ");
                    return wrong(MECHANISMS, format!("{name} is not served; {known} are"));
                }
            }
        }
        if offered.is_empty() {
            return wrong(MECHANISMS, "a listener with SASL needs a mechanism".into());
        }
        let mut server = Self { plain: BTreeMap::new(), bearer: None, max_reauth_ms: BTreeMap::new(), offered };
        for &mechanism in &server.offered {
            server.max_reauth_ms.insert(mechanism.name(), settings.number(mechanism.name(), MAX_REAUTH));
            let module = login_module(settings, mechanism)?;
            match mechanism {
                Mechanism::Plain => {
                    let configured = module.iter().flat_map(jaas::Jaas::users);
                    let users = configured.map(|(name, password)| (name.to_string(), password.clone()));
                    server.plain.extend(users);
                    let typed = settings.options.sasl.iter().flat_map(|sasl| &sasl.users);
                    let typed = typed.filter(|user| user.has(Mechanism::Plain));
                    server.plain.extend(typed.map(|user| (user.name.clone(), user.password.clone())));
                    if module.is_none() && settings.options.sasl.is_none() {
                        let form = "PLAIN needs the users: org.apache.kafka.common.security.plain.PlainLoginModule required \
                                    user_NAME=\"PASSWORD\";";
                        return wrong(JAAS, form.into());
                    }
                }
                Mechanism::OAuthBearer => server.bearer = Some(bearer::Validator::new(settings, module.as_ref())?),
                Mechanism::ScramSha256 | Mechanism::ScramSha512 => {}
            }
        }
        Ok(server)
    }

    /// What is offered, by name.
    pub fn names(&self) -> Vec<String> {
        self.offered.iter().map(|mechanism| mechanism.name().to_string()).collect()
    }

    pub fn offers(&self, name: &str) -> Option<Mechanism> {
        Mechanism::named(name).filter(|mechanism| self.offered.contains(mechanism))
    }

    /// 0: sessions have no end.
    pub fn max_reauth_ms(&self, mechanism: Mechanism) -> i64 {
        self.max_reauth_ms.get(mechanism.name()).copied().unwrap_or(0)
    }

    /// Takes a message of a mechanism.
    pub fn step(&self, node: &Node, mechanism: Mechanism, step: Step, message: &[u8]) -> Result<Progress, Refused> {
        match (mechanism, step) {
            (_, Step::Doomed(why)) => Err(Refused::Told(why)),
            (Mechanism::Plain, _) => plain::check(&self.plain, message),
            (_, Step::Scram(waiting)) => waiting.check(message),
            (Mechanism::ScramSha256 | Mechanism::ScramSha512, _) => scram::begin(node, mechanism, message),
            (Mechanism::OAuthBearer, Step::Unbelieved(why)) => Err(match message {
                [1] => Refused::Told(why),
                _ => Refused::Hidden,
            }),
            (Mechanism::OAuthBearer, _) => match &self.bearer {
                Some(validator) => bearer::check(validator, node.world.wall_clock_ms(), message),
                None => Err(Refused::Hidden),
            },
        }
    }
}

/// The login module of a mechanism, if there is one: Kafka's own.
fn login_module(settings: &Settings<'_>, mechanism: Mechanism) -> Result<Option<jaas::Jaas>, Wrong> {
    let Some(text) = settings.of_mechanism(mechanism.name(), JAAS) else { return Ok(None) };
    let wrong = |why: String| (JAAS, format!("{JAAS} of {}: {why}", mechanism.name()));
    let module = jaas::parse(&text).map_err(wrong)?;
    let expected = match mechanism {
        Mechanism::Plain => "org.apache.kafka.common.security.plain.PlainLoginModule",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => "org.apache.kafka.common.security.scram.ScramLoginModule",
        Mechanism::OAuthBearer => "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
    };
    match module.module == expected {
        true => Ok(Some(module)),
        false => Err(wrong(format!("its login module is {expected}; no other is served"))),
    }
}

/// Those who log in with SCRAM from the start on: of the typed options, and of `user_NAME="PASSWORD"` in a login module.
pub(crate) fn scram_users(options: &BrokerOptions) -> Result<Vec<(String, Mechanism, Secret)>, Wrong> {
    let mut users = Vec::new();
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let typed = options.sasl.iter().flat_map(|sasl| &sasl.users).filter(|user| user.has(mechanism));
        users.extend(typed.map(|user| (user.name.clone(), mechanism, user.password.clone())));
        let end = format!(".{}.{JAAS}", mechanism.name().to_ascii_lowercase());
        let listeners =
            options.secrets.keys().filter_map(|name| name.strip_suffix(&end)?.strip_prefix("listener.name."));
        for listener in listeners {
            let settings = Settings { options, listener: listener.to_string() };
            let module = login_module(&settings, mechanism)?;
            let of_module = module.iter().flat_map(jaas::Jaas::users);
            users.extend(of_module.map(|(name, password)| (name.to_string(), mechanism, password.clone())));
        }
    }
    Ok(users)
}
