//! What each request needs, as `KafkaApis` and `ControllerApis` of Kafka 4.3 demand it: of the request as a whole ([`Needs::whole`]:
//! without it, it is refused everywhere), and of each topic that it names ([`Needs::TOPICS`]: without it, that topic is refused,
//! as a fault rule would do it). What is left out of answers, and what is refused group by group, is in the APIs, which ask
//! [`Call::may`]. Without an authorizer nothing of this is looked at.

use dohle_protocol::{ErrorCode, messages::*};

use super::{Api, Call};
use crate::{
    config::resource,
    security::authorizer::{self, Operation, Operation::*, Resource},
    topics::Refusal,
};

/// What a request needs.
pub(crate) trait Needs {
    /// What must be allowed on each topic that `Api::targets` tells.
    const TOPICS: Option<Operation> = None;

    /// What must be allowed before anything is done.
    fn whole(&self, _call: &Call) -> Result<(), ErrorCode> {
        Ok(())
    }

    /// Whether one of its topics is allowed.
    fn topic(call: &Call, operation: Operation, name: &str) -> bool {
        call.may(operation, Resource::Topic(name))
    }
}

impl Call {
    /// Whether the client may do this. A refusal is logged.
    pub fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let node = &self.node;
        node.authorizer.as_ref().is_none_or(|of| of.allows(&node.acls, &self.session, operation, resource))
    }

    /// The same, where a refusal is nothing to be told: what is not allowed is left out.
    pub fn may_see(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let node = &self.node;
        node.authorizer.as_ref().is_none_or(|of| of.quietly_allows(&node.acls, &self.session, operation, resource))
    }

    /// An error unless the client may do this.
    pub fn needs(&self, operation: Operation, resource: Resource<'_>) -> Result<(), ErrorCode> {
        if self.may(operation, resource) { Ok(()) } else { Err(code(resource)) }
    }

    /// The bits of what the client may do to something.
    pub fn operations(&self, resource: Resource<'_>) -> i32 {
        match &self.node.authorizer {
            None => authorizer::all_operations(resource),
            Some(of) => of.operations(&self.node.acls, &self.session, resource),
        }
    }

    /// An error unless the client may do this to the configuration of a resource.
    pub fn needs_for_config(&self, operation: Operation, kind: i8, name: &str) -> Result<(), Refusal> {
        let resource = match kind {
            resource::TOPIC => Resource::Topic(name),
            resource::GROUP => Resource::Group(name),
            _ => Resource::Cluster,
        };
        self.needs(operation, resource).map_err(|code| (code, code.text().into()))
    }

    /// Changes when a delegation token ends: `None` ends it now.
    pub fn change_token(&self, hmac: &[u8], after: Option<i64>) -> Result<i64, ErrorCode> {
        let who = self.session.may_have_tokens().ok_or(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)?;
        if !self.node.tokens.enabled() {
            return Err(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED);
        }
        self.node.tokens.change(self.node.world.wall_clock_ms(), &who, hmac, after)
    }

    /// An error where nobody looks at ACLs.
    pub fn needs_authorizer(&self) -> Result<(), Refusal> {
        match self.node.authorizer {
            Some(_) => Ok(()),
            None => Err((ErrorCode::SECURITY_DISABLED, "No Authorizer is configured.".into())),
        }
    }
}

fn code(resource: Resource<'_>) -> ErrorCode {
    match resource {
        Resource::Topic(_) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        Resource::Group(_) => ErrorCode::GROUP_AUTHORIZATION_FAILED,
        Resource::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        Resource::TransactionalId(_) => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        Resource::DelegationToken(_) | Resource::User(_) => ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED,
    }
}

/// Looks whether a request is allowed; the topics that are not are noted in the plan.
pub(super) fn check<A: Api>(call: &mut Call, request: &A::Request) -> Result<(), ErrorCode> {
    if call.node.authorizer.is_none() {
        return Ok(());
    }
    request.whole(call)?;
    let Some(operation) = A::Request::TOPICS else { return Ok(()) };
    let mut names: Vec<String> = A::targets(&call.node, request).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !A::Request::topic(call, operation, name));
    names.into_iter().for_each(|name| call.plan.forbid(name));
    Ok(())
}

/// Rows of the table: `cluster` the whole request needs it, `group` and `transaction` the one that this field names, `topics` each
/// topic.
macro_rules! table {
    ($($request:ident $(cluster $cluster:ident)? $(transaction $id:ident $of_id:ident)? $(group $group:ident $of_group:ident)?
       $(topics $topics:ident)?;)*) => {
        $(impl Needs for $request {
            $(const TOPICS: Option<Operation> = Some($topics);)?

            fn whole(&self, _call: &Call) -> Result<(), ErrorCode> {
                $(_call.needs($cluster, Resource::Cluster)?;)?
                $(_call.needs($id, Resource::TransactionalId(&self.$of_id))?;)?
                $(_call.needs($group, Resource::Group(&self.$of_group))?;)?
                Ok(())
            }
        })*
    };
}

