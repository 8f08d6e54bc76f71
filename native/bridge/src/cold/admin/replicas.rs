//! The copies of partitions: in which folders they are, and on which brokers.

use dohle_client::admin as engine;
use dohle_client::consumer::TopicPartition as EnginePartition;

use super::partitions::partitions;
use super::shape::Wire;
use super::{ItemError, all, told};
use crate::cold::consumer::TopicPartition;
use crate::cold::values::Int64;

response! {
    /// The folders of one broker.
    BrokerLogDirs {
        /// Its node id.
        broker: i32,
        /// The folders.
        log_dirs: Vec<LogDir>,
        /// Why it does not tell.
        error: Option<ItemError>,
    }
}

response! {
    /// A folder where a broker keeps logs.
    LogDir from engine::LogDir {
        /// Its path.
        path: String,
        /// Why it cannot be used, if so.
        error: Option<ItemError>,
        /// The size of its disk in bytes (KIP-827); none with brokers older than 3.3.
        total_bytes: Option<Int64>,
        /// The bytes that are free on it (KIP-827); none with brokers older than 3.3.
        usable_bytes: Option<Int64>,
        /// The logs in it, by topic and partition.
        replicas: Vec<LogDirReplica>,
    }
}

response! {
    /// The log of a partition in a folder.
    LogDirReplica from engine::LogDirReplica {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Its size in bytes.
        size: Int64,
        /// How many offsets it is behind: while it is being moved here behind the log elsewhere.
        offset_lag: Int64,
        /// Whether it is being moved here.
        future: bool,
    }
}

part! {
    /// A copy of a partition to move to another folder of its broker.
    ReplicaMove {
        /// The broker's node id.
        broker: i32,
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// The folder's path.
        path: String,
    }
}

part! {
    /// A partition and the nodes that shall hold it.
    PartitionReassignment {
        /// The topic's name.
        topic: String,
        /// The partition's number, from 0.
        #[schemars(range(min = 0))]
        partition: i32,
        /// The nodes, the preferred leader first; absent: stops what was begun.
        replicas: Option<Vec<i32>>,
    }
}

response! {
    /// A partition whose copies are being moved.
    OngoingReassignment from engine::Reassignment {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Nodes with a copy now, those that come and those that go included.
        replicas: Vec<i32>,
        /// Nodes that are to get one.
        adding: Vec<i32>,
        /// Nodes whose copy goes.
        removing: Vec<i32>,
    }
}

operation! {
    /// The folders where brokers keep logs, and the logs in them (KIP-113). A broker that cannot be asked has an `error`, the others
    /// are told.
    DescribeLogDirs "admin.describeLogDirs" -> Vec<BrokerLogDirs> {
        /// Only these brokers, by node id.
        ///
        /// Default: all.
        brokers: Option<Vec<i32>>,
        /// Only the logs of these partitions.
        ///
        /// Default: all.
        partitions: Option<Vec<TopicPartition>>,
    }
    |request, admin, timeout| {
        let of = request.partitions.as_deref().map(partitions);
        let items = admin.describe_log_dirs(request.brokers, of.as_deref(), timeout).await?;
        let broker = |item: engine::Item<Vec<engine::LogDir>, i32>| {
            let (dirs, error) = told(item.result);
            BrokerLogDirs { broker: item.name, log_dirs: Wire::wire(dirs.unwrap_or_default()), error }
        };
        Ok(items.into_iter().map(broker).collect())
    }
}

operation! {
    /// Moves copies of partitions to other folders of their brokers (KIP-113). It returns when the moves have begun. When some
    /// cannot be moved the others are, and the call fails.
    AlterReplicaLogDirs "admin.alterReplicaLogDirs" -> () {
        /// The copies, with the folders.
        replicas: Vec<ReplicaMove>,
    }
    |request, admin, timeout| {
        let replica = |of: ReplicaMove| {
            let partition = EnginePartition::new(of.topic, of.partition);
            (engine::Replica { partition, broker: of.broker }, of.path)
        };
        let moves = request.replicas.into_iter().map(replica).collect();
        all("alterReplicaLogDirs", admin.alter_replica_log_dirs(moves, timeout).await?)?;
        Ok(())
    }
}

operation! {
    /// Begins to move copies of partitions to other brokers, or stops that (KIP-455; Kafka 2.4 or newer). It returns when the
    /// moves have begun. When some cannot be moved the others are, and the call fails.
    AlterPartitionReassignments "admin.alterPartitionReassignments" -> () {
        /// The partitions, with the nodes.
        partitions: Vec<PartitionReassignment>,
        /// The number of copies may change (KIP-860); `false` from Kafka 4.1 on.
        ///
        /// Default: true.
        allow_replication_factor_change: Option<bool>,
    }
    |request, admin, timeout| {
        let of = |of: PartitionReassignment| (EnginePartition::new(of.topic, of.partition), of.replicas);
        let moves = request.partitions.into_iter().map(of).collect();
        let factor = request.allow_replication_factor_change.unwrap_or(true);
        all("alterPartitionReassignments", admin.alter_partition_reassignments(moves, factor, timeout).await?)?;
        Ok(())
    }
}

operation! {
    /// The partitions whose copies are being moved (KIP-455; Kafka 2.4 or newer).
    ListPartitionReassignments "admin.listPartitionReassignments" -> Vec<OngoingReassignment> {
        /// Only these.
        ///
        /// Default: all.
        partitions: Option<Vec<TopicPartition>>,
    }
    |request, admin, timeout| {
        let of = request.partitions.as_deref().map(partitions);
        Ok(Wire::wire(admin.list_partition_reassignments(of.as_deref(), timeout).await?))
    }
}
