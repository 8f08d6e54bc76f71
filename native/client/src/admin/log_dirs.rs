//! Where brokers keep their logs, and how large they are (KIP-113).

use std::fmt;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use dohle_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use dohle_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use dohle_protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
};

use super::each::{Answer, Call, Route, whole};
use super::partitions::by_topic;
use super::{Admin, Item};
use crate::consumer::TopicPartition;
use crate::error::{Error, Result};

/// A folder of a broker's.
#[derive(Clone, Debug)]
pub struct LogDir {
    /// Its path.
    pub path: String,
    /// Why it cannot be used, if so.
    pub error: Option<Error>,
    /// The size of its disk in bytes; none if the broker does not tell.
    pub total_bytes: Option<i64>,
    /// The bytes that are free on it; none if the broker does not tell.
    pub usable_bytes: Option<i64>,
    /// The logs in it.
    pub replicas: Vec<LogDirReplica>,
}

/// The log of a partition in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirReplica {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Its size in bytes.
    pub size: i64,
    /// How far it is behind: of a log being moved behind the old one, else of the high watermark behind the end.
    pub offset_lag: i64,
    /// Whether it is being moved here.
    pub future: bool,
}

/// A copy of a partition on one broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker's node id.
    pub broker: i32,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on broker {}", self.partition, self.broker)
    }
}

impl Admin {
    /// The folders of brokers; none given: of all. `partitions`: only these logs. One result per broker.
    pub async fn describe_log_dirs(
        &self,
        brokers: Option<Vec<i32>>,
        partitions: Option<&[TopicPartition]>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<Vec<LogDir>, i32>>> {
        let doing = "describeLogDirs";
        let topics = partitions.map(|all| {
            let indices: Vec<usize> = (0..all.len()).collect();
            let topic = |(name, indices): (&str, Vec<usize>)| DescribableLogDirTopic {
                topic: name.to_owned(),
                partitions: indices.into_iter().map(|index| all[index].partition).collect(),
                ..Default::default()
            };
            by_topic(all, &indices).into_iter().map(topic).collect::<Vec<_>>()
        });
        let make = |_| Ok(DescribeLogDirsRequest { topics: topics.clone(), ..Default::default() });
        let read = |response: DescribeLogDirsResponse| {
            whole(response.error_code, doing, None)?;
            Ok(response.results.into_iter().map(log_dir).collect::<Vec<_>>())
        };
        let brokers = match brokers {
            Some(brokers) => brokers,
            None => self.all_brokers(doing, timeout).await?,
        };
        Ok(self.brokers(doing, brokers, timeout, make, read).await)
    }

    /// Moves copies of partitions to other folders of their brokers. One result per copy, in the order given.
    pub async fn alter_replica_log_dirs(
        &self,
        moves: Vec<(Replica, String)>,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<(), Replica>>> {
        let (replicas, paths): (Vec<Replica>, Vec<String>) = moves.into_iter().unzip();
        let wanted = replicas.clone();
        let make = |_, pending: &[usize], _| {
            let mut dirs: Vec<AlterReplicaLogDir> = Vec::new();
            for index in pending {
                let (path, of) = (&paths[*index], &wanted[*index].partition);
                let at = dirs.iter().position(|dir| dir.path == *path).unwrap_or_else(|| {
                    dirs.push(AlterReplicaLogDir { path: path.clone(), ..Default::default() });
                    dirs.len() - 1
                });
                let topics = &mut dirs[at].topics;
                let topic = topics.iter().position(|topic| topic.name == *of.topic).unwrap_or_else(|| {
                    topics.push(AlterReplicaLogDirTopic { name: of.topic.to_string(), ..Default::default() });
                    topics.len() - 1
                });
                topics[topic].partitions.push(of.partition);
            }
            Ok(AlterReplicaLogDirsRequest { dirs, ..Default::default() })
        };
        let route = |of: &Replica| Route::Node(of.broker);
        // Answers do not name the broker: each is of one copy.
        let call = Call { single: true, ..Call::new("alterReplicaLogDirs", replicas, &route, timeout) };
        let keys = call.keys.clone();
        self.each(call, make, |response: AlterReplicaLogDirsResponse| {
            let mut answers = Vec::new();
            for topic in response.results {
                for of in topic.partitions {
                    let partition = TopicPartition::new(topic.topic_name.as_str(), of.partition_index);
                    let asked = keys.iter().filter(|key| key.partition == partition);
                    answers.extend(asked.map(|key| Answer::new(key.clone(), of.error_code, ())));
                }
            }
            Ok(answers)
        })
        .await
    }
}

fn log_dir(of: DescribeLogDirsResult) -> LogDir {
    let mut replicas = Vec::new();
    for topic in of.topics {
        replicas.extend(topic.partitions.into_iter().map(|of| LogDirReplica {
            topic: topic.name.clone(),
            partition: of.partition_index,
            size: of.partition_size,
            offset_lag: of.offset_lag,
            future: of.is_future_key,
        }));
    }
    replicas.sort_unstable_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let code = ErrorCode(of.error_code);
    LogDir {
        error: code.is_error().then(|| Error::broker(code, format_args!("describeLogDirs: {}", of.log_dir))),
        path: of.log_dir,
        total_bytes: (of.total_bytes >= 0).then_some(of.total_bytes),
        usable_bytes: (of.usable_bytes >= 0).then_some(of.usable_bytes),
        replicas,
    }
}
