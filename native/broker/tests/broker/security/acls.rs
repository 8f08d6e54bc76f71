//! What each request needs: every row of the table, by a user who may nothing, and then exactly what the request needs.

use dohle_broker::{AuthorizationOptions, Broker, BrokerOptions, SaslOptions, User};
use dohle_protocol::{
    ErrorCode, Uuid,
    messages::{self, *},
};

use super::login::*;
use crate::support::*;

/// Kafka's numbers.
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const CLUSTER: i8 = 4;
const TRANSACTION: i8 = 5;
const USER: i8 = 7;

const READ: i8 = 3;
const WRITE: i8 = 4;
const CREATE: i8 = 5;
const DELETE: i8 = 6;
const ALTER: i8 = 7;
const DESCRIBE: i8 = 8;
const CLUSTER_ACTION: i8 = 9;
const DESCRIBE_CONFIGS: i8 = 10;
const ALTER_CONFIGS: i8 = 11;
const IDEMPOTENT_WRITE: i8 = 12;
const CREATE_TOKENS: i8 = 13;

const TOPIC_REFUSED: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
const GROUP_REFUSED: ErrorCode = ErrorCode::GROUP_AUTHORIZATION_FAILED;
const CLUSTER_REFUSED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
const TRANSACTION_REFUSED: ErrorCode = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;

async fn guarded() -> Broker {
    let mut sasl = SaslOptions::default();
    sasl.users = vec![User::new("admin", "a"), User::new("alice", "a")];
    let mut authorization = AuthorizationOptions::default();
    authorization.super_users.push("User:admin".into());
    let mut options = BrokerOptions::new().with_sasl(sasl).with_authorization(authorization);
    options.set("delegation.token.secret.key", "x").unwrap();
    Broker::start_default(options).await.unwrap()
}

async fn logged_in(broker: &Broker, user: &str) -> Connection {
    let mut connection = Connection::to(broker).await;
    assert_eq!(outcome(&connection.plain(user, "a").await), LET_IN);
    connection
}

/// Lets alice do something.
async fn allow(admin: &mut Connection, resource_type: i8, name: &str, operation: i8) {
    rule(admin, (resource_type, name, 3), operation, 3).await;
}

async fn rule(admin: &mut Connection, (kind, name, pattern): (i8, &str, i8), operation: i8, permission: i8) {
    let creation = create_acls_request::AclCreation {
        resource_type: kind,
        resource_name: if kind == CLUSTER { "kafka-cluster".into() } else { name.into() },
        resource_pattern_type: pattern,
        principal: "User:alice".into(),
        host: "*".into(),
        operation,
        permission_type: permission,
        ..Default::default()
    };
    let created = admin.ask(3, &CreateAclsRequest { creations: vec![creation], ..Default::default() }).await;
    assert_eq!(created.results[0].error_code, 0, "{:?}", created.results[0].error_message);
}

/// Asks as alice, who is refused; then with these permissions she is not, and before the last of them she is.
macro_rules! needs {
    ($broker:ident, $version:expr, $request:expr, $code:expr, |$response:ident| $said:expr, [$($permission:expr),+]) => {{
        let broker = &$broker;
        let request = $request;
        let mut admin = logged_in(broker, "admin").await;
        clear(&mut admin).await;
        let mut refusals = Vec::new();
        let permissions: Vec<(i8, &str, i8)> = vec![$($permission),+];
        for permission in std::iter::once(None).chain(permissions.iter().map(Some)) {
            if let Some((kind, name, operation)) = permission {
                allow(&mut admin, *kind, name, *operation).await;
            }
            let mut alice = logged_in(broker, "alice").await;
            let $response = alice.ask($version, &request).await;
            refusals.push(ErrorCode($said));
        }
        let last = refusals.pop().unwrap();
        let refused = [TOPIC_REFUSED, GROUP_REFUSED, CLUSTER_REFUSED, TRANSACTION_REFUSED];
        assert_eq!(refusals[0], $code, "{}", stringify!($request));
        assert!(refusals.iter().all(|code| refused.contains(code)), "{}: {refusals:?}", stringify!($request));
        assert!(!refused.contains(&last), "{}: {last}", stringify!($request));
    }};
}

async fn clear(admin: &mut Connection) {
    let filter = delete_acls_request::DeleteAclsFilter {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        resource_name_filter: None,
        principal_filter: None,
        host_filter: None,
        ..Default::default()
    };
    admin.ask(3, &DeleteAclsRequest { filters: vec![filter], ..Default::default() }).await;
}

