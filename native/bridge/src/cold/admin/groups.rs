//! Groups: listing, describing, deleting, their offsets and members.

use dohle_client::admin as engine;
use dohle_client::admin::AclOperation;
use dohle_client::consumer::TopicPartition as EnginePartition;

use super::partitions::partitions;
use super::shape::Wire;
use super::{ItemError, all, told};
use crate::cold::consumer::TopicPartition;
use crate::cold::consumer_offsets::PartitionOffset;
use crate::cold::values::{Base64, Int64, Open};
use crate::failure::Failure;

response! {
    /// A group in a list.
    GroupListing from engine::GroupListing {
        /// Its id.
        group_id: String,
        /// `consumer`, `connect`, `share`, …; empty for a group that only has offsets.
        protocol_type: String,
        /// Its state as Kafka writes it, such as `Stable` or `Empty`; none with brokers older than 2.6.
        state: Option<String>,
        /// `classic`, `consumer`, `share` or `streams`; none with brokers older than 3.8.
        r#type from kind: Option<String>,
        /// The node id of the broker that coordinates it.
        coordinator: i32,
    }
}

response! {
    /// A group in full.
    GroupDescription {
        /// Its id.
        group_id: String,
        /// Why nothing more is known of it.
        error: Option<ItemError>,
        /// `classic`, `consumer` (KIP-848), `share` (KIP-932) or `streams` (KIP-1071); none with an error.
        r#type: Option<String>,
        /// Its state as Kafka writes it, such as `Stable` or `Empty`; none with an error.
        state: Option<String>,
        /// Of a classic group: `consumer`, `connect`, …
        protocol_type: Option<String>,
        /// The assignor in use, or the protocol of a classic group; none while there is none.
        assignor: Option<String>,
        /// Its epoch; none for a classic group.
        epoch: Option<i32>,
        /// The epoch of its target assignment; none for a classic group.
        assignment_epoch: Option<i32>,
        /// The node id of the broker that coordinates it.
        coordinator: Option<i32>,
        /// Its members.
        members: Vec<GroupMember>,
        /// What this client may do with it, if that was asked for.
        authorized_operations: Option<Vec<Open<AclOperation>>>,
    }
}

response! {
    /// A member of a group.
    GroupMember from engine::GroupMember {
        /// Its id.
        member_id: String,
        /// The name by which it is known across restarts (`group.instance.id`), if it has one.
        instance_id: Option<String>,
        /// Its client id.
        client_id: String,
        /// Where it connects from.
        host: String,
        /// Its rack, if it told one.
        rack_id: Option<String>,
        /// Its epoch; none in a classic group.
        epoch: Option<i32>,
        /// The topics that it subscribes to by name.
        subscribed_topics: Vec<String>,
        /// The pattern that it subscribes to, if there is one.
        subscribed_pattern: Option<String>,
        /// The partitions that it has.
        assignment: Vec<TopicPartition>,
        /// The partitions that it shall have; none where the group has no such thing.
        target_assignment: Option<Vec<TopicPartition>>,
        /// The tasks that it runs, in a streams group.
        tasks: Vec<StreamsTask>,
        /// Of a classic group: what the member told, in the form of its protocol.
        metadata: Option<Base64>,
        /// Of a classic group: what the member was told, in the form of its protocol.
        raw_assignment: Option<Base64>,
    }
}

response! {
    /// Tasks of one subtopology that a member of a streams group has.
    StreamsTask from engine::StreamsTask {
        /// `active`, `standby` or `warmup`.
        role: String,
        /// The subtopology's id.
        subtopology: String,
        /// Its partitions.
        partitions: Vec<i32>,
    }
}

part! {
    /// A group whose offsets are asked for.
    OffsetsOf {
        /// Its id.
        group_id: String,
        /// Only these partitions.
        ///
        /// Default: all for which it has an offset.
        partitions: Option<Vec<TopicPartition>>,
    }
}

