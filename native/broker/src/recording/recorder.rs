//! Writes what a broker hears and says to a file, entry by entry and at once: nothing is held in memory, and what a client has been
//! told is in the file. A slow disk slows the broker down; one that fails ends the recording, with an error in the log, and the
//! broker goes on. Driven by the connections.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::{Buf, Bytes};
use dohle_protocol::{ApiKey, Segments, schema::Schemas};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    format::{self, Entry, Frame, HEAD, Opened, What},
    secrets,
};
use crate::{BrokerWorld, disk::DiskFile, security::Session};

/// A recording that is being written.
pub(crate) struct Recorder {
    path: PathBuf,
    began: Instant,
    began_us: i64,
    connections: AtomicU32,
    schemas: Schemas,
    out: Mutex<Out>,
}

struct Out {
    /// None once it has ended.
    file: Option<Arc<dyn DiskFile>>,
    at: u64,
}

impl Recorder {
    /// Begins one; a file that is there already stays as it is.
    pub fn create(world: &dyn BrokerWorld, path: &Path) -> io::Result<Arc<Self>> {
        let disk = world.disk();
        if disk.open_to_read(path).is_ok_and(|there| there.len().is_ok_and(|len| len > 0)) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists, and nothing is written over"));
        }
        let began_us = world.wall_clock_ms().saturating_mul(1000);
        let file = disk.create(path)?;
        file.write_at(&format::head(began_us), 0)?;
        Ok(Arc::new(Self {
            path: path.into(),
            began: Instant::now(),
            began_us,
            connections: AtomicU32::new(1),
            schemas: Schemas::default(),
            out: Mutex::new(Out { file: Some(file), at: HEAD as u64 }),
        }))
    }

    /// A client has connected to a node.
    pub fn connection(self: &Arc<Self>, node: i32, session: &Arc<Session>) -> Tap {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let guard = &session.guard;
        let (tls, sasl) = (guard.tls.is_some(), guard.sasl.is_some());
        let (peer, local, listener) = (session.peer, session.local, guard.listener.clone());
        let opened = Opened { node, peer, local, listener, tls, sasl };
        self.append(connection, What::Opened(opened));
        Tap { recorder: self.clone(), session: session.clone(), connection, asked: None }
    }

    /// The broker stops.
    pub fn close(&self) {
        self.append(0, What::End);
        let mut out = self.out.lock();
        if let Some(file) = out.file.take()
            && let Err(error) = file.sync()
        {
            tracing::error!(path = %self.path.display(), %error, "the recording may not be on the disk");
        }
    }

    fn append(&self, connection: u32, what: What) {
        let mut out = self.out.lock();
        let Some(file) = &out.file else { return };
        // Under the lock: the file is in the order of its times.
        let passed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let bytes = format::encode(&Entry { connection, at_us: self.began_us.saturating_add(passed), what });
        match file.write_at(&bytes, out.at) {
            Ok(()) => out.at += bytes.len() as u64,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "recording has ended: the disk takes nothing");
                out.file = None;
            }
        }
    }
}

/// Where a connection's frames pass by.
pub(crate) struct Tap {
    recorder: Arc<Recorder>,
    session: Arc<Session>,
    connection: u32,
    /// What the request being served asks; none when it is a bare message of a mechanism.
    asked: Option<(ApiKey, i16)>,
}

impl Tap {
    /// A request has arrived.
    pub fn request(&mut self, frame: &Bytes) {
        let bare = self.session.is_bare();
        let (bytes, asked, redacted) =
            if bare { (Bytes::new(), None, true) } else { secrets::request(&self.recorder.schemas, frame.clone()) };
        self.asked = asked;
        let announced = bytes.len() as u32;
        self.recorder.append(self.connection, What::Request(Frame { bytes, announced, redacted, bare }));
    }

    /// A response is about to be written.
    pub fn response(&mut self, segments: &Segments) {
        let mut whole = segments.to_bytes();
        let announced = whole.try_get_u32().unwrap_or(0);
        let frame = match self.asked {
            None => Frame { bytes: Bytes::new(), announced: 0, redacted: true, bare: true },
            // One that a fault rule has cut cannot be read, and so may have secrets.
            Some((api, version)) => {
                let (bytes, redacted) = secrets::response(&self.recorder.schemas, api, version, whole);
                let announced = if redacted { bytes.len() as u32 } else { announced };
                Frame { bytes, announced, redacted, bare: false }
            }
        };
        self.recorder.append(self.connection, What::Response(frame));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.recorder.append(self.connection, What::Closed);
    }
}
