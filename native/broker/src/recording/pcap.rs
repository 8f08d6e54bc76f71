//! A recording as packets (`pcap`), for Wireshark and tshark: each connection as a TCP stream with its handshake, sequence numbers
//! and checksums, in Ethernet and IPv4 or IPv6. What lay beneath the frames is made up; addresses, ports and times are real.

use std::{collections::BTreeMap, io, net::IpAddr, path::Path, sync::Arc};

use bytes::BufMut;

use super::{Frame, Opened, Recording, RecordingError, What};
use crate::disk::{Disk, DiskFile};

/// Bytes of a stream in one packet.
const SEGMENT: usize = 32 * 1024;
/// Written at once.
const STEP: usize = 256 * 1024;
const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Connections.
    pub connections: u64,
    /// Requests and responses.
    pub frames: u64,
    /// Packets.
    pub packets: u64,
    /// Frames of which nothing is left without their secrets; they are not among the packets.
    pub left_out: u64,
}

/// Writes a recording as packets to a file, which is replaced. When the recording ends too early, what was read until then has been
/// written, and the error is given beside.
pub fn export(
    recording: &mut Recording,
    disk: &dyn Disk,
    to: &Path,
) -> io::Result<(Exported, Result<(), RecordingError>)> {
    let mut out = Packets::create(disk.create(to)?);
    let mut streams = BTreeMap::new();
    let end = loop {
        let entry = match recording.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let at = entry.at_us;
        match (entry.what, streams.get_mut(&entry.connection)) {
            (What::Opened(opened), _) => {
                out.done.connections += 1;
                let stream = Stream::open(&mut out, &opened, entry.connection, at)?;
                streams.insert(entry.connection, stream);
            }
            (What::Request(frame), Some(stream)) => stream.frame(&mut out, true, &frame, at)?,
            (What::Response(frame), Some(stream)) => stream.frame(&mut out, false, &frame, at)?,
            (What::Closed, Some(stream)) => {
                stream.close(&mut out, at)?;
                streams.remove(&entry.connection);
            }
            _ => {}
        }
    };
    out.flush()?;
    Ok((out.done, end))
}

/// The file.
struct Packets {
    file: Arc<dyn DiskFile>,
    at: u64,
    waiting: Vec<u8>,
    done: Exported,
}

impl Packets {
    fn create(file: Arc<dyn DiskFile>) -> Self {
        let mut waiting = Vec::with_capacity(STEP * 2);
        waiting.put_u32(0xa1b2_c3d4); // times in microseconds
        waiting.put_u16(2);
        waiting.put_u16(4);
        waiting.put_u64(0);
        waiting.put_u32(1 << 18);
        waiting.put_u32(1); // Ethernet
        Self { file, at: 0, waiting, done: Exported::default() }
    }

    fn packet(&mut self, at_us: i64, bytes: &[u8]) -> io::Result<()> {
        let at = at_us.max(0) as u64;
        self.waiting.put_u32((at / 1_000_000) as u32);
        self.waiting.put_u32((at % 1_000_000) as u32);
        self.waiting.put_u32(bytes.len() as u32);
        self.waiting.put_u32(bytes.len() as u32);
        self.waiting.put_slice(bytes);
        self.done.packets += 1;
        if self.waiting.len() >= STEP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.waiting, self.at)?;
        self.at += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// A connection: the client's end first.
struct Stream {
    ips: [IpAddr; 2],
    ports: [u16; 2],
    /// The sequence number that each end writes next.
    next: [u32; 2],
    /// Of IPv4 packets.
    id: u16,
}

impl Stream {
    fn open(out: &mut Packets, opened: &Opened, connection: u32, at: i64) -> io::Result<Self> {
        let mut ips = [opened.peer.ip().to_canonical(), opened.local.ip().to_canonical()];
        if ips[0].is_ipv4() != ips[1].is_ipv4() {
            let six = |ip| if let IpAddr::V4(ip) = ip { ip.to_ipv6_mapped().into() } else { ip };
            ips = ips.map(six);
        }
        // A port may be taken again by a later connection: its numbers are others.
        let first = connection.wrapping_mul(0x9e37_79b1);
        let ports = [opened.peer.port(), opened.local.port()];
        let mut stream = Self { ips, ports, next: [first, first ^ 0x5555_5555], id: 0 };
        stream.send(out, 0, SYN, &[], at)?;
        stream.send(out, 1, SYN | ACK, &[], at)?;
        stream.send(out, 0, ACK, &[], at)?;
        Ok(stream)
    }

