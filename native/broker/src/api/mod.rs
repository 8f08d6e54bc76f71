//! The Kafka APIs this broker serves, one file each, all of the same shape: a unit type that implements [`Api`], its
//! versions, `handle` (what a request does) and `refuse` (the answer that says an error everywhere it can).
//! The way of a request: `connection` → [`serve`] → decode → fault rules → `handle` → fault rules → encode.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod permissions;
mod produce;
mod remove_raft_voter;
mod renew_delegation_token;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod throttle;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

use std::{sync::Arc, time::Duration};

use dohle_protocol::{ApiKey, Decoder, ErrorCode, Message, Request, Segments, frame, frame::RequestHeader};

use crate::{
    api::permissions::Needs,
    faults::{Asked, Cut, Damage, Plan, When},
    node::Node,
    security::Session,
    world::BoxFuture,
};

/// One API of Kafka's.
pub(crate) trait Api: Send + 'static {
    /// Its request.
    type Request: Request<Response: Send> + Needs + Clone + Send + Sync;
    /// The versions told to clients, exactly as Kafka 4.3 tells them: clients infer features from them.
    const VERSIONS: (i16, i16);
    /// The lowest version that is really served, where that differs from what is told.
    const SERVED_FROM: i16 = Self::VERSIONS.0;

    /// Does what the request asks.
    fn handle(call: &Call, request: Self::Request) -> impl Future<Output = Reply<Self>> + Send;

    /// The answer that says `code` in every place it can.
    fn refuse(request: &Self::Request, code: ErrorCode) -> ResponseOf<Self>;

    /// The same in one version, where the place of an error depends on it.
    fn refuse_in(_version: i16, request: &Self::Request, code: ErrorCode) -> ResponseOf<Self> {
        Self::refuse(request, code)
    }

    /// Whether the client expects no answer at all.
    fn unanswered(_request: &Self::Request) -> bool {
        false
    }

    /// The topics and partitions that a request names, for fault rules (−1: the topic only). An API that lists
    /// them here asks `call.plan` about each.
    fn targets(_node: &Node, _request: &Self::Request) -> Vec<(String, i32)> {
        Vec::new()
    }

    /// The groups and transactional ids of which a request has changed, or reads, something: it is answered when that is committed.
    fn coordinated(_request: &Self::Request) -> Vec<Coordinated> {
        Vec::new()
    }

    /// Where a fault rule corrupts an answer best; without it, a byte of the encoded answer is changed.
    fn corrupt(_response: &mut ResponseOf<Self>, _damage: &mut Damage) {}
}

/// What a coordinator keeps in its log.
pub(crate) enum Coordinated {
    Group(String),
    TransactionalId(String),
}

impl Coordinated {
    async fn committed(&self, node: &Node, since: Option<i32>) -> Result<(), ErrorCode> {
        match self {
            Self::Group(id) => node.groups.committed(id, since).await,
            Self::TransactionalId(id) => node.transactions.committed(id, since).await,
        }
    }

    /// The leader epoch in which it is the node's; none, if it is not.
    fn epoch(&self, node: &Node) -> Option<i32> {
        match self {
            Self::Group(id) => node.groups.epoch(id),
            Self::TransactionalId(id) => node.transactions.epoch(id),
        }
    }
}

/// The response type of an API.
pub(crate) type ResponseOf<A> = <<A as Api>::Request as Request>::Response;

/// What `handle` comes to.
pub(crate) enum Reply<A: Api + ?Sized> {
    With(ResponseOf<A>),
    /// Produce with acks 0.
    None,
    /// Close the connection, for this reason.
    Close(String),
    /// Answer, and close the connection for this reason.
    Farewell(ResponseOf<A>, String),
}

/// A request as it arrived, before its body is read.
pub(crate) struct Envelope {
    pub node: Arc<Node>,
    pub header: RequestHeader,
    pub session: Arc<Session>,
}

/// A request being served.
pub(crate) struct Call {
    pub node: Arc<Node>,
    pub version: i16,
    pub client_id: Option<String>,
    pub session: Arc<Session>,
    pub plan: Plan,
}

/// What the connection does next.
pub(crate) enum Outcome {
    Reply(Segments),
    /// This, and then it reads nothing for so long (KIP-219): a quota was exceeded, or a fault rule says so.
    Muted(Box<Outcome>, Duration),
    /// Send this much of an answer, then close.
    Last(Segments),
    /// Send this to a client that could not log in, after a while, then close for this reason.
    Farewell(Segments, String),
    Nothing,
    Silence,
    Close(String),
}

/// One line of the table of APIs.
pub(crate) struct Entry {
    pub key: ApiKey,
    pub versions: (i16, i16),
    served_from: i16,
    run: fn(Envelope, Decoder) -> BoxFuture<'static, Outcome>,
    refuse: fn(&RequestHeader, Decoder, ErrorCode) -> Result<Segments, String>,
}

