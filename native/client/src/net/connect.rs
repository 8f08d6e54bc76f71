//! From a host name to a socket on which both sides know what they speak.
//!
//! Resolves, tries the addresses side by side (RFC 8305: the next one after a failure or 250 ms), encrypts (TLS), asks
//! ApiVersions, with the step down for brokers that do not know the version asked in, and tells who the client is (SASL).
//! It keeps nothing; the pool decides when to try again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use dohle_protocol::{ErrorCode, Request, frame};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};

use super::address::Endpoint;
use super::dialogue::{self, Dialogue, Unanswered};
use super::frame_reader::FrameReader;
use super::versions::ApiVersionTable;
use crate::error::{Error, ErrorKind, Result};
use crate::security::Security;
use crate::security::sasl::Ready;
use crate::world::{Socket, SocketOptions, World};

/// How long one address may stay silent before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);
/// The version for a broker that is not to be checked. Asked in a later one, brokers before 4.4 would cost a round trip.
const UNCHECKED: i16 = 4;
/// The first version in which a broker is told whom it is taken for (KIP-1242).
pub(super) const CHECKED: i16 = 5;
const SOFTWARE_NAME: &str = "dohle";

/// Everything an attempt needs to know.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// Which broker of which cluster it is taken for, if it is to be told.
    pub(super) taken_for: Option<(Arc<str>, i32)>,
    pub(super) client_id: Arc<str>,
    /// For resolving, for each address, and for the first answer.
    pub(super) setup_timeout: Duration,
    pub(super) max_frame: usize,
    pub(super) socket_options: SocketOptions,
    pub(super) security: Arc<Security>,
}

/// A connection that is ready for requests.
pub(super) struct Opened {
    pub(super) socket: Box<dyn Socket>,
    pub(super) reader: FrameReader,
    pub(super) versions: ApiVersionTable,
    pub(super) next_correlation_id: i32,
    /// How long the broker believes who the client is.
    pub(super) session: Option<Duration>,
    /// Whom it is connected to.
    pub(super) host: Arc<str>,
}

/// What every address is shown, made ready before any is asked.
struct Papers {
    tls: Option<Arc<ClientConfig>>,
    sasl: Option<Ready>,
}

/// Opens a connection to any address of the target that answers like a Kafka broker.
pub(super) async fn open(world: &Arc<dyn World>, target: &Target) -> Result<Opened> {
    let papers = papers(world, target).await.map_err(|error| error.context(&target.endpoint))?;
    let world = &**world;
    let mut addresses = resolve(world, &target.endpoint, target.setup_timeout).await?;
    let mut doubted = false;
    loop {
        let dialled = dial(world, &addresses, target.setup_timeout, &target.socket_options).await;
        let (socket, address) = dialled.map_err(|why| unreachable(target, &why))?;
        let failed = match negotiate(world, target, &papers, socket, address).await {
            // Believed when it is said twice: a bit that flips here would refuse calls for as long as the connection lives.
            Ok(opened) if !opened.versions.is_whole() && !doubted => {
                doubted = true;
                continue;
            }
            Ok(opened) => return Ok(opened),
            // Whoever refuses the password is the broker, and one who is asked often locks the user out.
            Err(error) if error.broker_code().is_some() => return Err(error),
            Err(error) => error,
        };
        // Another address of the same name may be the broker: another service may own the port on the other IP version.
        addresses.retain(|other| *other != address);
        if addresses.is_empty() {
            return Err(failed);
        }
    }
}

async fn papers(world: &Arc<dyn World>, target: &Target) -> Result<Papers> {
    let tls = match &target.security.tls {
        Some(tls) => Some(tls.config(&**world).await?),
        None => None,
    };
    let sasl = match &target.security.sasl {
        Some(sasl) => Some(sasl.prepare(world, &target.endpoint.host).await?),
        None => None,
    };
    Ok(Papers { tls, sasl })
}

/// All addresses of a host, in the order in which they are to be tried.
pub(crate) async fn resolve(world: &dyn World, endpoint: &Endpoint, limit: Duration) -> Result<Vec<SocketAddr>> {
    let unresolved = |why: String| {
        let text = format!("{endpoint}: the name cannot be resolved ({why}); check it, and the DNS of this machine");
        Error::new(ErrorKind::BrokerUnreachable, text)
    };
    match timeout(limit, world.resolve(&endpoint.host, endpoint.port)).await {
        Err(_) => Err(unresolved(format!("no answer within {} ms", limit.as_millis()))),
        Ok(Err(error)) => Err(unresolved(error.to_string()).with_source(error)),
        Ok(Ok(addresses)) if addresses.is_empty() => Err(unresolved("it has no address".to_owned())),
        Ok(Ok(addresses)) => Ok(alternate_families(addresses)),
    }
}

