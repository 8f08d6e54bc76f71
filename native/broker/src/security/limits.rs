//! What a stranger may use: connections, time and bytes before it has logged in.

use std::{net::IpAddr, time::Duration};

use parking_lot::Mutex;

use super::Wrong;
use crate::{
    BrokerOptions,
    collections::Map,
    config::{broker, split},
};

const OVERRIDES: &str = "max.connections.per.ip.overrides";

/// The limits.
pub(crate) struct Limits {
    /// How long a connection may say nothing.
    pub idle: Option<Duration>,
    /// Largest request of who has not logged in.
    pub strangers_request: i32,
    /// How long who failed to log in waits for being told.
    pub failed_login: Duration,
    per_address: usize,
    overrides: Map<IpAddr, usize>,
    open: Mutex<Map<IpAddr, usize>>,
}

impl Limits {
    pub fn new(options: &BrokerOptions) -> Result<Self, Wrong> {
        let number = |name| broker::number(options, name);
        let text = options.properties.get(OVERRIDES).map(String::as_str).unwrap_or_default();
        let overrides = split(text).map(|one| {
            let (address, limit) = one.rsplit_once(':')?;
            Some((address.trim().parse::<IpAddr>().ok()?.to_canonical(), limit.trim().parse().ok()?))
        });
        let overrides: Option<Map<IpAddr, usize>> = overrides.collect();
        let form = || (OVERRIDES, format!("{OVERRIDES}: it must be ADDRESS:LIMIT, separated by commas"));
        let millis = |ms: i64| u64::try_from(ms).ok().map(Duration::from_millis);
        Ok(Self {
            idle: millis(number("connections.max.idle.ms")),
            strangers_request: i32::try_from(number("sasl.server.max.receive.size"))
                .unwrap_or(i32::MAX)
                .min(options.max_request_bytes),
            failed_login: millis(number("connection.failed.authentication.delay.ms")).unwrap_or_default(),
            per_address: usize::try_from(number("max.connections.per.ip")).unwrap_or(usize::MAX),
            overrides: overrides.ok_or_else(form)?,
            open: Mutex::default(),
        })
    }

    /// Whether an address may have one more connection, which is then counted until [`left`](Self::left).
    pub fn may_come(&self, address: IpAddr) -> bool {
        if !self.counts() {
            return true;
        }
        let address = address.to_canonical();
        let limit = self.overrides.get(&address).copied().unwrap_or(self.per_address);
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        let may = *count < limit;
        *count += usize::from(may);
        if *count == 0 {
            open.remove(&address);
        }
        may
    }

    pub fn left(&self, address: IpAddr) {
        if !self.counts() {
            return;
        }
        let address = address.to_canonical();
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }

    fn counts(&self) -> bool {
        self.per_address < i32::MAX as usize || !self.overrides.is_empty()
    }
}