#[tokio::test]
async fn records_need_their_topics() {
    let broker = guarded().await;
    logged_in(&broker, "admin").await.create_topic("t", 1, &[]).await;
    let records = batch(["v"]);
    let produce = produce_request("t", 0, records);
    let to = |part: &ProduceResponse| part.responses[0].partition_responses[0].error_code;
    needs!(broker, 12, produce.clone(), TOPIC_REFUSED, |r| to(&r), [(TOPIC, "t", WRITE)]);
    let missing = produce_request("missing", 0, batch(["v"]));
    needs!(broker, 12, missing, TOPIC_REFUSED, |r| to(&r), [(TOPIC, "missing", WRITE)]);
    let transactional = ProduceRequest { transactional_id: Some("x".into()), ..produce };
    let permissions = [(TRANSACTION, "x", WRITE), (TOPIC, "t", WRITE)];
    needs!(broker, 12, transactional, TRANSACTION_REFUSED, |r| to(&r), [permissions[0], permissions[1]]);
    let part = |r: &FetchResponse| r.responses[0].partitions[0].error_code;
    needs!(broker, 12, fetch_request("t", 0, 0), TOPIC_REFUSED, |r| part(&r), [(TOPIC, "t", READ)]);
    needs!(broker, 12, fetch_request("missing", 0, 0), TOPIC_REFUSED, |r| part(&r), [(TOPIC, "missing", READ)]);
    let offsets = list_offsets_request::ListOffsetsTopic {
        name: "t".into(),
        partitions: vec![list_offsets_request::ListOffsetsPartition { timestamp: -1, ..Default::default() }],
        ..Default::default()
    };
    let offsets = ListOffsetsRequest { replica_id: -1, topics: vec![offsets], ..Default::default() };
    needs!(broker, 7, offsets, TOPIC_REFUSED, |r| r.topics[0].partitions[0].error_code, [(TOPIC, "t", DESCRIBE)]);
    let records = delete_records_request::DeleteRecordsTopic {
        name: "t".into(),
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let records = DeleteRecordsRequest { topics: vec![records], ..Default::default() };
    needs!(broker, 2, records, TOPIC_REFUSED, |r| r.topics[0].partitions[0].error_code, [(TOPIC, "t", DELETE)]);
    let epochs = offset_for_leader_epoch_request::OffsetForLeaderTopic {
        topic: "t".into(),
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let epochs = OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![epochs], ..Default::default() };
    needs!(broker, 4, epochs, TOPIC_REFUSED, |r| r.topics[0].partitions[0].error_code, [(TOPIC, "t", DESCRIBE)]);
    let producers =
        describe_producers_request::TopicRequest { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let producers = DescribeProducersRequest { topics: vec![producers], ..Default::default() };
    needs!(broker, 0, producers, TOPIC_REFUSED, |r| r.topics[0].partitions[0].error_code, [(TOPIC, "t", READ)]);
    let id =
        InitProducerIdRequest { producer_id: -1, producer_epoch: -1, transactional_id: None, ..Default::default() };
    needs!(broker, 5, id.clone(), CLUSTER_REFUSED, |r| r.error_code, [(CLUSTER, "", IDEMPOTENT_WRITE)]);
    needs!(broker, 5, id.clone(), CLUSTER_REFUSED, |r| r.error_code, [(TOPIC, "any", WRITE)]);
    let id = InitProducerIdRequest { transactional_id: Some("x".into()), transaction_timeout_ms: 1000, ..id };
    needs!(broker, 5, id, TRANSACTION_REFUSED, |r| r.error_code, [(TRANSACTION, "x", WRITE)]);
    assert_eq!(broker.panics(), 0);
}

#[tokio::test]
async fn groups_and_transactions_need_their_names() {
    let broker = guarded().await;
    let mut admin = logged_in(&broker, "admin").await;
    admin.create_topic("t", 1, &[]).await;
    let group_id = || "g".to_string();
    let join = JoinGroupRequest { group_id: group_id(), session_timeout_ms: 1000, ..Default::default() };
    needs!(broker, 9, join, GROUP_REFUSED, |r| r.error_code, [(GROUP, "g", READ)]);
    let sync = SyncGroupRequest { group_id: group_id(), ..Default::default() };
    needs!(broker, 5, sync, GROUP_REFUSED, |r| r.error_code, [(GROUP, "g", READ)]);
    let beat = HeartbeatRequest { group_id: group_id(), ..Default::default() };
    needs!(broker, 4, beat, GROUP_REFUSED, |r| r.error_code, [(GROUP, "g", READ)]);
    let leave = LeaveGroupRequest { group_id: group_id(), ..Default::default() };
    needs!(broker, 5, leave, GROUP_REFUSED, |r| r.error_code, [(GROUP, "g", READ)]);
    let modern = ConsumerGroupHeartbeatRequest {
        group_id: group_id(),
        member_id: "m".into(),
        rebalance_timeout_ms: 1000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let permissions = [(GROUP, "g", READ), (TOPIC, "t", DESCRIBE)];
    needs!(broker, 1, modern, GROUP_REFUSED, |r| r.error_code, [permissions[0], permissions[1]]);
    let commit = offset_commit_request::OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "free".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![commit],
        ..Default::default()
    };
    let permissions = [(GROUP, "free", READ), (TOPIC, "t", READ)];
    let said = |r: &OffsetCommitResponse| r.topics[0].partitions[0].error_code;
    needs!(broker, 9, commit, GROUP_REFUSED, |r| said(&r), [permissions[0], permissions[1]]);
    let topics = offset_fetch_request::OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let of_group = offset_fetch_request::OffsetFetchRequestGroup {
        group_id: "free".into(),
        topics: Some(vec![topics]),
        member_epoch: -1,
        ..Default::default()
    };
    let fetch = OffsetFetchRequest { groups: vec![of_group], ..Default::default() };
    let said = |r: &OffsetFetchResponse| match r.groups[0].error_code {
        0 => r.groups[0].topics[0].partitions[0].error_code,
        code => code,
    };
    let permissions = [(GROUP, "free", DESCRIBE), (TOPIC, "t", DESCRIBE)];
    needs!(broker, 9, fetch, GROUP_REFUSED, |r| said(&r), [permissions[0], permissions[1]]);
    let find = |key_type| FindCoordinatorRequest { key_type, coordinator_keys: vec!["x".into()], ..Default::default() };
    needs!(broker, 4, find(0), GROUP_REFUSED, |r| r.coordinators[0].error_code, [(GROUP, "x", DESCRIBE)]);
    needs!(broker, 4, find(1), TRANSACTION_REFUSED, |r| r.coordinators[0].error_code, [(TRANSACTION, "x", DESCRIBE)]);
    let find = FindCoordinatorRequest { key: "x".into(), ..Default::default() };
    needs!(broker, 3, find, GROUP_REFUSED, |r| r.error_code, [(GROUP, "x", DESCRIBE)]);
    let describe = DescribeGroupsRequest { groups: vec![group_id()], ..Default::default() };
    needs!(broker, 6, describe, GROUP_REFUSED, |r| r.groups[0].error_code, [(GROUP, "g", DESCRIBE)]);
    let describe = ConsumerGroupDescribeRequest { group_ids: vec![group_id()], ..Default::default() };
    let permissions = [(GROUP, "g", DESCRIBE), (TOPIC, "t", DESCRIBE)];
    needs!(broker, 1, describe, GROUP_REFUSED, |r| r.groups[0].error_code, [permissions[0], permissions[1]]);
    let delete = DeleteGroupsRequest { groups_names: vec!["no".into()], ..Default::default() };
    needs!(broker, 2, delete, GROUP_REFUSED, |r| r.results[0].error_code, [(GROUP, "no", DELETE)]);
    let delete = OffsetDeleteRequest { group_id: "no".into(), ..Default::default() };
    needs!(broker, 0, delete, GROUP_REFUSED, |r| r.error_code, [(GROUP, "no", DELETE)]);
    let end = EndTxnRequest { transactional_id: "x".into(), ..Default::default() };
    needs!(broker, 5, end, TRANSACTION_REFUSED, |r| r.error_code, [(TRANSACTION, "x", WRITE)]);
    let add = AddOffsetsToTxnRequest { transactional_id: "x".into(), group_id: group_id(), ..Default::default() };
    let permissions = [(TRANSACTION, "x", WRITE), (GROUP, "g", READ)];
    needs!(broker, 4, add, TRANSACTION_REFUSED, |r| r.error_code, [permissions[0], permissions[1]]);
    let add = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: "x".into(),
        v3_and_below_topics: vec![add_partitions_to_txn_request::AddPartitionsToTxnTopic {
            name: "t".into(),
            partitions: vec![0],
            ..Default::default()
        }],
        ..Default::default()
    };
    let said = |r: &AddPartitionsToTxnResponse| {
        r.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    };
    let permissions = [(TRANSACTION, "x", WRITE), (TOPIC, "t", WRITE)];
    needs!(broker, 3, add, TRANSACTION_REFUSED, |r| said(&r), [permissions[0], permissions[1]]);
    let add = AddPartitionsToTxnRequest { transactions: vec![Default::default()], ..Default::default() };
    needs!(broker, 4, add, CLUSTER_REFUSED, |r| r.error_code, [(CLUSTER, "", CLUSTER_ACTION)]);
    let describe = DescribeTransactionsRequest { transactional_ids: vec!["x".into()], ..Default::default() };
    let permission = (TRANSACTION, "x", DESCRIBE);
    needs!(broker, 0, describe, TRANSACTION_REFUSED, |r| r.transaction_states[0].error_code, [permission]);
    assert_eq!(broker.panics(), 0);
}

#[tokio::test]
async fn administration_needs_the_cluster_or_what_it_changes() {
    let broker = guarded().await;
    logged_in(&broker, "admin").await.create_topic("t", 1, &[]).await;
    let topic = |name: &str| create_topics_request::CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let create = |name: &str| CreateTopicsRequest { topics: vec![topic(name)], ..Default::default() };
    needs!(broker, 7, create("a"), TOPIC_REFUSED, |r| r.topics[0].error_code, [(TOPIC, "a", CREATE)]);
    needs!(broker, 7, create("b"), TOPIC_REFUSED, |r| r.topics[0].error_code, [(CLUSTER, "", CREATE)]);
    let grow = create_partitions_request::CreatePartitionsTopic { name: "t".into(), count: 1, ..Default::default() };
    let grow = CreatePartitionsRequest { topics: vec![grow], ..Default::default() };
    needs!(broker, 3, grow, TOPIC_REFUSED, |r| r.results[0].error_code, [(TOPIC, "t", ALTER)]);
    let delete = delete_topics_request::DeleteTopicState { name: Some("a".into()), ..Default::default() };
    let delete = DeleteTopicsRequest { topics: vec![delete], ..Default::default() };
    needs!(broker, 6, delete, TOPIC_REFUSED, |r| r.responses[0].error_code, [(TOPIC, "a", DELETE)]);
    for (kind, name, code, of) in
        [(2, "t", TOPIC_REFUSED, TOPIC), (4, "1", CLUSTER_REFUSED, CLUSTER), (32, "g", GROUP_REFUSED, GROUP)]
    {
        let resource = describe_configs_request::DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: None,
            ..Default::default()
        };
        let describe = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
        needs!(broker, 4, describe, code, |r| r.results[0].error_code, [(of, name, DESCRIBE_CONFIGS)]);
        let resource = incremental_alter_configs_request::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            ..Default::default()
        };
        let alter = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        needs!(broker, 1, alter, code, |r| r.responses[0].error_code, [(of, name, ALTER_CONFIGS)]);
        let resource = alter_configs_request::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            ..Default::default()
        };
        let alter = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
        needs!(broker, 2, alter, code, |r| r.responses[0].error_code, [(of, name, ALTER_CONFIGS)]);
    }
    macro_rules! cluster {
        ($version:expr, $request:expr, $operation:expr, |$response:ident| $said:expr) => {
            needs!(broker, $version, $request, CLUSTER_REFUSED, |$response| $said, [(CLUSTER, "", $operation)])
        };
    }
    let any = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    cluster!(3, any, DESCRIBE, |r| r.error_code);
    let creation = create_acls_request::AclCreation {
        resource_type: TOPIC,
        resource_name: "z".into(),
        resource_pattern_type: 3,
        principal: "User:z".into(),
        host: "*".into(),
        operation: READ,
        permission_type: 3,
        ..Default::default()
    };
    cluster!(3, CreateAclsRequest { creations: vec![creation], ..Default::default() }, ALTER, |r| r.results[0]
        .error_code);
    let filter = delete_acls_request::DeleteAclsFilter { resource_type_filter: USER, ..Default::default() };
    let delete = DeleteAclsRequest { filters: vec![filter], ..Default::default() };
    cluster!(3, delete, ALTER, |r| r.filter_results[0].error_code);
    cluster!(4, DescribeLogDirsRequest::default(), DESCRIBE, |r| r.error_code);
    cluster!(2, ElectLeadersRequest { topic_partitions: None, ..Default::default() }, ALTER, |r| r.error_code);
    cluster!(1, AlterPartitionReassignmentsRequest::default(), ALTER, |r| r.error_code);
    cluster!(0, ListPartitionReassignmentsRequest::default(), DESCRIBE, |r| r.error_code);
    cluster!(1, DescribeClientQuotasRequest::default(), DESCRIBE_CONFIGS, |r| r.error_code);
    cluster!(0, DescribeUserScramCredentialsRequest { users: None, ..Default::default() }, DESCRIBE, |r| r.error_code);
    let change = alter_user_scram_credentials_request::ScramCredentialDeletion {
        name: "nobody".into(),
        mechanism: 1,
        ..Default::default()
    };
    let change = AlterUserScramCredentialsRequest { deletions: vec![change], ..Default::default() };
    cluster!(0, change, ALTER, |r| r.results[0].error_code);
    cluster!(2, DescribeQuorumRequest::default(), DESCRIBE, |r| r.error_code);
    cluster!(2, UpdateFeaturesRequest::default(), ALTER, |r| r.error_code);
    cluster!(0, UnregisterBrokerRequest { broker_id: 7, ..Default::default() }, ALTER, |r| r.error_code);
    cluster!(1, ListConfigResourcesRequest::default(), DESCRIBE_CONFIGS, |r| r.error_code);
    cluster!(1, messages::AddRaftVoterRequest::default(), ALTER, |r| r.error_code);
    cluster!(0, messages::RemoveRaftVoterRequest::default(), ALTER, |r| r.error_code);
    let token = CreateDelegationTokenRequest {
        owner_principal_type: Some("User".into()),
        owner_principal_name: Some("bob".into()),
        max_lifetime_ms: -1,
        ..Default::default()
    };
    let mut alice = logged_in(&broker, "alice").await;
    let refused = alice.ask(3, &token).await.error_code;
    assert_eq!(ErrorCode(refused), ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED);
    allow(&mut logged_in(&broker, "admin").await, USER, "User:bob", CREATE_TOKENS).await;
    assert_eq!(alice.ask(3, &token).await.principal_name, "bob");
    assert_eq!(broker.panics(), 0);
}

