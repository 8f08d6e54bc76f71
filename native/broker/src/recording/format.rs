//! The bytes of a recording, version 2, in network order. `docs/recording.md` says the same in words.
//!
//! A head of 24 bytes: `DOHLEREC`, version (2), reserved (2), microseconds since 1970 when it began (8), CRC-32C of these 20.
//! Then entries, each: length of what follows the CRC (4), CRC-32C of it (4), kind (1), flags (1), connection (4), microseconds
//! since 1970 (8), and by its kind: who connected, a frame, or nothing.

use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, BufMut, Bytes};
use dohle_protocol::records::crc32c;

pub(super) const MAGIC: &[u8; 8] = b"DOHLEREC";
pub(super) const VERSION: u16 = 2;
pub(super) const HEAD: usize = 24;
/// Length and checksum of an entry.
pub(super) const ENTRY_HEAD: usize = 8;
/// What every entry has behind its checksum.
pub(super) const LEAST: usize = 14;

const OPENED: u8 = 0;
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const CLOSED: u8 = 3;
const END: u8 = 4;

const REDACTED: u8 = 1;
const BARE: u8 = 2;
const TLS: u8 = 1;
const SASL: u8 = 2;

/// What happened, to which connection and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub connection: u32,
    /// Microseconds since 1970; never less than those of the entry before.
    pub at_us: i64,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A client connected.
    Opened(Opened),
    /// It sent this.
    Request(Frame),
    /// It was sent this.
    Response(Frame),
    /// The connection ended.
    Closed,
    /// The recording ended in order.
    End,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The node that the client connected to.
    pub node: i32,
    /// The client's end.
    pub peer: SocketAddr,
    /// The broker's end.
    pub local: SocketAddr,
    /// Name of the listener.
    pub listener: String,
    /// It was encrypted; frames are recorded as they were before encryption.
    pub tls: bool,
    /// The client had to log in.
    pub sasl: bool,
}

/// A frame without the four bytes of its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes; fewer than `announced` when the broker cut it on purpose.
    pub bytes: Bytes,
    /// The length that was in front of it.
    pub announced: u32,
    /// Secrets were taken out of it.
    pub redacted: bool,
    /// No request or response, but a message of a SASL mechanism on its own.
    pub bare: bool,
}

pub(super) fn head(began_us: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD);
    out.put_slice(MAGIC);
    out.put_u16(VERSION);
    out.put_u16(0);
    out.put_i64(began_us);
    out.put_u32(crc32c(&out));
    out
}

pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let mut out = vec![0; ENTRY_HEAD];
    let flags = |frame: &Frame| u8::from(frame.redacted) * REDACTED + u8::from(frame.bare) * BARE;
    let (kind, flags) = match &entry.what {
        What::Opened(of) => (OPENED, u8::from(of.tls) * TLS + u8::from(of.sasl) * SASL),
        What::Request(frame) => (REQUEST, flags(frame)),
        What::Response(frame) => (RESPONSE, flags(frame)),
        What::Closed => (CLOSED, 0),
        What::End => (END, 0),
    };
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(entry.connection);
    out.put_i64(entry.at_us);
    match &entry.what {
        What::Opened(of) => {
            out.put_i32(of.node);
            put_address(&mut out, of.peer);
            put_address(&mut out, of.local);
            out.put_slice(of.listener.as_bytes());
        }
        What::Request(frame) | What::Response(frame) => {
            out.put_u32(frame.announced);
            out.put_slice(&frame.bytes);
        }
        What::Closed | What::End => {}
    }
    let (length, crc) = ((out.len() - ENTRY_HEAD) as u32, crc32c(&out[ENTRY_HEAD..]));
    out[..4].copy_from_slice(&length.to_be_bytes());
    out[4..8].copy_from_slice(&crc.to_be_bytes());
    out
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(6);
            out.put_slice(&ip.octets());
        }
    }
    out.put_u16(address.port());
}

/// Reads what stands behind the checksum; an error is a word on what is wrong.
pub(super) fn decode(mut body: Bytes) -> Result<Entry, &'static str> {
    if body.len() < LEAST {
        return Err("an entry is too short");
    }
    let (kind, flags, connection, at_us) = (body.get_u8(), body.get_u8(), body.get_u32(), body.get_i64());
    let what = match kind {
        OPENED => {
            let node = body.try_get_i32().map_err(|_| "an entry is too short")?;
            let (peer, local) = (address(&mut body)?, address(&mut body)?);
            let listener = String::from_utf8(body.to_vec()).map_err(|_| "the name of a listener is no text")?;
            What::Opened(Opened { node, peer, local, listener, tls: flags & TLS != 0, sasl: flags & SASL != 0 })
        }
        REQUEST | RESPONSE => {
            if body.len() < 4 {
                return Err("an entry is too short");
            }
            let announced = body.get_u32();
            let frame = Frame { bytes: body, announced, redacted: flags & REDACTED != 0, bare: flags & BARE != 0 };
            if kind == REQUEST { What::Request(frame) } else { What::Response(frame) }
        }
        CLOSED => What::Closed,
        END => What::End,
        _ => return Err("an entry is of an unknown kind"),
    };
    Ok(Entry { connection, at_us, what })
}

fn address(body: &mut Bytes) -> Result<SocketAddr, &'static str> {
    const SHORT: &str = "an address is too short";
    let family = body.try_get_u8().map_err(|_| SHORT)?;
    let ip: IpAddr = match family {
        4 => body.try_get_u32().map_err(|_| SHORT)?.to_be_bytes().into(),
        6 => body.try_get_u128().map_err(|_| SHORT)?.to_be_bytes().into(),
        _ => return Err("an address is neither IPv4 nor IPv6"),
    };
    Ok((ip, body.try_get_u16().map_err(|_| SHORT)?).into())
}
