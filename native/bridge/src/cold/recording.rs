//! Operations on recorded sessions: replay to a broker, export as packets.

use std::path::Path;
use std::sync::Arc;

use dohle_broker::recording::{Recording, RecordingError, pcap, replay};
use dohle_broker::world::one_address;
use dohle_broker::{BrokerWorld, TokioWorld, stderr_log};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::instrument::WithSubscriber;

use super::Operation;
use super::values::{Double, Int64};
use crate::environment::Environment;
use crate::failure::{Class, Failure};

/// Sends the requests of a recorded session to a broker again, and compares its answers with the recorded ones.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RecordingReplay")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replay {
    /// The recording.
    pub file: String,
    /// Host and port of the broker. What was recorded of several nodes goes to the nodes of the same ids in its cluster.
    pub to: String,
    /// 1 keeps the recorded times, 2 is twice as fast; 0 is as fast as the recorded order allows.
    ///
    /// Default: 0.
    pub speed: Option<Double>,
    /// Tell the standard error of the process every five seconds how far it is.
    ///
    /// Default: false.
    pub progress: Option<bool>,
}

/// What came of a replay.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    /// Connections made.
    pub connections: u32,
    /// Requests sent.
    pub requests: u32,
    /// Answers compared.
    pub compared: u32,
    /// Requests that were not sent, as secrets were taken out of them.
    pub left_out: u32,
    /// Differences in all.
    pub differences: u32,
    /// The first hundred of them.
    pub told: Vec<ReplayDifference>,
    /// The recording ended in the middle of an entry, as after a crash; what was there was replayed.
    pub torn: bool,
}

/// An answer that is not the recorded one.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayDifference {
    /// The recorded connection; 0: not of one connection.
    pub connection: u32,
    /// When the request was recorded, in microseconds since 1970.
    pub at_us: Int64,
    /// API and version.
    pub request: String,
    /// What differs.
    pub what: String,
}

impl Operation for Replay {
    const NAME: &'static str = "environment.replayRecording";
    type Target = Arc<Environment>;
    type Response = ReplayReport;

    async fn run(self, _: Arc<Environment>) -> Result<ReplayReport, Failure> {
        let speed = self.speed.map_or(0.0, |Double(speed)| speed);
        if !(speed >= 0.0 && speed.is_finite()) {
            return Err(Failure::argument("speed", "must be 0 or more"));
        }
        let wrong = || Failure::argument("to", "must be HOST:PORT");
        let (host, port) = self.to.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let unknown = || unreachable(format!("{host} does not resolve"));
        let to = one_address(&TokioWorld, host, port).await.ok_or_else(unknown)?;
        let recording = open(&self.file)?;
        let replaying = replay::replay(&TokioWorld, recording, to, speed);
        let done = if self.progress == Some(true) {
            replaying.with_subscriber(stderr_log(tracing::Level::INFO)).await
        } else {
            replaying.await
        };
        let report = done.map_err(|error| match error {
            replay::ReplayError::Recording(error) => unreadable(&self.file, &error),
            other => unreachable(other.to_string()),
        })?;
        let told = report.told.into_iter().map(|of| {
            let replay::Difference { connection, at_us, request, what, .. } = of;
            ReplayDifference { connection, at_us: Int64(at_us), request, what }
        });
        Ok(ReplayReport {
            connections: number(report.connections),
            requests: number(report.requests),
            compared: number(report.compared),
            left_out: number(report.left_out),
            differences: number(report.differences),
            told: told.collect(),
            torn: report.torn,
        })
    }
}

/// Writes a recorded session as packets (pcap), which Wireshark and tshark read.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RecordingExport")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Export {
    /// The recording.
    pub file: String,
    /// The file to write; one that is there is replaced.
    pub pcap: String,
}

/// What was exported.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
    /// Connections.
    pub connections: u32,
    /// Requests and responses.
    pub frames: u32,
    /// Packets.
    pub packets: u32,
    /// Frames of which nothing is left without their secrets.
    pub left_out: u32,
    /// The recording ended in the middle of an entry, as after a crash; what was there was exported.
    pub torn: bool,
}

impl Operation for Export {
    const NAME: &'static str = "environment.exportRecording";
    type Target = Arc<Environment>;
    type Response = ExportReport;

    async fn run(self, _: Arc<Environment>) -> Result<ExportReport, Failure> {
        let (send, done) = tokio::sync::oneshot::channel();
        let work = Box::new(move || drop(send.send(self.export())));
        TokioWorld.blocking(work).await;
        done.await.map_err(|_| Failure::panic("an export"))?
    }
}

impl Export {
    fn export(self) -> Result<ExportReport, Failure> {
        let mut recording = open(&self.file)?;
        let written = pcap::export(&mut recording, &*TokioWorld.disk(), Path::new(&self.pcap));
        let (exported, end) = written.map_err(|error| unusable(&self.pcap, &error))?;
        let torn = match end {
            Ok(()) => false,
            Err(RecordingError::Torn { .. }) => true,
            Err(error) => return Err(unreadable(&self.file, &error)),
        };
        Ok(ExportReport {
            connections: number(exported.connections),
            frames: number(exported.frames),
            packets: number(exported.packets),
            left_out: number(exported.left_out),
            torn,
        })
    }
}

fn number(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn open(file: &str) -> Result<Recording, Failure> {
    Recording::open(&*TokioWorld.disk(), Path::new(file)).map_err(|error| unreadable(file, &error))
}

pub(super) fn unreadable(file: &str, error: &RecordingError) -> Failure {
    unusable(file, error)
}

fn unusable(file: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new("FILE_UNUSABLE", Class::ApplicationRecoverable, format!("{file}: {error}"))
}

fn unreachable(why: String) -> Failure {
    Failure::new("BROKER_UNREACHABLE", Class::ApplicationRecoverable, why)
}
