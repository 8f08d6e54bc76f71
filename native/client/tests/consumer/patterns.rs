//! Subscriptions to a pattern of names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dohle_broker::{Action, Rule, When};
use dohle_client::consumer::{ConsumerOptions, TopicMatcher};
use dohle_client::{Error, ErrorKind, Result};
use dohle_protocol::ApiKey;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::support::*;

/// Finds a text in names; fails the first few times.
struct Contains {
    text: String,
    failures: AtomicUsize,
}

fn contains(text: &str, failures: usize) -> Arc<dyn TopicMatcher> {
    Arc::new(Contains { text: text.to_owned(), failures: AtomicUsize::new(failures) })
}

impl TopicMatcher for Contains {
    fn matching(&self, topics: Vec<Arc<str>>) -> BoxFuture<'static, Result<Vec<Arc<str>>>> {
        let failing = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        let found = topics.into_iter().filter(|topic| topic.contains(&self.text)).collect();
        let outcome = if failing { Err(Error::new(ErrorKind::CallbackFailed, "not now")) } else { Ok(found) };
        std::future::ready(outcome).boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_match_are_read_those_too_that_come_later_and_go() {
    let cluster = Cluster::start().await;
    for strategy in ["range", "cooperative-sticky"] {
        let (text, group) = (unique("part"), unique("group"));
        let name = |n: usize| format!("{text}-{n}");
        cluster.create(&name(1), 2).await;
        let client = cluster.client();
        let member = Member::new(&client, options(&group, strategy));
        member.consumer.subscribe_matching(contains(&text, 0)).unwrap();
        shared_out(&[(&member, 2)]).await;
        cluster.create(&name(2), 3).await;
        cluster.create(&unique("other"), 3).await;
        member
            .until("five partitions", |member| {
                client.metadata().request_update();
                member.owned() == 5
            })
            .await;
        let subscribed: Vec<Arc<str>> = vec![name(1).into(), name(2).into()];
        assert_eq!(member.consumer.subscription(), subscribed);

        dohle_client::admin::Admin::new(&client).delete_topics(vec![name(1)], None).await.unwrap();
        member
            .until("three partitions", |member| {
                client.metadata().request_update();
                member.owned() == 3
            })
            .await;
        assert!(!member.lost(), "{}", member.story());

        // Another pattern takes the place of the first, names that of the second, and nothing comes back.
        cluster.create(&unique(&format!("{text}-x")), 4).await;
        member.consumer.subscribe_matching(contains(&format!("{text}-x"), 0)).unwrap();
        shared_out(&[(&member, 4)]).await;
        member.consumer.subscribe(vec![name(2)]).unwrap();
        shared_out(&[(&member, 3)]).await;
        cluster.create(&name(3), 1).await;
        client.metadata().refresh().await.unwrap();
        assert_eq!(member.consumer.subscription(), vec![Arc::<str>::from(name(2))]);
        member.consumer.subscribe_matching(contains(&text, 0)).unwrap();
        // A topic that was just made may not be in what a broker tells yet.
        member
            .until("eight partitions", |member| {
                client.metadata().request_update();
                member.owned() == 8
            })
            .await;
        member.consumer.unsubscribe().await.unwrap();
        assert_eq!((member.owned(), member.consumer.subscription().len()), (0, 0));
        member.close().await;
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_that_finds_nothing_yet_waits_for_what_comes_and_kafka_s_own_topics_are_left_out() {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    let text = unique("later");
    let member = Member::new(&client, options(&unique("group"), "range"));
    member.consumer.subscribe_matching(contains(&text, 0)).unwrap();
    member.until("joined", |member| member.consumer.group_metadata().unwrap().generation > 0).await;
    assert_eq!(member.owned(), 0);
    cluster.create(&format!("a-{text}-z"), 2).await;
    member
        .until("two partitions", |member| {
            client.metadata().request_update();
            member.owned() == 2
        })
        .await;
    // A commit makes the topic of offsets, where there is none.
    member.consumer.commit(None).await.unwrap();
    member.close().await;

    let options = ConsumerOptions { group_id: Some(unique("group")), ..ConsumerOptions::default() };
    let curious = Member::new(&client, options);
    curious.consumer.subscribe_matching(contains("__consumer_offsets", 0)).unwrap();
    curious.until("joined", |curious| curious.consumer.group_metadata().unwrap().generation > 0).await;
    assert_eq!((curious.owned(), curious.consumer.subscription().len()), (0, 0));
    curious.consumer.unsubscribe().await.unwrap();
    curious.consumer.subscribe_matching(contains("nothing", 1_000_000)).unwrap();
    curious.consumer.unsubscribe().await.unwrap();
    curious.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_pattern_from_its_first_topics_is_the_loop_s_error_once_and_it_goes_on() {
    let cluster = Cluster::start().await;
    let topic = cluster.topic(2).await;
    let client = cluster.client();
    let member = Member::new(&client, options(&unique("group"), "range"));
    member.consumer.subscribe_matching(contains(&topic, 2)).unwrap();
    let mut error = None;
    member
        .until("the loop's error", |member| {
            error = member.consumer.next_chunk().err();
            error.is_some()
        })
        .await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.fatal()), (ErrorKind::CallbackFailed, false));
    assert!(error.to_string().contains("begin another loop to wait on, or close the consumer: not now"), "{error}");
    // Told once; meanwhile it was asked again.
    shared_out(&[(&member, 2)]).await;
    assert!(member.consumer.next_chunk().is_ok());

    // Once there are topics, nothing is an error for the loop.
    member.consumer.unsubscribe().await.unwrap();
    member.consumer.subscribe_matching(contains(&topic, 0)).unwrap();
    shared_out(&[(&member, 2)]).await;
    member.close().await;
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_does_not_answer_a_pattern_is_told_after_default_api_timeout() {
    let cluster = Cluster::embedded().await;
    let limit = std::time::Duration::from_millis(400);
    let client = cluster.client_with(|options| options.default_api_timeout = limit);
    let topic = cluster.topic(1).await;
    let faults = cluster.broker.as_ref().unwrap().faults();
    let rule = faults.add(Rule::new(Action::Close { when: When::Before }).api(ApiKey::METADATA.0).forever());
    let member = Member::new(&client, options(&unique("group"), "range"));
    member.consumer.subscribe_matching(contains(&topic, 0)).unwrap();
    let began = std::time::Instant::now();
    let mut error = None;
    member
        .until("the loop's error", |member| {
            error = member.consumer.next_chunk().err();
            error.is_some()
        })
        .await;
    assert!(began.elapsed() >= limit);
    assert!(error.unwrap().to_string().contains("the topics that match are not known"));
    faults.remove(rule);
    shared_out(&[(&member, 1)]).await;
    member.close().await;
    client.close().await;
}
