//! A cluster, and consumers whose sink answers questions and keeps what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::admin::{Admin, NewTopic};
use dohle_client::consumer::{
    Ask, Chunk, Consumer, ConsumerEvent, ConsumerOptions, ConsumerSink, INDEX_WORDS, Question, TopicPartition,
};
use dohle_client::{Client, ClientOptions, Lane, TokioWorld, World};
use dohle_protocol::ErrorCode;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::messages::ProduceRequest;
use dohle_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use dohle_protocol::records::{BatchBuilder, Headers, RecordRef};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Long enough for any machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The real cluster of DOHLE_TEST_BROKERS, or an embedded broker of this test's own.
pub struct Cluster {
    pub servers: String,
    pub broker: Option<Broker>,
}

impl Cluster {
    pub async fn start() -> Cluster {
        match std::env::var("DOHLE_TEST_BROKERS") {
            Ok(servers) if !servers.is_empty() => Cluster { servers, broker: None },
            _ => Cluster::embedded().await,
        }
    }

    /// For tests that need faults.
    pub async fn embedded() -> Cluster {
        Self::of(BrokerOptions::default()).await
    }

    pub async fn of(options: BrokerOptions) -> Cluster {
        let broker = Broker::start_default(options).await.unwrap();
        Cluster { servers: broker.address().to_string(), broker: Some(broker) }
    }

    pub fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    pub fn client_with(&self, change: impl FnOnce(&mut ClientOptions)) -> Client {
        let mut options = ClientOptions { bootstrap_servers: vec![self.servers.clone()], ..ClientOptions::default() };
        change(&mut options);
        Client::new(Arc::new(TokioWorld::new(tokio::runtime::Handle::current())), options).unwrap()
    }

    /// A topic of its own for each test and run.
    pub async fn topic(&self, partitions: i32) -> String {
        let name = unique("topic");
        self.create(&name, partitions).await;
        name
    }

