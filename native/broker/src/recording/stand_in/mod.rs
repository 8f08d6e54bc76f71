//! Answers clients with what was recorded, in the place of the broker that was recorded.
//!
//! Which answer (`answers`): ApiVersions offers what was recorded, up to the versions that were spoken, so that clients speak those. Metadata and
//! coordinators name this address, for every recorded node. Fetch and ListOffsets are answered from the recorded records (`log`),
//! Produce with the recorded answers of its partition, one after the other. Everything else (`script`): the answers to requests that
//! asked the same, in the recorded order, and the last one again from there on; what was never asked so takes those of its API
//! and version. A request without any is refused with INVALID_REQUEST, and told as a warning.
//! Driven by connections; started and stopped as a broker is.

mod answers;
mod log;
mod script;

use std::{convert::Infallible, io, net::SocketAddr, path::PathBuf, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use dohle_protocol::{ErrorCode, Segments, frame};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Mutex, mpsc},
};

use super::{Recording, RecordingError};
use crate::{
    BrokerWorld, api,
    tasks::{Life, Stop},
    world::{Accepted, Listener, Stream},
};
use script::Script;

/// Largest request that is taken.
const MOST: usize = 100 << 20;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandInError {
    /// The recording cannot be read.
    #[error("{}: {source}", .file.display())]
    Recording {
        /// Its file.
        file: PathBuf,
        /// Why not.
        source: RecordingError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// A running one. Dropping it stops it without waiting.
pub struct StandIn {
    address: SocketAddr,
    stop: Arc<Stop>,
    tasks: Mutex<mpsc::Receiver<Infallible>>,
}

impl StandIn {
    /// Reads what the recording has, and listens.
    pub async fn start(world: Arc<dyn BrokerWorld>, file: PathBuf, at: SocketAddr) -> Result<Self, StandInError> {
        let unreadable = |source| StandInError::Recording { file: file.clone(), source };
        let recording = Recording::open(&*world.disk(), &file).map_err(unreadable)?;
        let script = Arc::new(Script::read(recording).map_err(unreadable)?);
        let cannot = |source| StandInError::Listen { address: at, source };
        let listener = world.listen(at).await.map_err(cannot)?;
        let address = listener.local_address().map_err(cannot)?;
        let stop = Arc::new(Stop::default());
        let (alive, tasks) = mpsc::channel(1);
        world.spawn(Box::pin(accept(world.clone(), script, listener, Life::new(stop.clone(), alive))));
        Ok(Self { address, stop, tasks: Mutex::new(tasks) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and all connections, and waits until both are done.
    pub async fn stop(&self) {
        self.stop.stop();
        let nothing = self.tasks.lock().await.recv().await;
        debug_assert!(nothing.is_none(), "nobody sends");
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

async fn accept(world: Arc<dyn BrokerWorld>, script: Arc<Script>, mut listener: Box<dyn Listener>, mut life: Life) {
    while let Some(accepted) = life.during(listener.accept()).await {
        match accepted {
            Ok(Accepted { mut stream, peer, local }) => {
                let (script, mut life) = (script.clone(), life.clone());
                world.spawn(Box::pin(async move {
                    if let Some(Err(why)) = life.during(serve(&script, &mut *stream, local)).await {
                        tracing::debug!(%peer, why, "connection ended");
                    }
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = life.during(tokio::time::sleep(std::time::Duration::from_millis(50))).await;
            }
        }
    }
}

async fn serve(script: &Script, stream: &mut dyn Stream, local: SocketAddr) -> Result<(), String> {
    let mut buffer = BytesMut::new();
    while let Some(request) = next(stream, &mut buffer).await? {
        let (header, body) = frame::decode_request_header(request).map_err(|error| error.to_string())?;
        let answer = match script.answer(&header, body.clone(), local).await {
            Ok(answer) => answer,
            Err(why) => {
                let (api, version) = (header.api_key.name(), header.api_version);
                tracing::warn!(
                    api,
                    version,
                    client = header.client_id.as_deref(),
                    why,
                    "nothing was recorded that answers this"
                );
                Some(api::refusal(&header, body, ErrorCode::INVALID_REQUEST)?)
            }
        };
        if let Some(Segments(parts)) = answer {
            for part in parts {
                stream.write_all(&part).await.map_err(|error| error.to_string())?;
            }
            stream.flush().await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The next frame without its length; none at the end.
async fn next(stream: &mut dyn Stream, buffer: &mut BytesMut) -> Result<Option<Bytes>, String> {
    loop {
        if let Some(head) = buffer.first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*head)).ok().filter(|length| *length <= MOST);
            let length = length.ok_or("a frame of an impossible length")?;
            if buffer.len() >= 4 + length {
                buffer.advance(4);
                return Ok(Some(buffer.split_to(length).freeze()));
            }
        }
        buffer.reserve(16 * 1024);
        if stream.read_buf(buffer).await.map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
    }
}
