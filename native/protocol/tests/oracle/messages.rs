//! Every message in every version, both ways.

use crate::java::{Java, oracle};
use bytes::Bytes;
use dohle_protocol::reflect::{Reflect, Sampler};
use dohle_protocol::{Decoder, Encoder, Message, for_each_message, json, messages};
use serde_json::Value;

/// Values per message and version and direction; `ORACLE_ROUNDS` asks for more.
fn rounds() -> u64 {
    std::env::var("ORACLE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[test]
fn what_we_encode_kafka_decodes_to_the_same_json_and_encodes_to_the_same_bytes() {
    let Some(mut java) = oracle() else { return };
    for_every_version(&mut java, &mut OursToJava::default());
}

#[test]
fn what_kafka_encodes_we_decode_to_the_same_json_and_encode_to_the_same_bytes() {
    let Some(mut java) = oracle() else { return };
    for_every_version(&mut java, &mut JavaToOurs);
}

trait Check {
    fn check<M: Message + Reflect>(&mut self, java: &mut Java, version: i16, seed: u64);
}

fn for_every_version<C: Check>(java: &mut Java, check: &mut C) {
    let mut count = 0;
    macro_rules! all {
        ($($name:ident)*) => {$(
            for version in messages::$name::MIN_VERSION..=messages::$name::MAX_VERSION {
                for seed in 0..rounds() {
                    check.check::<messages::$name>(java, version, seed * 1_000 + version as u64);
                }
                count += 1;
            }
        )*};
    }
    for_each_message!(all);
    println!("{count} messages and versions, {} values each", rounds());
    assert!(count > 400, "only {count} messages and versions");
}

#[derive(Default)]
struct OursToJava {
    unknown_tags: bool,
}

impl Check for OursToJava {
    fn check<M: Message + Reflect>(&mut self, java: &mut Java, version: i16, seed: u64) {
        let what = format!("{} v{version} seed {seed}", M::NAME);
        let mut sampler = Sampler::new(seed);
        self.unknown_tags = !self.unknown_tags;
        sampler.unknown_tags = self.unknown_tags;
        let message: M = sampler.message(version);
        let ours = encode(&message, version);
        let (theirs, text) = java.read(M::NAME, version, &ours).unwrap_or_else(|e| panic!("{what}: {e}\n{message:?}"));
        assert_eq!(theirs, ours, "{what}: Kafka's bytes are on the left; {message:?}");
        assert_eq!(parse(&text), sizes_of_records(json::to_json(&message, version)), "{what}");
    }
}

struct JavaToOurs;

impl Check for JavaToOurs {
    fn check<M: Message + Reflect>(&mut self, java: &mut Java, version: i16, seed: u64) {
        let what = format!("{} v{version} seed {seed}", M::NAME);
        let (theirs, text) = java.random(M::NAME, version, seed).unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut d = Decoder::new(Bytes::from(theirs.clone()));
        let message = M::decode(&mut d, version).unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
        d.finish().unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
        assert_eq!(theirs, encode(&message, version), "{what}: Kafka's bytes are on the left; {message:?}");
        assert_eq!(parse(&text), sizes_of_records(json::to_json(&message, version)), "{what}");
        if !text.contains("recordsSizeInBytes") {
            assert_eq!(json::from_json::<M>(&parse(&text), version), Ok(message), "{what}");
        }
    }
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut e = Encoder::new();
    message.encode(&mut e, version).unwrap_or_else(|e| panic!("{} v{version}: {e}", M::NAME));
    e.finish().to_bytes()
}

fn parse(text: &str) -> Value {
    text.parse().unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Kafka writes the size of records where we write their bytes.
fn sizes_of_records(json: Value) -> Value {
    match json {
        Value::Array(all) => Value::Array(all.into_iter().map(sizes_of_records).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| match (name.as_str(), &value) {
                    ("records", Value::String(base64)) => {
                        let padding = base64.bytes().rev().take_while(|b| *b == b'=').count();
                        ("recordsSizeInBytes".to_owned(), (base64.len() / 4 * 3 - padding).into())
                    }
                    _ => (name, sizes_of_records(value)),
                })
                .collect(),
        ),
        plain => plain,
    }
}
