//! What a transaction is to its program, and what goes over the wire for it.

use std::time::Duration;

use dohle_broker::Release;
use dohle_client::Client;
use dohle_client::producer::{AppendError, Persistence};
use dohle_protocol::messages::UpdateFeaturesRequest;
use dohle_protocol::messages::update_features_request::FeatureUpdateKey;
use dohle_protocol::{ApiKey, ErrorCode};

use crate::bench::{self, Asked, Bench, lost, release, silence, version};
use crate::common::{client_at, producer_on, record};
use crate::support::soon;

fn refused(bench: &Bench) -> dohle_client::Error {
    match bench.producer.append(bench.topic, None, &record("x")) {
        Err(AppendError::Invalid(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn before_version_2_the_client_adds_partitions_and_speaks_no_newer_version() {
    let bench = Bench::start(false).await;
    soon(bench.transact()).await.unwrap();
    soon(bench.transact()).await.unwrap();
    let mut asked = vec![Asked::Init(-1, -1)];
    for round in 0..2 {
        asked.extend([
            Asked::AddPartitions(3),
            Asked::Produce(11, 0, round, true),
            Asked::AddOffsets(4),
            Asked::Offsets(4, 0, 1, 5),
            Asked::End(4, 0, true),
        ]);
    }
    assert_eq!(*bench.asked.lock(), asked);
}

#[tokio::test]
async fn since_version_2_brokers_add_partitions_and_each_transaction_has_an_epoch() {
    let bench = Bench::start(true).await;
    soon(bench.transact()).await.unwrap();
    soon(bench.transact()).await.unwrap();
    let mut asked = vec![Asked::Init(-1, -1)];
    for epoch in [0, 1] {
        asked.extend([Asked::Produce(13, epoch, 0, true), Asked::Offsets(5, epoch, 1, 5), Asked::End(5, epoch, true)]);
    }
    assert_eq!(*bench.asked.lock(), asked);
}

#[tokio::test]
async fn a_transaction_without_a_record_asks_the_coordinator_nothing() {
    for v2 in [false, true] {
        let bench = Bench::start(v2).await;
        for commit in [true, false, true] {
            soon(bench.producer.begin_transaction()).await.unwrap();
            let end = async {
                match commit {
                    true => bench.producer.commit_transaction().await,
                    false => bench.producer.abort_transaction().await,
                }
            };
            soon(end).await.unwrap();
        }
        assert_eq!(*bench.asked.lock(), [Asked::Init(-1, -1)]);
    }
}

#[tokio::test]
async fn a_record_outside_of_a_transaction_is_refused() {
    let bench = Bench::start(true).await;
    assert_eq!(refused(&bench).code(), "INVALID_TXN_STATE");
    soon(bench.transact()).await.unwrap();
    let error = refused(&bench);
    assert_eq!(error.code(), "INVALID_TXN_STATE");
    assert!(!error.abortable() && !error.fatal() && error.message().contains("begin one"), "{error}");
    soon(bench.transact()).await.unwrap();
    assert_eq!(soon(bench.offsets()).await.unwrap_err().code(), "INVALID_TXN_STATE");
    for end in [bench.producer.commit_transaction().await, bench.producer.abort_transaction().await] {
        assert_eq!(end.unwrap_err().code(), "INVALID_TXN_STATE");
    }
}

#[tokio::test]
async fn a_second_transaction_is_refused_while_one_is_open() {
    let bench = Bench::start(true).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let error = soon(bench.producer.begin_transaction()).await.unwrap_err();
    assert_eq!(error.code(), "INVALID_TXN_STATE");
    assert!(error.message().contains("one at a time"));
    let sent = bench.send("x");
    soon(bench.producer.commit_transaction()).await.unwrap();
    assert!(bench.fate(sent).await.is_none(), "the first one went on");
}

#[tokio::test]
async fn without_a_transactional_id_there_are_no_transactions() {
    let client = client_at("127.0.0.1:1", |_| {});
    let (producer, _) = producer_on(&client, Default::default());
    assert_eq!(producer.begin_transaction().await.unwrap_err().code(), "INVALID_CONFIG");
}

#[tokio::test]
async fn a_commit_sends_what_lingers_and_is_told_of_every_record() {
    for v2 in [false, true] {
        let options = |o: &mut dohle_client::producer::ProducerOptions| o.linger = Some(Duration::from_secs(60));
        let bench = Bench::start_with(version(v2), [], options).await;
        soon(bench.producer.begin_transaction()).await.unwrap();
        let sent: Vec<_> = (0..100).map(|i| bench.send(&i.to_string())).collect();
        soon(bench.producer.commit_transaction()).await.unwrap();
        for placed in sent {
            assert!(bench.ledger.get(placed).unwrap().error.is_none());
        }
        assert_eq!(bench.count(|asked| matches!(asked, Asked::Produce(..))), 1);
    }
}

#[tokio::test]
async fn a_record_that_failed_and_nobody_asked_for_lets_the_commit_abort() {
    for v2 in [false, true] {
        let bench = Bench::start(v2).await;
        bench.fault(bench::refused(ApiKey::PRODUCE, ErrorCode::INVALID_RECORD));
        soon(bench.producer.begin_transaction()).await.unwrap();
        bench.send("x");
        let error = soon(bench.producer.commit_transaction()).await.unwrap_err();
        assert_eq!((error.code().as_ref(), error.abortable()), ("INVALID_RECORD", true));
        assert_eq!(bench.count(|asked| matches!(asked, Asked::End(_, _, true))), 0);
        assert_eq!(bench.count(|asked| matches!(asked, Asked::End(_, _, false))), 1);
        soon(bench.transact()).await.unwrap();
    }
}

#[tokio::test]
async fn a_record_that_was_never_taken_lets_the_commit_abort() {
    let bench = Bench::start_with(version(true), [], |o| o.max_request_size = 2_000).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let sent = bench.send("x");
    assert!(bench.fate(sent).await.is_none());
    let large = "x".repeat(3_000);
    let Err(AppendError::Invalid(error)) = bench.producer.append(bench.topic, None, &record(&large)) else { panic!() };
    assert_eq!((error.code().as_ref(), error.abortable()), ("MESSAGE_TOO_LARGE", true));
    let later = refused(&bench);
    assert!(later.abortable() && later.message().contains("can only be aborted"), "{later}");
    let error = soon(bench.producer.commit_transaction()).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.abortable()), ("MESSAGE_TOO_LARGE", true));
    soon(bench.transact()).await.unwrap();
}

#[tokio::test]
async fn an_abort_lets_go_of_what_was_not_sent() {
    let options = |o: &mut dohle_client::producer::ProducerOptions| o.linger = Some(Duration::from_secs(60));
    let bench = Bench::start_with(version(true), [], options).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let sent = bench.send("x");
    soon(bench.producer.abort_transaction()).await.unwrap();
    let outcome = bench.ledger.get(sent).unwrap();
    assert_eq!((outcome.code().as_str(), outcome.persistence), ("ABORTED", Persistence::NotPersisted));
    assert!(outcome.error.unwrap().abortable());
    assert_eq!(bench.count(|asked| matches!(asked, Asked::Produce(..) | Asked::End(..))), 0);
    assert_eq!(bench.producer.buffered_bytes(), 0);
    soon(bench.producer.begin_transaction()).await.unwrap();
    let sent = bench.send("y");
    soon(bench.producer.commit_transaction()).await.unwrap();
    assert!(bench.ledger.get(sent).unwrap().error.is_none());
}

#[tokio::test]
async fn an_abort_waits_for_what_is_on_the_wire_and_bumps_the_epoch_where_its_fate_is_open() {
    for v2 in [false, true] {
        let bench = Bench::start(v2).await;
        let rule = bench.fault(silence(ApiKey::PRODUCE));
        soon(bench.producer.begin_transaction()).await.unwrap();
        let sent = bench.send("x");
        let on_wire = async {
            while bench.fired(rule) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(on_wire).await;
        soon(bench.producer.abort_transaction()).await.unwrap();
        assert_eq!(bench.ledger.get(sent).unwrap().persistence, Persistence::PossiblyPersisted);
        let asked = bench.asked.lock().clone();
        let bumped = asked.iter().any(|asked| matches!(asked, Asked::Init(0.., 0)));
        assert_eq!(bumped, !v2, "{asked:?}");
        soon(bench.transact()).await.unwrap();
        let produced = bench.asked.lock().iter().rev().find_map(|asked| match asked {
            Asked::Produce(_, epoch, sequence, _) => Some((*epoch, *sequence)),
            _ => None,
        });
        assert_eq!(produced, Some((1, 0)));
    }
}

#[tokio::test]
async fn a_broker_that_cannot_bump_the_epoch_ends_the_producer_where_a_gap_is_left() {
    let bench = Bench::start_with(release(Release::V2_1), [], |_| {}).await;
    let send = async || {
        bench.producer.begin_transaction().await.unwrap();
        bench.fate(bench.send("x")).await
    };
    assert!(soon(send()).await.is_none());
    soon(bench.producer.commit_transaction()).await.unwrap();
    bench.fault(bench::refused(ApiKey::PRODUCE, ErrorCode::INVALID_RECORD));
    assert!(soon(send()).await.unwrap().abortable());
    let error = soon(bench.producer.abort_transaction()).await.unwrap_err();
    assert!(error.fatal(), "{error}");
}

#[tokio::test]
async fn who_stops_waiting_for_a_commit_may_wait_on() {
    let bench = Bench::start(true).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    bench.send("x");
    bench.fault(silence(ApiKey::END_TXN));
    let waited = tokio::time::timeout(Duration::from_millis(50), bench.producer.commit_transaction()).await;
    assert!(waited.is_err());
    assert!(bench.producer.abort_transaction().await.unwrap_err().message().contains("being committed"));
    soon(bench.producer.commit_transaction()).await.unwrap();
    soon(bench.transact()).await.unwrap();
}

#[tokio::test]
async fn how_a_commit_ended_that_nobody_waited_for_is_told_later() {
    let bench = Bench::start(true).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    bench.send("x");
    drop(tokio::time::timeout(Duration::ZERO, bench.producer.commit_transaction()).await);
    let ended = async {
        while bench.count(|asked| matches!(asked, Asked::End(..))) == 0
            || bench.producer.abort_transaction().await.is_err_and(|error| error.message().contains("being"))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(ended).await;
    soon(bench.producer.commit_transaction()).await.unwrap();
    assert_eq!(soon(bench.producer.commit_transaction()).await.unwrap_err().code(), "INVALID_TXN_STATE");
}

#[tokio::test]
async fn closing_aborts_what_is_open() {
    for v2 in [false, true] {
        let bench = Bench::start(v2).await;
        soon(bench.producer.begin_transaction()).await.unwrap();
        let sent = bench.send("x");
        assert!(bench.fate(sent).await.is_none());
        soon(bench.producer.close(None)).await;
        assert_eq!(bench.count(|asked| matches!(asked, Asked::End(_, _, false))), 1);
        assert_eq!(soon(bench.producer.begin_transaction()).await.unwrap_err().code(), "CLOSED");
    }
}

#[tokio::test]
async fn closing_settles_when_the_coordinator_is_silent() {
    let bench = Bench::start(true).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let sent = bench.send("x");
    assert!(bench.fate(sent).await.is_none());
    bench.fault(silence(ApiKey::END_TXN).forever());
    soon(bench.producer.close(Some(Duration::from_millis(100)))).await;
}

#[tokio::test]
async fn who_waits_for_a_commit_is_told_when_its_producer_is_closed_and_the_broker_is_gone() {
    let bench = Bench::start(true).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let sent = bench.send("x");
    assert!(bench.fate(sent).await.is_none());
    bench.fault(silence(ApiKey::END_TXN).forever());
    let close = async {
        while bench.count(|asked| matches!(asked, Asked::End(..))) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.broker.stop().await;
        bench.producer.close(Some(Duration::from_millis(100))).await;
    };
    let (commit, ()) = soon(async { tokio::join!(bench.producer.commit_transaction(), close) }).await;
    assert_eq!(commit.unwrap_err().code(), "CLOSED");
}

#[tokio::test]
async fn an_id_that_cannot_be_taken_is_waited_for_no_longer_than_max_block() {
    let taken = bench::refused(ApiKey::INIT_PRODUCER_ID, ErrorCode::CONCURRENT_TRANSACTIONS).forever();
    let bench = Bench::start_with(version(true), [taken], |o| o.max_block = Duration::from_millis(100)).await;
    let error = soon(bench.producer.begin_transaction()).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.retriable()), ("MAX_BLOCK_TIMEOUT", true));
    bench.broker.faults().clear();
    let begun = async { while bench.transact().await.is_err() {} };
    soon(begun).await;
}

#[tokio::test]
async fn offsets_that_fail_let_the_commit_abort_though_nobody_waited_for_them() {
    for v2 in [false, true] {
        let bench = Bench::start(v2).await;
        soon(bench.producer.begin_transaction()).await.unwrap();
        bench.fault(bench::refused(ApiKey::TXN_OFFSET_COMMIT, ErrorCode::ILLEGAL_GENERATION));
        let (offsets, commit) = tokio::join!(bench.offsets(), bench.producer.commit_transaction());
        assert_eq!(
            (offsets.unwrap_err().code().as_ref(), commit.unwrap_err().code().as_ref()),
            ("ILLEGAL_GENERATION", "ILLEGAL_GENERATION")
        );
        assert_eq!(bench.count(|asked| matches!(asked, Asked::End(_, _, true))), 0);
        soon(bench.transact()).await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_that_gets_version_2_is_followed_under_a_new_epoch() {
    let bench = Bench::start(false).await;
    soon(bench.transact()).await.unwrap();
    upgrade(&bench.client).await;
    // The coordinator's connection breaks, and the next one is told of the new level.
    bench.fault(lost(ApiKey::END_TXN));
    soon(bench.transact()).await.unwrap();
    bench.asked.lock().clear();
    soon(bench.transact()).await.unwrap();
    let asked = bench.asked.lock().clone();
    assert!(matches!(asked[0], Asked::Init(0.., 0)), "{asked:?}");
    assert_eq!(asked[1..], [Asked::Produce(13, 1, 0, true), Asked::Offsets(5, 1, 1, 5), Asked::End(5, 1, true)]);
}

async fn upgrade(client: &Client) {
    let to_2 = FeatureUpdateKey {
        feature: "transaction.version".to_owned(),
        max_version_level: 2,
        upgrade_type: 1,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![to_2], timeout_ms: 5_000, ..Default::default() };
    let answer = client.request_any(|_| Ok(request.clone()), Duration::from_secs(10)).await.unwrap();
    assert_eq!(answer.error_code, 0, "{answer:?}");
}

#[tokio::test]
async fn a_broker_that_knows_no_members_within_transactions_is_said_to_be_too_old() {
    let bench = Bench::start_with(release(Release::V2_1), [], |_| {}).await;
    let error = soon(bench.transact()).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.fatal()), ("UNSUPPORTED", true));
    assert!(error.message().contains("2.5"), "{error}");
}
