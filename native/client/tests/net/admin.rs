//! Admin calls against the embedded broker, and against a cluster whose controller moves.

use std::time::Duration;

use dohle_broker::{Action, Broker, BrokerOptions, Rule, When};
use dohle_client::ErrorKind;
use dohle_client::admin::{Admin, NewTopic, OffsetSpec};
use dohle_client::consumer::TopicPartition;
use dohle_protocol::messages::create_topics_response::CreatableTopicResult;
use dohle_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, MetadataRequest};
use dohle_protocol::{ApiKey, ErrorCode};

use super::line::counts;
use super::support::{Peer, client_of, cluster, soon};

fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: Some(partitions), ..NewTopic::default() }
}

#[tokio::test]
async fn topics_come_and_go_on_the_embedded_broker() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let admin = Admin::new(&client_of(broker.address()));
    let created = soon(admin.create_topics(vec![new_topic("a", 3), new_topic("b", 1)], false, None)).await.unwrap();
    assert_eq!(created.len(), 2);
    assert_eq!(created[0].name, "a");
    assert_eq!(created[0].result.as_ref().unwrap().partitions, Some(3));

    let again = soon(admin.create_topics(vec![new_topic("b", 1), new_topic("c", 2)], false, None)).await.unwrap();
    assert_eq!(again[0].result.as_ref().unwrap_err().code(), "TOPIC_ALREADY_EXISTS");
    assert!(again[0].result.as_ref().unwrap_err().message().contains('b'));
    assert!(again[1].result.is_ok(), "one failure is not that of the others");

    let names: Vec<String> = soon(admin.list_topics(false, None)).await.unwrap().into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["a", "b", "c"]);

    let described = soon(admin.describe_topics(vec!["a".into(), "nope".into()], false, None, None)).await.unwrap();
    let a = described[0].result.as_ref().unwrap();
    assert_eq!(a.partitions.iter().map(|p| p.partition).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(a.partitions.iter().all(|p| p.leader.is_some()));
    assert_eq!(described[1].result.as_ref().unwrap_err().code(), "UNKNOWN_TOPIC_OR_PARTITION");

    let deleted = soon(admin.delete_topics(vec!["a".into(), "nope".into()], None)).await.unwrap();
    assert!(deleted[0].result.is_ok());
    assert_eq!(deleted[1].result.as_ref().unwrap_err().code(), "UNKNOWN_TOPIC_OR_PARTITION");
    let names: Vec<String> = soon(admin.list_topics(false, None)).await.unwrap().into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["b", "c"]);
}

#[tokio::test]
async fn one_offset_of_a_partition_is_asked_for_at_a_time() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let admin = Admin::new(&client_of(broker.address()));
    soon(admin.create_topics(vec![new_topic("a", 2)], false, None)).await.unwrap();
    let of = |partition, spec| (TopicPartition::new("a", partition), spec);
    let asked = vec![of(0, OffsetSpec::Earliest), of(1, OffsetSpec::Latest)];
    assert_eq!(soon(admin.list_offsets(asked, false, None)).await.unwrap().len(), 2);
    let twice = vec![of(1, OffsetSpec::Earliest), of(0, OffsetSpec::Latest), of(1, OffsetSpec::Latest)];
    let error = soon(admin.list_offsets(twice, false, None)).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.message().contains("a-1 is there twice")), ("INVALID_ARGUMENT", true));
}

#[tokio::test]
async fn checking_a_topic_does_not_create_it() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let admin = Admin::new(&client_of(broker.address()));
    assert!(soon(admin.create_topics(vec![new_topic("a", 3)], true, None)).await.unwrap()[0].result.is_ok());
    assert!(soon(admin.list_topics(true, None)).await.unwrap().is_empty());
}

#[tokio::test]
async fn describing_a_topic_does_not_create_it() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let admin = Admin::new(&client_of(broker.address()));
    soon(admin.describe_topics(vec!["a".into()], false, None, None)).await.unwrap();
    assert!(soon(admin.list_topics(true, None)).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_cluster_is_described() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let described = soon(Admin::new(&client_of(broker.address())).describe_cluster(false, false, None)).await.unwrap();
    assert_eq!(described.cluster_id.as_deref(), Some(broker.cluster_id()));
    assert_eq!(described.brokers.len(), 1);
    assert_eq!(described.brokers[0].port, i32::from(broker.address().port()));
    assert_eq!(described.controller, Some(described.brokers[0].id));
}

