//! What happened on all hosts, in order: as lines, to be read, or only as a number, by which two runs are compared.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// What happened. Clones are the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Kept>>);

struct Kept {
    lines: Option<Vec<String>>,
    digest: u64,
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a.
pub(crate) fn hash(basis: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(basis, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

impl Default for Trace {
    /// A trace that keeps its lines.
    fn default() -> Self {
        Self::new(true)
    }
}

impl Trace {
    /// A trace that keeps its lines, or one that is but a number.
    pub fn new(lines: bool) -> Self {
        Self(Arc::new(Mutex::new(Kept { lines: lines.then(Vec::new), digest: BASIS })))
    }

    /// Something happened now.
    pub fn note(&self, what: String) {
        self.add(|| what.clone(), what.as_bytes());
    }

    /// The lines so far, which are forgotten then.
    pub fn take(&self) -> Vec<String> {
        self.0.lock().lines.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A number that two runs share only when all that happened in them was the same.
    pub fn digest(&self) -> u64 {
        self.0.lock().digest
    }

    pub(super) fn connects(&self, host: &str, address: SocketAddr) {
        self.add(|| format!("{host} connects to {address}"), host.as_bytes());
    }

    pub(super) fn moved(&self, host: &str, did: &str, port: u16, bytes: &[u8]) {
        let line = || format!("{host} {did} {} bytes, {:016x}, port {port}", bytes.len(), hash(BASIS, bytes));
        self.add(line, bytes);
    }

    fn add(&self, line: impl FnOnce() -> String, bytes: &[u8]) {
        let at = turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as u64);
        let mut kept = self.0.lock();
        kept.digest = hash(hash(kept.digest, &at.to_be_bytes()), bytes);
        if let Some(lines) = &mut kept.lines {
            lines.push(format!("{at} ms {}", line()));
        }
    }
}
