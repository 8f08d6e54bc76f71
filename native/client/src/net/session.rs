//! The session of a connection with SASL (KIP-368): before the broker stops believing who the client is, it is told again.
//!
//! On the same connection: what is on its way is answered, what comes meanwhile waits for a few round trips. A connection that
//! carried nothing is closed instead. Driven by the pool, beside the connection's driver.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::Request;
use dohle_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::security::Security;
use crate::security::sasl::{Ready, Sasl, Wire};
use crate::world::World;

/// Ends with the connection, never by itself.
pub(super) async fn keep(
    security: &Security,
    world: &Arc<dyn World>,
    connection: &Connection,
    session: Option<Duration>,
    (host, patience): (&str, Duration),
) -> Infallible {
    if let (Some(sasl), Some(mut session)) = (&security.sasl, session) {
        loop {
            match renew_in_time(sasl, world, connection, session, (host, patience)).await {
                Ok(Some(next)) => session = next,
                Ok(None) => break,
                Err(error) => {
                    let peer = &connection.shared().peer;
                    tracing::warn!(%peer, %error, "SASL: the session could not be renewed");
                    // Requests under way did not fail for their own sake; the next attempt to connect tells what is wrong.
                    let text = format!("{peer}: the session could not be renewed: {}", error.message());
                    connection.close(Error::new(ErrorKind::Disconnected, text).with_source(error));
                    break;
                }
            }
        }
    }
    std::future::pending().await
}

/// Waits for most of the session, then proves anew. None: there is nothing more to do.
async fn renew_in_time(
    sasl: &Sasl,
    world: &Arc<dyn World>,
    connection: &Connection,
    session: Duration,
    (host, patience): (&str, Duration),
) -> Result<Option<Duration>> {
    let begun = Instant::now();
    let carried = connection.carried();
    // As in Java: between 85 and 95 %, so that not all connections do it at once.
    let part = 0.85 + 0.1 * (world.random_u64() % 1000) as f64 / 1000.0;
    sleep_until(begun + session.mul_f64(part)).await;
    let text = format!("{}: closed without traffic for most of its session", connection.shared().peer);
    if connection.close_if_unused(carried, Error::new(ErrorKind::Disconnected, text)) {
        return Ok(None);
    }
    let ready = ready(sasl, world, host, (begun + session, session / 50)).await?;
    let held = Held::new(connection);
    let next = sasl.run(&**world, ready, &mut Renewal { connection, patience }).await?;
    drop(held);
    tracing::debug!(peer = %connection.shared().peer, "SASL: session renewed");
    Ok(next)
}

/// The token may be a while in coming; requests go on meanwhile.
async fn ready(sasl: &Sasl, world: &Arc<dyn World>, host: &str, (end, pause): (Instant, Duration)) -> Result<Ready> {
    loop {
        match sasl.prepare(world, host).await {
            Err(error) if Instant::now() + pause < end => {
                tracing::warn!(%error, "SASL: nothing to renew a session with; trying again");
                sleep(pause).await;
            }
            outcome => return outcome,
        }
    }
}

/// Other requests wait while it lives.
struct Held<'a>(&'a Connection);

impl<'a> Held<'a> {
    fn new(connection: &'a Connection) -> Self {
        connection.hold();
        Self(connection)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

struct Renewal<'a> {
    connection: &'a Connection,
    patience: Duration,
}

impl Renewal<'_> {
    async fn call<R: Request>(&self, request: &R) -> Result<R::Response> {
        let version = self.connection.version::<R>()?;
        self.connection.send_first(version, request, self.patience)?.response().await
    }
}

impl Wire for Renewal<'_> {
    async fn handshake(&mut self, mechanism: &str) -> Result<SaslHandshakeResponse> {
        self.call(&SaslHandshakeRequest { mechanism: mechanism.to_owned() }).await
    }

    async fn authenticate(&mut self, message: Bytes) -> Result<SaslAuthenticateResponse> {
        self.call(&SaslAuthenticateRequest { auth_bytes: message, ..Default::default() }).await
    }
}
