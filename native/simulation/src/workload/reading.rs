//! A consumer that notes what it is given: what members and verifier share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dohle_client::Client;
use dohle_client::consumer::{
    Ask, Chunk, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, TopicPartition,
};
use dohle_client::generated::options::IsolationLevel;
use dohle_client::statistics;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::history::{Place, What};
use crate::stage::{LOOK, Stage, TOPICS};

use super::text;

pub struct Reading {
    pub stage: Arc<Stage>,
    pub consumer: Consumer,
    pub ear: Arc<Ear>,
    pub reader: u32,
    host: &'static str,
}

/// Hears what the engine tells.
pub struct Ear {
    stage: Arc<Stage>,
    reader: u32,
    host: &'static str,
    ready: Notify,
    questions: Mutex<Vec<Question>>,
    lost: Mutex<Vec<Place>>,
}

impl Reading {
    pub fn open(stage: &Arc<Stage>, client: &Client, host: &'static str, options: ConsumerOptions) -> Self {
        let reader = stage.number();
        let committed_only = options.isolation_level == IsolationLevel::ReadCommitted;
        stage.note(What::ReaderOpened { reader, host, group: options.group_id.is_some(), committed_only });
        let (ready, questions, lost) = (Notify::new(), Mutex::default(), Mutex::default());
        let ear = Arc::new(Ear { stage: stage.clone(), reader, host, ready, questions, lost });
        let consumer = Consumer::new(client, options, ear.clone()).expect("the options are in order");
        Self { stage: stage.clone(), consumer, ear, reader, host }
    }

    pub fn said(&self, text: String) {
        self.stage.note(What::Said { host: self.host, text: format!("reader {}: {text}", self.reader) });
    }

    /// Waits until there may be something to do.
    pub async fn news(&self) {
        let _ = tokio::time::timeout(LOOK, self.ear.ready.notified()).await;
    }

    /// Questions that wait for an answer.
    pub fn questions(&self) -> Vec<Question> {
        std::mem::take(&mut *self.ear.questions.lock())
    }

    /// What was taken away since this was asked last.
    pub fn lost(&self) -> Vec<Place> {
        std::mem::take(&mut *self.ear.lost.lock())
    }

    /// Answers, and notes what that means.
    pub fn answer(&self, question: &Question) {
        let reader = self.reader;
        match &question.what {
            Ask::Revoke(given) => self.stage.note(What::Revoked { reader, places: places(given) }),
            Ask::Assigned(came) => self.stage.note(What::Assigned { reader, places: places(came) }),
            _ => {}
        }
        self.consumer.answer(question.id);
    }

    /// Takes the step to record `k` of a chunk, as the languages do; none when it is not to be yielded any more.
    pub fn step(&self, chunk: &Chunk, k: u32) -> Option<i64> {
        chunk.control.finished.store(k, Ordering::SeqCst);
        if chunk.control.revoked.load(Ordering::SeqCst) != 0 {
            return None;
        }
        chunk.control.stepped.store(k + 1, Ordering::SeqCst);
        let word = |n: usize| chunk.index[k as usize * INDEX_WORDS + n] as usize;
        let value = &chunk.bytes[word(5)..word(5) + word(6)];
        let (offset, id) = (chunk.offset(k), text::read(value).map(|(id, _)| id));
        let polled = What::Polled { reader: self.reader, epoch: chunk.epoch(), place: place(chunk), offset, id };
        self.stage.note(polled);
        Some(offset)
    }

    /// All of a chunk is finished.
    pub fn finish(&self, chunk: &Chunk) {
        chunk.control.finished.store(chunk.count, Ordering::SeqCst);
    }

    /// Closes it; returns the bytes of `fetch.buffer.bytes` that it held though nothing was assigned.
    pub async fn close(self, client: &Client, first_unsubscribe: bool) -> usize {
        let mut buffered = 0;
        if first_unsubscribe {
            self.while_answering(self.consumer.unsubscribe()).await;
            let now = client.statistics_of(self.consumer.name(), statistics::Reader::Call).await;
            buffered = now.map_or(0, |now| now.fetch_buffer_size as usize);
        }
        self.while_answering(self.consumer.close(Some(Duration::from_secs(20)))).await;
        self.stage.note(What::ReaderClosed { reader: self.reader });
        buffered
    }

    async fn while_answering(&self, end: impl Future<Output = dohle_client::Result<()>>) {
        tokio::pin!(end);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut end => break ended,
                () = self.news() => self.questions().iter().for_each(|question| self.answer(question)),
            }
        };
        if let Err(error) = ended {
            self.said(format!("closing: {error}"));
        }
    }
}

impl ConsumerSink for Ear {
    fn chunks_ready(&self) {
        self.ready.notify_one();
    }

    fn question(&self, question: Question) {
        self.questions.lock().push(question);
        self.ready.notify_one();
    }

    fn event(&self, event: ConsumerEvent) {
        let reader = self.reader;
        self.stage.note(match event {
            ConsumerEvent::Joined { generation, partitions, .. } => {
                What::Joined { reader, generation, places: places(&partitions) }
            }
            // Also without an answer, when that was waited for too long: it is too late for one then, and to hear that they came.
            ConsumerEvent::Revoked(gone) => {
                let mut questions = self.questions.lock();
                questions.retain(|asked| asked.what != Ask::Revoke(gone.clone()));
                for asked in questions.iter_mut() {
                    if let Ask::Assigned(came) = &mut asked.what {
                        came.retain(|tp| !gone.contains(tp));
                    }
                }
                What::Revoked { reader, places: places(&gone) }
            }
            ConsumerEvent::Lost(gone) => {
                self.questions.lock().clear();
                self.lost.lock().extend(places(&gone));
                What::Lost { reader, places: places(&gone) }
            }
            other => What::Said { host: self.host, text: format!("reader {reader}: {other:?}") },
        });
    }
}

fn places(partitions: &[TopicPartition]) -> Vec<Place> {
    partitions.iter().map(|tp| Place { topic: known(&tp.topic), partition: tp.partition }).collect()
}

pub fn place(chunk: &Chunk) -> Place {
    Place { topic: known(&chunk.topic), partition: chunk.partition }
}

/// The topic's name, for as long as there are names.
pub fn known(topic: &str) -> &'static str {
    TOPICS.iter().find(|(name, _)| *name == topic).map_or("?", |(name, _)| name)
}
