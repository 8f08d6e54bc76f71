//! Client quotas (KIP-13, KIP-124, KIP-546): what clients may use, what they use, and how long they must wait for it.
//! Enforced here: bytes produced, bytes fetched, time of requests. Kept and shown only: rates of connections and of changes.
//! Rates are measured as Kafka's `Rate` does: over `quota.window.num` windows of `quota.window.size.seconds`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{BrokerOptions, collections::Map, config::broker, topics::Refusal};

/// Whoever has not logged in.
pub(crate) const ANONYMOUS: &str = "ANONYMOUS";
pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";
/// More meters than this are looked through for those that nobody uses any more.
const MANY_METERS: usize = 1000;

/// Whom a quota is for: names by type; `None` is the default of that type.
pub(crate) type Entity = BTreeMap<String, Option<String>>;
/// The quotas of an entity by Kafka's keys.
pub(crate) type Limits = BTreeMap<String, f64>;

/// A quota that is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Produce,
    Fetch,
    Request,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
        }
    }
}

/// The quotas, and what was used of them.
pub(crate) struct Quotas {
    /// Whether there are any: most brokers have none.
    armed: AtomicBool,
    state: Mutex<State>,
    window: Duration,
    windows: usize,
}

#[derive(Default)]
struct State {
    limits: BTreeMap<Entity, Limits>,
    meters: Map<(Kind, String, String), Meter>,
}

impl Quotas {
    pub fn new(options: &BrokerOptions) -> Self {
        let number = |name| broker::number(options, name).max(1) as u64;
        Self {
            armed: AtomicBool::new(false),
            state: Mutex::default(),
            window: Duration::from_secs(number("quota.window.size.seconds")),
            windows: number("quota.window.num") as usize,
        }
    }

    pub fn armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// All quotas.
    pub fn all(&self) -> Vec<(Entity, Limits)> {
        self.state.lock().limits.iter().map(|(entity, limits)| (entity.clone(), limits.clone())).collect()
    }

    /// Sets (`Some`) and removes (`None`) quotas of an entity that was checked.
    pub fn change(&self, entity: Entity, changes: Vec<(String, Option<f64>)>) {
        let mut state = self.state.lock();
        let mut limits = state.limits.remove(&entity).unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => drop(limits.insert(key, value)),
                None => drop(limits.remove(&key)),
            }
        }
        if !limits.is_empty() {
            state.limits.insert(entity, limits);
        }
        self.armed.store(!state.limits.is_empty(), Ordering::Relaxed);
    }

    /// Notes that a client used this much, and tells how long it has to wait. Bytes, or seconds of work.
    pub fn used(&self, kind: Kind, user: &str, client_id: &str, amount: f64) -> Duration {
        let mut state = self.state.lock();
        let Some((limit, user, client)) = limit(&state.limits, kind, user, client_id) else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let least = self.window * self.windows.saturating_sub(1) as u32;
        if state.meters.len() > MANY_METERS {
            state.meters.retain(|_, meter| now - meter.last() <= least + self.window);
        }
        let meter = state.meters.entry((kind, user.into(), client.into())).or_default();
        meter.add(now, amount, self.window, self.windows);
        let over = meter.wait(now, limit, least);
        // A request's time is never paid for with more than a window, or one slow request would stop a client for long.
        if kind == Kind::Request { over.min(self.window) } else { over }
    }
}

/// The quota that holds for a user's client, the most special first, and whose use is measured together.
fn limit<'a>(
    limits: &BTreeMap<Entity, Limits>,
    kind: Kind,
    user: &'a str,
    client: &'a str,
) -> Option<(f64, &'a str, &'a str)> {
    if limits.is_empty() {
        return None;
    }
    let named = |name: &str| Some(name.to_string());
    let (of_user, of_client) = ((USER.to_string(), named(user)), (CLIENT_ID.to_string(), named(client)));
    let (any_user, any_client) = ((USER.to_string(), None), (CLIENT_ID.to_string(), None));
    let candidates = [
        (vec![&of_user, &of_client], user, client),
        (vec![&of_user, &any_client], user, client),
        (vec![&of_user], user, ""),
        (vec![&any_user, &of_client], user, client),
        (vec![&any_user, &any_client], user, client),
        (vec![&any_user], user, ""),
        (vec![&of_client], "", client),
        (vec![&any_client], "", client),
    ];
    candidates.into_iter().find_map(|(entity, user, client)| {
        let entity: Entity = entity.into_iter().cloned().collect();
        let limit = *limits.get(&entity)?.get(kind.key())?;
        // Percent of the time of one thread.
        Some((if kind == Kind::Request { limit / 100.0 } else { limit }, user, client))
    })
}

/// What was used in the last windows.
#[derive(Default)]
struct Meter {
    samples: VecDeque<(Instant, f64)>,
}

impl Meter {
    fn last(&self) -> Instant {
        self.samples.back().map_or_else(Instant::now, |(start, _)| *start)
    }

    fn add(&mut self, now: Instant, amount: f64, window: Duration, windows: usize) {
        while self.samples.front().is_some_and(|(start, _)| now - *start >= window * windows as u32) {
            self.samples.pop_front();
        }
        match self.samples.back_mut() {
            Some((start, sum)) if now - *start < window => *sum += amount,
            _ => self.samples.push_back((now, amount)),
        }
    }