/// IPv6 and IPv4 in turn, the resolver's first choice first, so that one dead IP version costs one head start.
fn alternate_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for address in addresses {
        let family = if address.is_ipv6() == first_is_v6 { &mut first } else { &mut second };
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let mut result = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let before = result.len();
        result.extend(first.next());
        result.extend(second.next());
        if result.len() == before {
            return result;
        }
    }
}

/// A socket to the first of the addresses that takes the connection; else why none did.
pub(crate) async fn dial(
    world: &dyn World,
    addresses: &[SocketAddr],
    limit: Duration,
    options: &SocketOptions,
) -> Result<(Box<dyn Socket>, SocketAddr), String> {
    let attempt = |address: SocketAddr| async move {
        match timeout(limit, world.connect(address, options)).await {
            Ok(Ok(socket)) => Ok((socket, address)),
            Ok(Err(error)) => Err(format!("{address}: {error}")),
            Err(_) => Err(format!("{address}: no answer within {} ms", limit.as_millis())),
        }
    };
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    running.extend(waiting.next().map(attempt));
    while !running.is_empty() {
        tokio::select! {
            biased;
            Some(outcome) = running.next() => match outcome {
                Ok(connected) => return Ok(connected),
                Err(failure) => {
                    failures.push(failure);
                    running.extend(waiting.next().map(attempt));
                }
            },
            () = sleep(HEAD_START), if waiting.len() > 0 => running.extend(waiting.next().map(attempt)),
        }
    }
    Err(failures.join("; "))
}

fn unreachable(target: &Target, why: &str) -> Error {
    let text = format!(
        "{} cannot be reached ({why}); is a broker running there, and does no firewall stand between?",
        target.endpoint
    );
    Error::new(ErrorKind::BrokerUnreachable, text)
}

async fn negotiate(
    world: &dyn World,
    target: &Target,
    papers: &Papers,
    socket: Box<dyn Socket>,
    address: SocketAddr,
) -> Result<Opened> {
    let socket = encrypt(target, papers, socket).await?;
    let first = if target.taken_for.is_some() { CHECKED } else { UNCHECKED };
    let outcome = match timeout(target.setup_timeout, handshake(target, socket, first)).await {
        Ok(Err(Unanswered::HungUp)) => {
            // Some services (Azure Event Hubs) hang up on a version they do not know, instead of answering.
            let again = timeout(target.setup_timeout, world.connect(address, &target.socket_options)).await;
            let Ok(Ok(socket)) = again else { return Err(hung_up(target)) };
            let socket = encrypt(target, papers, socket).await?;
            timeout(target.setup_timeout, handshake(target, socket, 0)).await
        }
        outcome => outcome,
    };
    match outcome {
        Ok(Ok(opened)) => authenticate(world, target, papers, opened).await,
        Ok(Err(Unanswered::HungUp)) => Err(hung_up(target)),
        Ok(Err(Unanswered::Failed(error))) => Err(error.context(&target.endpoint)),
        Err(_) => Err(Error::new(
            ErrorKind::BrokerUnreachable,
            format!(
                "{} took the connection but did not answer within {} ms; is it a Kafka broker?",
                target.endpoint,
                target.setup_timeout.as_millis()
            ),
        )),
    }
}

/// Puts TLS around the socket, if it is wanted.
async fn encrypt(target: &Target, papers: &Papers, socket: Box<dyn Socket>) -> Result<Box<dyn Socket>> {
    let (Some(tls), Some(config)) = (&target.security.tls, &papers.tls) else { return Ok(socket) };
    match timeout(target.setup_timeout, tls.connect(config.clone(), &target.endpoint, socket)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let text = format!(
                "{} took the connection but did not end the TLS handshake within {} ms; is it a listener with TLS?",
                target.endpoint,
                target.setup_timeout.as_millis()
            );
            Err(Error::new(ErrorKind::BrokerUnreachable, text))
        }
    }
}