#[tokio::test]
async fn what_may_not_be_described_is_left_out_of_lists() {
    let broker = guarded().await;
    let mut admin = logged_in(&broker, "admin").await;
    for name in ["mine", "theirs", "also-mine"] {
        admin.create_topic(name, 1, &[]).await;
        let topic = offset_commit_request::OffsetCommitRequestTopic {
            name: name.into(),
            partitions: vec![Default::default()],
            ..Default::default()
        };
        let commit = OffsetCommitRequest {
            group_id: name.into(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic.clone()],
            ..Default::default()
        };
        assert_eq!(admin.ask(9, &commit).await.topics[0].partitions[0].error_code, 0);
        let shared = OffsetCommitRequest { group_id: "mine".into(), ..commit };
        assert_eq!(admin.ask(9, &shared).await.topics[0].partitions[0].error_code, 0);
    }
    let mut alice = logged_in(&broker, "alice").await;
    let metadata = |topics: Option<Vec<&str>>| MetadataRequest {
        topics: topics.map(|names| {
            let topic =
                |name: &str| metadata_request::MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
            names.into_iter().map(topic).collect()
        }),
        allow_auto_topic_creation: true,
        include_topic_authorized_operations: true,
        ..Default::default()
    };
    assert_eq!(alice.ask(12, &metadata(None)).await.topics, []);
    rule(&mut admin, (TOPIC, "mine", 3), READ, 3).await;
    rule(&mut admin, (TOPIC, "also", 4), ALTER, 3).await;
    let seen = alice.ask(12, &metadata(None)).await.topics;
    let mut seen: Vec<_> =
        seen.iter().map(|of| (of.name.as_deref().unwrap(), of.topic_authorized_operations)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("also-mine", 1 << ALTER | 1 << DESCRIBE), ("mine", 1 << READ | 1 << DESCRIBE)]);
    let asked = alice.ask(12, &metadata(Some(vec!["theirs", "missing"]))).await.topics;
    for topic in asked {
        assert_eq!((ErrorCode(topic.error_code), topic.topic_id), (TOPIC_REFUSED, Uuid::default()), "{topic:?}");
    }
    let describe = DescribeTopicPartitionsRequest { response_partition_limit: 2000, ..Default::default() };
    assert_eq!(alice.ask(0, &describe).await.topics.len(), 2);

    assert_eq!(alice.ask(5, &ListGroupsRequest::default()).await.groups, []);
    rule(&mut admin, (GROUP, "mine", 3), DESCRIBE, 3).await;
    assert_eq!(alice.ask(5, &ListGroupsRequest::default()).await.groups.len(), 1);
    let of_group = offset_fetch_request::OffsetFetchRequestGroup {
        group_id: "mine".into(),
        topics: None,
        member_epoch: -1,
        ..Default::default()
    };
    let fetch = OffsetFetchRequest { groups: vec![of_group], ..Default::default() };
    assert_eq!(alice.ask(9, &fetch).await.groups[0].topics.len(), 2, "theirs is left out");
    let cluster =
        DescribeClusterRequest { include_cluster_authorized_operations: true, endpoint_type: 1, ..Default::default() };
    assert_eq!(alice.ask(2, &cluster).await.cluster_authorized_operations, 0);
    rule(&mut admin, (CLUSTER, "", 3), DESCRIBE, 3).await;
    assert_eq!(alice.ask(2, &cluster).await.cluster_authorized_operations, 1 << DESCRIBE);
    assert_eq!(
        alice.ask(5, &ListGroupsRequest::default()).await.groups.len(),
        3,
        "who may describe the cluster sees all"
    );

    // Topics are created on demand only by who may create them.
    rule(&mut admin, (TOPIC, "new", 3), DESCRIBE, 3).await;
    let created = async |alice: &mut Connection| {
        ErrorCode(alice.ask(12, &metadata(Some(vec!["new"]))).await.topics[0].error_code)
    };
    assert_eq!(created(&mut alice).await, TOPIC_REFUSED);
    rule(&mut admin, (TOPIC, "new", 3), CREATE, 3).await;
    assert_eq!(created(&mut alice).await, ErrorCode::NONE);
    // And a denial goes before what is allowed.
    rule(&mut admin, (TOPIC, "*", 3), 2, 2).await;
    assert_eq!(alice.ask(12, &metadata(None)).await.topics, []);
    let waiting = alice.ask(12, &fetch_request("mine", 0, 0)).await.part();
    assert_eq!(ErrorCode(waiting.error_code), TOPIC_REFUSED);
}

