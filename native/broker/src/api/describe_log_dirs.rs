//! DescribeLogDirs (key 35): where logs are and how large.
//!
//! Behaviour: there is one directory; without a log folder it is `/memory`, which is no place on any disk, and its size is unknown (−1).
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
pub(super) fn directory(node: &Node) -> String {
    node.home.as_ref().map_or_else(|| "/memory".into(), |home| home.path().display().to_string())
}

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: (i16, i16) = (1, 5);

    async fn handle(call: &Call, request: DescribeLogDirsRequest) -> Reply<Self> {
        let all = || {
            call.node
                .topics
                .all()
                .into_iter()
                .map(|topic| describe(&call.node, &topic, |_| true))
                .filter(|topic| !topic.partitions.is_empty())
                .collect()
        };
        let topics = match request.topics {
            None => all(),
            Some(asked) => {
                let known = asked.into_iter().filter_map(|asked| {
                    let topic = call.node.topics.named(&asked.topic)?;
                    Some(describe(&call.node, &topic, |index| asked.partitions.contains(&index)))
                });
                known.filter(|topic| !topic.partitions.is_empty()).collect()
            }
        };
        let mut result = DescribeLogDirsResult { log_dir: directory(&call.node), topics, ..Default::default() };
        let space = call.node.home.as_ref().and_then(|home| home.disk().space(home.path()).ok().flatten());
        if let Some(space) = space {
            let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            (result.total_bytes, result.usable_bytes) = (bytes(space.total), bytes(space.free));
        }
        Reply::With(DescribeLogDirsResponse { results: vec![result], ..Default::default() })
    }

    fn refuse(_: &DescribeLogDirsRequest, code: ErrorCode) -> DescribeLogDirsResponse {
        // Versions before 3 can say it only of a directory.
        let directory = DescribeLogDirsResult { error_code: code.0, ..Default::default() };
        DescribeLogDirsResponse { error_code: code.0, results: vec![directory], ..Default::default() }
    }

    fn targets(_: &Node, request: &DescribeLogDirsRequest) -> Vec<(String, i32)> {
        let topics = request.topics.iter().flatten();
        topics.flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic.clone(), *index))).collect()
    }
}

fn describe(node: &Node, topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = (0..).zip(topic.partitions()).filter(|(index, _)| wanted(*index));
    let partitions = partitions.filter_map(|(partition_index, partition)| {
        let replica = partition.replica(node.options.node_id)?;
        let partition_size = replica.log.lock().size() as i64;
        Some(DescribeLogDirsPartition { partition_index, partition_size, ..Default::default() })
    });
    DescribeLogDirsTopic { name: topic.name.to_string(), partitions: partitions.collect(), ..Default::default() }
}
