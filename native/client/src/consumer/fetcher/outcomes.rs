//! What answers mean: positions found, moved or lost, errors that are retried and errors that are told.
//! It starts nothing; whatever changed here is looked at by the next plan.
//! Driven by the fetcher's loop, one event at a time.

use std::fmt;

use super::super::ConsumerEvent;
use super::super::fetch::What;
use super::super::handover::{Position, TopicPartition};
use super::super::subscription::ResetTo;
use super::*;
use crate::ErrorKind;
use dohle_protocol::ErrorClass;

/// How often unreadable records are fetched again before the application hears of them: a bit may flip on the way.
const READ_ATTEMPTS: u32 = 3;
/// After this many failures in a row the leader's epoch is not believed any more when the leader itself does not know it.
const EPOCH_ATTEMPTS: u32 = 5;
/// From this failure in a row on the application is told of what is being retried.
const TELL_RETRIES: u32 = 2;

impl Fetcher {
    pub(super) fn take_in(&mut self, event: Event) {
        match event {
            Event::Fetched { node, link, outcome } => {
                let Some(broker) = self.brokers.get_mut(&node) else { return };
                broker.link = Some(link);
                match outcome {
                    Ok(fates) => {
                        (broker.retry_at, broker.failed) = (None, None);
                        broker.backoff.reset();
                        fates.into_iter().for_each(|fate| self.settle(fate));
                    }
                    Err(error) => {
                        let pause = broker.backoff.next(&**self.shared.client.world());
                        broker.retry_at = Some(Instant::now() + pause);
                        broker.failed = Some(error.clone());
                        let failures = broker.backoff.failures();
                        // A replica that fails is no better than the leader.
                        self.notes
                            .values_mut()
                            .for_each(|note| note.replica = note.replica.filter(|(at, _)| *at != node));
                        self.node_failed(failures, error);
                    }
                }
            }
            Event::Listed { asked, outcome } => match outcome {
                Ok(answers) => self.listed(answers),
                Err(error) => self.look_up_failed(asked, error),
            },
            Event::Validated { asked, outcome } => match outcome {
                Ok(Some(answers)) => answers.into_iter().for_each(|(look_up, answer)| self.validated(look_up, answer)),
                // Too old a broker to confirm a position: it is taken as it is.
                Ok(None) => self.shared.clone().change(|s| {
                    for look_up in &asked {
                        self.looked(look_up);
                        s.validated(&look_up.tp, look_up.epoch);
                    }
                }),
                Err(error) => self.look_up_failed(asked, error),
            },
        }
    }

    // ---- fetches ------------------------------------------------------------------------------------------------

    fn settle(&mut self, fate: Fate) {
        let wanted = fate.wanted;
        let Some(note) = self.notes.get_mut(&wanted.tp).filter(|note| note.epoch == wanted.epoch) else { return };
        match fate.what {
            What::Fine => {
                note.unreadable = 0;
                note.works();
            }
            What::Elsewhere(node) => {
                let until = Instant::now() + self.shared.client.options().metadata_max_age;
                note.replica = Some((node, until));
                note.works();
            }
            // A replica may lag behind or have a shorter log: only the leader's word counts.
            What::OutOfRange { .. } if note.replica.take().is_some() => {}
            What::OutOfRange { log_start, high_watermark } => self.out_of_range(&wanted, log_start, high_watermark),
            What::Unreadable(error) => {
                note.unreadable += 1;
                note.pause(&self.shared);
                if note.unreadable >= READ_ATTEMPTS {
                    self.give_up_at(
                        &wanted,
                        Error::new(
                            ErrorKind::Protocol,
                            format!(
                                "the records of {} at offset {} cannot be read: {error}. Seek behind them to go on",
                                wanted.tp, wanted.from.offset
                            ),
                        ),
                    );
                }
            }
            What::Refused { code, hinted } => {
                note.replica = None;
                if hinted {
                    note.works();
                    return;
                }
                self.refused(&wanted.tp, wanted.epoch, code, "Fetch from");
            }
        }
    }