#[tokio::test]
async fn an_expression_finds_what_its_client_may_describe() {
    let broker = guarded().await;
    let mut admin = logged_in(&broker, "admin").await;
    let open = admin.create_topic("open", 1, &[]).await;
    admin.create_topic("secret", 1, &[]).await;
    allow(&mut admin, GROUP, "g", READ).await;
    allow(&mut admin, TOPIC, "open", DESCRIBE).await;
    let mut alice = logged_in(&broker, "alice").await;
    let beat = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_regex: Some(".*".into()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let told = alice.ask(1, &beat).await;
    assert_eq!(ErrorCode(told.error_code), ErrorCode::NONE);
    let ids: Vec<Uuid> = told.assignment.unwrap().topic_partitions.iter().map(|topic| topic.topic_id).collect();
    assert_eq!(ids, [open]);
}

#[tokio::test]
async fn refusals_have_the_form_of_their_version() {
    let broker = guarded().await;
    let mut alice = logged_in(&broker, "alice").await;
    let topic = elect_leaders_request::TopicPartitions { topic: "t".into(), partitions: vec![0], ..Default::default() };
    let elect = ElectLeadersRequest { topic_partitions: Some(vec![topic]), ..Default::default() };
    let refused = alice.ask(0, &elect).await.replica_election_results.remove(0).partition_result.remove(0);
    assert_eq!(ErrorCode(refused.error_code), CLUSTER_REFUSED);
    assert_eq!(ErrorCode(alice.ask(1, &elect).await.error_code), CLUSTER_REFUSED);
}

#[tokio::test]
async fn without_an_authorizer_there_are_no_acls() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let any = DescribeAclsRequest {
        resource_type_filter: 1,
        pattern_type_filter: 1,
        operation: 1,
        permission_type: 1,
        ..Default::default()
    };
    let refused = connection.ask(3, &any).await;
    assert_eq!(ErrorCode(refused.error_code), ErrorCode::SECURITY_DISABLED);
    let mut options = BrokerOptions::new();
    options.set("super.users", "User:alice").unwrap();
    let why = Broker::start_default(options).await.err().unwrap().to_string();
    assert!(why.contains("without authorizer.class.name"), "{why}");
    assert!(BrokerOptions::new().set("authorizer.class.name", "kafka.security.authorizer.AclAuthorizer").is_err());
}
