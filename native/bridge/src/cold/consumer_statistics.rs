//! How a consumer's partitions are doing, asked for and as the event `stalled`.

use dohle_client::consumer as engine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Immediate;
use super::consumer::Consumer;
use super::values::{Int64, Open, OpenNames};
use crate::failure::Failure;

/// Why partitions stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallReasons;

impl OpenNames for StallReasons {
    const TITLE: &'static str = "StallReason";
    const DOC: &'static str = "Why a partition stands still: see `Stall.reason`.";
    const NAMES: &'static [&'static str] = &{
        let mut names = [""; engine::StallReason::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = engine::StallReason::ALL[i].name();
            i += 1;
        }
        names
    };
}

/// How a partition is doing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionStatistics {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub partition: i32,
    /// Offset of the next record that the loop gets; none while it is being looked up.
    pub position: Option<Int64>,
    /// Records that could be read; none while that is not known.
    pub lag: Option<Int64>,
    /// For how many milliseconds there was something to read, or nobody knew, and the position did not move.
    pub idle_ms: Int64,
    /// Why it stands still, while it has for longer than `stalled.report.ms`.
    pub stalled: Option<Open<StallReasons>>,
    /// How often it stood still for that long since it was assigned.
    pub stalls: Int64,
}

/// How all assigned partitions are doing.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConsumerStatistics")]
pub struct Statistics {}

impl Immediate for Statistics {
    const NAME: &'static str = "consumer.statistics";
    type Target = Consumer;
    type Response = Vec<PartitionStatistics>;

    fn run(self, target: Consumer) -> Result<Vec<PartitionStatistics>, Failure> {
        let one = |of: engine::PartitionStatistics| PartitionStatistics {
            topic: of.partition.topic.to_string(),
            partition: of.partition.partition,
            position: of.position.map(Int64),
            lag: of.lag.map(Int64),
            idle_ms: Int64(of.idle.as_millis() as i64),
            stalled: of.stalled.map(|reason| Open::new(reason.name())),
            stalls: Int64(of.stalls as i64),
        };
        Ok(target.consumer.statistics().into_iter().map(one).collect())
    }
}
