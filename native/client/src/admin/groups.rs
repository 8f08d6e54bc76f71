//! Listing, describing and deleting groups of every type.
//!
//! Each broker lists the groups that it coordinates. A group is described by the API of its type, which is not known
//! beforehand: the coordinator says of which it is none.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, ListGroupsRequest, ListGroupsResponse};

use super::describe_groups::GroupDescription;
use super::each::{Answer, Call, Route, whole};
use super::since::needs;
use super::{Admin, Item};
use crate::client::CoordinatorKind;
use crate::error::{Error, ErrorKind, Result};

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// `consumer`, `connect`, … ; empty for a group that only has offsets.
    pub protocol_type: String,
    /// Its state as Kafka writes it, such as `Stable`; none with brokers older than 2.6.
    pub state: Option<String>,
    /// Its type as Kafka writes it, such as `classic`; none with brokers older than 3.8.
    pub kind: Option<String>,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// Which groups are listed; empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFilter {
    /// Only those in one of these states.
    pub states: Vec<String>,
    /// Only those of one of these types.
    pub kinds: Vec<String>,
    /// Only those of one of these protocol types.
    pub protocol_types: Vec<String>,
}

/// To the coordinator of a group.
pub(super) fn to_coordinator(group: &str) -> Route {
    Route::Coordinator(CoordinatorKind::Group, group.to_owned())
}

impl Admin {
    /// All groups of the cluster, by id. Every broker is asked; it fails when one of them cannot tell.
    pub async fn list_groups(&self, filter: &GroupFilter, timeout: Option<Duration>) -> Result<Vec<GroupListing>> {
        let doing = "listGroups";
        let make = |version| {
            needs(!filter.states.is_empty(), version, 4, "a filter of states", "2.6")?;
            needs(!filter.kinds.is_empty(), version, 5, "a filter of types", "3.8")?;
            Ok(ListGroupsRequest {
                states_filter: filter.states.clone(),
                types_filter: filter.kinds.clone(),
                ..Default::default()
            })
        };
        let read = |response: ListGroupsResponse| whole(response.error_code, doing, None).map(|()| response.groups);
        let mut listed = Vec::new();
        for (coordinator, groups) in self.every_broker(doing, timeout, make, read).await? {
            listed.extend(groups.into_iter().map(|of| GroupListing {
                group_id: of.group_id,
                protocol_type: of.protocol_type,
                state: Some(of.group_state).filter(|state| !state.is_empty()),
                kind: Some(of.group_type).filter(|kind| !kind.is_empty()),
                coordinator,
            }));
        }
        if !filter.protocol_types.is_empty() {
            listed.retain(|group| filter.protocol_types.contains(&group.protocol_type));
        }
        listed.sort_unstable_by(|a, b| a.group_id.cmp(&b.group_id));
        // One that moved between two answers is told by both.
        listed.dedup_by(|a, b| a.group_id == b.group_id);
        Ok(listed)
    }

    /// Groups in full, of every type. One result per group, in the order given.
    pub async fn describe_groups(
        &self,
        groups: Vec<String>,
        with_operations: bool,
        timeout: Option<Duration>,
    ) -> Result<Vec<Item<GroupDescription>>> {
        let mut results: Vec<Option<Result<GroupDescription>>> = groups.iter().map(|_| None).collect();
        // The likeliest first; each stage is asked about those that the ones before do not know.
        for stage in 0..4 {
            let open: Vec<usize> = (0..groups.len()).filter(|index| unsettled(results[*index].as_ref())).collect();
            if open.is_empty() {
                break;
            }
            let names: Vec<String> = open.iter().map(|index| groups[*index].clone()).collect();
            let told = match stage {
                0 => self.describe_consumer_groups(names, with_operations, timeout).await,
                1 => self.describe_classic_groups(names, with_operations, timeout).await,
                2 => self.describe_share_groups(names, with_operations, timeout).await,
                _ => self.describe_streams_groups(names, with_operations, timeout).await,
            };
            let told = match told {
                Ok(told) => told,
                // A broker that does not have the type has no group of it.
                Err(error) if error.kind() == ErrorKind::Unsupported && stage != 1 => continue,
                Err(error) => return Err(error),
            };
            for (index, item) in open.into_iter().zip(told) {
                let unsupported = item.result.as_ref().is_err_and(lacks_the_type);
                if !unsupported || results[index].is_none() && stage == 1 {
                    results[index] = Some(item.result);
                }
            }
        }
        let missing =
            |name: &String| Err(Error::broker(ErrorCode::GROUP_ID_NOT_FOUND, format_args!("describeGroups: {name}")));
        let item = |(name, result): (String, Option<Result<GroupDescription>>)| {
            let mut result = result.unwrap_or_else(|| missing(&name));
            if let Ok(group) = &mut result {
                group.coordinator = self.client.known_coordinator(CoordinatorKind::Group, &name);
            }
            Item { name, result }
        };
        Ok(groups.into_iter().zip(results).map(item).collect())
    }

    /// Deletes groups with their offsets; they must be empty (KIP-229). One result per group, in the order given.
    pub async fn delete_groups(&self, groups: Vec<String>, timeout: Option<Duration>) -> Result<Vec<Item<()>>> {
        let wanted = groups.clone();
        let make = |_, pending: &[usize], _| {
            let groups_names = pending.iter().map(|index| wanted[*index].clone()).collect();
            Ok(DeleteGroupsRequest { groups_names, ..Default::default() })
        };
        let route = |group: &String| to_coordinator(group);
        let call = Call::new("deleteGroups", groups, &route, timeout);
        self.each(call, make, |response: DeleteGroupsResponse| {
            let answer = response.results.into_iter();
            let answer = answer.map(|of| Answer::new(of.group_id, of.error_code, ()).saying(of.error_message));
            Ok(answer.collect())
        })
        .await
    }
}

/// Whether the broker does not have groups of a type; 3.7 to 3.9 tell their APIs, and refuse them unless they are enabled.
fn lacks_the_type(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported || error.broker_code() == Some(ErrorCode::UNSUPPORTED_VERSION)
}

/// Whether a group may still be of another type.
fn unsettled(result: Option<&Result<GroupDescription>>) -> bool {
    match result {
        None => true,
        Some(Ok(_)) => false,
        Some(Err(error)) => error.broker_code() == Some(ErrorCode::GROUP_ID_NOT_FOUND),
    }
}
