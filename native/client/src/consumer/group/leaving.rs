//! How a member goes: in good order, thrown out for a loop that is stuck, or out of a group that does not know it.
//! Not why (membership.rs decides).

use crate::{Error, ErrorKind};

use super::super::ConsumerEvent;
use super::super::commit;
use super::super::subscription::Interest;
use super::Identity;
use super::heartbeat;
use super::membership::Member;

impl Member {
    /// Leaves in good order.
    pub(super) async fn go(&mut self, reason: &str) {
        self.leaving = true;
        self.patience = None;
        let owned = self.shared.with(|s| s.assigned());
        if self.shared.group.identity().is_member() {
            if self.revoke(owned).await.is_err() {
                self.lose();
            }
        } else if let Err(error) = self.shared.commit_before_end().await {
            // Partitions assigned by hand, when the consumer closes.
            self.shared.sink.event(ConsumerEvent::CommitFailed(error));
        }
        self.heart.stop();
        if !self.shared.group.identity().member_id.is_empty() {
            let limit = self.shared.client.options().request_timeout.min(self.handshake_time());
            let _ = heartbeat::leave(&self.shared, reason, limit).await;
        }
        self.reset();
        self.leaving = false;
        self.shared.unsubscribed();
    }

    /// The loop has not stepped for `max.poll.interval.ms`: what is finished is committed, the rest is for others.
    /// Joins again when the loop comes back.
    pub(super) async fn throw_out_slow_loop(&mut self) {
        let options = &self.shared.options;
        let error = Error::new(
            ErrorKind::MaxPollExceeded,
            format!(
                "the loop did not ask for its next record for max.poll.interval.ms ({} ms): the consumer left its group and joins \
                 again when the loop goes on. Do less per record, or raise max.poll.interval.ms",
                options.max_poll_interval.as_millis()
            ),
        );
        self.leaving = true;
        self.patience = None;
        let owned = self.shared.with(|s| s.assigned());
        self.shared.change(|s| owned.iter().for_each(|tp| s.hold(tp)));
        let limit = options.session_timeout.min(self.shared.client.options().request_timeout);
        if options.enable_auto_commit {
            let _ = commit::finished(&self.shared, Some(&owned), limit).await;
        }
        self.heart.stop();
        let _ = heartbeat::leave(&self.shared, "max.poll.interval.ms is over", limit).await;
        self.lose();
        self.leaving = false;
        self.shared.sink.event(ConsumerEvent::MaxPollExceeded(error));
        self.wait_for_poll().await;
    }

    /// Until the loop polls, or the user wants something else.
    ///
    /// No wake-up is lost: the flag is set first, then the loop is looked at under the lock that its poll takes. A poll
    /// whose lock came before ours is seen here (its count, or that it waits); one whose lock came after sees the flag.
    async fn wait_for_poll(&mut self) {
        self.shared.wake_on_poll(true);
        let mut activity = self.clock.is_alive(&self.shared);
        while !activity && !self.shared.is_closing() {
            if !matches!(self.shared.with(|s| s.interest.clone()), Interest::Topics(_)) {
                break;
            }
            self.shared.coordinator.notified().await;
            activity = self.clock.is_alive(&self.shared);
        }
        self.shared.wake_on_poll(false);
        self.clock.restart();
    }

    /// What we own is not ours any more.
    pub(super) fn lose(&mut self) {
        let owned = self.shared.with(|s| s.assigned());
        self.shared.change(|s| owned.iter().for_each(|tp| s.remove(tp)));
        if !owned.is_empty() {
            self.shared.sink.event(ConsumerEvent::Lost(owned));
        }
        self.reset();
    }

    /// As before the first join.
    pub(super) fn reset(&mut self) {
        self.shared.group.change_identity(|identity| *identity = Identity::default());
        self.topics = None;
        if let Some(modern) = &mut self.modern {
            modern.forget();
        }
        self.owned_since = -1;
        self.heart.stop();
        self.wanted = None;
        self.patience = None;
        self.watch_as_leader(None);
    }
}