    /// The leader does not have our position, neither end of its log does.
    fn out_of_range(&mut self, wanted: &Wanted, log_start: i64, high_watermark: i64) {
        let (tp, offset) = (&wanted.tp, wanted.from.offset);
        let what = format!("offset {offset} of {tp} is not in the log (it has {log_start} to {high_watermark})");
        match self.shared.reset_policy {
            Some(to) => {
                // What was read before is not lost: it goes to the loop first, and then the position is looked up.
                let reset = self.shared.change(|s| s.is_drained(tp, wanted.epoch) && s.reset(tp, wanted.epoch, to));
                match reset {
                    true => tracing::warn!("{what}: reset to {to:?}"),
                    false => self.pause(tp, wanted.epoch),
                }
            }
            None => {
                let hint = "auto.offset.reset is none: seek to go on";
                self.give_up_at(wanted, Error::new(ErrorKind::NoOffset, format!("{what} and {hint}")));
                self.pause(tp, wanted.epoch);
            }
        }
    }

    /// These partitions' topics were created again: what was fetched of the old ones is gone.
    pub(super) fn begin_anew(&self, recreated: &[TopicPartition]) {
        if recreated.is_empty() {
            return;
        }
        self.shared.change(|_| ());
        for tp in recreated {
            let what =
                format!("topic {} was deleted and created again: the position in partition {tp} is dropped", tp.topic);
            match self.shared.reset_policy {
                Some(to) => tracing::warn!("{what}; reset to {to:?}"),
                None => {
                    let hint = "auto.offset.reset is none: seek to go on";
                    self.shared.raise(Error::new(ErrorKind::NoOffset, format!("{what}; {hint}")));
                }
            }
        }
    }

    /// Tells the loop that nothing more can be read here, once it has had everything before.
    fn give_up_at(&self, wanted: &Wanted, error: Error) {
        if self.shared.with(|s| s.is_drained(&wanted.tp, wanted.epoch) && s.fail(&wanted.tp, wanted.epoch)) {
            self.shared.raise(error);
        }
    }

    // ---- look-ups -----------------------------------------------------------------------------------------------

    fn listed(&mut self, answers: Answers) {
        let shared = self.shared.clone();
        for (look_up, answer) in answers {
            if !self.looked(&look_up) {
                continue;
            }
            let (tp, epoch) = (&look_up.tp, look_up.epoch);
            match answer {
                // The leader epoch is left out on purpose: the leader itself has just named the offset.
                Ok(found) if found.offset >= 0 => {
                    self.works(tp);
                    shared.change(|s| s.resolved(tp, epoch, Position::at(found.offset)));
                }
                // No record at or after the time.
                Ok(_) if look_up.value >= 0 => _ = shared.change(|s| s.reset(tp, epoch, ResetTo::Latest)),
                Ok(_) => self.refused(tp, epoch, ErrorCode::OFFSET_NOT_AVAILABLE, "ListOffsets of"),
                Err(code) => self.refused(tp, epoch, code, "ListOffsets of"),
            }
        }
    }

    /// The leader says where its log ends for the epoch of our position (KIP-320).
    fn validated(&mut self, look_up: LookUp, answer: Result<Position, ErrorCode>) {
        if !self.looked(&look_up) {
            return;
        }
        let (tp, epoch) = (&look_up.tp, look_up.epoch);
        let end = match answer {
            Ok(end) => end,
            Err(code) => return self.refused(tp, epoch, code, "OffsetForLeaderEpoch of"),
        };
        self.works(tp);
        let Some(at) = self.shared.with(|s| s.at(tp, epoch).map(|partition| partition.fetch)) else { return };
        let known = end.offset >= 0 && end.leader_epoch >= 0;
        if known && end.offset >= at.offset {
            self.shared.change(|s| s.validated(tp, epoch));
            return;
        }
        let what = format!(
            "the log of {tp} was truncated below our position {} (leader epoch {})",
            at.offset, at.leader_epoch
        );
        match self.shared.reset_policy {
            Some(_) if known => {
                tracing::warn!("{what}: reading on at {}", end.offset);
                self.shared.change(|s| s.truncated(tp, epoch, end));
            }
            Some(to) => {
                tracing::warn!("{what} to an unknown place: reset to {to:?}");
                self.shared.change(|s| s.reset(tp, epoch, to));
            }
            None => {
                if self.shared.with(|s| s.fail(tp, epoch)) {
                    let hint = "auto.offset.reset is none: seek to go on";
                    self.shared.raise(Error::new(ErrorKind::NoOffset, format!("{what} and {hint}")));
                }
            }
        }
    }

