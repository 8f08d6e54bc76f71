//! AlterReplicaLogDirs (key 34): moves logs to another directory.
//!
//! Behaviour: there is one (see DescribeLogDirs), and every log is in it: any other is LOG_DIR_NOT_FOUND.
//! Versions: 2 flexible.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
        alter_replica_log_dirs_response::{AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult},
    },
};

use super::{Api, Call, Reply, describe_log_dirs::directory};

pub(super) struct AlterReplicaLogDirs;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    const VERSIONS: (i16, i16) = (1, 2);

    async fn handle(call: &Call, request: AlterReplicaLogDirsRequest) -> Reply<Self> {
        let here = directory(&call.node);
        let code = |path: &str, topic: &str, partition: i32| match call.node.topics.named(topic) {
            _ if path != here => ErrorCode::LOG_DIR_NOT_FOUND,
            Some(topic)
                if topic.partition(partition).is_some_and(|of| of.replica(call.node.options.node_id).is_some()) =>
            {
                ErrorCode::NONE
            }
            _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        Reply::With(answer(&request, code))
    }

    fn refuse(request: &AlterReplicaLogDirsRequest, code: ErrorCode) -> AlterReplicaLogDirsResponse {
        answer(request, |_, _, _| code)
    }
}

fn answer(
    request: &AlterReplicaLogDirsRequest,
    code: impl Fn(&str, &str, i32) -> ErrorCode,
) -> AlterReplicaLogDirsResponse {
    let mut topics = BTreeMap::<&str, Vec<AlterReplicaLogDirPartitionResult>>::new();
    for (path, topic) in request.dirs.iter().flat_map(|dir| dir.topics.iter().map(|topic| (&dir.path, topic))) {
        let results = topic.partitions.iter().map(|index| AlterReplicaLogDirPartitionResult {
            partition_index: *index,
            error_code: code(path, &topic.name, *index).0,
            ..Default::default()
        });
        topics.entry(&topic.name).or_default().extend(results);
    }
    let result = |(name, partitions): (&str, Vec<_>)| AlterReplicaLogDirTopicResult {
        topic_name: name.into(),
        partitions,
        ..Default::default()
    };
    AlterReplicaLogDirsResponse { results: topics.into_iter().map(result).collect(), ..Default::default() }
}