table! {
    // Everybody, also who has not logged in.
    ApiVersionsRequest;
    SaslHandshakeRequest;
    SaslAuthenticateRequest;
    // Records.
    FetchRequest topics Read;
    ListOffsetsRequest topics Describe;
    OffsetForLeaderEpochRequest topics Describe;
    DeleteRecordsRequest topics Delete;
    DescribeProducersRequest topics Read;
    // Groups. Those that name several: in the API, group by group.
    JoinGroupRequest group Read group_id;
    SyncGroupRequest group Read group_id;
    HeartbeatRequest group Read group_id;
    LeaveGroupRequest group Read group_id;
    OffsetCommitRequest group Read group_id topics Read;
    OffsetDeleteRequest group Delete group_id topics Read;
    DescribeGroupsRequest;
    ConsumerGroupDescribeRequest;
    ListGroupsRequest;
    DeleteGroupsRequest;
    // Transactions.
    AddOffsetsToTxnRequest transaction Write transactional_id group Read group_id;
    EndTxnRequest transaction Write transactional_id;
    TxnOffsetCommitRequest transaction Write transactional_id group Read group_id topics Read;
    DescribeTransactionsRequest;
    ListTransactionsRequest;
    // Topics. Metadata and DescribeTopicPartitions also leave out what may not be described.
    MetadataRequest;
    DescribeTopicPartitionsRequest topics Describe;
    CreatePartitionsRequest topics Alter;
    // Configurations: in the API, by the type of the resource.
    DescribeConfigsRequest;
    AlterConfigsRequest;
    IncrementalAlterConfigsRequest;
    ListConfigResourcesRequest cluster DescribeConfigs;
    // Delegation tokens: in the API, by owner.
    CreateDelegationTokenRequest;
    RenewDelegationTokenRequest;
    ExpireDelegationTokenRequest;
    DescribeDelegationTokenRequest;
    // The cluster.
    DescribeClusterRequest;
    DescribeAclsRequest cluster Describe;
    CreateAclsRequest cluster Alter;
    DeleteAclsRequest cluster Alter;
    AlterReplicaLogDirsRequest cluster Alter;
    DescribeLogDirsRequest cluster Describe;
    ElectLeadersRequest cluster Alter;
    AlterPartitionReassignmentsRequest cluster Alter;
    ListPartitionReassignmentsRequest cluster Describe;
    DescribeClientQuotasRequest cluster DescribeConfigs;
    AlterClientQuotasRequest cluster AlterConfigs;
    DescribeUserScramCredentialsRequest cluster Describe;
    AlterUserScramCredentialsRequest cluster Alter;
    DescribeQuorumRequest cluster Describe;
    UpdateFeaturesRequest cluster Alter;
    UnregisterBrokerRequest cluster Alter;
    AddRaftVoterRequest cluster Alter;
    RemoveRaftVoterRequest cluster Alter;
}

impl Needs for ProduceRequest {
    const TOPICS: Option<Operation> = Some(Write);

    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        let id = self.transactional_id.as_deref();
        id.map_or(Ok(()), |id| call.needs(Write, Resource::TransactionalId(id)))
    }
}

impl Needs for OffsetFetchRequest {
    const TOPICS: Option<Operation> = Some(Describe);

    /// From version 8 on there are several groups.
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        if call.version >= 8 { Ok(()) } else { call.needs(Describe, Resource::Group(&self.group_id)) }
    }
}

impl Needs for FindCoordinatorRequest {
    /// From version 4 on there are several keys.
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        if call.version >= 4 { Ok(()) } else { self.key(call, &self.key) }
    }
}

impl FindCoordinator for FindCoordinatorRequest {
    fn key(&self, call: &Call, key: &str) -> Result<(), ErrorCode> {
        match self.key_type {
            1 => call.needs(Describe, Resource::TransactionalId(key)),
            _ => call.needs(Describe, Resource::Group(key)),
        }
    }
}

/// What each key of it needs.
pub(super) trait FindCoordinator {
    fn key(&self, call: &Call, key: &str) -> Result<(), ErrorCode>;
}

impl Needs for ConsumerGroupHeartbeatRequest {
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        call.needs(Read, Resource::Group(&self.group_id))?;
        let mut topics = self.subscribed_topic_names.iter().flatten();
        topics.try_for_each(|name| call.needs(Describe, Resource::Topic(name)))
    }
}

impl Needs for InitProducerIdRequest {
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        if let Some(id) = &self.transactional_id {
            return call.needs(Write, Resource::TransactionalId(id));
        }
        let node = &call.node;
        let any_topic =
            |of: &authorizer::Authorizer| of.allows_any(&node.acls, &call.session, Write, Resource::Topic(""));
        match node.authorizer.as_ref().is_none_or(any_topic) {
            true => Ok(()),
            false => call.needs(IdempotentWrite, Resource::Cluster),
        }
    }
}

impl Needs for AddPartitionsToTxnRequest {
    const TOPICS: Option<Operation> = Some(Write);

    /// From version 4 on it is for brokers.
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        match call.version {
            4.. => call.needs(ClusterAction, Resource::Cluster),
            _ => call.needs(Write, Resource::TransactionalId(&self.v3_and_below_transactional_id)),
        }
    }

    fn topic(call: &Call, operation: Operation, name: &str) -> bool {
        call.version >= 4 || call.may(operation, Resource::Topic(name))
    }
}

impl Needs for WriteTxnMarkersRequest {
    fn whole(&self, call: &Call) -> Result<(), ErrorCode> {
        if call.may_see(Alter, Resource::Cluster) { Ok(()) } else { call.needs(ClusterAction, Resource::Cluster) }
    }
}

impl Needs for CreateTopicsRequest {
    const TOPICS: Option<Operation> = Some(Create);

    fn topic(call: &Call, operation: Operation, name: &str) -> bool {
        call.may_see(operation, Resource::Cluster) || call.may(operation, Resource::Topic(name))
    }
}

impl Needs for DeleteTopicsRequest {
    const TOPICS: Option<Operation> = Some(Delete);

    fn topic(call: &Call, operation: Operation, name: &str) -> bool {
        call.may(Describe, Resource::Topic(name)) && call.may(operation, Resource::Topic(name))
    }
}
