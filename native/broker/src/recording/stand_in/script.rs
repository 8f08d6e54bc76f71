//! What a recording has, found by what is asked. Held are names, places and metadata; frames stay in the file.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use dohle_protocol::{
    ApiKey, Decoder, Message, Uuid, frame,
    messages::{ApiVersionsResponse, MetadataResponse, metadata_response::MetadataResponseTopic},
    records::crc32c,
    schema::{Direction, Schemas, Struct, Value, response_body},
};
use parking_lot::Mutex;

use super::log::Log;
use crate::recording::{Entry, Recording, RecordingError, What};

/// Fields that another run of a client fills in otherwise.
const ANY: &[&str] = &[
    "clientSoftwareName",
    "clientSoftwareVersion",
    "generationId",
    "generationIdOrMemberEpoch",
    "memberEpoch",
    "memberId",
    "producerEpoch",
    "producerId",
    "sessionEpoch",
    "sessionId",
    "timeoutMs",
    "v3AndBelowProducerEpoch",
    "v3AndBelowProducerId",
];

pub(super) struct Script {
    pub schemas: Schemas,
    pub file: Mutex<Recording>,
    pub api_versions: Option<ApiVersionsResponse>,
    /// The highest version that was recorded, by API.
    pub versions: BTreeMap<i16, i16>,
    /// The last Metadata answer, without its topics.
    pub cluster: MetadataResponse,
    pub topics: BTreeMap<String, MetadataResponseTopic>,
    pub names: BTreeMap<[u8; 16], String>,
    pub logs: BTreeMap<(String, i32), Log>,
    /// By API, version and what was asked; by API and version alone under `None`.
    lines: BTreeMap<(i16, i16, Option<u32>), Lines>,
}

/// Answers in their order: where they are in the file.
#[derive(Default)]
struct Lines {
    places: Vec<u64>,
    next: AtomicUsize,
}

/// A request whose answer has not come yet.
struct Asked {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    message: Struct,
    place: u64,
    frame: Bytes,
}

