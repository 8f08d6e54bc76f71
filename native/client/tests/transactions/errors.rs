//! Every error of every request of a transaction: tried again, the end of the transaction, or the end of the producer.

use dohle_protocol::{ApiKey, ErrorCode};

use crate::bench::{Asked, Bench, lost, refused, version};
use crate::support::soon;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Means {
    /// The program hears nothing of it.
    Again,
    /// The transaction is aborted, the next one works.
    Abort,
    /// The producer is of no more use.
    Fatal,
}
use Means::{Abort, Again, Fatal};

/// Errors, and what they mean in the answer to InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn
/// (of a commit) and Produce.
const TABLE: &[(ErrorCode, [Means; 6])] = &[
    (ErrorCode::COORDINATOR_NOT_AVAILABLE, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::NOT_COORDINATOR, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::CONCURRENT_TRANSACTIONS, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::REQUEST_TIMED_OUT, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::UNKNOWN_TOPIC_ID, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::NOT_ENOUGH_REPLICAS, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::NOT_LEADER_OR_FOLLOWER, [Again, Again, Again, Again, Again, Again]),
    (ErrorCode::PRODUCER_FENCED, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal]),
    (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal]),
    (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal]),
    (ErrorCode::UNSUPPORTED_VERSION, [Fatal, Fatal, Fatal, Fatal, Fatal, Fatal]),
    // A leader tells it also of a transaction that was aborted for its age: the coordinator knows more (KIP-588).
    (ErrorCode::INVALID_PRODUCER_EPOCH, [Fatal, Fatal, Fatal, Fatal, Fatal, Abort]),
    (ErrorCode::TRANSACTION_ABORTABLE, [Again, Abort, Abort, Abort, Abort, Abort]),
    (ErrorCode::INVALID_TXN_STATE, [Fatal, Abort, Abort, Abort, Abort, Abort]),
    (ErrorCode::INVALID_PRODUCER_ID_MAPPING, [Fatal, Abort, Abort, Abort, Abort, Abort]),
    (ErrorCode::UNKNOWN_PRODUCER_ID, [Fatal, Abort, Abort, Abort, Abort, Abort]),
    (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::INVALID_TRANSACTION_TIMEOUT, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::TOPIC_AUTHORIZATION_FAILED, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::GROUP_AUTHORIZATION_FAILED, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::OPERATION_NOT_ATTEMPTED, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::ILLEGAL_GENERATION, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::UNKNOWN_MEMBER_ID, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::FENCED_INSTANCE_ID, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::STALE_MEMBER_EPOCH, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::FENCED_MEMBER_EPOCH, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::GROUP_ID_NOT_FOUND, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::INVALID_COMMIT_OFFSET_SIZE, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::INVALID_RECORD, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::MESSAGE_TOO_LARGE, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::INVALID_REQUEST, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
    (ErrorCode::UNKNOWN_SERVER_ERROR, [Fatal, Abort, Abort, Abort, Fatal, Abort]),
];

const APIS: [ApiKey; 6] = [
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::ADD_PARTITIONS_TO_TXN,
    ApiKey::ADD_OFFSETS_TO_TXN,
    ApiKey::TXN_OFFSET_COMMIT,
    ApiKey::END_TXN,
    ApiKey::PRODUCE,
];

/// In version 2 of transactions nobody asks for these.
fn asked(api: ApiKey, v2: bool) -> bool {
    !v2 || !matches!(api, ApiKey::ADD_PARTITIONS_TO_TXN | ApiKey::ADD_OFFSETS_TO_TXN)
}

async fn check(api: ApiKey, code: ErrorCode, v2: bool, means: Means) {
    let what = format!("{} answers {code}, version 2: {v2}", api.name());
    let bench = Bench::start_with(version(v2), [refused(api, code)], |_| {}).await;
    let outcome = soon(bench.transact()).await;
    assert_eq!(bench.fired(bench.rules[0]), 1, "{what}: it was not asked");
    match (means, outcome) {
        (Again, outcome) => {
            assert!(outcome.is_ok(), "{what}: {outcome:?}");
            assert_eq!(bench.count(|asked| matches!(asked, Asked::End(_, _, false))), 0, "{what}");
        }
        (Abort, Err(error)) => {
            assert!(error.abortable() && !error.fatal() && !error.retriable(), "{what}: {error}");
            assert_eq!(error.code(), code.to_string(), "{what}");
            if api == ApiKey::END_TXN {
                let again = soon(bench.producer.commit_transaction()).await.unwrap_err();
                assert_eq!(again.code(), "INVALID_TXN_STATE", "{what}: commit has aborted it already");
            } else {
                // A commit cannot be had any more, and says so by aborting.
                let refused = soon(bench.producer.commit_transaction()).await.unwrap_err();
                assert!(refused.abortable() && refused.message().contains("aborted"), "{what}: {refused}");
            }
            let next = soon(bench.transact()).await;
            assert!(next.is_ok(), "{what}, then: {next:?}");
        }
        (Fatal, Err(error)) => {
            assert!(error.fatal() && !error.abortable() && !error.retriable(), "{what}: {error}");
            assert_eq!(error.code(), code.to_string(), "{what}");
            for later in [
                soon(bench.producer.begin_transaction()).await,
                soon(bench.producer.abort_transaction()).await,
                soon(bench.offsets()).await,
            ] {
                assert!(later.as_ref().is_err_and(|error| error.fatal()), "{what}, later: {later:?}");
            }
        }
        (_, Ok(())) => panic!("{what}: there was no error"),
    }
    soon(bench.producer.close(None)).await;
}

