//! DescribeLogDirs (key 35): where logs are and how large.
//!
//! Behaviour: there is one directory, `/memory`, which is no place on any disk; its size is unknown (−1).
//! No topics mean all. Versions: 2 flexible · 3 error code · 4 sizes of the directory · 5 cordoned.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeLogDirsRequest, DescribeLogDirsResponse,
        describe_log_dirs_response::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic},
    },
};

use super::{Api, Call, Reply};
use crate::{node::Node, topics::Topic};

pub(super) struct DescribeLogDirs;

/// The name of the one directory.
pub(super) const DIRECTORY: &str = "/memory";

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: (i16, i16) = (1, 5);

    async fn handle(call: &Call, request: DescribeLogDirsRequest) -> Reply<Self> {
        let all = || call.node.topics.all().into_iter().map(|topic| describe(&topic, |_| true)).collect();
        let topics = match request.topics {
            None => all(),
            Some(asked) => {
                let known = asked.into_iter().filter_map(|asked| {
                    let topic = call.node.topics.named(&asked.topic)?;
                    Some(describe(&topic, |index| asked.partitions.contains(&index)))
                });
                known.filter(|topic| !topic.partitions.is_empty()).collect()
            }
        };
        let directory = DescribeLogDirsResult { log_dir: DIRECTORY.into(), topics, ..Default::default() };
        Reply::With(DescribeLogDirsResponse { results: vec![directory], ..Default::default() })
    }

    fn refuse(_: &DescribeLogDirsRequest, code: ErrorCode) -> DescribeLogDirsResponse {
        // Versions before 3 can say it only of a directory.
        let directory = DescribeLogDirsResult { error_code: code.0, log_dir: DIRECTORY.into(), ..Default::default() };
        DescribeLogDirsResponse { error_code: code.0, results: vec![directory], ..Default::default() }
    }

    fn targets(_: &Node, request: &DescribeLogDirsRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter().flatten();
        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic.clone(), *index))).collect()
    }
}

fn describe(topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = (0..).zip(topic.partitions()).filter(|(index, _)| wanted(*index));
    let partitions = partitions.map(|(partition_index, partition)| DescribeLogDirsPartition {
        partition_index,
        partition_size: partition.log.lock().size() as i64,
        ..Default::default()
    });
    DescribeLogDirsTopic { name: topic.name.to_string(), partitions: partitions.collect(), ..Default::default() }
}
