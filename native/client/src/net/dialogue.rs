//! One request and its answer at a time on a socket that no driver has yet: the first words of a connection.

use std::io;

use bytes::Bytes;
use dohle_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use dohle_protocol::{Request, frame};
use tokio::io::AsyncWriteExt;

use super::connect::Opened;
use super::frame_reader::{FrameReader, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::security::sasl::Wire;
use crate::security::tls;
use crate::world::Socket;

/// Why a request has no answer.
pub(super) enum Unanswered {
    /// The peer closed the connection without a word.
    HungUp,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Unanswered {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Asks, and gives the answer's bytes, of which the correlation id is checked.
pub(super) async fn ask<R: Request>(
    client_id: &str,
    socket: &mut Box<dyn Socket>,
    reader: &mut FrameReader,
    version: i16,
    correlation_id: i32,
    request: &R,
) -> Result<Bytes, Unanswered> {
    let segments = frame::encode_request(version, correlation_id, Some(client_id), request)?;
    for segment in &segments.0 {
        socket.write_all(segment).await.map_err(io_error)?;
    }
    socket.flush().await.map_err(io_error)?;
    let answer = match std::future::poll_fn(|cx| reader.poll_frame(cx, socket)).await {
        Ok(answer) => answer,
        Err(ReadError::Peer(error)) => return Err(error.into()),
        Err(ReadError::Io(error)) => return Err(io_error(error)),
        Err(ReadError::Closed { in_frame: false }) => return Err(Unanswered::HungUp),
        Err(ReadError::Closed { .. }) => {
            let text = "the connection was closed in the middle of the first answer";
            return Err(Error::new(ErrorKind::BrokerUnreachable, text).into());
        }
    };
    match frame::peek_correlation_id(&answer)? {
        id if id == correlation_id => Ok(answer),
        id => Err(Error::new(
            ErrorKind::NotKafka,
            format!("answers, but not as Kafka does (correlation id {id} instead of {correlation_id})"),
        )
        .into()),
    }
}

/// A reset before the first answer counts as hanging up: that is what a close with unread bytes looks like. TLS tells a
/// client without a certificate only now that one is wanted.
fn io_error(error: io::Error) -> Unanswered {
    if let Some(explained) = tls::explain(&error) {
        return Unanswered::Failed(explained.with_source(error));
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => Unanswered::HungUp,
        _ => {
            let text = format!("the connection broke before the first answer: {error}");
            Unanswered::Failed(Error::new(ErrorKind::BrokerUnreachable, text).with_source(error))
        }
    }
}

/// The SASL exchange of a new connection.
pub(super) struct Dialogue<'a> {
    client_id: &'a str,
    opened: &'a mut Opened,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(client_id: &'a str, opened: &'a mut Opened) -> Self {
        Self { client_id, opened }
    }

    async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        let Opened { socket, reader, versions, next_correlation_id, .. } = &mut *self.opened;
        let version = versions.version::<R>()?;
        let id = *next_correlation_id;
        *next_correlation_id += 1;
        match ask(self.client_id, socket, reader, version, id, request).await {
            Ok(answer) => Ok(frame::decode_response::<R>(answer, version)?.1),
            Err(Unanswered::Failed(error)) => Err(error),
            Err(Unanswered::HungUp) => {
                let text = format!(
                    "closed the connection instead of answering {}; one that wants another sasl.mechanism may do this",
                    R::API_KEY.name()
                );
                Err(Error::new(ErrorKind::BrokerUnreachable, text))
            }
        }
    }
}

impl Wire for Dialogue<'_> {
    async fn handshake(&mut self, mechanism: &str) -> Result<SaslHandshakeResponse> {
        self.call(&SaslHandshakeRequest { mechanism: mechanism.to_owned() }).await
    }

    async fn authenticate(&mut self, message: Bytes) -> Result<SaslAuthenticateResponse> {
        self.call(&SaslAuthenticateRequest { auth_bytes: message, ..Default::default() }).await
    }
}
