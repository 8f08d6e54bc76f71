//! The tables in `native/spec` against Kafka's: versions, header versions, error codes.

use crate::java::oracle;
use dohle_protocol::messages::{self, APIS, RequestHeader, ResponseHeader};
use dohle_protocol::{ApiKey, Encoder, ErrorCode, Message, Request, Segments, for_each_request, frame};
use serde_json::Value;

#[test]
fn every_api_has_kafkas_name_and_versions() {
    let Some(mut java) = oracle() else { return };
    let facts = java.facts();
    let theirs = facts["apis"].as_array().unwrap();
    for (api, lowest, highest_stable) in APIS {
        let fact = find(theirs, "key", i64::from(api.0));
        assert_eq!(fact["name"], api.name());
        assert_eq!(fact["lowest"], *lowest, "{api}");
        let unstable = fact["unstable"].as_bool().unwrap();
        assert_eq!(fact["highest"], *highest_stable + i16::from(unstable), "{api}");
    }
}

#[test]
fn every_frame_has_the_header_that_kafka_gives_it() {
    let Some(mut java) = oracle() else { return };
    let facts = java.facts();
    macro_rules! all {
        ($($name:ident)*) => {$( check::<messages::$name>(&facts); )*};
    }
    for_each_request!(all);
}

fn check<R: Request>(facts: &Value) {
    let fact = find(facts["apis"].as_array().unwrap(), "key", i64::from(R::API_KEY.0));
    for version in R::MIN_VERSION..=R::MAX_VERSION {
        let at = (version - R::MIN_VERSION) as usize;
        let header = RequestHeader {
            request_api_key: R::API_KEY.0,
            request_api_version: version,
            correlation_id: 7,
            client_id: Some("me".into()),
            ..Default::default()
        };
        let expected = framed(&header, &fact["requestHeaders"][at], &R::default(), version);
        let ours = frame::encode_request(version, 7, Some("me"), &R::default()).unwrap();
        assert_eq!(ours.to_bytes(), expected.to_bytes(), "{} v{version}", R::NAME);

        let header = ResponseHeader { correlation_id: 7, ..Default::default() };
        let expected = framed(&header, &fact["responseHeaders"][at], &R::Response::default(), version);
        let ours = frame::encode_response::<R>(version, 7, &R::Response::default()).unwrap();
        assert_eq!(ours.to_bytes(), expected.to_bytes(), "{} v{version}", R::Response::NAME);
    }
}

fn framed(header: &impl Message, header_version: &Value, body: &impl Message, version: i16) -> Segments {
    let mut inner = Encoder::new();
    header.encode(&mut inner, header_version.as_i64().unwrap() as i16).unwrap();
    body.encode(&mut inner, version).unwrap();
    let inner = inner.finish().to_bytes();
    let mut whole = Encoder::new();
    whole.i32(inner.len() as i32);
    whole.raw(&inner);
    whole.finish()
}

#[test]
fn every_error_code_has_kafkas_name_class_and_retriability() {
    let Some(mut java) = oracle() else { return };
    let facts = java.facts();
    let theirs = facts["errors"].as_array().unwrap();
    assert_eq!(theirs.len(), ErrorCode::all().count());
    for code in ErrorCode::all() {
        let fact = find(theirs, "code", i64::from(code.0));
        assert_eq!(fact["name"], code.name());
        assert_eq!(fact["class"], format!("{:?}", code.class()), "{code}");
        assert_eq!(fact["retriable"], code.is_retriable(), "{code}");
    }
}

#[test]
fn the_unstable_version_is_known_and_not_offered() {
    let offered = APIS.iter().find(|(api, ..)| *api == ApiKey::INIT_PRODUCER_ID).unwrap().2;
    assert_eq!((offered, messages::InitProducerIdRequest::MAX_VERSION), (5, 6));
}

fn find<'a>(rows: &'a [Value], name: &str, value: i64) -> &'a Value {
    rows.iter().find(|row| row[name] == value).unwrap_or_else(|| panic!("Kafka has no {name} {value}"))
}