    fn frame(&mut self, out: &mut Packets, request: bool, frame: &Frame, at: i64) -> io::Result<()> {
        if frame.redacted && frame.bytes.is_empty() {
            out.done.left_out += 1;
            return Ok(());
        }
        out.done.frames += 1;
        let mut bytes = Vec::with_capacity(4 + frame.bytes.len());
        bytes.put_u32(frame.announced);
        bytes.put_slice(&frame.bytes);
        let from = usize::from(!request);
        let mut parts = bytes.chunks(SEGMENT).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { ACK } else { ACK | PSH };
            self.send(out, from, flags, part, at)?;
        }
        self.send(out, 1 - from, ACK, &[], at)
    }

    fn close(&mut self, out: &mut Packets, at: i64) -> io::Result<()> {
        self.send(out, 0, FIN | ACK, &[], at)?;
        self.send(out, 1, FIN | ACK, &[], at)?;
        self.send(out, 0, ACK, &[], at)
    }

    fn send(&mut self, out: &mut Packets, from: usize, flags: u8, data: &[u8], at: i64) -> io::Result<()> {
        let to = 1 - from;
        let mut tcp = Vec::with_capacity(20 + data.len());
        tcp.put_u16(self.ports[from]);
        tcp.put_u16(self.ports[to]);
        tcp.put_u32(self.next[from]);
        tcp.put_u32(if flags & ACK == 0 { 0 } else { self.next[to] });
        tcp.put_u8(5 << 4);
        tcp.put_u8(flags);
        tcp.put_u16(u16::MAX);
        tcp.put_u32(0); // checksum, urgent
        tcp.put_slice(data);
        let length = tcp.len();
        self.next[from] = self.next[from].wrapping_add(data.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let mut packet = Vec::with_capacity(54 + length);
        let machine = |n: usize| [2, 0, 0, 0, 0, n as u8 + 1];
        packet.put_slice(&machine(to));
        packet.put_slice(&machine(from));
        let pseudo = match (self.ips[from], self.ips[to]) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                packet.put_u16(0x0800);
                let head = packet.len();
                packet.put_u16(0x4500);
                packet.put_u16(20 + length as u16);
                packet.put_u16(self.id);
                packet.put_u16(0x4000); // not to be fragmented
                packet.put_u16(64 << 8 | 6);
                packet.put_u16(0);
                packet.put_slice(&source.octets());
                packet.put_slice(&target.octets());
                let sum = checksum(sum(&packet[head..]));
                packet[head + 10..head + 12].copy_from_slice(&sum.to_be_bytes());
                self.id = self.id.wrapping_add(1);
                sum_of(&source.octets(), &target.octets())
            }
            (source, target) => {
                let six = |ip| match ip {
                    IpAddr::V6(ip) => ip.octets(),
                    IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                };
                let (source, target) = (six(source), six(target));
                packet.put_u16(0x86dd);
                packet.put_u32(6 << 28);
                packet.put_u16(length as u16);
                packet.put_u16(6 << 8 | 64);
                packet.put_slice(&source);
                packet.put_slice(&target);
                sum_of(&source, &target)
            }
        };
        let sum = checksum(pseudo + 6 + length as u64 + sum(&tcp));
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        packet.put_slice(&tcp);
        out.packet(at, &packet)
    }
}

fn sum_of(source: &[u8], target: &[u8]) -> u64 {
    sum(source) + sum(target)
}

/// The 16-bit words, the last one filled up with zeros (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0))).sum()
}

fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
