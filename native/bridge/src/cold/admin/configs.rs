//! Configurations of topics, brokers, log levels, groups and metrics subscriptions.

use dohle_client::admin as engine;
use dohle_client::admin::{AlterConfigOp, ConfigKind, ConfigSource, ConfigType};

use super::all;
use super::names::known;
use super::shape::Wire;
use crate::cold::values::Open;
use crate::failure::Failure;

part! {
    /// A thing whose settings are asked for.
    ConfigsOf {
        /// What it is.
        r#type: Open<ConfigKind>,
        /// Its name; of a broker its node id as text, or empty for what is set for all brokers.
        name: String,
        /// Only these settings.
        ///
        /// Default: all.
        keys: Option<Vec<String>>,
    }
}

part! {
    /// A thing whose settings are changed.
    ConfigChanges {
        /// What it is.
        r#type: Open<ConfigKind>,
        /// Its name; of a broker its node id as text, or empty for all brokers.
        name: String,
        /// The changes; settings that are not named stay as they are.
        configs: Vec<ConfigChange>,
    }
}

part! {
    /// A change of one setting.
    ConfigChange {
        /// The setting's name, such as `retention.ms`.
        name: String,
        /// Its value, or what is added to a list or taken out of it; absent for `DELETE`.
        value: Option<String>,
        /// What is done.
        ///
        /// Default: `SET`.
        operation: Option<Open<AlterConfigOp>>,
    }
}

response! {
    /// The settings of one thing.
    ResourceConfigs {
        /// What it is.
        r#type: Open<ConfigKind>,
        /// Its name.
        name: String,
        /// Its settings, in the broker's order.
        configs: Vec<ConfigEntry>,
    }
}

response! {
    /// A setting.
    ConfigEntry from engine::ConfigEntry {
        /// Its name.
        name: String,
        /// Its value; none for secrets.
        value: Option<String>,
        /// Where the value comes from; none if the broker does not tell.
        source: Option<Open<ConfigSource>>,
        /// Whether it is a secret.
        sensitive: bool,
        /// Whether it cannot be altered while the broker runs.
        read_only: bool,
        /// The type of its value; none with brokers older than 2.6.
        value_type: Option<Open<ConfigType>>,
        /// What it is for, if that was asked for.
        documentation: Option<String>,
        /// Where it has a value, if that was asked for: the first one wins.
        synonyms: Vec<ConfigSynonym>,
    }
}

response! {
    /// A place where a setting has a value.
    ConfigSynonym from engine::ConfigSynonym {
        /// What it is called there.
        name: String,
        /// Its value there; none for secrets.
        value: Option<String>,
        /// Where.
        source: Open<ConfigSource>,
    }
}

response! {
    /// Something with settings of its own.
    ConfigResource from engine::ConfigResource {
        /// What it is.
        r#type from kind: Open<ConfigKind>,
        /// Its name.
        name: String,
    }
}

operation! {
    /// The settings of topics, brokers, log levels, groups or metrics subscriptions (KIP-133, KIP-226, KIP-569). Fails when one
    /// of them does not exist. A broker's are answered by that broker.
    DescribeConfigs "admin.describeConfigs" -> Vec<ResourceConfigs> {
        /// The things.
        resources: Vec<ConfigsOf>,
        /// Where else each setting has a value.
        ///
        /// Default: false.
        include_synonyms: Option<bool>,
        /// What each setting is for; from Kafka 2.6 on.
        ///
        /// Default: false.
        include_documentation: Option<bool>,
    }
    |request, admin, timeout| {
        let resource = |(index, of): (usize, ConfigsOf)| {
            let kind = known(&of.r#type, &format!("resources[{index}].type"))?;
            Ok((engine::ConfigResource { kind, name: of.name }, of.keys))
        };
        let resources = request.resources.into_iter().enumerate().map(resource).collect::<Result<_, Failure>>()?;
        let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
        let (synonyms, documentation) = (synonyms.unwrap_or(false), documentation.unwrap_or(false));
        let items = admin.describe_configs(resources, synonyms, documentation, timeout).await?;
        let described = |(of, configs): (engine::ConfigResource, Vec<engine::ConfigEntry>)| ResourceConfigs {
            r#type: Wire::wire(of.kind),
            name: of.name,
            configs: Wire::wire(configs),
        };
        Ok(all("describeConfigs", items)?.into_iter().map(described).collect())
    }
}

operation! {
    /// Changes settings and leaves the others as they are (KIP-339; Kafka 2.3 or newer). When some things cannot be changed the
    /// others are, and the call fails.
    IncrementalAlterConfigs "admin.incrementalAlterConfigs" -> () {
        /// The things, with what is changed.
        resources: Vec<ConfigChanges>,
        /// Only check whether they could be changed.
        ///
        /// Default: false.
        validate_only: Option<bool>,
    }
    |request, admin, timeout| {
        let mut changes = Vec::new();
        for (index, of) in request.resources.into_iter().enumerate() {
            let kind = known(&of.r#type, &format!("resources[{index}].type"))?;
            let change = |(at, change): (usize, ConfigChange)| {
                let path = format!("resources[{index}].configs[{at}].operation");
                let operation = change.operation.map_or(Ok(AlterConfigOp::SET), |of| known(&of, &path))?;
                Ok(engine::AlterConfig { name: change.name, operation, value: change.value })
            };
            let configs = of.configs.into_iter().enumerate().map(change).collect::<Result<_, Failure>>()?;
            changes.push((engine::ConfigResource { kind, name: of.name }, configs));
        }
        let validate_only = request.validate_only.unwrap_or(false);
        let items = admin.incremental_alter_configs(changes, validate_only, timeout).await?;
        all("incrementalAlterConfigs", items)?;
        Ok(())
    }
}

operation! {
    /// Lists what has settings of its own (KIP-1142; Kafka 4.1 or newer), by type and name.
    ListConfigResources "admin.listConfigResources" -> Vec<ConfigResource> {
        /// Only these types.
        ///
        /// Default: all.
        types: Option<Vec<Open<ConfigKind>>>,
    }
    |request, admin, timeout| {
        let kinds = request.types.unwrap_or_default();
        let kinds = kinds.iter().enumerate().map(|(index, kind)| known(kind, &format!("types[{index}]")));
        let kinds = kinds.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Wire::wire(admin.list_config_resources(&kinds, timeout).await?))
    }
}

operation! {
    /// The names of the subscriptions to metrics of clients (KIP-714; Kafka 3.7 or newer).
    ListClientMetricsResources "admin.listClientMetricsResources" -> Vec<String> {}
    |_request, admin, timeout| {
        let listed = admin.list_config_resources(&[ConfigKind::CLIENT_METRICS], timeout).await?;
        Ok(listed.into_iter().map(|of| of.name).collect())
    }
}
