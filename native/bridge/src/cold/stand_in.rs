//! Operations on what answers clients from a recorded session.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dohle_broker::recording::stand_in::{StandIn, StandInError};
use dohle_broker::{BrokerWorld, Logged, TokioWorld, stderr_log};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::broker::BrokerLogLevel;
use super::recording::unreadable;
use super::{Operation, Target};
use crate::environment::{Environment, Resource};
use crate::failure::{Class, Failure};

impl Target for Arc<StandIn> {
    const NAME: &'static str = "standIn";

    fn of(resource: &Resource) -> Option<Self> {
        match resource {
            Resource::StandIn(stand_in) => Some(stand_in.clone()),
            _ => None,
        }
    }
}

/// Starts to answer clients, on 127.0.0.1, with what was recorded.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StandInStart")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// The recording.
    pub file: String,
    /// Port to listen on; 0 takes a free one.
    ///
    /// Default: 0.
    pub port: Option<u16>,
    /// Write what it cannot answer, and other things, to the standard error of the process.
    ///
    /// Default: it is not written.
    pub log_to_stderr: Option<BrokerLogLevel>,
}

/// One that runs.
#[derive(Serialize, JsonSchema)]
pub struct RunningStandIn {
    /// Its handle.
    pub handle: u32,
    /// Host and port that it listens on.
    pub address: String,
}

impl Operation for Start {
    const NAME: &'static str = "environment.startStandIn";
    type Target = Arc<Environment>;
    type Response = RunningStandIn;

    async fn run(self, target: Self::Target) -> Result<RunningStandIn, Failure> {
        let world: Arc<dyn BrokerWorld> = match self.log_to_stderr {
            None => Arc::new(TokioWorld),
            Some(level) => Arc::new(Logged::new(TokioWorld, stderr_log(level.into()))),
        };
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.unwrap_or(0)));
        let started = StandIn::start(world, self.file.clone().into(), at).await;
        let stand_in = started.map_err(|error| match error {
            StandInError::Recording { source, .. } => unreadable(&self.file, &source),
            other => Failure::new("CANNOT_LISTEN", Class::ApplicationRecoverable, other.to_string()),
        })?;
        let address = stand_in.address().to_string();
        let handle = target.insert(Resource::StandIn(Arc::new(stand_in)))?;
        Ok(RunningStandIn { handle, address })
    }
}

/// Stops it: closes its listener and all connections.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StandInStop")]
pub struct Stop {}

impl Operation for Stop {
    const NAME: &'static str = "standIn.stop";
    const CLOSES: bool = true;
    type Target = Arc<StandIn>;
    type Response = ();

    async fn run(self, target: Arc<StandIn>) -> Result<(), Failure> {
        target.stop().await;
        Ok(())
    }
}
