//! Group membership: who we are in the group, and the questions a rebalance asks of the language.
//! Not the positions (subscription.rs) nor what is committed (commit.rs).
//! Driven by one task per consumer, `membership::run`; other tasks read who we are from [`Group`].

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::collections::Map;
use crate::statistics::Histogram;

pub(crate) mod assignors;
mod coordinator;
mod heartbeat;
mod join;
mod leaving;
pub(crate) mod membership;
mod missing;
mod modern;
pub(crate) mod protocol;
pub(crate) mod strategy;
pub(crate) mod verdict;

/// Who we are in the group now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// −1: not in a generation. Grows with every rebalance.
    pub generation: i32,
    /// Given by the coordinator; kept from one generation to the next.
    pub member_id: String,
    /// A rebalance is under way: a commit that fails with the old generation is tried again with the new one.
    pub joining: bool,
    /// A member by KIP-848: the generation is the member's epoch.
    pub modern: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Identity { generation: -1, member_id: String::new(), joining: false, modern: false }
    }
}

impl Identity {
    /// Whether we are in a generation of the group.
    pub fn is_member(&self) -> bool {
        self.generation >= 0
    }
}

/// The rebalances until now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rebalances {
    /// How many have ended.
    pub count: u64,
    /// When the last one did.
    pub last: Option<Instant>,
    /// When the one under way began.
    begun: Option<Instant>,
    /// Milliseconds that they took.
    pub took: Histogram,
}

/// What other tasks see of the membership. Its locks are never held together with another one.
#[derive(Default)]
pub(crate) struct Group {
    identity: Mutex<Identity>,
    questions: Mutex<Questions>,
    rebalances: Mutex<Rebalances>,
}

#[derive(Default)]
struct Questions {
    last_id: u64,
    open: Map<u64, oneshot::Sender<()>>,
}

impl Group {
    pub fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    pub fn change_identity(&self, f: impl FnOnce(&mut Identity)) {
        let joining = {
            let mut identity = self.identity.lock();
            f(&mut identity);
            identity.joining
        };
        if joining {
            self.rebalances.lock().begun.get_or_insert_with(Instant::now);
        }
    }

    /// A rebalance has ended.
    pub fn rebalanced(&self) {
        let mut rebalances = self.rebalances.lock();
        let now = Instant::now();
        rebalances.count += 1;
        rebalances.last = Some(now);
        if let Some(begun) = rebalances.begun.take() {
            let took = now.saturating_duration_since(begun).as_millis();
            rebalances.took.record(u64::try_from(took).unwrap_or(u64::MAX));
        }
    }

    /// The rebalances until now.
    pub fn rebalances(&self) -> Rebalances {
        self.rebalances.lock().clone()
    }

    /// A new question's id, and what resolves when it is answered (or given up by `forget`).
    pub fn open_question(&self) -> (u64, oneshot::Receiver<()>) {
        let (answered, wait) = oneshot::channel();
        let mut questions = self.questions.lock();
        questions.last_id += 1;
        let id = questions.last_id;
        questions.open.insert(id, answered);
        (id, wait)
    }

    /// The language answered. Unknown ids (late answers) are ignored.
    pub fn answer(&self, id: u64) {
        let answered = self.questions.lock().open.remove(&id);
        if let Some(answered) = answered {
            let _ = answered.send(());
        }
    }

    /// The question no longer matters.
    pub fn forget(&self, id: u64) {
        self.questions.lock().open.remove(&id);
    }
}

/// Sorted difference: what is in `a` and not in `b`.
pub(crate) fn without<T: Clone + Ord>(a: &[T], b: &[T]) -> Vec<T> {
    let b: std::collections::BTreeSet<&T> = b.iter().collect();
    a.iter().filter(|x| !b.contains(x)).cloned().collect()
}

/// The topics' names as text, for messages.
pub(crate) fn names(topics: &[Arc<str>]) -> String {
    topics.join(", ")
}
