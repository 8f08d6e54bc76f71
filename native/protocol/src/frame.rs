//! Requests and responses as they lie in a connection: length, header, message.
//! It neither reads nor writes a socket, and matches nothing to anything.
//! Driven by a client (encode request, decode response) or a broker (the other half).

use crate::messages::{self, RequestHeader as WireRequestHeader, ResponseHeader};
use crate::{ApiKey, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Message, Request, Segments};
use bytes::Bytes;

/// The part of a request before its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API called.
    pub api_key: ApiKey,
    /// Version of the message that follows and of its response.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// The name the client gave itself.
    pub client_id: Option<String>,
}

/// A request with its header, ready to be written: the four bytes of length come first.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &R,
) -> Result<Segments, EncodeError> {
    let mut e = request_head(R::API_KEY, version, R::flexible(version), correlation_id, client_id)?;
    request.encode(&mut e, version)?;
    e.set_frame_length()?;
    Ok(e.finish())
}

fn request_head(
    api: ApiKey,
    version: i16,
    flexible: bool,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Encoder, EncodeError> {
    let mut e = Encoder::with_capacity(256);
    e.i32(0);
    let header = WireRequestHeader {
        request_api_key: api.0,
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
        ..Default::default()
    };
    header.encode(&mut e, request_header_version(flexible))?;
    Ok(e)
}

/// Reads a response frame (without its length). Bytes left over are an error.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let name = <R::Response as Message>::NAME;
    let (header, mut d) = response_head(frame, response_header_version(R::API_KEY, R::flexible(version)))?;
    let response = R::Response::decode(&mut d, version).map_err(|e| e.inside(name, None))?;
    d.finish().map_err(|e| e.inside(name, None))?;
    Ok((header.correlation_id, response))
}

fn response_head(frame: Bytes, version: i16) -> Result<(ResponseHeader, Decoder), DecodeError> {
    let mut d = Decoder::new(frame);
    let header = ResponseHeader::decode(&mut d, version).map_err(|e| e.inside("ResponseHeader", None))?;
    Ok((header, d))
}

/// The message of a response frame (without its length).
pub(crate) fn response_body(frame: Bytes, api: ApiKey, flexible: bool) -> Result<Bytes, DecodeError> {
    let (_, mut d) = response_head(frame, response_header_version(api, flexible))?;
    d.take("body", d.remaining())
}

/// The correlation id of a response frame (without its length).
pub fn peek_correlation_id(frame: &Bytes) -> Result<i32, DecodeError> {
    match frame.first_chunk::<4>() {
        Some(bytes) => Ok(i32::from_be_bytes(*bytes)),
        None => {
            let kind = DecodeErrorKind::Truncated { needed: 4, remaining: frame.len() };
            Err(DecodeError::new(kind, 0).inside("correlation_id", None).inside("ResponseHeader", None))
        }
    }
}

/// Reads the header of a request frame (without its length); the decoder then stands at the message.
/// A version this crate does not know is no error here: a broker answers it (ApiVersions: in version 0 with error 35).
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Decoder), DecodeError> {
    let mut d = Decoder::new(frame);
    let in_header = |e: DecodeError| e.inside("RequestHeader", None);
    let mut peek = d.clone();
    let api_key = peek.i16("request_api_key").map_err(in_header)?;
    let api_version = peek.i16("request_api_version").map_err(in_header)?;
    let flexible = messages::flexible(ApiKey(api_key), api_version)
        .ok_or_else(|| in_header(DecodeError::new(DecodeErrorKind::UnknownApi(api_key), 0)))?;
    let header = WireRequestHeader::decode(&mut d, request_header_version(flexible)).map_err(in_header)?;
    let header = RequestHeader {
        api_key: ApiKey(header.request_api_key),
        api_version: header.request_api_version,
        correlation_id: header.correlation_id,
        client_id: header.client_id,
    };
    Ok((header, d))
}

/// A response with its header, ready to be written: the four bytes of length come first.
pub fn encode_response<R: Request>(
    version: i16,
    correlation_id: i32,
    response: &R::Response,
) -> Result<Segments, EncodeError> {
    let mut e = Encoder::with_capacity(256);
    e.i32(0);
    let header = ResponseHeader { correlation_id, ..Default::default() };
    header.encode(&mut e, response_header_version(R::API_KEY, R::flexible(version)))?;
    response.encode(&mut e, version)?;
    e.set_frame_length()?;
    Ok(e.finish())
}