response! {
    /// What a group has committed.
    ConsumerGroupOffsets {
        /// Its id.
        group_id: String,
        /// The offsets; partitions without one are left out.
        offsets: Vec<GroupOffset>,
        /// Why they cannot be told.
        error: Option<ItemError>,
    }
}

response! {
    /// What a group has committed for a partition.
    GroupOffset {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// Offset of the next record to read; none with an error.
        offset: Option<Int64>,
        /// Leader epoch of the record before, if it is known.
        leader_epoch: Option<i32>,
        /// The text that it was committed with; empty without one.
        metadata: Option<String>,
        /// Why it cannot be told.
        error: Option<ItemError>,
    }
}

part! {
    /// A member of a group, by one of its names.
    RemovedMember {
        /// The name by which it is known across restarts (`group.instance.id`).
        instance_id: Option<String>,
        /// The id that the coordinator gave it.
        member_id: Option<String>,
    }
}

operation! {
    /// Lists the groups of the cluster by id: every broker is asked (KIP-518, KIP-848).
    ListGroups "admin.listGroups" -> Vec<GroupListing> {
        /// Only those in one of these states, such as `Empty`; from Kafka 2.6 on.
        ///
        /// Default: all.
        states: Option<Vec<String>>,
        /// Only those of one of these types, such as `consumer`; from Kafka 3.8 on.
        ///
        /// Default: all.
        types: Option<Vec<String>>,
        /// Only those of one of these protocol types, such as `connect`.
        ///
        /// Default: all.
        protocol_types: Option<Vec<String>>,
    }
    |request, admin, timeout| {
        let filter = engine::GroupFilter {
            states: request.states.unwrap_or_default(),
            kinds: request.types.unwrap_or_default(),
            protocol_types: request.protocol_types.unwrap_or_default(),
        };
        Ok(Wire::wire(admin.list_groups(&filter, timeout).await?))
    }
}

operation! {
    /// Describes groups of every type: classic, consumer (KIP-848), share (KIP-932) and streams (KIP-1071), with their members.
    /// One that does not exist has the `error` GROUP_ID_NOT_FOUND, the others are told.
    DescribeGroups "admin.describeGroups" -> Vec<GroupDescription> {
        /// Their ids.
        groups: Vec<String>,
        /// What this client may do with each; from Kafka 2.3 on.
        ///
        /// Default: false.
        include_authorized_operations: Option<bool>,
    }
    |request, admin, timeout| {
        let operations = request.include_authorized_operations.unwrap_or(false);
        let items = admin.describe_groups(request.groups, operations, timeout).await?;
        Ok(items.into_iter().map(description).collect())
    }
}

operation! {
    /// Deletes groups with their offsets (KIP-229). They must be empty. When some cannot be deleted the others are, and the call
    /// fails.
    DeleteGroups "admin.deleteGroups" -> () {
        /// Their ids.
        groups: Vec<String>,
    }
    |request, admin, timeout| {
        all("deleteGroups", admin.delete_groups(request.groups, timeout).await?)?;
        Ok(())
    }
}

operation! {
    /// What groups have committed (KIP-222, KIP-709). A group or partition that cannot be told has an `error`, the others are told.
    ListConsumerGroupOffsets "admin.listConsumerGroupOffsets" -> Vec<ConsumerGroupOffsets> {
        /// The groups.
        groups: Vec<OffsetsOf>,
        /// Waits for open transactions that commit offsets (KIP-447); from Kafka 2.5 on.
        ///
        /// Default: false.
        require_stable: Option<bool>,
    }
    |request, admin, timeout| {
        let wanted = |of: OffsetsOf| (of.group_id, of.partitions.as_deref().map(partitions));
        let groups = request.groups.into_iter().map(wanted).collect();
        let items = admin.list_group_offsets(groups, request.require_stable.unwrap_or(false), timeout).await?;
        let group = |item: engine::Item<Vec<engine::GroupOffset>>| {
            let (offsets, error) = told(item.result);
            let offsets = offsets.unwrap_or_default().into_iter().map(group_offset).collect();
            ConsumerGroupOffsets { group_id: item.name, offsets, error }
        };
        Ok(items.into_iter().map(group).collect())
    }
}