/// Every API served, by key.
pub(crate) const TABLE: &[Entry] = &[
    entry::<produce::Produce>(),
    entry::<fetch::Fetch>(),
    entry::<list_offsets::ListOffsets>(),
    entry::<metadata::Metadata>(),
    entry::<offset_commit::OffsetCommit>(),
    entry::<offset_fetch::OffsetFetch>(),
    entry::<find_coordinator::FindCoordinator>(),
    entry::<join_group::JoinGroup>(),
    entry::<heartbeat::Heartbeat>(),
    entry::<leave_group::LeaveGroup>(),
    entry::<sync_group::SyncGroup>(),
    entry::<describe_groups::DescribeGroups>(),
    entry::<list_groups::ListGroups>(),
    entry::<sasl_handshake::SaslHandshake>(),
    entry::<api_versions::ApiVersions>(),
    entry::<create_topics::CreateTopics>(),
    entry::<delete_topics::DeleteTopics>(),
    entry::<delete_records::DeleteRecords>(),
    entry::<init_producer_id::InitProducerId>(),
    entry::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    entry::<add_partitions_to_txn::AddPartitionsToTxn>(),
    entry::<add_offsets_to_txn::AddOffsetsToTxn>(),
    entry::<end_txn::EndTxn>(),
    entry::<write_txn_markers::WriteTxnMarkers>(),
    entry::<txn_offset_commit::TxnOffsetCommit>(),
    entry::<describe_acls::DescribeAcls>(),
    entry::<create_acls::CreateAcls>(),
    entry::<delete_acls::DeleteAcls>(),
    entry::<describe_configs::DescribeConfigs>(),
    entry::<alter_configs::AlterConfigs>(),
    entry::<alter_replica_log_dirs::AlterReplicaLogDirs>(),
    entry::<describe_log_dirs::DescribeLogDirs>(),
    entry::<sasl_authenticate::SaslAuthenticate>(),
    entry::<create_partitions::CreatePartitions>(),
    entry::<create_delegation_token::CreateDelegationToken>(),
    entry::<renew_delegation_token::RenewDelegationToken>(),
    entry::<expire_delegation_token::ExpireDelegationToken>(),
    entry::<describe_delegation_token::DescribeDelegationToken>(),
    entry::<delete_groups::DeleteGroups>(),
    entry::<elect_leaders::ElectLeaders>(),
    entry::<incremental_alter_configs::IncrementalAlterConfigs>(),
    entry::<alter_partition_reassignments::AlterPartitionReassignments>(),
    entry::<list_partition_reassignments::ListPartitionReassignments>(),
    entry::<offset_delete::OffsetDelete>(),
    entry::<describe_client_quotas::DescribeClientQuotas>(),
    entry::<alter_client_quotas::AlterClientQuotas>(),
    entry::<describe_user_scram_credentials::DescribeUserScramCredentials>(),
    entry::<alter_user_scram_credentials::AlterUserScramCredentials>(),
    entry::<describe_quorum::DescribeQuorum>(),
    entry::<update_features::UpdateFeatures>(),
    entry::<describe_cluster::DescribeCluster>(),
    entry::<describe_producers::DescribeProducers>(),
    entry::<unregister_broker::UnregisterBroker>(),
    entry::<describe_transactions::DescribeTransactions>(),
    entry::<list_transactions::ListTransactions>(),
    entry::<consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    entry::<consumer_group_describe::ConsumerGroupDescribe>(),
    entry::<list_config_resources::ListConfigResources>(),
    entry::<describe_topic_partitions::DescribeTopicPartitions>(),
    entry::<add_raft_voter::AddRaftVoter>(),
    entry::<remove_raft_voter::RemoveRaftVoter>(),
];

const fn entry<A: Api>() -> Entry {
    Entry {
        key: A::Request::API_KEY,
        versions: A::VERSIONS,
        served_from: A::SERVED_FROM,
        run: |envelope, body| Box::pin(run::<A>(envelope, body)),
        refuse: refuse_one::<A>,
    }
}

/// Refuses a request of a client that must say something else now.
pub(crate) fn refuse(envelope: Envelope, body: Decoder, code: ErrorCode) -> Outcome {
    let why = format!("{} while the client is logging in", envelope.header.api_key.name());
    match refusal(&envelope.header, body, code) {
        Ok(segments) => Outcome::Farewell(segments, why),
        Err(_) => Outcome::Close(why),
    }
}

/// The answer that says `code` everywhere; an error where this broker does not serve what is asked.
pub(crate) fn refusal(header: &RequestHeader, body: Decoder, code: ErrorCode) -> Result<Segments, String> {
    let (key, version) = (header.api_key, header.api_version);
    let known = TABLE.iter().find(|entry| entry.key == key);
    let known = known.filter(|entry| (entry.served_from..=entry.versions.1).contains(&version));
    let entry = known.ok_or_else(|| format!("{} version {version} is not served", key.name()))?;
    (entry.refuse)(header, body, code)
}