fn request_header_version(flexible: bool) -> i16 {
    if flexible { 2 } else { 1 }
}

/// A client must be able to read the answer to its first ApiVersions before it knows what the broker speaks.
fn response_header_version(api: ApiKey, flexible: bool) -> i16 {
    if flexible && api != ApiKey::API_VERSIONS { 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::metadata_request::MetadataRequestTopic;
    use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, ProduceRequest};

    fn body(segments: Segments) -> Bytes {
        let bytes = segments.to_bytes();
        assert_eq!(i32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize, bytes.len() - 4);
        bytes.slice(4..)
    }

    #[test]
    fn a_request_is_read_back_by_the_broker_half() {
        for version in MetadataRequest::MIN_VERSION..=MetadataRequest::MAX_VERSION {
            let topic = MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
            let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
            let frame = body(encode_request(version, 7, Some("me"), &request).unwrap());
            let (header, mut d) = decode_request_header(frame).unwrap();
            assert_eq!((header.api_key, header.api_version), (ApiKey::METADATA, version));
            assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("me")));
            assert_eq!(MetadataRequest::decode(&mut d, version).unwrap().topics, request.topics);
            d.finish().unwrap();
        }
    }

    #[test]
    fn a_response_is_read_back_and_trailing_bytes_are_refused() {
        let response = MetadataResponse { controller_id: 3, ..Default::default() };
        let frame = body(encode_response::<MetadataRequest>(12, 9, &response).unwrap());
        assert_eq!(peek_correlation_id(&frame).unwrap(), 9);
        assert_eq!(decode_response::<MetadataRequest>(frame.clone(), 12).unwrap(), (9, response));
        let longer = [frame.as_ref(), &[0]].concat();
        let error = decode_response::<MetadataRequest>(longer.into(), 12).unwrap_err();
        assert_eq!(error.kind(), &DecodeErrorKind::TrailingBytes(1));
        assert_eq!(error.path(), "MetadataResponse");
    }

    #[test]
    fn records_are_copied_neither_on_the_way_out_nor_on_the_way_in() {
        let records = Bytes::from(vec![7; 100_000]);
        let partition = PartitionProduceData { records: Some(records.clone()), ..Default::default() };
        let topic = TopicProduceData { partition_data: vec![partition], ..Default::default() };
        let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
        let segments = encode_request(13, 1, None, &request).unwrap();
        assert!(segments.0.iter().any(|segment| segment.as_ptr() == records.as_ptr()));
        let frame = body(segments);
        let (_, mut d) = decode_request_header(frame.clone()).unwrap();
        let read = ProduceRequest::decode(&mut d, 13).unwrap();
        let read = read.topic_data[0].partition_data[0].records.clone().unwrap();
        assert!(frame.as_ptr_range().contains(&read.as_ptr()));
        assert_eq!(read, records);
    }

    #[test]
    fn an_api_versions_response_has_the_old_header_in_every_version() {
        for version in 0..=ApiVersionsRequest::MAX_VERSION {
            let frame =
                body(encode_response::<ApiVersionsRequest>(version, 1, &ApiVersionsResponse::default()).unwrap());
            let mut bare = Encoder::new();
            ApiVersionsResponse::default().encode(&mut bare, version).unwrap();
            assert_eq!(frame.len(), 4 + bare.len());
            decode_response::<ApiVersionsRequest>(frame, version).unwrap();
        }
    }

    #[test]
    fn a_header_of_an_unknown_version_is_read_and_of_an_unknown_api_is_refused() {
        let frame = |key: i16, version: i16| {
            let mut e = Encoder::new();
            let header = WireRequestHeader { request_api_key: key, request_api_version: version, ..Default::default() };
            header.encode(&mut e, 2).unwrap();
            e.finish().to_bytes()
        };
        let (header, _) = decode_request_header(frame(18, 99)).unwrap();
        assert_eq!((header.api_key, header.api_version), (ApiKey::API_VERSIONS, 99));
        let error = decode_request_header(frame(12345, 0)).unwrap_err();
        assert_eq!(error.kind(), &DecodeErrorKind::UnknownApi(12345));
        assert!(peek_correlation_id(&Bytes::from_static(b"abc")).is_err());
    }
}
