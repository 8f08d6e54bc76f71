//! What the fetcher does for each partition at this moment, for the watchdog. It changes nothing.

use super::super::types::StallReason;
use super::super::watchdog::Doings;
use super::*;

impl Fetcher {
    /// Answers the watchdog, if it asks. Called at the end of each plan: what can be started has been.
    pub(super) fn answer_inspection(&self, snapshot: &Snapshot, now: Instant) {
        let Some(inspection) = self.shared.inspection.lock().take() else { return };
        let is_starved = self.shared.is_starved();
        let doings = self.shared.with(|s| {
            let doing = |(tp, _): (&TopicPartition, _)| (tp.clone(), self.doing(tp, snapshot, now, is_starved));
            s.iter().map(doing).collect::<Doings>()
        });
        let _ = inspection.send(doings);
    }

    fn doing(
        &self,
        tp: &TopicPartition,
        snapshot: &Snapshot,
        now: Instant,
        is_starved: bool,
    ) -> (StallReason, Option<Error>) {
        let Some((leader, _)) = snapshot.leader(&tp.topic, tp.partition) else {
            let of_topic =
                snapshot.topic_error(&tp.topic).map(|code| Error::broker(code, format_args!("topic {}", tp.topic)));
            return (StallReason::NoLeader, of_topic.or_else(|| self.shared.client.metadata().last_error()));
        };
        let note = self.notes.get(tp);
        if note.is_some_and(|note| note.looking) {
            return (StallReason::LookingUp, None);
        }
        if let Some(note) = note.filter(|note| note.retry_at.is_some_and(|at| at > now)) {
            let told = note.told.map(|code| Error::broker(code, format_args!("partition {tp}")));
            return (StallReason::BackingOff, told);
        }
        let replica = note.and_then(|note| note.replica).filter(|(_, until)| *until > now);
        match self.brokers.get(&replica.map_or(leader, |(node, _)| node)) {
            Some(broker) if broker.failed.is_some() => (StallReason::BackingOff, broker.failed.clone()),
            Some(broker) if broker.link.is_none() => (StallReason::Fetching, None),
            _ if is_starved => (StallReason::NoCredit, None),
            _ => (StallReason::Fetching, None),
        }
    }
}
