use std::path::Path;

use bytes::Bytes;
use dohle_protocol::{
    ApiKey, ErrorCode, Request, frame,
    messages::{
        AlterUserScramCredentialsRequest, IncrementalAlterConfigsRequest, SaslAuthenticateRequest,
        SaslAuthenticateResponse,
        alter_user_scram_credentials_request::ScramCredentialUpsertion,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    },
    records::crc32c,
    schema::Schemas,
};
use proptest::prelude::*;

use super::{Entry, Frame, Opened, Recording, RecordingError, What, format, pcap, secrets};
use crate::disk::{Disk, memory::MemoryDisk};

const FILE: &str = "/session.dohle";

fn disk_with(bytes: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.create(Path::new(FILE)).unwrap().write_at(bytes, 0).unwrap();
    disk
}

fn opened(peer: &str, local: &str) -> What {
    let (peer, local) = (peer.parse().unwrap(), local.parse().unwrap());
    What::Opened(Opened { node: 1, peer, local, listener: "PLAINTEXT".into(), tls: false, sasl: true })
}

fn frame(bytes: &'static [u8]) -> Frame {
    Frame { bytes: Bytes::from_static(bytes), announced: bytes.len() as u32, redacted: false, bare: false }
}

fn session() -> Vec<Entry> {
    let whats = [
        opened("127.0.0.1:50000", "127.0.0.1:9092"),
        opened("[::1]:50001", "[::1]:9092"),
        What::Request(frame(b"a request of some length")),
        What::Request(Frame { redacted: true, bare: true, ..frame(b"") }),
        What::Response(Frame { announced: 500, ..frame(b"cut") }),
        What::Closed,
        What::End,
    ];
    let connections = [1, 2, 1, 2, 1, 1, 0];
    let entry = |(n, (what, connection))| Entry { connection, at_us: 1_700_000_000_000_000 + n as i64, what };
    whats.into_iter().zip(connections).enumerate().map(entry).collect()
}

fn file(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = format::head(1_700_000_000_000_000);
    entries.iter().for_each(|entry| bytes.extend(format::encode(entry)));
    bytes
}

/// What can be read, and why no more.
fn read(bytes: &[u8]) -> (Vec<Entry>, Result<(), RecordingError>) {
    let mut entries = Vec::new();
    let mut recording = match Recording::open(&disk_with(bytes), Path::new(FILE)) {
        Ok(recording) => recording,
        Err(error) => return (entries, Err(error)),
    };
    loop {
        match recording.next() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, Ok(())),
            Err(error) => {
                assert!(matches!(recording.next(), Ok(None)), "behind an error nothing follows");
                return (entries, Err(error));
            }
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let (entries, end) = read(&file(&session()));
    assert_eq!(entries, session());
    end.unwrap();
}

