//! Every request of Kafka's protocol as a row: how one is made, and how an answer to it is checked.

use bytes::Bytes;
use dohle_protocol::{
    ApiKey, Decoder, Encoder, Message, Request, for_each_request, frame,
    messages::{self, ProduceRequest},
    reflect::{Reflect, Sampler},
};

use super::Known;

/// Comes back in every answer.
const CORRELATION_ID: i32 = 0x0d01_e5ed;

/// One API. A body is the bytes of a message, without the header.
pub struct Kind {
    pub key: ApiKey,
    pub name: &'static str,
    /// What comes before the body in a frame, without the length.
    pub head: fn(i16) -> Bytes,
    /// A body of random values and of known ones.
    pub make: fn(&mut Sampler, &Known, i16) -> Bytes,
    /// The body with some of its values changed; none when it is none.
    pub change: fn(&[u8], &mut Sampler, &Known, i16) -> Option<Bytes>,
    /// Panics when this is no answer of this version; learns from it otherwise.
    pub check: fn(Bytes, i16, &mut Known),
}

macro_rules! kinds {
    ($($name:ident)*) => {
        const KINDS: &[Kind] = &[$(of::<messages::$name>()),*];
    };
}

for_each_request!(kinds);

/// The row of an API.
pub fn kind(key: i16) -> &'static Kind {
    KINDS.iter().find(|kind| kind.key.0 == key).expect("a broker tells of no API that there is not")
}

const fn of<R: Request + Reflect>() -> Kind
where
    R::Response: Reflect,
{
    Kind {
        key: R::API_KEY,
        name: R::NAME,
        head: |version| {
            let header = messages::RequestHeader {
                request_api_key: R::API_KEY.0,
                request_api_version: version,
                correlation_id: CORRELATION_ID,
                client_id: Some("fuzz".into()),
                ..Default::default()
            };
            written(&header, if R::flexible(version) { 2 } else { 1 })
        },
        make: |dice, known, version| {
            let mut request: R = dice.message(version);
            known.season(&mut request, version, dice);
            written(&request, version)
        },
        change: |body, dice, known, version| {
            let mut request = R::decode(&mut Decoder::new(Bytes::copy_from_slice(body)), version).ok()?;
            known.season(&mut request, version, dice);
            Some(written(&request, version))
        },
        check: |answer, version, known| {
            let (id, mut response) = frame::decode_response::<R>(answer.clone(), version)
                .unwrap_or_else(|error| panic!("{} version {version}: {error}", R::NAME));
            assert_eq!(id, CORRELATION_ID, "the answer to another request");
            let again = frame::encode_response::<R>(version, id, &response).expect("what was read can be written");
            assert_eq!(again.to_bytes().slice(4..), answer, "the answer says the same when it is written again");
            known.learn(&mut response, version);
        },
    }
}

fn written<M: Message>(message: &M, version: i16) -> Bytes {
    let mut e = Encoder::new();
    message.encode(&mut e, version).unwrap_or_else(|error| panic!("{} version {version}: {error}", M::NAME));
    e.finish().to_bytes()
}

impl Kind {
    /// Whether the client of this body reads no answer to it.
    pub fn unanswered(&self, body: &[u8], version: i16) -> bool {
        let produce = || ProduceRequest::decode(&mut Decoder::new(Bytes::copy_from_slice(body)), version);
        self.key == ApiKey::PRODUCE && produce().is_ok_and(|request| request.acks == 0)
    }
}
