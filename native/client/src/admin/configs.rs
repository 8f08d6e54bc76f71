//! Configurations of topics, brokers, log levels, groups and metrics subscriptions.
//!
//! Those of one broker go to that broker, all others to any.

use std::fmt;
use std::time::Duration;

use dohle_protocol::messages::describe_configs_request::DescribeConfigsResource;
use dohle_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use dohle_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use dohle_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::each::{Answer, Call, Route, whole};
use super::names::{AlterConfigOp, ConfigKind, ConfigSource, ConfigType};
use super::since::needs;
use super::{Admin, Item};
use crate::error::{Error, Result};

/// What a configuration is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigResource {
    /// Its kind.
    pub kind: ConfigKind,
    /// Its name; of a broker the node id, empty for the defaults of all brokers.
    pub name: String,
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl ConfigResource {
    fn check(&self) -> Result<()> {
        let of_broker = matches!(self.kind, ConfigKind::BROKER | ConfigKind::BROKER_LOGGER);
        if of_broker && !self.name.is_empty() && self.name.parse::<i32>().is_err() {
            return Err(Error::invalid_argument(format!("resources: {self}: a broker's name is its node id")));
        }
        Ok(())
    }

    fn route(&self) -> Route {
        match (self.kind, self.name.parse()) {
            (ConfigKind::BROKER | ConfigKind::BROKER_LOGGER, Ok(node)) => Route::Node(node),
            _ => Route::Any,
        }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; none for secrets.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Option<ConfigSource>,
    /// Whether it is a secret.
    pub sensitive: bool,
    /// Whether it cannot be altered while the broker runs.
    pub read_only: bool,
    /// The type of its value; none with brokers older than 2.6.
    pub value_type: Option<ConfigType>,
    /// What it is for, if that was asked for.
    pub documentation: Option<String>,
    /// Where its value comes from and would come from, the first that is set wins.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A place where a setting has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// What it is called there.
    pub name: String,
    /// Its value there.
    pub value: Option<String>,
    /// Where.
    pub source: ConfigSource,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfig {
    /// Its name.
    pub name: String,
    /// What is done.
    pub operation: AlterConfigOp,
    /// With what; none to delete.
    pub value: Option<String>,
}

impl Admin {
    /// The settings of several things. `keys`: of each, only these; none for all.
    pub async fn describe_configs(
        &self,
        resources: Vec<(ConfigResource, Option<Vec<String>>)>,
        synonyms: bool,
        documentation: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<ConfigEntry>, ConfigResource>>> {
        let (resources, keys): (Vec<_>, Vec<_>) = resources.into_iter().unzip();
        resources.iter().try_for_each(ConfigResource::check)?;
        let wanted = resources.clone();
        let make = |version, pending: &[usize], _| {
            needs(documentation, version, 3, "documentation of configs", "2.6")?;
            let resource = |index: &usize| DescribeConfigsResource {
                resource_type: wanted[*index].kind.0,
                resource_name: wanted[*index].name.clone(),
                configuration_keys: keys[*index].clone(),
                ..Default::default()
            };
            Ok(DescribeConfigsRequest {
                resources: pending.iter().map(resource).collect(),
                include_synonyms: synonyms,
                include_documentation: documentation,
                ..Default::default()
            })
        };
        let call = Call::new("describeConfigs", resources, &ConfigResource::route, timeout);
        self.each(call, make, |response: DescribeConfigsResponse| {
            let answer = response.results.into_iter().map(|result| {
                let key = ConfigResource { kind: ConfigKind(result.resource_type), name: result.resource_name };
                let entries = result.configs.into_iter().map(entry).collect();
                Answer::new(key, result.error_code, entries).saying(result.error_message)
            });
            Ok(answer.collect())
        })
        .await
    }

    /// Changes settings and leaves the others as they are (KIP-339).
    pub async fn incremental_alter_configs(
        &self,
        changes: Vec<(ConfigResource, Vec<AlterConfig>)>,
        validate_only: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), ConfigResource>>> {
        let (resources, changes): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        resources.iter().try_for_each(ConfigResource::check)?;
        let wanted = resources.clone();
        let make = |_, pending: &[usize], _| {
            let config = |change: &AlterConfig| AlterableConfig {
                name: change.name.clone(),
                config_operation: change.operation.0,
                value: change.value.clone(),
                ..Default::default()
            };
            let resource = |index: &usize| AlterConfigsResource {
                resource_type: wanted[*index].kind.0,
                resource_name: wanted[*index].name.clone(),
                configs: changes[*index].iter().map(config).collect(),
                ..Default::default()
            };
            let resources = pending.iter().map(resource).collect();
            Ok(IncrementalAlterConfigsRequest { resources, validate_only, ..Default::default() })
        };
        let call = Call::new("incrementalAlterConfigs", resources, &ConfigResource::route, timeout);
        self.each(call, make, |response: IncrementalAlterConfigsResponse| {
            let answer = response.responses.into_iter().map(|result| {
                let key = ConfigResource { kind: ConfigKind(result.resource_type), name: result.resource_name };
                Answer::new(key, result.error_code, ()).saying(result.error_message)
            });
            Ok(answer.collect())
        })
        .await
    }

    /// The things that have settings of their own (KIP-1142). `kinds`: only these; empty for all. Before Kafka 4.1 there are
    /// only metrics subscriptions to list (KIP-714).
    pub async fn list_config_resources(
        &self,
        kinds: &[ConfigKind],
        timeout: Option<Duration>,
    ) -> Result<Vec<ConfigResource>> {
        let doing = "listConfigResources";
        let make = |version, _| {
            let others = kinds != [ConfigKind::CLIENT_METRICS];
            needs(others, version, 1, "listing configs other than CLIENT_METRICS", "4.1")?;
            let resource_types = if others { kinds.iter().map(|kind| kind.0).collect() } else { Vec::new() };
            let resource_types = if version >= 1 && !others { vec![kinds[0].0] } else { resource_types };
            Ok(ListConfigResourcesRequest { resource_types, ..Default::default() })
        };
        let read = |response: ListConfigResourcesResponse| {
            whole(response.error_code, doing, None)?;
            let resource = response
                .config_resources
                .into_iter()
                .map(|of| ConfigResource { kind: ConfigKind(of.resource_type), name: of.resource_name });
            Ok(resource.collect::<Vec<_>>())
        };
        let mut listed = self.one(doing, Route::Any, timeout, make, read).await?;
        listed.sort_unstable_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(listed)
    }
}

fn entry(of: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonym = of.synonyms.into_iter().map(|of| ConfigSynonym {
        name: of.name,
        value: of.value,
        source: ConfigSource(of.source),
    });
    ConfigEntry {
        name: of.name,
        value: of.value,
        source: (of.config_source > 0).then_some(ConfigSource(of.config_source)),
        sensitive: of.is_sensitive,
        read_only: of.read_only,
        value_type: (of.config_type > 0).then_some(ConfigType(of.config_type)),
        documentation: of.documentation,
        synonyms: synonym.collect(),
    }
}
