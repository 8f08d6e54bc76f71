//! Every message in every version: what is encoded is decoded, and no bytes whatever do harm.
//! Whether the bytes are Kafka's is not asked here but in `oracle.rs`.

use bytes::Bytes;
use dohle_protocol::reflect::{Reflect, Sampler};
use dohle_protocol::schema::{Direction, Schemas};
use dohle_protocol::{ApiKey, Decoder, Encoder, Message, Request, for_each_message, for_each_request, json, messages};
use proptest::prelude::*;

/// A check of one message in one version.
trait Check {
    fn check<M: Message + Reflect>(version: i16, seed: u64);
}

fn for_every_version<C: Check>(seed: u64) {
    macro_rules! all {
        ($($name:ident)*) => {$(
            for version in messages::$name::MIN_VERSION..=messages::$name::MAX_VERSION {
                C::check::<messages::$name>(version, seed);
            }
        )*};
    }
    for_each_message!(all);
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut e = Encoder::new();
    let result = message.encode(&mut e, version);
    assert!(result.is_ok(), "{} v{version}: {result:?} for {message:?}", M::NAME);
    e.finish().to_bytes()
}

struct RoundTrip;

impl Check for RoundTrip {
    fn check<M: Message + Reflect>(version: i16, seed: u64) {
        let message: M = Sampler::new(seed ^ version as u64).message(version);
        let bytes = encode(&message, version);
        let mut d = Decoder::new(bytes.clone());
        let read = M::decode(&mut d, version).unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}", M::NAME));
        d.finish().unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}", M::NAME));
        assert_eq!(read, message, "{} v{version} seed {seed}", M::NAME);
        assert_eq!(encode(&read, version), bytes, "{} v{version} seed {seed}", M::NAME);
    }
}

/// JSON leaves unknown tagged fields out; the rest must survive.
struct Json;

impl Check for Json {
    fn check<M: Message + Reflect>(version: i16, seed: u64) {
        let mut sampler = Sampler::new(seed ^ version as u64);
        sampler.unknown_tags = false;
        let message: M = sampler.message(version);
        let text = json::to_json(&message, version).to_string();
        let read: M = json::from_json(&text.parse().unwrap(), version).unwrap_or_else(|e| panic!("{}: {e}", M::NAME));
        assert_eq!(read, message, "{} v{version} seed {seed}: {text}", M::NAME);
    }
}

/// What is read and written by the schema as data is what generated code reads and writes.
struct AsData;

impl AsData {
    fn check<M: Message + Reflect>(api: ApiKey, direction: Direction, seed: u64) {
        let schemas = Schemas::default();
        for version in M::MIN_VERSION..=M::MAX_VERSION {
            let bytes = encode(&Sampler::new(seed ^ version as u64).message::<M>(version), version);
            let read = schemas.decode(api, direction, version, bytes.clone());
            let read = read.unwrap_or_else(|e| panic!("{} v{version} seed {seed}: {e}", M::NAME));
            let written = schemas.encode(api, direction, version, &read).unwrap();
            assert_eq!(written, bytes, "{} v{version} seed {seed}: {read:?}", M::NAME);
            for end in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
                assert!(schemas.decode(api, direction, version, bytes.slice(..end)).is_err(), "{} v{version}", M::NAME);
            }
            let noise: Bytes = bytes.iter().map(|byte| byte ^ (seed >> (byte & 31)) as u8).collect();
            let _ = schemas.decode(api, direction, version, noise);
        }
    }

    fn all(seed: u64) {
        macro_rules! all {
            ($($name:ident)*) => {$(
                let api = messages::$name::API_KEY;
                Self::check::<messages::$name>(api, Direction::Request, seed);
                Self::check::<<messages::$name as Request>::Response>(api, Direction::Response, seed);
            )*};
        }
        for_each_request!(all);
    }
}

struct Truncation;

impl Check for Truncation {
    fn check<M: Message + Reflect>(version: i16, seed: u64) {
        let mut sampler = Sampler::new(seed ^ version as u64);
        let bytes = encode(&sampler.message::<M>(version), version);
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
            let error = M::decode(&mut Decoder::new(bytes.slice(..end)), version);
            let error = error.expect_err("a message that was cut off");
            assert!(error.offset() <= end, "{} v{version}: {error}", M::NAME);
        }
    }
}

struct Mutation;

