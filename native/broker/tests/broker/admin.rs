//! What an administrator asks: access rules, users, log directories, and what one node cannot do.

use bytes::Bytes;
use dohle_broker::{Broker, BrokerOptions};
use dohle_protocol::{
    ErrorCode,
    messages::{
        AddRaftVoterRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest,
        AlterUserScramCredentialsRequest, CreateAclsRequest, CreateDelegationTokenRequest, DeleteAclsRequest,
        DescribeAclsRequest, DescribeDelegationTokenRequest, DescribeLogDirsRequest, DescribeQuorumRequest,
        DescribeUserScramCredentialsRequest, ElectLeadersRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest,
        alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
        alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
        alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion},
        create_acls_request::AclCreation,
        delete_acls_request::DeleteAclsFilter,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_quorum_request::{PartitionData, TopicData},
        describe_user_scram_credentials_request::UserName,
        elect_leaders_request::TopicPartitions,
    },
};

use crate::support::*;

const ANY: i8 = 1;
const MATCH: i8 = 2;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const TOPIC: i8 = 2;
const READ: i8 = 3;
const ALLOW: i8 = 3;

fn rule(resource_name: &str, resource_pattern_type: i8, principal: &str) -> AclCreation {
    AclCreation {
        resource_type: TOPIC,
        resource_name: resource_name.into(),
        resource_pattern_type,
        principal: principal.into(),
        host: "*".into(),
        operation: READ,
        permission_type: ALLOW,
        ..Default::default()
    }
}