#[test]
fn a_recording_that_was_cut_at_any_byte_is_read_to_its_last_whole_entry() {
    let whole = file(&session());
    let ends: Vec<usize> = (0..=session().len()).map(|count| file(&session()[..count]).len()).collect();
    for cut in 0..whole.len() {
        let (entries, end) = read(&whole[..cut]);
        let complete = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        assert_eq!(entries, session()[..complete], "cut at {cut}");
        match end {
            Ok(()) => assert!(ends.contains(&cut), "cut at {cut}"),
            Err(RecordingError::Foreign) => assert!(cut < ends[0], "cut at {cut}"),
            Err(RecordingError::Torn { at }) => assert_eq!(at as usize, ends[complete], "cut at {cut}"),
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn what_is_no_recording_or_a_newer_or_a_damaged_one_is_said_to_be_so() {
    assert!(matches!(read(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n").1, Err(RecordingError::Foreign)));
    let mut newer = file(&session());
    newer[9] = 3;
    assert!(matches!(read(&newer).1, Err(RecordingError::Version(3))));
    let mut head = file(&session());
    head[15] ^= 1;
    assert!(matches!(read(&head).1, Err(RecordingError::Damaged { at: 0, .. })));
    let mut huge = file(&session());
    huge[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(read(&huge), (entries, Err(RecordingError::Torn { at: 24 })) if entries.is_empty()));
    let mut changed = file(&session());
    changed[24 + 10] ^= 1;
    assert!(matches!(read(&changed), (entries, Err(RecordingError::Damaged { at: 24, .. })) if entries.is_empty()));
    // The right checksum around what makes no sense.
    for body in [&b"short"[..], &[9; 14], &[0; 14], &[1; 15]] {
        let mut senseless = format::head(0);
        senseless.extend((body.len() as u32).to_be_bytes());
        senseless.extend(crc32c(body).to_be_bytes());
        senseless.extend(body);
        senseless.extend([0; 8]);
        assert!(matches!(read(&senseless).1, Err(RecordingError::Damaged { at: 24, .. })), "{body:?}");
    }
}

proptest! {
    #[test]
    fn bytes_that_were_changed_never_panic_and_never_give_an_entry_that_was_not_written(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = file(&session());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (entries, _) = read(&bytes);
        prop_assert_eq!(&entries[..], &session()[..entries.len()]);
    }

    #[test]
    fn noise_never_panics(noise: Vec<u8>) {
        let mut bytes = format::head(0);
        bytes.extend(&noise);
        let _ = read(&bytes);
        let _ = read(&noise);
        let _ = format::decode(noise.into());
    }
}

fn without_length(segments: dohle_protocol::Segments) -> Bytes {
    segments.to_bytes().slice(4..)
}

fn redacted<R: Request>(version: i16, request: &R) -> (R, bool) {
    let frame = without_length(frame::encode_request(version, 7, Some("me"), request).unwrap());
    let (frame, asked, redacted) = secrets::request(&Schemas::default(), frame);
    assert_eq!(asked, Some((R::API_KEY, version)));
    let (header, mut body) = frame::decode_request_header(frame).unwrap();
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("me")));
    (R::decode(&mut body, version).unwrap(), redacted)
}

#[test]
fn passwords_and_proofs_are_taken_out_and_all_else_stays() {
    for version in 0..=2 {
        let token = Bytes::from_static(b"\0alice\0hunter2");
        let request = SaslAuthenticateRequest { auth_bytes: token.clone(), ..Default::default() };
        assert_eq!(redacted(version, &request), (SaslAuthenticateRequest::default(), true));
        let response = SaslAuthenticateResponse { auth_bytes: token, error_code: 58, ..Default::default() };
        let frame = frame::encode_response::<SaslAuthenticateRequest>(version, 9, &response).unwrap();
        let schemas = Schemas::default();
        let (frame, redacted) = secrets::response(&schemas, ApiKey::SASL_AUTHENTICATE, version, without_length(frame));
        let (id, read) = frame::decode_response::<SaslAuthenticateRequest>(frame, version).unwrap();
        assert_eq!((id, read.error_code, redacted), (9, ErrorCode::SASL_AUTHENTICATION_FAILED.0, true));
        assert!(read.auth_bytes.is_empty());
    }
    let upsertion = ScramCredentialUpsertion {
        name: "alice".into(),
        mechanism: 1,
        iterations: 4096,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"salted"),
        ..Default::default()
    };
    let request = AlterUserScramCredentialsRequest { upsertions: vec![upsertion], ..Default::default() };
    let (read, taken) = redacted(0, &request);
    let upsertion = &read.upsertions[0];
    assert_eq!((taken, upsertion.name.as_str(), upsertion.iterations), (true, "alice", 4096));
    assert!(upsertion.salt.is_empty() && upsertion.salted_password.is_empty());
    let config = |name: &str| AlterableConfig { name: name.into(), value: Some("v".into()), ..Default::default() };
    let configs = ["retention.ms", "ssl.key.password", "listener.name.x.sasl.jaas.config"].map(config).to_vec();
    let resource = AlterConfigsResource { configs, ..Default::default() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let (read, taken) = redacted(1, &request);
    let values: Vec<_> = read.resources[0].configs.iter().map(|config| config.value.as_deref()).collect();
    assert_eq!((values, taken), (vec![Some("v"), Some(""), Some("")], true));
}

#[test]
fn what_cannot_be_read_is_not_kept_where_it_may_be_a_secret() {
    let schemas = Schemas::default();
    let (kept, asked, taken) = secrets::request(&schemas, Bytes::from_static(b"\0alice\0hunter2"));
    assert_eq!((kept, asked, taken), (Bytes::new(), None, true));
    let request = SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"hunter2"), ..Default::default() };
    let whole = without_length(frame::encode_request(1, 7, Some("me"), &request).unwrap());
    let (kept, _, taken) = secrets::request(&schemas, whole.slice(..whole.len() - 1));
    assert!(taken && kept.len() < whole.len() - 7, "{kept:?}");
}

#[test]
fn an_export_is_packets_that_account_for_each_byte() {
    let disk = disk_with(&file(&session()));
    let mut recording = Recording::open(&disk, Path::new(FILE)).unwrap();
    let (exported, end) = pcap::export(&mut recording, &disk, Path::new("/x.pcap")).unwrap();
    end.unwrap();
    assert_eq!((exported.connections, exported.frames, exported.left_out), (2, 2, 1));
    let bytes = crate::disk::read_all(&disk, Path::new("/x.pcap"), 1 << 20).unwrap().unwrap();
    let mut at = 24;
    let mut packets = 0;
    while at < bytes.len() {
        at += 16 + u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        packets += 1;
    }
    assert_eq!((at, packets), (bytes.len(), exported.packets));
}
