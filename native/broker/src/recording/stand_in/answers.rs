//! The answer to a request, from what was recorded.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use dohle_protocol::{
    ApiKey, Decoder, ErrorCode, Message, Request, Segments,
    frame::{self, RequestHeader},
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        ProduceRequest, ProduceResponse,
        fetch_response::{FetchableTopicResponse, PartitionData},
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{MetadataResponseBroker, MetadataResponseTopic},
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    schema::{Direction, Value, response_body},
};
use tokio::time::sleep;

use super::script::Script;

/// An answer, none where none is read, or why there is none.
type Answer = Result<Option<Segments>, String>;

impl Script {
    pub async fn answer(&self, header: &RequestHeader, body: Decoder, local: SocketAddr) -> Answer {
        match header.api_key {
            ApiKey::API_VERSIONS => {
                let version = header.api_version.min(ApiVersionsRequest::MAX_VERSION);
                let offered = self.offered()?;
                let known = version == header.api_version;
                // KIP-511: who asks in a version from the future is answered in version 0, and asks again.
                let error_code = if known { 0 } else { ErrorCode::UNSUPPORTED_VERSION.0 };
                let version = if known { version } else { 0 };
                let answer = ApiVersionsResponse { error_code, ..offered };
                said::<ApiVersionsRequest>(&RequestHeader { api_version: version, ..header.clone() }, &answer)
            }
            ApiKey::METADATA => said::<MetadataRequest>(header, &self.metadata(&read(header, body)?, local)),
            ApiKey::FIND_COORDINATOR => said::<FindCoordinatorRequest>(
                header,
                &self.coordinator(header.api_version, &read(header, body)?, local),
            ),
            ApiKey::LIST_OFFSETS => said::<ListOffsetsRequest>(header, &self.offsets(&read(header, body)?)),
            ApiKey::FETCH => {
                let request: FetchRequest = read(header, body)?;
                let (answer, empty) = self.fetch(&request);
                if empty {
                    sleep(Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))).await;
                }
                said::<FetchRequest>(header, &answer)
            }
            ApiKey::PRODUCE => {
                let request: ProduceRequest = read(header, body)?;
                let answer = self.produce(&request)?;
                if request.acks == 0 { Ok(None) } else { said::<ProduceRequest>(header, &answer) }
            }
            _ => self.recorded(header, body, local).map(Some),
        }
    }

    /// The next recorded answer, with this correlation id and this address.
    fn recorded(&self, header: &RequestHeader, mut body: Decoder, local: SocketAddr) -> Result<Segments, String> {
        let (api, version) = (header.api_key, header.api_version);
        let body = body.take("body", body.remaining()).map_err(|error| error.to_string())?;
        let asked = self.schemas.decode(api, Direction::Request, version, body).map_err(|error| error.to_string())?;
        let frame = self.line(api, version, &asked)?;
        let body = response_body(api, version, &frame).ok_or("the recorded answer cannot be read")?;
        let head = frame.len() - body.len();
        let mut answer = self
            .schemas
            .decode(api, Direction::Response, version, body)
            .map_err(|error| format!("the recorded answer: {error}"))?;
        answer.each_struct(&mut |of| {
            if of.field("port").is_some()
                && let Some(Value::String(host)) = of.field_mut("host")
                && !host.is_empty()
            {
                *host = local.ip().to_canonical().to_string();
                if let Some(Value::Int(port)) = of.field_mut("port") {
                    *port = local.port().into();
                }
            }
        });
        // A member of the newer protocol chooses its id itself.
        if api == ApiKey::CONSUMER_GROUP_HEARTBEAT
            && let (Some(own), Some(Value::String(id))) = (asked.text("memberId"), answer.field_mut("memberId"))
            && !own.is_empty()
        {
            *id = own.into();
        }
        let body = self.schemas.encode(api, Direction::Response, version, &answer);
        let body = body.map_err(|error| error.to_string())?;
        let mut out = BytesMut::with_capacity(4 + frame.len());
        out.put_u32((head + body.len()) as u32);
        out.put_i32(header.correlation_id);
        out.put_slice(&frame[4..head]);
        out.put_slice(&body);
        Ok(Segments(vec![out.freeze()]))
    }

    /// What the recorded broker offered, up to the versions that were spoken. Nothing else is taken away: librdkafka infers from
    /// APIs and lowest versions what a broker can do.
    fn offered(&self) -> Result<ApiVersionsResponse, String> {
        let mut offered = self.api_versions.clone().ok_or("no ApiVersions was recorded")?;
        for of in offered.api_keys.iter_mut().filter(|of| of.api_key != ApiKey::API_VERSIONS.0) {
            of.max_version = *self.versions.get(&of.api_key).unwrap_or(&of.max_version);
        }
        Ok(offered)
    }

    fn metadata(&self, request: &MetadataRequest, local: SocketAddr) -> MetadataResponse {
        let unknown = |name: Option<String>, id| MetadataResponseTopic {
            error_code: match name {
                Some(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0,
                None => ErrorCode::UNKNOWN_TOPIC_ID.0,
            },
            name,
            topic_id: id,
            ..Default::default()
        };
        let topics = match &request.topics {
            None => self.topics.values().cloned().collect(),
            Some(asked) => asked
                .iter()
                .map(|of| {
                    let name = of.name.clone().or_else(|| self.name(of.topic_id));
                    let known = name.as_ref().and_then(|name| self.topics.get(name)).cloned();
                    known.unwrap_or_else(|| unknown(of.name.clone(), of.topic_id))
                })
                .collect(),
        };
        let at = |of: &MetadataResponseBroker| MetadataResponseBroker {
            host: local.ip().to_canonical().to_string(),
            port: local.port().into(),
            ..of.clone()
        };
        let brokers = self.cluster.brokers.iter().map(at).collect();
        MetadataResponse { brokers, topics, throttle_time_ms: 0, ..self.cluster.clone() }
    }

    fn coordinator(
        &self,
        version: i16,
        request: &FindCoordinatorRequest,
        local: SocketAddr,
    ) -> FindCoordinatorResponse {
        let node_id = self.cluster.brokers.first().map_or(0, |broker| broker.node_id);
        let (host, port) = (local.ip().to_canonical().to_string(), i32::from(local.port()));
        if version < 4 {
            return FindCoordinatorResponse { node_id, host, port, ..Default::default() };
        }
        let coordinator =
            |key: &String| Coordinator { key: key.clone(), node_id, host: host.clone(), port, ..Default::default() };
        let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
        FindCoordinatorResponse { coordinators, ..Default::default() }
    }

    fn offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|of| {
                let mut answer =
                    ListOffsetsPartitionResponse { partition_index: of.partition_index, ..Default::default() };
                let Some(log) = self.logs.get(&(topic.name.clone(), of.partition_index)) else {
                    // Never written to nor read: empty, if there is such a partition.
                    let known = self.topics.get(&topic.name).is_some_and(|known| {
                        known.partitions.iter().any(|known| known.partition_index == of.partition_index)
                    });
                    (answer.offset, answer.timestamp) = (0, -1);
                    answer.error_code = if known { 0 } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 };
                    return answer;
                };
                (answer.offset, answer.timestamp) = match of.timestamp {
                    -1 => (log.end(), -1),
                    time if time < 0 => (log.start(), -1),
                    time => log.at_time(time).unwrap_or((-1, -1)),
                };
                answer
            });
            ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
    }

    /// The answer, and whether it says nothing that was worth to wait for.
    fn fetch(&self, request: &FetchRequest) -> (FetchResponse, bool) {
        let mut empty = true;
        let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
        let mut responses = Vec::new();
        for topic in &request.topics {
            let name = if topic.topic_id.is_zero() { Some(topic.topic.clone()) } else { self.name(topic.topic_id) };
            let mut partitions = Vec::new();
            for of in &topic.partitions {
                let key = (name.clone().unwrap_or_default(), of.partition);
                let mut answer = PartitionData { partition_index: of.partition, ..Default::default() };
                answer.records = Some(Bytes::new());
                if let Some(log) = self.logs.get(&key) {
                    let end = log.end();
                    (answer.high_watermark, answer.last_stable_offset, answer.log_start_offset) =
                        (end, end, log.start());
                    if !log.has(of.fetch_offset) {
                        answer.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
                        empty = false;
                    } else if left > 0 {
                        let most = left.min(usize::try_from(of.partition_max_bytes).unwrap_or(0));
                        let records = log.read(of.fetch_offset, most, &mut self.file.lock());
                        left = left.saturating_sub(records.len());
                        empty &= records.is_empty();
                        answer.records = Some(records);
                        if request.isolation_level == 1 {
                            answer.aborted_transactions = Some(log.aborted(of.fetch_offset));
                        }
                    }
                } else if name.is_none() {
                    answer.error_code = ErrorCode::UNKNOWN_TOPIC_ID.0;
                    empty = false;
                }
                partitions.push(answer);
            }
            let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
            responses.push(FetchableTopicResponse { topic, topic_id, partitions, ..Default::default() });
        }
        // No session: every fetch says all that it wants.
        (FetchResponse { responses, ..Default::default() }, empty)
    }

    fn produce(&self, request: &ProduceRequest) -> Result<ProduceResponse, String> {
        let mut responses = Vec::new();
        for topic in &request.topic_data {
            let name = if topic.topic_id.is_zero() { Some(topic.name.clone()) } else { self.name(topic.topic_id) };
            let mut partition_responses = Vec::new();
            for of in &topic.partition_data {
                let log = name.clone().and_then(|name| self.logs.get(&(name, of.index)));
                let next = log.and_then(|log| log.answers.get(log.next_answer.fetch_add(1, Ordering::Relaxed)));
                let (error_code, base_offset) = *next.ok_or("no further Produce to this partition was recorded")?;
                partition_responses.push(PartitionProduceResponse {
                    index: of.index,
                    error_code,
                    base_offset,
                    ..Default::default()
                });
            }
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            responses.push(TopicProduceResponse { name, topic_id, partition_responses, ..Default::default() });
        }
        Ok(ProduceResponse { responses, ..Default::default() })
    }
}

fn read<R: Request>(header: &RequestHeader, mut body: Decoder) -> Result<R, String> {
    R::decode(&mut body, header.api_version).map_err(|error| error.to_string())
}

fn said<R: Request>(header: &RequestHeader, answer: &R::Response) -> Answer {
    let written = frame::encode_response::<R>(header.api_version, header.correlation_id, answer);
    written.map(Some).map_err(|error| error.to_string())
}
