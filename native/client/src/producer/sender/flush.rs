//! Flush, close, and the end: who waits for records to be settled, and that nobody waits in vain.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Command, Sender, adopt};
use crate::error::Error;

pub(super) struct Flush {
    /// Every batch with a lower serial is to be settled.
    pub mark: u64,
    /// Waiting rooms to be emptied first, as far as they were full.
    pub rooms: Vec<(usize, u64)>,
    pub done: oneshot::Sender<()>,
}

pub(super) struct Closing {
    pub deadline: Option<Instant>,
    pub done: Vec<oneshot::Sender<()>>,
}

impl Sender {
    pub(super) fn flush(&mut self, done: oneshot::Sender<()>) {
        let rooms = self.room_marks();
        let mark = self.seal_all();
        self.flushes.push(Flush { mark, rooms, done });
        self.visit_all();
    }

    /// Takes over every open batch; all of them have lower serials than the one returned.
    pub(super) fn seal_all(&mut self) -> u64 {
        let (next_id, unsettled) = (&mut self.next_id, &mut self.unsettled);
        for part in &mut self.parts {
            part.pull_open(|open| adopt(next_id, unsettled, open));
        }
        self.next_id
    }

    pub(super) fn check_flushes(&mut self) {
        let mut emptied = false;
        let topics = &self.topics;
        for flush in &mut self.flushes {
            let waited = !flush.rooms.is_empty();
            flush.rooms.retain(|(topic, mark)| !topics[*topic].topic.room.lock().passed(*mark));
            emptied |= waited && flush.rooms.is_empty();
            if waited && flush.rooms.is_empty() {
                flush.mark = u64::MAX; // set below, once the batches these records went to are taken over
            }
        }
        if emptied {
            let mark = self.seal_all();
            self.flushes.iter_mut().filter(|flush| flush.mark == u64::MAX).for_each(|flush| flush.mark = mark);
            self.visit_all();
            while let Some(node) = self.stirred.pop() {
                self.pump(node);
            }
        }
        let oldest = self.unsettled.keys().next().copied().unwrap_or(u64::MAX);
        for i in (0..self.flushes.len()).rev() {
            if self.flushes[i].rooms.is_empty() && oldest >= self.flushes[i].mark {
                let _ = self.flushes.swap_remove(i).done.send(());
            }
        }
    }

    pub(super) fn close(&mut self, timeout: Option<Duration>, done: oneshot::Sender<()>) {
        self.accumulator.close();
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        match &mut self.closing {
            Some(closing) => {
                closing.done.push(done);
                closing.deadline = [closing.deadline, deadline].into_iter().flatten().min();
            }
            None => self.closing = Some(Closing { deadline, done: vec![done] }),
        }
        self.seal_all();
        self.visit_all();
    }

    pub(super) fn all_settled(&self) -> bool {
        self.unsettled.is_empty()
            && self.topics.iter().all(|topic| topic.topic.room.lock().is_empty())
            && self.parts.iter().all(|part| part.open_since.is_none())
    }

    /// Nothing can be sent any more: every record fails with this, now and later.
    pub(super) fn break_down(&mut self, error: Error) {
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        if let Some(transaction) = &self.accumulator.transaction {
            transaction.break_down(&error);
        }
        self.accumulator.break_down(error);
        for slot in 0..self.parts.len() as u32 {
            self.fail_part(slot);
        }
        self.fail_rooms();
    }

    /// The last act: whoever waits is answered, and nobody waits after this.
    pub(super) fn end(&mut self) {
        self.accumulator.close();
        self.broken = true;
        let late = self.accumulator.end();
        for slot in 0..self.parts.len() as u32 {
            self.fail_part(slot);
        }
        self.fail_rooms();
        self.untrack();
        self.events.clear();
        let waiting = self.closing.take().into_iter().flat_map(|closing| closing.done);
        let flushing = std::mem::take(&mut self.flushes).into_iter().map(|flush| flush.done);
        self.quiet.clear();
        let late = late.into_iter().filter_map(|command| match command {
            Command::Flush(done) | Command::Close { done, .. } | Command::Identify { done, .. } => Some(done),
            Command::Quiesce { .. } | Command::Report(_) => None,
        });
        for done in waiting.chain(flushing).chain(late) {
            let _ = done.send(());
        }
    }
}