/// The names of the rules found, with how many there are for each.
async fn rules(connection: &mut Connection, name: Option<&str>, pattern: i8) -> Vec<(String, usize)> {
    let request = DescribeAclsRequest {
        resource_type_filter: TOPIC,
        resource_name_filter: name.map(str::to_string),
        pattern_type_filter: pattern,
        principal_filter: None,
        host_filter: None,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let response = connection.ask(3, &request).await;
    assert_eq!(response.error_code, 0);
    response.resources.into_iter().map(|of| (of.resource_name, of.acls.len())).collect()
}

#[tokio::test]
async fn access_rules_are_kept_once_found_by_pattern_and_deleted() {
    let mut options = BrokerOptions::new();
    options.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer").unwrap();
    options.set("super.users", "User:ANONYMOUS").unwrap();
    let broker = Broker::start_default(options).await.unwrap();
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    let creations = vec![
        rule("orders", LITERAL, "User:alice"),
        rule("orders", LITERAL, "User:bob"),
        rule("orders", LITERAL, "User:bob"),
        rule("ord", PREFIXED, "User:alice"),
        rule("*", LITERAL, "User:carol"),
        rule("orders", MATCH, "User:alice"),
        rule("orders", LITERAL, "alice"),
        AclCreation { resource_type: 4, ..rule("not-the-cluster", LITERAL, "User:alice") },
    ];
    let created = own.ask(3, &CreateAclsRequest { creations, ..Default::default() }).await.results;
    let codes: Vec<_> = created.iter().map(|result| ErrorCode(result.error_code)).collect();
    let (none, wrong) = (ErrorCode::NONE, ErrorCode::INVALID_REQUEST);
    assert_eq!(codes, [none, none, none, none, none, wrong, wrong, wrong]);
    let named = |names: &[(&str, usize)]| names.iter().map(|(name, n)| (name.to_string(), *n)).collect::<Vec<_>>();
    assert_eq!(rules(own, None, ANY).await, named(&[("*", 1), ("ord", 1), ("orders", 2)]));
    assert_eq!(rules(own, Some("orders"), MATCH).await, named(&[("*", 1), ("ord", 1), ("orders", 2)]));
    assert_eq!(rules(own, Some("ordinary"), MATCH).await, named(&[("*", 1), ("ord", 1)]));
    assert_eq!(rules(own, Some("orders"), LITERAL).await, named(&[("orders", 2)]));
    assert_eq!(rules(own, None, PREFIXED).await, named(&[("ord", 1)]));
    let filter = DeleteAclsFilter {
        resource_type_filter: ANY,
        resource_name_filter: None,
        pattern_type_filter: ANY,
        principal_filter: Some("User:alice".into()),
        host_filter: None,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let bad = DeleteAclsFilter { operation: 99, ..filter.clone() };
    let deleted = own.ask(3, &DeleteAclsRequest { filters: vec![filter, bad], ..Default::default() }).await;
    let deleted = deleted.filter_results;
    assert_eq!((deleted[0].error_code, deleted[0].matching_acls.len()), (0, 2));
    assert_eq!(ErrorCode(deleted[1].error_code), ErrorCode::INVALID_REQUEST);
    assert_eq!(rules(own, None, ANY).await, named(&[("*", 1), ("orders", 1)]));
}

#[tokio::test]
async fn scram_users_are_made_described_and_deleted_without_a_half_change() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    let set = |name: &str, mechanism, iterations| ScramCredentialUpsertion {
        name: name.into(),
        mechanism,
        iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"hash"),
        ..Default::default()
    };
    let delete = |name: &str, mechanism| ScramCredentialDeletion { name: name.into(), mechanism, ..Default::default() };
    let request = AlterUserScramCredentialsRequest {
        deletions: vec![delete("dave", 1), delete("erin", 1)],
        upsertions: vec![
            set("alice", 1, 4096),
            set("alice", 2, 8192),
            set("bob", 1, 5),
            set("carol", 9, 4096),
            set("dave", 2, 4096),
            set("fred", 1, 4096),
            set("fred", 1, 4096),
        ],
        ..Default::default()
    };
    let altered = own.ask(0, &request).await.results;
    let codes: Vec<_> = altered.iter().map(|of| (of.user.as_str(), ErrorCode(of.error_code))).collect();
    let expected = [
        ("alice", ErrorCode::NONE),
        ("bob", ErrorCode::UNACCEPTABLE_CREDENTIAL),
        ("carol", ErrorCode::UNSUPPORTED_SASL_MECHANISM),
        ("dave", ErrorCode::RESOURCE_NOT_FOUND),
        ("erin", ErrorCode::RESOURCE_NOT_FOUND),
        ("fred", ErrorCode::DUPLICATE_RESOURCE),
    ];
    assert_eq!(codes, expected);
    let described =
        own.ask(0, &DescribeUserScramCredentialsRequest { users: None, ..Default::default() }).await.results;
    assert_eq!(described.len(), 1, "dave's good half was not made");
    let infos: Vec<_> = described[0].credential_infos.iter().map(|of| (of.mechanism, of.iterations)).collect();
    assert_eq!((described[0].user.as_str(), infos), ("alice", vec![(1, 4096), (2, 8192)]));
    let users = Some(vec![UserName { name: "bob".into(), ..Default::default() }]);
    let none = own.ask(0, &DescribeUserScramCredentialsRequest { users, ..Default::default() }).await.results;
    assert_eq!(ErrorCode(none[0].error_code), ErrorCode::RESOURCE_NOT_FOUND);
    let deletions = vec![delete("alice", 1), delete("alice", 2)];
    own.ask(0, &AlterUserScramCredentialsRequest { deletions, ..Default::default() }).await;
    let left = own.ask(0, &DescribeUserScramCredentialsRequest { users: None, ..Default::default() }).await.results;
    assert_eq!(left, []);
}