operation! {
    /// Sets what a group has committed (KIP-396). It must be empty. When some offsets cannot be set the others are, and the call
    /// fails.
    AlterConsumerGroupOffsets "admin.alterConsumerGroupOffsets" -> () {
        /// The group's id.
        group_id: String,
        /// The offsets.
        offsets: Vec<PartitionOffset>,
    }
    |request, admin, timeout| {
        let offsets = request.offsets.into_iter().map(PartitionOffset::place).collect();
        let items = admin.alter_group_offsets(&request.group_id, offsets, timeout).await?;
        all("alterConsumerGroupOffsets", items)?;
        Ok(())
    }
}

operation! {
    /// Forgets what a group has committed for partitions (KIP-496; Kafka 2.4 or newer). Nobody in the group may subscribe to
    /// them. When some cannot be forgotten the others are, and the call fails.
    DeleteConsumerGroupOffsets "admin.deleteConsumerGroupOffsets" -> () {
        /// The group's id.
        group_id: String,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    }
    |request, admin, timeout| {
        let of = partitions(&request.partitions);
        let items = admin.delete_group_offsets(&request.group_id, of, timeout).await?;
        all("deleteConsumerGroupOffsets", items)?;
        Ok(())
    }
}

operation! {
    /// Takes members out of a group (KIP-345; Kafka 2.4 or newer). A static member can join again, others join by themselves. When
    /// some cannot be removed the others are, and the call fails.
    RemoveMembersFromConsumerGroup "admin.removeMembersFromConsumerGroup" -> () {
        /// The group's id.
        group_id: String,
        /// The members.
        ///
        /// Default: all of them.
        members: Option<Vec<RemovedMember>>,
        /// Why, for the broker's log.
        ///
        /// Default: none.
        reason: Option<String>,
    }
    |request, admin, timeout| {
        let member = |(index, of): (usize, RemovedMember)| match (of.instance_id, of.member_id) {
            (Some(name), None) => Ok(engine::MemberToRemove::Instance(name)),
            (None, Some(id)) => Ok(engine::MemberToRemove::Member(id)),
            _ => Err(Failure::argument(&format!("members[{index}]"), "needs either instanceId or memberId")),
        };
        let members = request.members.map(|members| members.into_iter().enumerate().map(member).collect());
        let (group, reason) = (request.group_id, request.reason);
        let items = admin.remove_group_members(&group, members.transpose()?, reason.as_deref(), timeout).await?;
        all("removeMembersFromConsumerGroup", items)?;
        Ok(())
    }
}

fn description(item: engine::Item<engine::GroupDescription>) -> GroupDescription {
    let (of, error) = told(item.result);
    let failed = error.is_some();
    let of = of.unwrap_or_default();
    GroupDescription {
        group_id: item.name,
        error,
        r#type: (!failed).then_some(of.kind),
        state: (!failed).then_some(of.state),
        protocol_type: of.protocol_type,
        assignor: of.assignor,
        epoch: of.epoch,
        assignment_epoch: of.assignment_epoch,
        coordinator: of.coordinator,
        members: Wire::wire(of.members),
        authorized_operations: Wire::wire(of.authorized_operations),
    }
}

fn group_offset((of, result): engine::GroupOffset) -> GroupOffset {
    let (at, error): (Option<dohle_client::consumer::CommittedOffset>, _) = told(result);
    let EnginePartition { topic, partition } = of;
    GroupOffset {
        topic: topic.to_string(),
        partition,
        offset: at.as_ref().map(|at| Int64(at.offset)),
        leader_epoch: at.as_ref().map(|at| at.leader_epoch).filter(|epoch| *epoch >= 0),
        metadata: at.map(|at| at.metadata),
        error,
    }
}