    pub async fn create(&self, name: &str, partitions: i32) {
        let client = self.client();
        let topic = NewTopic { name: name.to_owned(), partitions: Some(partitions), ..NewTopic::default() };
        let created = Admin::new(&client).create_topics(vec![topic], false, None).await.unwrap();
        created.into_iter().for_each(|item| {
            item.result.unwrap();
        });
        // Kafka's controller has decided; its brokers know the topic a little later.
        let led = async {
            while !(0..partitions).all(|partition| client.metadata().snapshot().leader(name, partition).is_some()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                client.metadata().refresh_topics(&[name]).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, led).await.expect("the topic never had its leaders");
        client.close().await;
    }
}

impl Cluster {
    /// Appends `count` records, numbered from `first`, as one batch.
    pub async fn produce(&self, client: &Client, topic: &str, partition: i32, first: usize, count: usize) {
        let mut builder = BatchBuilder::new(64 * count);
        for i in first..first + count {
            let value = i.to_string();
            let record = RecordRef { timestamp: 1, key: None, value: Some(value.as_bytes()), headers: Headers::None };
            builder.append(&record);
        }
        let mut batch = builder.seal(&mut Compressor::new(Compression::None, None).unwrap(), false);
        batch.stamp(-1, -1, -1);
        let bytes = batch.bytes();
        loop {
            let snapshot = client.metadata().refresh_topics(&[topic]).await.unwrap();
            let (Some(known), Some((leader, _))) = (snapshot.topic(topic), snapshot.leader(topic, partition)) else {
                continue;
            };
            let data = PartitionProduceData { index: partition, records: Some(bytes.clone()), ..Default::default() };
            let data = TopicProduceData {
                name: topic.to_owned(),
                topic_id: known.id,
                partition_data: vec![data],
                ..Default::default()
            };
            let request = ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![data], ..Default::default() };
            let answer = client.request(leader, Lane::Produce, &request, PATIENCE).await.unwrap();
            // A topic this young may not have its leader yet.
            match ErrorCode(answer.responses[0].partition_responses[0].error_code) {
                ErrorCode::NONE => return,
                code => assert!(code.is_retriable(), "{code}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a language's loop does: asks for a record, and finishes the one before by asking.
#[derive(Default)]
pub struct Loop {
    chunk: Option<(Chunk, u32)>,
}

/// A record that a loop was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Given {
    pub partition: i32,
    pub offset: i64,
    pub value: usize,
}

impl Loop {
    /// The next record; none when there is none yet.
    pub fn step(&mut self, consumer: &Consumer) -> Option<Given> {
        loop {
            if let Some((chunk, k)) = &mut self.chunk {
                chunk.control.finished.store(*k, Ordering::Release);
                if chunk.control.revoked.load(Ordering::SeqCst) == 0 && *k < chunk.count {
                    *k += 1;
                    chunk.control.stepped.store(*k, Ordering::Release);
                    return Some(record(chunk, *k - 1));
                }
                self.chunk = None;
            }
            self.chunk = Some((consumer.next_chunk().unwrap()?, 0));
        }
    }

    /// The record in hand is done; nothing else is asked for. What `commit()` and the answer to a revocation do.
    pub fn finish_in_hand(&self) {
        if let Some((chunk, k)) = &self.chunk {
            chunk.control.finished.store(*k, Ordering::Release);
        }
    }

    /// Until there is a record.
    pub async fn next(&mut self, member: &Member) -> Given {
        let mut found = None;
        member
            .until("a record", |member| {
                found = self.step(&member.consumer);
                found.is_some()
            })
            .await;
        found.unwrap()
    }
}

fn record(chunk: &Chunk, k: u32) -> Given {
    let words = &chunk.index[k as usize * INDEX_WORDS..][..INDEX_WORDS];
    let value = &chunk.bytes[words[5] as usize..][..words[6] as usize];
    Given {
        partition: chunk.partition,
        offset: chunk.offset(k),
        value: std::str::from_utf8(value).unwrap().parse().unwrap(),
    }
}

/// A name that no other test or run has.
pub fn unique(what: &str) -> String {
    format!("{what}-{:016x}", TokioWorld::new(tokio::runtime::Handle::current()).random_u64())
}

/// Options for a group, quick enough for tests and slow enough for any machine.
pub fn options(group: &str, strategy: &str) -> ConsumerOptions {
    ConsumerOptions {
        group_id: Some(group.to_owned()),
        auto_offset_reset: "earliest".to_owned(),
        partition_assignment_strategy: vec![strategy.to_owned()],
        session_timeout: Duration::from_secs(20),
        heartbeat_interval: Duration::from_millis(100),
        ..ConsumerOptions::default()
    }
}

/// A consumer and what it told.
pub struct Member {
    pub consumer: Consumer,
    pub told: Arc<Told>,
}

/// What a consumer's sink was told.
#[derive(Default)]
pub struct Told {
    consumer: Mutex<Option<Consumer>>,
    /// Questions wait for the test when this is set.
    pub silent: AtomicBool,
    pub questions: Mutex<Vec<Question>>,
    pub events: Mutex<Vec<ConsumerEvent>>,
    pub ready: AtomicBool,
    pub news: Notify,
}

impl ConsumerSink for Told {
    fn chunks_ready(&self) {
        self.ready.store(true, Ordering::SeqCst);
        self.news.notify_waiters();
    }

    fn question(&self, question: Question) {
        if !self.silent.load(Ordering::SeqCst) {
            self.consumer.lock().as_ref().unwrap().answer(question.id);
        }
        self.questions.lock().push(question);
        self.news.notify_waiters();
    }

    fn event(&self, event: ConsumerEvent) {
        self.events.lock().push(event);
        self.news.notify_waiters();
    }
}

impl Member {
    /// Its loop waits for records: it is never slow.
    pub fn new(client: &Client, options: ConsumerOptions) -> Member {
        let member = Member::stuck(client, options);
        assert!(member.consumer.next_chunk().unwrap().is_none());
        member
    }

    /// Its loop asks for nothing.
    pub fn stuck(client: &Client, options: ConsumerOptions) -> Member {
        let told = Arc::new(Told::default());
        let consumer = Consumer::new(client, options, told.clone()).unwrap();
        *told.consumer.lock() = Some(consumer.clone());
        Member { consumer, told }
    }

    /// A member of its own client that subscribes to one topic.
    pub fn subscribed(cluster: &Cluster, options: ConsumerOptions, topic: &str) -> Member {
        let member = Member::new(&cluster.client(), options);
        member.consumer.subscribe(vec![topic.to_owned()]).unwrap();
        member
    }

    /// Waits until `done`.
    pub async fn until(&self, what: &str, mut done: impl FnMut(&Member) -> bool) {
        let wait = async {
            while !done(self) {
                // State can change without an event: look often, too.
                let _ = tokio::time::timeout(Duration::from_millis(20), self.told.news.notified()).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("never: {what}\n{}", self.story());
        }
    }

    pub fn story(&self) -> String {
        let events: Vec<_> = self.told.events.lock().iter().map(|event| format!("  {event:?}")).collect();
        let questions: Vec<_> = self.told.questions.lock().iter().map(|q| format!("  {q:?}")).collect();
        format!(
            "assigned {:?}\nevents\n{}\nquestions\n{}",
            self.consumer.assignment(),
            events.join("\n"),
            questions.join("\n")
        )
    }

    pub fn owned(&self) -> usize {
        self.consumer.assignment().len()
    }

    pub fn event<T>(&self, pick: impl Fn(&ConsumerEvent) -> Option<T>) -> Option<T> {
        self.told.events.lock().iter().find_map(pick)
    }

    pub fn lost(&self) -> bool {
        self.event(|event| matches!(event, ConsumerEvent::Lost(_)).then_some(())).is_some()
    }

    /// All partitions ever asked to be revoked.
    pub fn revoked(&self) -> Vec<TopicPartition> {
        let questions = self.told.questions.lock();
        let revoked = questions.iter().filter_map(|q| match &q.what {
            Ask::Revoke(partitions) => Some(partitions.clone()),
            _ => None,
        });
        revoked.flatten().collect()
    }

    pub async fn close(self) {
        self.consumer.close(Some(PATIENCE)).await.unwrap();
    }
}

/// Waits until the members own these numbers of partitions.
pub async fn shared_out(members: &[(&Member, usize)]) {
    let done = || members.iter().all(|(member, count)| member.owned() == *count);
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        let stories: Vec<_> =
            members.iter().map(|(member, count)| format!("wanted {count}: {}", member.story())).collect();
        panic!("partitions were never shared out\n{}", stories.join("\n\n"));
    }
}

/// With a member that is silent, another one gets nothing, for this time; once the silent one has answered, each has a half.
pub async fn hands_over_when_answered(cluster: &Cluster, options: impl Fn() -> ConsumerOptions, silent: Duration) {
    let topic = cluster.topic(2).await;
    let one = Member::subscribed(cluster, options(), &topic);
    shared_out(&[(&one, 2)]).await;
    one.until("asked", |one| !one.told.questions.lock().is_empty()).await;
    one.told.silent.store(true, Ordering::SeqCst);
    let two = Member::subscribed(cluster, options(), &topic);
    one.until("asked to revoke", |one| !one.revoked().is_empty()).await;
    tokio::time::sleep(silent).await;
    assert_eq!((one.owned(), two.owned()), (2, 0), "{}", one.story());
    one.told.silent.store(false, Ordering::SeqCst);
    let open: Vec<u64> = one.told.questions.lock().iter().map(|question| question.id).collect();
    open.into_iter().for_each(|id| one.consumer.answer(id));
    shared_out(&[(&one, 1), (&two, 1)]).await;
    assert!(!one.lost(), "{}", one.story());
    one.close().await;
    two.close().await;
}