fn refuse_one<A: Api>(header: &RequestHeader, mut body: Decoder, code: ErrorCode) -> Result<Segments, String> {
    let version = header.api_version;
    let request = A::Request::decode(&mut body, version).map_err(|error| error.to_string())?;
    encode::<A>(version, header.correlation_id, &A::refuse_in(version, &request, code))
}

/// Serves one request.
pub(crate) async fn serve(envelope: Envelope, body: Decoder) -> Outcome {
    let (key, version) = (envelope.header.api_key, envelope.header.api_version);
    let release = envelope.node.options.as_version;
    let entry = TABLE.iter().find(|entry| entry.key == key);
    let Some((entry, (_, newest))) = entry.and_then(|entry| Some((entry, release.versions(key, entry.versions)?)))
    else {
        return Outcome::Close(format!("API {} is not served", key.0));
    };
    if version < entry.served_from || version > newest {
        if key == ApiKey::API_VERSIONS {
            envelope.session.versions_unknown();
            return api_versions::unsupported_version(&envelope);
        }
        return Outcome::Close(format!("{} version {version} is not served", key.name()));
    }
    (entry.run)(envelope, body).await
}

async fn run<A: Api>(envelope: Envelope, mut body: Decoder) -> Outcome {
    let Envelope { node, header, session } = envelope;
    let (version, size) = (header.api_version, body.remaining());
    let request = match A::Request::decode(&mut body, version) {
        Ok(request) => request,
        Err(error) => return Outcome::Close(format!("{} version {version}: {error}", header.api_key.name())),
    };
    let mut plan = Plan::default();
    if node.faults.armed() {
        plan = node.faults.plan(&Asked {
            api: header.api_key.0,
            version,
            node: node.options.node_id,
            client_id: header.client_id.as_deref(),
            targets: &A::targets(&node, &request),
        });
    }
    let mut call = Call { node, version, client_id: header.client_id, session, plan };
    let limited = call.node.quotas.armed();
    let allowed = permissions::check::<A>(&mut call, &request);
    let (reply, busy) = throttle::timed(limited, interrupted::<A>(&call, request, allowed)).await;
    let reply = match reply {
        Ok(reply) => reply,
        Err(Cut::Silence) => return Outcome::Silence,
        Err(Cut::Close) => return Outcome::Close("a fault rule closes the connection".into()),
    };
    throttle::answer(call, header.correlation_id, reply, throttle::Used { limited, size, busy })
}

/// `handle`, with what the fault rules do around it.
async fn interrupted<A: Api>(
    call: &Call,
    request: A::Request,
    allowed: Result<(), ErrorCode>,
) -> Result<Reply<A>, Cut> {
    let plan = &call.plan;
    // With one node all that is written is committed.
    let coordinated = if call.node.cluster.options.is_alone() { Vec::new() } else { A::coordinated(&request) };
    let since: Vec<Option<i32>> = coordinated.iter().map(|of| of.epoch(&call.node)).collect();
    let asked = (!coordinated.is_empty()).then(|| request.clone());
    plan.before().await?;
    let (before, after) = (plan.whole(When::Before), plan.whole(When::After));
    let refusal = before.or(after).map(|code| match A::unanswered(&request) {
        // Kafka's way to say an error to a client that reads no answer is to hang up.
        true => Reply::Close(format!("a fault rule answers {code} where no answer is read")),
        false => Reply::With(A::refuse_in(call.version, &request, code)),
    });
    let served = match before {
        None => match allowed {
            Ok(()) => A::handle(call, request).await,
            Err(code) if A::unanswered(&request) => Reply::Close(format!("{code} where no answer is read")),
            Err(code) => Reply::With(A::refuse_in(call.version, &request, code)),
        },
        Some(_) => Reply::None,
    };
    let mut reply = refusal.unwrap_or(served);
    if let Some(asked) = asked {
        for (of, since) in coordinated.iter().zip(since) {
            if let Err(code) = of.committed(&call.node, since).await {
                reply = Reply::With(A::refuse_in(call.version, &asked, code));
                break;
            }
        }
    }
    plan.after().await.map(|()| reply)
}

fn encode<A: Api>(version: i16, correlation_id: i32, response: &ResponseOf<A>) -> Result<Segments, String> {
    let api = A::Request::API_KEY.name();
    frame::encode_response::<A::Request>(version, correlation_id, response)
        .map_err(|error| format!("{api}: the answer cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_within_what_the_codec_knows() {
        assert!(TABLE.is_sorted_by_key(|entry| entry.key.0));
    }
}
