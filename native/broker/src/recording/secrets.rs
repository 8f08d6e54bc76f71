//! What no recording has: passwords, their proofs, tokens. The fields that hold them are emptied; a frame of such an API that cannot
//! be read keeps its header only.

use bytes::{Bytes, BytesMut};
use dohle_protocol::{
    ApiKey, frame,
    schema::{Direction, Schemas, Struct, Value, response_body},
};

use crate::config::{Kind, broker};

/// Fields that are secret wherever they are.
const FIELDS: &[&str] = &["authBytes", "hmac", "salt", "saltedPassword"];

fn may_have(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::SASL_AUTHENTICATE
            | ApiKey::CREATE_DELEGATION_TOKEN
            | ApiKey::RENEW_DELEGATION_TOKEN
            | ApiKey::EXPIRE_DELEGATION_TOKEN
            | ApiKey::DESCRIBE_DELEGATION_TOKEN
            | ApiKey::ALTER_USER_SCRAM_CREDENTIALS
            | ApiKey::ALTER_CONFIGS
            | ApiKey::INCREMENTAL_ALTER_CONFIGS
    )
}

/// A request without its secrets, what it asks, and whether something was taken out.
pub(super) fn request(schemas: &Schemas, frame: Bytes) -> (Bytes, Option<(ApiKey, i16)>, bool) {
    let Ok((header, body)) = frame::decode_request_header(frame.clone()) else {
        // Nobody knows what this is: perhaps a log-in of another protocol.
        return (Bytes::new(), None, true);
    };
    let (api, version) = (header.api_key, header.api_version);
    let head = frame.slice(..body.position());
    let (frame, redacted) = without(schemas, api, Direction::Request, version, frame, head);
    (frame, Some((api, version)), redacted)
}

/// A response without its secrets, and whether something was taken out.
pub(super) fn response(schemas: &Schemas, api: ApiKey, version: i16, frame: Bytes) -> (Bytes, bool) {
    let body = response_body(api, version, &frame).map_or(0, |body| body.len());
    let head = frame.slice(..frame.len() - body);
    without(schemas, api, Direction::Response, version, frame, head)
}

fn without(
    schemas: &Schemas,
    api: ApiKey,
    direction: Direction,
    version: i16,
    frame: Bytes,
    head: Bytes,
) -> (Bytes, bool) {
    if !may_have(api) {
        return (frame, false);
    }
    let read = schemas.decode(api, direction, version, frame.slice(head.len()..));
    let cleaned = read.ok().and_then(|mut message| {
        let mut found = false;
        message.each_struct(&mut |of| found |= empty(of));
        if !found {
            return Some(None);
        }
        schemas.encode(api, direction, version, &message).ok().map(Some)
    });
    match cleaned {
        Some(None) => (frame, false),
        Some(Some(body)) => {
            let mut whole = BytesMut::from(&head[..]);
            whole.extend_from_slice(&body);
            (whole.freeze(), true)
        }
        None => (head, true),
    }
}

/// Empties the secret fields of a struct, and the value of a configuration that is a password.
fn empty(of: &mut Struct) -> bool {
    let mut found = false;
    for name in FIELDS {
        if let Some(Value::Bytes(secret)) = of.field_mut(name) {
            found |= !secret.is_empty();
            *secret = Bytes::new();
        }
    }
    if of.text("name").is_some_and(is_password)
        && let Some(Value::String(secret)) = of.field_mut("value")
    {
        found |= !secret.is_empty();
        secret.clear();
    }
    found
}

fn is_password(name: &str) -> bool {
    let known = broker::find(name).is_some_and(|of| of.property.kind == Kind::Password);
    known || ["password", "secret", "jaas"].iter().any(|word| name.to_ascii_lowercase().contains(word))
}