/// Tells the broker who the client is, if it is to be told.
async fn authenticate(world: &dyn World, target: &Target, papers: &Papers, mut opened: Opened) -> Result<Opened> {
    let (Some(sasl), Some(ready)) = (&target.security.sasl, &papers.sasl) else { return Ok(opened) };
    let mut dialogue = Dialogue::new(&target.client_id, &mut opened);
    let outcome = match timeout(target.setup_timeout, sasl.run(world, ready.clone(), &mut dialogue)).await {
        Ok(outcome) => outcome.map_err(|error| error.context(&target.endpoint)),
        Err(_) => {
            let limit = target.setup_timeout.as_millis();
            let text = format!("{} did not end the SASL exchange within {limit} ms", target.endpoint);
            Err(Error::new(ErrorKind::BrokerUnreachable, text))
        }
    };
    opened.session = outcome?;
    Ok(opened)
}

fn hung_up(target: &Target) -> Error {
    let wants = if target.security.tls.is_some() { "a client certificate" } else { "TLS or SASL" };
    let text = format!(
        "{} closed the connection before answering; a listener that wants {wants} does this, so does a broker that is starting",
        target.endpoint
    );
    Error::new(ErrorKind::BrokerUnreachable, text)
}

/// Asks ApiVersions in this version and, if the broker does not know it, in the one that its answer names.
async fn handshake(target: &Target, mut socket: Box<dyn Socket>, first: i16) -> Result<Opened, Unanswered> {
    let mut reader = FrameReader::new(target.max_frame);
    let mut version = first;
    let mut correlation_id = 0;
    loop {
        let answer = ask(target, &mut socket, &mut reader, version, correlation_id).await?;
        correlation_id += 1;
        if error_of(&answer) != ErrorCode::UNSUPPORTED_VERSION.0 {
            let (_, response) = frame::decode_response::<ApiVersionsRequest>(answer, version).map_err(Error::from)?;
            let versions = table(response)?;
            let (session, host) = (None, target.endpoint.host.clone());
            return Ok(Opened { socket, reader, versions, next_correlation_id: correlation_id, session, host });
        }
        if version == 0 {
            return Err(Error::broker(ErrorCode::UNSUPPORTED_VERSION, "ApiVersions version 0").into());
        }
        version = step_down(answer, version);
    }
}

async fn ask(
    target: &Target,
    socket: &mut Box<dyn Socket>,
    reader: &mut FrameReader,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, Unanswered> {
    let mut request = ApiVersionsRequest {
        client_software_name: SOFTWARE_NAME.to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    if let Some((cluster, node)) = &target.taken_for {
        (request.cluster_id, request.node_id) = (Some(cluster.to_string()), *node);
    }
    let answered_before = reader.has_read();
    match dialogue::ask(&target.client_id, socket, reader, version, correlation_id, &request).await {
        Err(Unanswered::HungUp) if answered_before => {
            let text = "the connection was closed in the middle of the version negotiation";
            Err(Error::new(ErrorKind::BrokerUnreachable, text).into())
        }
        outcome => outcome,
    }
}

/// The error code stands behind the correlation id in every version.
fn error_of(answer: &Bytes) -> i16 {
    answer.get(4..6).map_or(0, |code| i16::from_be_bytes([code[0], code[1]]))
}

/// KIP-511: an unknown version is answered in version 0, with the ranges the broker knows.
fn step_down(answer: Bytes, asked: i16) -> i16 {
    let Ok((_, response)) = frame::decode_response::<ApiVersionsRequest>(answer, 0) else { return 0 };
    let known = response.api_keys.iter().find(|api| api.api_key == ApiVersionsRequest::API_KEY.0);
    known.map_or(0, |range| range.max_version.clamp(0, asked - 1))
}

fn table(response: ApiVersionsResponse) -> Result<ApiVersionTable> {
    if response.error_code != 0 {
        return Err(Error::broker(ErrorCode(response.error_code), "ApiVersions"));
    }
    let ranges = response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version));
    let features = response.finalized_features.into_iter().map(|feature| (feature.name, feature.max_version_level));
    Ok(ApiVersionTable::new(ranges, features))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_alternate_between_ip_versions_and_repeats_go() {
        let addresses: Vec<SocketAddr> = ["[::1]:1", "[::2]:1", "127.0.0.1:1", "[::1]:1", "127.0.0.2:1"]
            .iter()
            .map(|a| a.parse().unwrap())
            .collect();
        let order: Vec<String> = alternate_families(addresses).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1"]);
    }
}