    /// A look-up has ended. False when it no longer counts.
    fn looked(&mut self, look_up: &LookUp) -> bool {
        match self.notes.get_mut(&look_up.tp).filter(|note| note.epoch == look_up.epoch) {
            Some(note) => std::mem::take(&mut note.looking),
            None => false,
        }
    }

    fn look_up_failed(&mut self, asked: Vec<LookUp>, error: Error) {
        let mut failures = 0;
        for look_up in &asked {
            if self.looked(look_up) {
                self.pause(&look_up.tp, look_up.epoch);
                let note = self.notes.get(&look_up.tp);
                failures = failures.max(note.map_or(0, |note| note.backoff.failures()));
            }
        }
        self.node_failed(failures, error);
    }

    // ---- errors -------------------------------------------------------------------------------------------------

    /// A broker did not answer, or not in a way that can be read. `failures`: in a row.
    fn node_failed(&mut self, failures: u32, error: Error) {
        if error.kind() == ErrorKind::Closed {
            self.over = true;
            return self.shared.raise(error.into_fatal());
        }
        self.shared.client.metadata().request_update();
        // What cannot be read may have been changed on the way; not again and again.
        let unreadable = error.kind() == ErrorKind::Protocol;
        if unreadable && failures == READ_ATTEMPTS || !error.retriable() && failures <= 1 {
            self.shared.raise(error);
        } else if error.retriable() && failures == TELL_RETRIES {
            self.shared.sink.event(ConsumerEvent::Retrying(error));
        }
    }

    /// A broker answered a partition with an error.
    fn refused(&mut self, tp: &TopicPartition, epoch: u32, code: ErrorCode, doing: &str) {
        if code.class() == ErrorClass::RefreshRetriable || is_about_topic_id(code) {
            self.shared.client.metadata().request_update();
        }
        self.pause(tp, epoch);
        let failures = self.notes.get(tp).map_or(0, |note| note.backoff.failures());
        if code == ErrorCode::UNKNOWN_LEADER_EPOCH && failures >= EPOCH_ATTEMPTS {
            self.shared.client.metadata().doubt_epoch(&tp.topic, tp.partition);
        }
        if !(code.is_retriable() || is_about_topic_id(code)) || failures >= TELL_RETRIES {
            self.tell(tp, code, format_args!("{doing} {tp}"));
        }
    }

    /// Tells the application of an error, once until the partition works again: through the loop when it is for the
    /// application to mend, as an event when it will probably pass.
    pub(super) fn tell(&mut self, tp: &TopicPartition, code: ErrorCode, doing: impl fmt::Display) {
        let shared = &self.shared;
        let note = self.notes.entry(tp.clone()).or_insert_with(|| Note::new(shared, 0));
        if note.told.replace(code) == Some(code) {
            return;
        }
        let error = Error::broker(code, doing);
        match code.is_retriable() || is_about_topic_id(code) {
            true => shared.sink.event(ConsumerEvent::Retrying(error)),
            false => shared.raise(error),
        }
    }

    fn pause(&mut self, tp: &TopicPartition, epoch: u32) {
        if let Some(note) = self.notes.get_mut(tp).filter(|note| note.epoch == epoch) {
            note.pause(&self.shared);
        }
    }

    fn works(&mut self, tp: &TopicPartition) {
        if let Some(note) = self.notes.get_mut(tp) {
            note.works();
        }
    }
}

/// The topic was deleted and created anew: new metadata mends it.
fn is_about_topic_id(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID)
}
