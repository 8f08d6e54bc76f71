//! One HTTP request to a token endpoint, or to a service that gives credentials: HTTP/1.1 by hyper, over the World's sockets.
//!
//! It is no HTTP client for everything: one connection per request, no redirects (they could carry secrets elsewhere), no
//! proxies, no cookies. Each request has [`LIMIT`] and its answer at most [`LARGEST`] bytes. It knows nothing of tokens and
//! tries nothing again. No error quotes what was sent or came back.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use zeroize::Zeroizing;

use super::tls::{Tls, shake_hands};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Endpoint, dial, resolve};
use crate::options::OptionError;
use crate::world::{Socket, SocketOptions, World};

/// How long one request may take, connecting included.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer: tokens are a few thousand.
const LARGEST: usize = 256 * 1024;

/// Where a request goes to.
#[derive(Clone)]
pub(super) struct Url {
    encrypted: bool,
    endpoint: Endpoint,
    authority: String,
    target: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// A request: what is sent to where.
pub(super) struct Asking<'a> {
    pub(super) url: &'a Url,
    pub(super) method: Method,
    /// Names in lower case. `host` and `user-agent` are set.
    pub(super) headers: Vec<(HeaderName, Zeroizing<String>)>,
    pub(super) body: Zeroizing<String>,
}

impl Url {
    /// An http:// or https:// URL.
    pub(super) fn parse(option: &str, text: &str) -> Result<Self, OptionError> {
        // The text may have a password in it: it is not shown.
        let wrong = |problem: &str| OptionError::new(option, problem);
        let uri: Uri = text.trim().parse().map_err(|_| wrong("is not a URL"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("is not a URL that begins with https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user name in it: client id and secret are options of their own"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { encrypted, endpoint: Endpoint::new(host, port), authority: authority.as_str().to_owned(), target })
    }

    /// Whether whoever listens on the way reads along.
    pub(super) fn is_exposed(&self) -> bool {
        let host = &*self.endpoint.host;
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !self.encrypted && !loopback
    }
}

impl fmt::Display for Url {
    /// Without the query, which may have a secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", if self.encrypted { "https" } else { "http" }, self.authority)
    }
}

/// Sends the request and reads the answer, whatever its status. What fails before there is one may pass
/// ([`ErrorKind::BrokerUnreachable`]), but for certificates that are refused.
pub(super) async fn ask(world: &Arc<dyn World>, tls: &Tls, asking: Asking<'_>) -> Result<Answer> {
    let url = asking.url.clone();
    match tokio::time::timeout(LIMIT, exchange(world, tls, asking)).await {
        Ok(outcome) => outcome.map_err(|error| error.context(&url)),
        Err(_) => Err(failed(&format_args!("no answer within {} ms", LIMIT.as_millis())).context(&url)),
    }
}

async fn exchange(world: &Arc<dyn World>, tls: &Tls, asking: Asking<'_>) -> Result<Answer> {
    let socket = connected(world, tls, asking.url).await?;
    let request = request(asking)?;
    let broken = |error: hyper::Error| failed(&describe(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
    let answer = Box::pin(async move {
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body =
            Limited::new(body, LARGEST).collect().await.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => broken(*error),
                Err(_) => refused(format!("the answer has more than {LARGEST} bytes")),
            })?;
        Ok(Answer { status: head.status, body: Zeroizing::new(body.to_bytes().to_vec()) })
    });
    match select(answer, connection).await {
        Either::Left((outcome, _)) => outcome,
        // What the connection read before it ended is still to be had; or it tells that there was nothing.
        Either::Right((_, answer)) => answer.await,
    }
}

async fn connected(world: &Arc<dyn World>, tls: &Tls, url: &Url) -> Result<Box<dyn Socket>> {
    let Url { encrypted, endpoint, .. } = url;
    let config = if *encrypted { Some(tls.config(&**world).await?) } else { None };
    let addresses = resolve(&**world, endpoint, LIMIT).await?;
    let dialled = dial(&**world, &addresses, LIMIT, &SocketOptions::default()).await;
    let (socket, _) = dialled.map_err(|why| failed(&format_args!("cannot be reached ({why})")))?;
    let Some(config) = config else { return Ok(socket) };
    shake_hands(config, &endpoint.host, socket).await.map_err(|error| {
        let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        let kind = if is_tls { ErrorKind::TlsHandshakeFailed } else { ErrorKind::BrokerUnreachable };
        let hint = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            // A signature that does not fit: an authority of the same name, with another key.
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => "; sasl.tokenEndpointCa (https.ca.pem, https.ca.location) gives its authority",
            _ => "",
        };
        Error::new(kind, format!("the TLS handshake failed: {error}{hint}")).with_source(error)
    })
}

fn request(asking: Asking<'_>) -> Result<Request<Full<Bytes>>> {
    let odd = || refused("a character that no HTTP header can have is in what would be sent".to_owned());
    let body = Full::new(Bytes::from(asking.body.as_bytes().to_vec()));
    let mut request = Request::new(body);
    *request.method_mut() = asking.method;
    *request.uri_mut() = asking.url.target.parse().map_err(|_| odd())?;
    let headers = request.headers_mut();
    headers.insert(HOST, asking.url.authority.parse().map_err(|_| odd())?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("dohle/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in asking.headers {
        let mut value = HeaderValue::from_str(&value).map_err(|_| odd())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(request)
}

/// It may pass: the same is tried again.
pub(super) fn failed(why: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::BrokerUnreachable, why.to_string())
}

/// It would be the same again.
pub(super) fn refused(why: String) -> Error {
    Error::new(ErrorKind::Broker(dohle_protocol::ErrorCode::SASL_AUTHENTICATION_FAILED), why)
}

/// hyper's own words, and those of what is beneath: of the protocol and the socket, never of content.
fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("the exchange broke off: {error} ({source})"),
        None => format!("the exchange broke off: {error}"),
    }
}