#[tokio::test]
async fn nothing_asked_is_nothing_answered() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let admin = Admin::new(&client_of(broker.address()));
    assert!(soon(admin.create_topics(Vec::new(), false, None)).await.unwrap().is_empty());
    assert!(soon(admin.describe_topics(Vec::new(), false, None, None)).await.unwrap().is_empty());
}

/// A controller that is none any more, says so of topic `b` to so many requests; `None`: to all.
async fn former_controller(count: Option<u32>) -> Broker {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let action = Action::Error { code: ErrorCode::NOT_CONTROLLER.0, when: When::Before };
    broker.faults().add(Rule { count, ..Rule::new(action).api(ApiKey::CREATE_TOPICS.0).topic("b") });
    broker
}

#[tokio::test]
async fn items_refused_by_a_former_controller_are_asked_for_again_alone() {
    let broker = former_controller(Some(2)).await;
    let asked = counts(&broker, ApiKey::CREATE_TOPICS);
    let looked_up = counts(&broker, ApiKey::METADATA);
    let admin = Admin::new(&client_of(broker.address()));
    let created = soon(admin.create_topics(vec![new_topic("a", 1), new_topic("b", 1)], false, None)).await.unwrap();
    // `a` would be there already, had it been asked for a second time.
    assert!(created.iter().all(|item| item.result.is_ok()), "{created:?}");
    assert_eq!(broker.faults().hits(asked).fired, 3);
    assert!(broker.faults().hits(looked_up).fired >= 3, "the controller was looked up anew");
}

#[tokio::test]
async fn when_time_is_over_the_items_done_keep_their_result() {
    let broker = former_controller(None).await;
    let admin = Admin::new(&client_of(broker.address()));
    let limit = Some(Duration::from_millis(300));
    let created = soon(admin.create_topics(vec![new_topic("a", 1), new_topic("b", 1)], false, limit)).await.unwrap();
    assert!(created[0].result.is_ok());
    let error = created[1].result.as_ref().unwrap_err();
    assert_eq!(error.code(), "NOT_CONTROLLER");
    assert!(error.message().contains("300 ms"), "{error}");
}

#[tokio::test]
async fn an_item_the_answer_leaves_out_is_an_error_of_its_own() {
    let peer = Peer::start(|_, mut conn| async move {
        conn.handshake().await?;
        loop {
            let request = conn.next().await?;
            let header = request.header.clone();
            if header.api_key == ApiKey::METADATA {
                conn.reply::<MetadataRequest>(&header, &cluster(conn.address, &[])).await?;
                continue;
            }
            let topic = CreatableTopicResult { name: "a".to_owned(), ..Default::default() };
            let response = CreateTopicsResponse { topics: vec![topic], ..Default::default() };
            conn.reply::<CreateTopicsRequest>(&header, &response).await?;
        }
    })
    .await;
    let admin = Admin::new(&client_of(peer.address));
    let topics = vec![new_topic("left-out", 1), new_topic("a", 1)];
    let created = soon(admin.create_topics(topics, false, None)).await.unwrap();
    assert_eq!(created[0].result.as_ref().unwrap_err().kind(), ErrorKind::Protocol);
    assert!(created[1].result.is_ok());
}

#[tokio::test]
async fn a_silent_controller_ends_with_the_callers_limit() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    broker.faults().add(Rule::new(Action::Drop { when: When::Before }).api(ApiKey::CREATE_TOPICS.0).forever());
    let admin = Admin::new(&client_of(broker.address()));
    let limit = Some(Duration::from_millis(200));
    let error = soon(admin.create_topics(vec![new_topic("a", 1)], false, limit)).await.unwrap_err();
    assert_eq!(error.code(), "REQUEST_TIMED_OUT");
    assert!(error.message().contains("createTopics did not finish within 200 ms"), "{error}");
}

#[tokio::test]
async fn a_topic_with_assignments_and_a_partition_count_is_refused() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let topic = NewTopic { assignments: vec![vec![0]], ..new_topic("a", 2) };
    let error =
        soon(Admin::new(&client_of(broker.address())).create_topics(vec![topic], false, None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
