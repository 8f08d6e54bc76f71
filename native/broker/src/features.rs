//! Features of the cluster (KIP-584, KIP-1022): which levels there are, and which are in force. Clients infer from them
//! what they may use; what a request does follows from its version.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::{BrokerOptions, Release};

/// A feature, and the levels that are known.
pub(crate) struct Feature {
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
}

const METADATA: &str = "metadata.version";
pub(crate) const TRANSACTION: &str = "transaction.version";

/// What a release of Kafka knows, by name.
fn supported(release: Release) -> Vec<Feature> {
    let Some((min, max)) = release.metadata_version() else { return Vec::new() };
    let mut features = vec![Feature { name: METADATA, min, max }];
    if release.has_consumer_groups() {
        // 1 is KIP-848.
        features.insert(0, Feature { name: "group.version", min: 0, max: 1 });
    }
    if release.has_transactions_v2() {
        // 2 is KIP-890.
        features.push(Feature { name: TRANSACTION, min: 0, max: 2 });
    }
    features
}

/// The levels in force.
pub(crate) struct Features {
    node_id: i32,
    supported: Vec<Feature>,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    levels: BTreeMap<&'static str, i16>,
    epoch: i64,
}

/// A change that is asked for.
pub(crate) struct Update<'a> {
    pub name: &'a str,
    pub level: i16,
    pub may_go_down: bool,
}

impl Features {
    pub fn new(options: &BrokerOptions) -> Self {
        let level = |feature: &Feature| match feature.name {
            TRANSACTION => options.transaction_version,
            _ => feature.max,
        };
        let supported = supported(options.as_version);
        let levels = supported.iter().map(|feature| (feature.name, level(feature))).collect();
        Self { node_id: options.node_id, supported, state: Mutex::new(State { levels, epoch: 1 }) }
    }

    /// The features that there are, by name.
    pub fn supported(&self) -> &[Feature] {
        &self.supported
    }

    /// The levels, and the epoch that counts their changes. Level 0 is "not in force": it is left out.
    pub fn finalized(&self) -> (Vec<(&'static str, i16)>, i64) {
        let state = self.state.lock();
        let levels = state.levels.iter().filter(|(_, level)| **level > 0);
        (levels.map(|(name, level)| (*name, *level)).collect(), state.epoch)
    }

    /// The level of one; 0 when it is not in force.
    pub fn level(&self, name: &str) -> i16 {
        self.state.lock().levels.get(name).copied().unwrap_or(0)
    }

    /// Makes all changes or none. An error is a sentence of Kafka's.
    pub fn update(&self, updates: &[Update<'_>], check_only: bool) -> Result<(), String> {
        let mut state = self.state.lock();
        let mut next = state.clone();
        for update in updates {
            let (name, level) = self.check(&next, update)?;
            next.levels.insert(name, level);
        }
        if !check_only && next.levels != state.levels {
            next.epoch += 1;
            *state = next;
        }
        Ok(())
    }

    fn check(&self, state: &State, update: &Update<'_>) -> Result<(&'static str, i16), String> {
        let Update { name, level, may_go_down } = *update;
        let refused = |why: String| Err(format!("Invalid update version {level} for feature {name}. {why}"));
        let me = self.node_id;
        let Some(feature) = self.supported.iter().find(|feature| feature.name == name) else {
            return refused(format!("Local controller {me} does not support this feature."));
        };
        if !(feature.min..=feature.max).contains(&level) {
            return refused(format!("Local controller {me} only supports versions {}-{}", feature.min, feature.max));
        }
        let now = state.levels.get(feature.name).copied().unwrap_or_default();
        if level < now && !may_go_down {
            return refused(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
                 downgrade."
                    .into(),
            );
        }
        if level < now && feature.name == METADATA {
            return Err(format!(
                "Unsupported metadata.version downgrade from {now} to {level}. Refusing to perform the requested \
                 downgrade because it might delete metadata information."
            ));
        }
        Ok((feature.name, level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, level: i16, may_go_down: bool) -> Update<'_> {
        Update { name, level, may_go_down }
    }

    #[test]
    fn levels_go_up_or_down_all_together_or_not_at_all() {
        let features = Features::new(&BrokerOptions::default());
        let level =
            || features.finalized().0.into_iter().find(|(name, _)| *name == TRANSACTION).map(|(_, level)| level);
        features.update(&[update(TRANSACTION, 1, true)], true).unwrap();
        assert_eq!((level(), features.finalized().1), (Some(2), 1));
        features.update(&[update(TRANSACTION, 0, true)], false).unwrap();
        assert_eq!((level(), features.finalized().1), (None, 2));
        features.update(&[update(TRANSACTION, 1, false), update("nope", 1, false)], false).unwrap_err();
        assert_eq!(level(), None);
        features.update(&[update(TRANSACTION, 2, false)], false).unwrap();
        assert_eq!(level(), Some(2));
    }

    #[test]
    fn wrong_levels_are_refused_in_the_words_of_apache_kafka() {
        let features = Features::new(&BrokerOptions::default());
        for (asked, said) in [
            (
                update(TRANSACTION, 99, false),
                "Invalid update version 99 for feature transaction.version. Local controller 1 only supports versions 0-2",
            ),
            (
                update("nope", 1, false),
                "Invalid update version 1 for feature nope. Local controller 1 does not support this feature.",
            ),
            (
                update(TRANSACTION, 0, false),
                "Invalid update version 0 for feature transaction.version. Can't downgrade the version of this feature \
                 without setting the upgrade type to either safe or unsafe downgrade.",
            ),
            (
                update(METADATA, 7, true),
                "Unsupported metadata.version downgrade from 30 to 7. Refusing to perform the requested downgrade \
                 because it might delete metadata information.",
            ),
        ] {
            assert_eq!(features.update(&[asked], false).unwrap_err(), said);
        }
    }
}