#[tokio::test]
async fn logs_have_a_size_and_no_other_place_to_go() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    own.create_topic("t", 2, &[]).await;
    let records = batch(["a", "b"]);
    own.produce("t", 0, records.clone()).await;
    let ask = |topics| DescribeLogDirsRequest { topics, ..Default::default() };
    let all = own.ask(5, &ask(None)).await.results;
    let sizes: Vec<_> = all[0].topics[0].partitions.iter().map(|p| p.partition_size).collect();
    assert_eq!((all.len(), sizes), (1, vec![records.len() as i64, 0]));
    let some =
        |topic: &str| DescribableLogDirTopic { topic: topic.into(), partitions: vec![1, 7], ..Default::default() };
    let asked = own.ask(1, &ask(Some(vec![some("t"), some("none")]))).await.results;
    let indexes: Vec<_> = asked[0].topics[0].partitions.iter().map(|p| p.partition_index).collect();
    assert_eq!((asked[0].topics.len(), indexes), (1, vec![1]));
    let to = |path: &str, partition| AlterReplicaLogDirsRequest {
        dirs: vec![AlterReplicaLogDir {
            path: path.into(),
            topics: vec![AlterReplicaLogDirTopic {
                name: "t".into(),
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    for (path, partition, code) in [
        (&*all[0].log_dir, 0, ErrorCode::NONE),
        (&*all[0].log_dir, 7, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("/nowhere", 0, ErrorCode::LOG_DIR_NOT_FOUND),
    ] {
        let answer = own.ask(2, &to(path, partition)).await.results;
        assert_eq!(ErrorCode(answer[0].partitions[0].error_code), code, "{path} {partition}");
    }
}

#[tokio::test]
async fn partitions_have_nowhere_to_move_to_and_a_leader_already() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    own.create_topic("t", 1, &[]).await;
    let moved = |partition_index, replicas: Option<&[i32]>| {
        let replicas = replicas.map(<[i32]>::to_vec);
        let partitions = vec![ReassignablePartition { partition_index, replicas, ..Default::default() }];
        let topics = vec![ReassignableTopic { name: "t".into(), partitions, ..Default::default() }];
        AlterPartitionReassignmentsRequest { topics, ..Default::default() }
    };
    for (request, code, message) in [
        (moved(0, Some(&[1])), ErrorCode::NONE, None),
        (
            moved(0, Some(&[2])),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            Some("The manual partition assignment includes broker 2, but no such broker is registered."),
        ),
        (
            moved(0, Some(&[])),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            Some("The manual partition assignment includes an empty replica list."),
        ),
        (
            moved(0, Some(&[1, 1])),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            Some("The manual partition assignment includes the broker 1 more than once."),
        ),
        (moved(0, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, None),
        (moved(3, Some(&[1])), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some("Unable to find partition t:3.")),
    ] {
        let answer = own.ask(1, &request).await.responses.remove(0).partitions.remove(0);
        assert_eq!((ErrorCode(answer.error_code), answer.error_message.as_deref()), (code, message));
    }
    let named = vec![TopicPartitions { topic: "t".into(), partitions: vec![0, 4], ..Default::default() }];
    let elect = |topic_partitions| ElectLeadersRequest { topic_partitions, ..Default::default() };
    let results = own.ask(2, &elect(Some(named))).await.replica_election_results.remove(0).partition_result;
    let codes: Vec<_> = results.iter().map(|of| ErrorCode(of.error_code)).collect();
    assert_eq!(codes, [ErrorCode::ELECTION_NOT_NEEDED, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(own.ask(2, &elect(None)).await.replica_election_results, []);
}

#[tokio::test]
async fn the_quorum_is_this_node_and_nobody_joins_or_leaves_it() {
    let broker = broker().await;
    let mut connection = Connection::to(&broker).await;
    let own = &mut connection;
    let partitions = vec![PartitionData::default()];
    let topics = vec![TopicData { topic_name: "__cluster_metadata".into(), partitions, ..Default::default() }];
    for version in 0..=2 {
        let quorum = own.ask(version, &DescribeQuorumRequest { topics: topics.clone(), ..Default::default() }).await;
        let partition = &quorum.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id, partition.current_voters.len()), (0, 1, 1));
        assert_eq!(quorum.nodes.len(), usize::from(version >= 2));
    }
    let add = own.ask(1, &AddRaftVoterRequest { voter_id: 3, ..Default::default() }).await;
    let remove = own.ask(0, &RemoveRaftVoterRequest { voter_id: 1, ..Default::default() }).await;
    let unregister = own.ask(0, &UnregisterBrokerRequest { broker_id: 77, ..Default::default() }).await;
    assert_eq!(ErrorCode(add.error_code), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(ErrorCode(remove.error_code), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(ErrorCode(unregister.error_code), ErrorCode::BROKER_ID_NOT_REGISTERED);
    let refused = ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
    let create = own.ask(3, &CreateDelegationTokenRequest { max_lifetime_ms: -1, ..Default::default() }).await;
    assert_eq!(ErrorCode(create.error_code), refused);
    let describe = own.ask(3, &DescribeDelegationTokenRequest { owners: None, ..Default::default() }).await;
    assert_eq!(ErrorCode(describe.error_code), refused);
}
