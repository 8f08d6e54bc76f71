//! Start, address, faults and stop of one embedded broker. What it answers lives in `api/`.

use std::{net::SocketAddr, sync::Arc};

use crate::{BrokerError, BrokerOptions, BrokerWorld, Faults, TokioWorld};

/// A running embedded broker. Dropping it stops it without waiting; [`stop`](Self::stop) waits.
pub struct Broker {
    address: SocketAddr,
    faults: Faults,
}

impl Broker {
    /// Starts a broker in a world of the caller's.
    pub async fn start(world: Arc<dyn BrokerWorld>, options: BrokerOptions) -> Result<Self, BrokerError> {
        options.check()?;
        let _ = world;
        todo!("first push: signatures")
    }

    /// Starts a broker in the real world (the caller's tokio runtime), as most tests want it.
    pub async fn start_default(options: BrokerOptions) -> Result<Self, BrokerError> {
        Self::start(Arc::new(TokioWorld), options).await
    }

    /// The address listened on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fault rules; see [`Faults`].
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the listener and all connections, and waits until both are done. A second call returns at once.
    pub async fn stop(&self) {
        todo!("first push: signatures")
    }
}