    /// How long nothing may be used until the rate is down to its limit.
    fn wait(&self, now: Instant, limit: f64, least: Duration) -> Duration {
        let Some((oldest, _)) = self.samples.front() else { return Duration::ZERO };
        let sum: f64 = self.samples.iter().map(|(_, amount)| amount).sum();
        let elapsed = (now - *oldest).max(least).max(Duration::from_millis(1)).as_secs_f64();
        let over = (sum / elapsed - limit) / limit * elapsed;
        // An hour, for a limit of almost nothing.
        Duration::from_secs_f64(over.clamp(0.0, 3600.0))
    }
}

/// Whether there can be quotas for such an entity.
pub(crate) fn check_entity(entity: &[(String, Option<String>)]) -> Result<Entity, Refusal> {
    let refused = |reason: String| Err((ErrorCode::INVALID_REQUEST, reason));
    let mut checked = Entity::new();
    for (kind, name) in entity {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return refused(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return refused(format!("Empty {kind} not supported"));
        }
        if checked.insert(kind.clone(), name.clone()).is_some() {
            return refused("Invalid client quota entity, contains duplicate entity entry".into());
        }
    }
    match checked.len() {
        0 => refused("Invalid empty client quota entity".into()),
        2.. if checked.contains_key(IP) => {
            refused("Invalid quota entity combination, IP entity should not be combined with User or ClientId".into())
        }
        _ => Ok(checked),
    }
}

/// Whether an entity may have this quota; the value is `None` when it is taken away.
pub(crate) fn check_limit(entity: &Entity, key: &str, value: Option<f64>) -> Result<(), Refusal> {
    let refused = |reason: String| Err((ErrorCode::INVALID_REQUEST, reason));
    let (type_name, most) = match (key, entity.contains_key(IP)) {
        ("connection_creation_rate", true) => ("INT", f64::from(i32::MAX)),
        ("producer_byte_rate" | "consumer_byte_rate", false) => ("LONG", i64::MAX as f64),
        ("request_percentage" | "controller_mutation_rate", false) => ("", f64::MAX),
        _ => return refused(format!("Invalid configuration key {key}")),
    };
    match value {
        Some(value) if value.is_nan() || value <= 0.0 => refused(format!("Quota {key} must be greater than 0")),
        Some(value) if value > most => refused(format!("Proposed value for {key} is too large for a {type_name}.")),
        Some(value) if !type_name.is_empty() && value.fract() != 0.0 => {
            refused(format!("{key} cannot be a fractional value."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        Quotas::new(&BrokerOptions::default())
    }

    fn entity(of: &[(&str, Option<&str>)]) -> Entity {
        of.iter().map(|(kind, name)| (kind.to_string(), name.map(str::to_string))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_uses_more_than_its_rate_waits_until_the_mean_is_down_to_it() {
        let quotas = quotas();
        quotas.change(entity(&[(CLIENT_ID, Some("c"))]), vec![("producer_byte_rate".into(), Some(100.0))]);
        // Ten seconds count at least: 1,000 bytes are free at once.
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "c", 1000.0), Duration::ZERO);
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "c", 500.0), Duration::from_secs(5));
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "other", 1e9), Duration::ZERO);
        assert_eq!(quotas.used(Kind::Fetch, ANONYMOUS, "c", 1e9), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "c", 500.0), Duration::ZERO, "old windows are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_most_special_quota_holds_and_a_users_clients_share_the_users() {
        let quotas = quotas();
        let rate = |value| vec![("producer_byte_rate".to_string(), Some(value))];
        quotas.change(entity(&[(USER, None)]), rate(100.0));
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "a", 1000.0), Duration::ZERO);
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "b", 1000.0), Duration::from_secs(10));
        quotas.change(entity(&[(USER, Some(ANONYMOUS)), (CLIENT_ID, Some("b"))]), rate(1e6));
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "b", 1000.0), Duration::ZERO);
        quotas.change(entity(&[(USER, None)]), vec![("producer_byte_rate".into(), None)]);
        assert_eq!(quotas.used(Kind::Produce, ANONYMOUS, "a", 1e6), Duration::ZERO);
        assert_eq!(quotas.all().len(), 1);
    }

    #[test]
    fn wrong_quotas_are_refused_in_the_words_of_apache_kafka() {
        let user = entity(&[(USER, Some("u"))]);
        let said = |key, value| check_limit(&user, key, Some(value)).unwrap_err().1;
        assert_eq!(said("nope", 1.0), "Invalid configuration key nope");
        assert_eq!(said("connection_creation_rate", 1.0), "Invalid configuration key connection_creation_rate");
        assert_eq!(said("producer_byte_rate", -1.0), "Quota producer_byte_rate must be greater than 0");
        assert_eq!(said("producer_byte_rate", 1.5), "producer_byte_rate cannot be a fractional value.");
        assert_eq!(said("producer_byte_rate", 1e30), "Proposed value for producer_byte_rate is too large for a LONG.");
        assert!(check_limit(&user, "request_percentage", Some(0.5)).is_ok());
        let of = |entity: &[(&str, Option<&str>)]| {
            let entity: Vec<_> = entity.iter().map(|(kind, name)| (kind.to_string(), name.map(Into::into))).collect();
            check_entity(&entity).unwrap_err().1
        };
        assert_eq!(of(&[]), "Invalid empty client quota entity");
        assert_eq!(of(&[("foo", Some("x"))]), "Unhandled client quota entity type: foo");
        assert_eq!(of(&[(USER, Some(""))]), "Empty user not supported");
        assert!(of(&[(USER, Some("u")), (IP, Some("1.2.3.4"))]).starts_with("Invalid quota entity combination"));
    }
}
