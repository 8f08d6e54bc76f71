//! Offsets of members whose epochs change, and of topics by their ids, on a broker newer than the embedded one is: it knows
//! TxnOffsetCommit 6, which Kafka 4.3 does not offer yet. So these few stay with the scripted one in `peer`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::bench::Asked;
use crate::peer::{Bench, Script, finished};
use crate::support::soon;

#[tokio::test]
async fn offsets_of_a_member_whose_epoch_has_changed_are_committed_with_the_new_one() {
    // By version: 6 says so, older ones call it a generation, of either kind of transactions.
    for (v2, offsets_max, version) in [(true, 6, 6), (true, 5, 5), (false, 6, 4)] {
        let script = Arc::new(Script { v2, offsets_max, ..Script::default() });
        let bench = Bench::start(script.clone()).await;
        let consumer = soon(bench.member()).await;
        soon(bench.producer.begin_transaction()).await.unwrap();
        let given = consumer.transaction_offsets(Some(&[finished()])).unwrap();
        assert_eq!(given.group.generation, 3);
        *script.next_member_epoch.lock() = Some(4);
        soon(bench.producer.commit_offsets_of(&consumer, given)).await.unwrap();
        let asked: Vec<_> = script.asked.lock().iter().filter(|a| matches!(a, Asked::Offsets(..))).cloned().collect();
        assert_eq!(asked, [3, 4].map(|epoch| Asked::Offsets(version, 1, epoch, 5)));
        soon(bench.producer.commit_transaction()).await.unwrap();
        soon(consumer.close(None)).await.unwrap();
    }
}

#[tokio::test]
async fn offsets_of_a_member_that_lost_its_partition_meanwhile_are_refused_though_it_has_it_again() {
    for offsets_max in [5, 6] {
        let script = Arc::new(Script { v2: true, offsets_max, ..Script::default() });
        let bench = Bench::start(script.clone()).await;
        let consumer = soon(bench.member()).await;
        soon(bench.producer.begin_transaction()).await.unwrap();
        let given = consumer.transaction_offsets(Some(&[finished()])).unwrap();
        script.forget_member.store(true, Ordering::SeqCst);
        let joined_again = async {
            while *script.member_epoch.lock() < 6 || consumer.assignment().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(joined_again).await;
        let error = soon(bench.producer.commit_offsets_of(&consumer, given)).await.unwrap_err();
        let code = if offsets_max >= 6 { "STALE_MEMBER_EPOCH" } else { "ILLEGAL_GENERATION" };
        assert_eq!((error.code().as_ref(), error.abortable(), error.fatal()), (code, true, false));
        assert_eq!(script.count(|asked| matches!(asked, Asked::Offsets(..))), 1);
        assert_eq!(soon(bench.producer.commit_transaction()).await.unwrap_err().code(), code);
        soon(consumer.close(None)).await.unwrap();
    }
}

#[tokio::test]
async fn offsets_of_a_consumer_that_is_closed_meanwhile_are_refused() {
    let script = Arc::new(Script { v2: true, offsets_max: 6, ..Script::default() });
    let bench = Bench::start(script.clone()).await;
    let consumer = soon(bench.member()).await;
    soon(bench.producer.begin_transaction()).await.unwrap();
    let given = consumer.transaction_offsets(Some(&[finished()])).unwrap();
    soon(consumer.close(None)).await.unwrap();
    *script.next_member_epoch.lock() = Some(4);
    let error = soon(bench.producer.commit_offsets_of(&consumer, given)).await.unwrap_err();
    assert_eq!((error.code().as_ref(), error.abortable()), ("STALE_MEMBER_EPOCH", true));
}

#[tokio::test]
async fn offsets_name_topics_by_id_where_broker_and_metadata_have_ids() {
    for (offsets_max, no_ids, version) in [(6, false, 6), (5, false, 5), (6, true, 5)] {
        let script = Arc::new(Script { v2: true, offsets_max, no_ids, ..Script::default() });
        let bench = Bench::start(script.clone()).await;
        bench.client.metadata().refresh_topics(&["in"]).await.unwrap();
        soon(bench.transact()).await.unwrap();
        assert_eq!(script.count(|asked| *asked == Asked::Offsets(version, 1, 3, 5)), 1, "{:?}", script.asked.lock());
    }
}