impl Check for Mutation {
    fn check<M: Message + Reflect>(version: i16, seed: u64) {
        let mut sampler = Sampler::new(seed ^ version as u64);
        let bytes = encode(&sampler.message::<M>(version), version);
        for _ in 0..8 {
            let mut bytes = bytes.to_vec();
            for _ in 0..=sampler.below(3) {
                let at = sampler.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0x7f, 0x80, 0xff, sampler.next_u64() as u8][sampler.below(6)];
                }
            }
            // What is accepted after all has one canonical form.
            if let Ok(read) = M::decode(&mut Decoder::new(bytes.into()), version) {
                let canonical = encode(&read, version);
                let again = M::decode(&mut Decoder::new(canonical.clone()), version).unwrap();
                assert_eq!(encode(&again, version), canonical, "{} v{version} seed {seed}", M::NAME);
            }
        }
    }
}

struct Noise;

impl Check for Noise {
    fn check<M: Message + Reflect>(version: i16, seed: u64) {
        let mut sampler = Sampler::new(seed ^ version as u64);
        let bytes: Bytes = (0..sampler.below(200)).map(|_| sampler.next_u64() as u8).collect();
        let _ = M::decode(&mut Decoder::new(bytes), version);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(seed: u64) {
        for_every_version::<RoundTrip>(seed);
    }

    #[test]
    fn what_is_written_as_json_is_read_back(seed: u64) {
        for_every_version::<Json>(seed);
    }

    #[test]
    fn schemas_as_data_read_and_write_what_generated_code_does(seed: u64) {
        AsData::all(seed);
    }

    #[test]
    fn every_truncation_is_an_error_within_the_bytes(seed: u64) {
        for_every_version::<Truncation>(seed);
    }

    #[test]
    fn changed_bytes_never_panic(seed: u64) {
        for_every_version::<Mutation>(seed);
    }

    #[test]
    fn noise_never_panics(seed: u64) {
        for_every_version::<Noise>(seed);
    }
}

#[test]
fn versions_outside_the_range_are_refused_in_both_directions() {
    struct Outside;
    impl Check for Outside {
        fn check<M: Message + Reflect>(_: i16, _: u64) {
            for version in [M::MIN_VERSION - 1, M::MAX_VERSION + 1, i16::MIN, i16::MAX] {
                assert!(M::default().encode(&mut Encoder::new(), version).is_err());
                assert!(M::decode(&mut Decoder::new(Bytes::new()), version).is_err());
            }
        }
    }
    for_every_version::<Outside>(0);
}

#[test]
fn a_request_and_its_response_have_the_same_versions_and_only_stable_ones_are_offered() {
    let mut unstable = Vec::new();
    macro_rules! all {
        ($($name:ident)*) => {$(
            type Response = <messages::$name as Request>::Response;
            let (min, max) = (messages::$name::MIN_VERSION, messages::$name::MAX_VERSION);
            assert_eq!((Response::MIN_VERSION, Response::MAX_VERSION), (min, max));
            if messages::$name::MAX_STABLE_VERSION != max {
                unstable.push((messages::$name::NAME, messages::$name::MAX_STABLE_VERSION));
            }
            for version in min..=max {
                let flexible = messages::flexible(messages::$name::API_KEY, version);
                assert_eq!(flexible, Some(messages::$name::flexible(version)));
            }
        )*};
    }
    macro_rules! in_blocks {
        ($($name:ident)*) => {$({ all!($name); })*};
    }
    for_each_request!(in_blocks);
    assert_eq!(unstable, [("InitProducerIdRequest", 5)]);
}

#[test]
fn a_value_that_a_version_has_no_place_for_is_refused_unless_it_is_ignorable() {
    let request = messages::ListOffsetsRequest { isolation_level: 1, ..Default::default() };
    let error = request.encode(&mut Encoder::new(), 1).unwrap_err();
    assert_eq!(error.to_string(), "ListOffsetsRequest.isolation_level cannot be sent in version 1");
    let response = messages::FetchResponse { error_code: 3, ..Default::default() };
    response.encode(&mut Encoder::new(), 4).unwrap();
}

#[test]
fn null_where_a_version_does_not_allow_it_is_refused() {
    let request = messages::MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(
        request.encode(&mut Encoder::new(), 0).unwrap_err().to_string(),
        "MetadataRequest.topics may not be null in this version"
    );
    request.encode(&mut Encoder::new(), 1).unwrap();
}

#[test]
fn a_decode_error_names_the_field_path_and_the_offset() {
    let response = messages::MetadataResponse { brokers: vec![Default::default(); 2], ..Default::default() };
    let mut bytes = encode(&response, 9).to_vec();
    bytes[20] = 60; // where the length of the second broker's host is
    let error = messages::MetadataResponse::decode(&mut Decoder::new(bytes.into()), 9).unwrap_err();
    assert_eq!((error.path().as_str(), error.offset()), ("brokers[1].host", 21));
    assert!(error.to_string().starts_with("brokers[1].host at byte 21: needs 59 bytes, "), "{error}");
}
