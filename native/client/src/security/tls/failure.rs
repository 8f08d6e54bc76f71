//! What went wrong with TLS, in words that say what to do.

use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::verifier::is_authority;
use crate::error::{Error, ErrorKind};
use crate::net::Endpoint;

/// The handshake failed.
pub(super) fn of_handshake(error: io::Error, endpoint: &Endpoint) -> Error {
    if let Some(explained) = explain(&error) {
        return explained.context(endpoint).with_source(error);
    }
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => format!(
            "{endpoint} closed the connection in the TLS handshake; a listener without TLS does this, so does a broker that is \
             starting"
        ),
        _ => format!("{endpoint}: the connection broke in the TLS handshake: {error}"),
    };
    Error::new(ErrorKind::BrokerUnreachable, text).with_source(error)
}

/// The part of an error that is about TLS, if any is.
pub(crate) fn explain(error: &io::Error) -> Option<Error> {
    let error = error.get_ref()?.downcast_ref::<TlsError>()?;
    let text = match error {
        TlsError::InvalidCertificate(problem) => certificate(problem),
        TlsError::AlertReceived(alert) => refused(*alert),
        TlsError::InvalidMessage(_) => {
            "answers, but not with TLS: this is a listener without it (security.protocol PLAINTEXT \
                                        or SASL_PLAINTEXT, no tls), or another service"
                .to_owned()
        }
        TlsError::PeerIncompatible(_) => {
            format!("has no version or cipher of TLS in common with this client ({error})")
        }
        other => format!("the TLS handshake failed: {other}"),
    };
    Some(Error::new(ErrorKind::TlsHandshakeFailed, text))
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        // A signature that does not fit: an authority of the same name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "the broker's certificate is of an authority that is not trusted: give that \
                                            authority's certificate as tls.ca (ssl.truststore.certificates, ssl.ca.location)"
            .to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "the broker's certificate has expired {} ago: it needs a new one, or the clock here is wrong",
                span(*time, *not_after)
            )
        }
        CertificateError::Expired => "the broker's certificate has expired: it needs a new one".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("the broker's certificate is valid only in {}: is the clock here right?", span(*not_before, *time))
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the broker's certificate is not for '{}', but for {}: connect by one of these, or name it in tls.serverName \
             (tls.server.name)",
            expected.to_str(),
            if presented.is_empty() { "no name at all".to_owned() } else { names(presented) }
        ),
        problem if is_authority(problem) => "the broker shows a certificate that it made itself, or that of an authority (CA:TRUE), and \
                                             it is not among those that are trusted: give that very certificate as tls.ca \
                                             (ssl.truststore.certificates, ssl.ca.location), or the broker one that was issued for it"
            .to_owned(),
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "the broker's certificate is of an old form (X.509 before version 3) that says no names: it needs one with subjectAltName"
                .to_owned()
        }
        other => format!("the broker's certificate cannot be accepted: {other}"),
    }
}

/// `DnsName("a")` and `IpAddress(127.0.0.1)` are rustls's words.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    presented.iter().take(8).map(bare).collect::<Vec<_>>().join(", ")
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate | AlertDescription::NoCertificate => {
            "the broker refused: it wants a client certificate that it trusts; tls.cert and tls.key (ssl.keystore.certificate.chain, \
             ssl.keystore.key) give one"
                .to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::DecryptError => {
            "the broker does not trust the client's certificate (tls.cert): it is of an authority that the broker does not know"
                .to_owned()
        }
        AlertDescription::CertificateExpired => "the client's certificate (tls.cert) has expired".to_owned(),
        AlertDescription::CertificateRevoked => "the client's certificate (tls.cert) was revoked".to_owned(),
        AlertDescription::AccessDenied => "the broker refuses the client's certificate (tls.cert)".to_owned(),
        AlertDescription::ProtocolVersion => "the broker wants a version of TLS other than 1.2 and 1.3".to_owned(),
        AlertDescription::UnrecognisedName => {
            "the broker is not known by this name; tls.serverName (tls.server.name) tells another".to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the broker refused the TLS handshake: it has no cipher in common with this client, or wants a client certificate \
             (tls.cert, tls.key)"
                .to_owned()
        }
        other => format!("the broker refused the TLS handshake: {other:?}"),
    }
}

/// The time between two moments, in the unit people would say.
fn span(later: UnixTime, earlier: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