impl Script {
    /// Reads a recording once.
    pub fn read(mut recording: Recording) -> Result<Self, RecordingError> {
        let again = recording.again();
        let mut script = Self {
            schemas: Schemas::default(),
            file: Mutex::new(again),
            api_versions: None,
            versions: BTreeMap::new(),
            cluster: MetadataResponse::default(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            logs: BTreeMap::new(),
            lines: BTreeMap::new(),
        };
        let mut asked: BTreeMap<u32, Vec<Asked>> = BTreeMap::new();
        loop {
            let place = recording.progress().0;
            match recording.next() {
                Ok(Some(entry)) => script.take(entry, place, &mut asked),
                Ok(None) | Err(RecordingError::Torn { .. }) => return Ok(script),
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, entry: Entry, place: u64, asked: &mut BTreeMap<u32, Vec<Asked>>) {
        match entry.what {
            What::Request(request) if !request.bare && !request.redacted => {
                let Ok((header, body)) = frame::decode_request_header(request.bytes.clone()) else { return };
                let (api, version, correlation_id) = (header.api_key, header.api_version, header.correlation_id);
                let message = request.bytes.slice(body.position()..);
                let Ok(message) = self.schemas.decode(api, Direction::Request, version, message) else { return };
                let of = Asked { correlation_id, api, version, message, place, frame: request.bytes };
                asked.entry(entry.connection).or_default().push(of);
            }
            What::Response(response) if !response.redacted && response.bytes.len() == response.announced as usize => {
                let Ok(id) = frame::peek_correlation_id(&response.bytes) else { return };
                let Some(waiting) = asked.get_mut(&entry.connection) else { return };
                let Some(at) = waiting.iter().position(|asked| asked.correlation_id == id) else { return };
                let of = waiting.remove(at);
                self.answered(of, &response.bytes, place);
            }
            What::Closed => drop(asked.remove(&entry.connection)),
            _ => {}
        }
    }

    fn answered(&mut self, asked: Asked, response: &Bytes, place: u64) {
        let (api, version) = (asked.api, asked.version);
        let Some(body) = response_body(api, version, response) else { return };
        let highest = self.versions.entry(api.0).or_insert(version);
        *highest = version.max(*highest);
        match api {
            ApiKey::API_VERSIONS => self.api_versions = typed(body, version).or(self.api_versions.take()),
            ApiKey::METADATA => self.described(body, version),
            ApiKey::FETCH => {
                let Ok(answer) = self.schemas.decode(api, Direction::Response, version, body) else { return };
                for (topic, partition) in self.partitions(&answer, "responses", "partitions") {
                    let Some(index) = partition.int("partitionIndex") else { continue };
                    self.logs.entry((topic, index as i32)).or_default().fetched(partition, response, place);
                }
            }
            ApiKey::PRODUCE => self.produced(&asked, body),
            _ => {
                let subject = subject(&asked.message);
                for key in [Some(subject), None] {
                    self.lines.entry((api.0, version, key)).or_default().places.push(place);
                }
            }
        }
    }

    fn described(&mut self, body: Bytes, version: i16) {
        let Some(mut answer) = typed::<MetadataResponse>(body, version) else { return };
        for topic in std::mem::take(&mut answer.topics) {
            let Some(name) = topic.name.clone() else { continue };
            if !topic.topic_id.is_zero() {
                self.names.insert(topic.topic_id.0, name.clone());
            }
            // What it once was stays, whatever became of it.
            if topic.error_code == 0 || !self.topics.contains_key(&name) {
                self.topics.insert(name, topic);
            }
        }
        self.cluster = answer;
    }

    fn produced(&mut self, asked: &Asked, body: Bytes) {
        let Ok(answer) = self.schemas.decode(asked.api, Direction::Response, asked.version, body) else { return };
        let sent: BTreeMap<(String, i64), Bytes> = self
            .partitions(&asked.message, "topicData", "partitionData")
            .into_iter()
            .filter_map(|(topic, of)| Some(((topic, of.int("index")?), of.field("records")?.bytes()?.clone())))
            .collect();
        for (topic, of) in self.partitions(&answer, "responses", "partitionResponses") {
            let (Some(index), Some(code), Some(base)) = (of.int("index"), of.int("errorCode"), of.int("baseOffset"))
            else {
                continue;
            };
            let log = self.logs.entry((topic.clone(), index as i32)).or_default();
            log.answers.push((code as i16, base));
            if let Some(records) = sent.get(&(topic, index)).filter(|_| code == 0 && base >= 0) {
                log.produced(records, base, &asked.frame, asked.place);
            }
        }
    }

    /// The partitions of a message, with the names of their topics.
    fn partitions<'a>(&self, message: &'a Struct, topics: &str, partitions: &str) -> Vec<(String, &'a Struct)> {
        let mut all = Vec::new();
        for topic in message.structs(topics) {
            let name = match (topic.text("topic").or(topic.text("name")), topic.field("topicId")) {
                (Some(name), _) => Some(name.to_owned()),
                (None, Some(Value::Uuid(id))) => self.name(*id),
                _ => None,
            };
            let Some(name) = name else { continue };
            all.extend(topic.structs(partitions).map(|partition| (name.clone(), partition)));
        }
        all
    }

    pub fn name(&self, id: Uuid) -> Option<String> {
        self.names.get(&id.0).cloned()
    }

    /// The recorded frame that comes next for what is asked.
    pub fn line(&self, api: ApiKey, version: i16, message: &Struct) -> Result<Bytes, String> {
        let of = |key| self.lines.get(&(api.0, version, key));
        let lines = of(Some(subject(message))).or_else(|| of(None));
        let lines = lines.ok_or("no request of this API and version was recorded with an answer")?;
        let at = lines.next.fetch_add(1, Ordering::Relaxed).min(lines.places.len() - 1);
        match self.file.lock().read_at(lines.places[at]) {
            Ok(Entry { what: What::Response(response), .. }) => Ok(response.bytes),
            Ok(_) => Err("the recording has changed".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A message of a type.
fn typed<M: Message>(body: Bytes, version: i16) -> Option<M> {
    M::decode(&mut Decoder::new(body), version).ok()
}

/// What is asked, apart from what each run makes up.
fn subject(message: &Struct) -> u32 {
    let mut message = message.clone();
    message.each_struct(&mut |of| of.fields.retain(|(name, _)| !ANY.contains(name)));
    crc32c(format!("{message:?}").as_bytes())
}