async fn check_all(v2: bool) {
    for (code, meanings) in TABLE {
        for (api, means) in APIS.into_iter().zip(meanings) {
            if asked(api, v2) {
                check(api, *code, v2, *means).await;
            }
        }
    }
}

#[tokio::test]
async fn every_error_of_every_request_has_its_meaning() {
    check_all(false).await;
}

#[tokio::test]
async fn every_error_of_every_request_has_its_meaning_where_brokers_add_partitions() {
    check_all(true).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    for v2 in [false, true] {
        for api in APIS.into_iter().filter(|api| asked(*api, v2)) {
            let bench = Bench::start_with(version(v2), [lost(api)], |_| {}).await;
            soon(bench.transact()).await.unwrap();
            soon(bench.transact()).await.unwrap();
            assert_eq!(bench.fired(bench.rules[0]), 1, "{}", api.name());
            bench.producer.close(None).await;
        }
    }
}

#[tokio::test]
async fn an_error_of_an_abort_is_tried_again_mended_by_a_new_epoch_or_fatal() {
    for v2 in [false, true] {
        for (code, means) in [
            (ErrorCode::CONCURRENT_TRANSACTIONS, Again),
            (ErrorCode::NOT_COORDINATOR, Again),
            (ErrorCode::INVALID_TXN_STATE, Abort),
            (ErrorCode::TRANSACTION_ABORTABLE, Abort),
            (ErrorCode::UNKNOWN_PRODUCER_ID, Abort),
            (ErrorCode::INVALID_PRODUCER_ID_MAPPING, Abort),
            (ErrorCode::PRODUCER_FENCED, Fatal),
            (ErrorCode::INVALID_PRODUCER_EPOCH, Fatal),
            (ErrorCode::UNKNOWN_SERVER_ERROR, Fatal),
        ] {
            let what = format!("EndTxn of an abort answers {code}, version 2: {v2}");
            let bench = Bench::start(v2).await;
            soon(bench.producer.begin_transaction()).await.unwrap();
            let sent = bench.send("x");
            assert!(bench.fate(sent).await.is_none());
            bench.fault(refused(ApiKey::END_TXN, code));
            let outcome = soon(bench.producer.abort_transaction()).await;
            match means {
                Again | Abort => {
                    assert!(outcome.is_ok(), "{what}: {outcome:?}");
                    let bumps = bench.count(|asked| matches!(asked, Asked::Init(0.., _)));
                    assert_eq!(bumps, usize::from(means == Abort), "{what}");
                    soon(bench.transact()).await.unwrap();
                }
                Fatal => assert!(outcome.unwrap_err().fatal(), "{what}"),
            }
            bench.producer.close(None).await;
        }
    }
}

#[tokio::test]
async fn a_coordinator_that_cannot_be_found_is_looked_for_again_or_refused() {
    for v2 in [false, true] {
        for (code, of_transaction, of_group) in [
            (ErrorCode::COORDINATOR_NOT_AVAILABLE, Again, Again),
            (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, Again, Again),
            (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, Fatal, Fatal),
            (ErrorCode::CLUSTER_AUTHORIZATION_FAILED, Fatal, Fatal),
            (ErrorCode::GROUP_AUTHORIZATION_FAILED, Fatal, Abort),
            (ErrorCode::INVALID_REQUEST, Fatal, Abort),
        ] {
            check(ApiKey::FIND_COORDINATOR, code, v2, of_transaction).await;

            let what = format!("FindCoordinator of the group answers {code}, version 2: {v2}");
            let bench = Bench::start(v2).await;
            soon(bench.producer.begin_transaction()).await.unwrap();
            let rule = bench.fault(refused(ApiKey::FIND_COORDINATOR, code));
            let outcome = soon(bench.offsets()).await;
            assert_eq!(bench.fired(rule), 1, "{what}");
            match (of_group, outcome) {
                (Again, outcome) => assert!(outcome.is_ok(), "{what}: {outcome:?}"),
                (Abort, Err(error)) => assert!(error.abortable(), "{what}: {error}"),
                (Fatal, Err(error)) => assert!(error.fatal(), "{what}: {error}"),
                (_, Ok(())) => panic!("{what}: there was no error"),
            }
            bench.producer.close(None).await;
        }
    }
}
