//! Who the client is: one SASL exchange at the beginning of a connection, and again before the session ends (KIP-368).
//!
//! It speaks through a [`Wire`], which is a bare socket at first and an open connection later. What it proves with (password,
//! token) is made ready before, so that a slow token endpoint holds no connection. Driven by `net`.

mod scram;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};

use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::{ClientOptions, SaslMechanism};
use crate::options::OptionError;
use crate::security::aws::{self, Aws};
use crate::security::oidc::{self, TokenEndpoint};
use crate::security::token::{Fixed, Token, Tokens, check_extensions};
use crate::security::{Secret, Sources};
use crate::world::World;
use scram::{Scram, ScramKeys};

/// The option that makes a user name and password those of a delegation token (KIP-48).
pub(super) const DELEGATION_TOKEN: &str = "sasl.delegationToken (sasl.delegation.token)";

/// What an exchange is spoken through.
pub(crate) trait Wire {
    /// Names the mechanism.
    fn handshake(&mut self, mechanism: &str) -> impl Future<Output = Result<SaslHandshakeResponse>> + Send;
    /// One message of the mechanism and the broker's answer to it.
    fn authenticate(&mut self, message: Bytes) -> impl Future<Output = Result<SaslAuthenticateResponse>> + Send;
}

/// What a client proves itself with.
pub(crate) struct Sasl {
    mechanism: SaslMechanism,
    proof: Proof,
    patience: Duration,
}

enum Proof {
    Password { user: String, password: Secret, is_token: bool, keys: ScramKeys },
    Token(Tokens),
    Signature(Aws),
}

/// A proof that is ready to be shown on one connection.
#[derive(Clone)]
pub(crate) enum Ready {
    Password,
    Token(Token),
    Signature(Secret),
}

impl Sasl {
    pub(super) fn new(mechanism: SaslMechanism, options: &ClientOptions, sources: Sources) -> Result<Self> {
        let proof = match mechanism {
            SaslMechanism::Oauthbearer => Proof::Token(tokens(options, sources)?),
            SaslMechanism::AwsMskIam => Proof::Signature(signature(options, sources)?),
            _ => password(mechanism, options, &sources)?,
        };
        Ok(Self { mechanism, proof, patience: options.request_timeout })
    }

    /// Gets ready what will be shown; that may take as long as a token takes to come.
    /// `host` is that of the broker it is shown to.
    pub(crate) async fn prepare(&self, world: &Arc<dyn World>, host: &str) -> Result<Ready> {
        match &self.proof {
            Proof::Password { .. } => Ok(Ready::Password),
            Proof::Token(tokens) => Ok(Ready::Token(tokens.current(world, self.patience).await?)),
            Proof::Signature(aws) => match tokio::time::timeout(self.patience, aws.payload(&**world, host)).await {
                Ok(outcome) => {
                    outcome.map(Ready::Signature).map_err(|error| error.context("no credentials for AWS_MSK_IAM"))
                }
                Err(_) => {
                    let text = format!("no credentials of AWS came within {} ms", self.patience.as_millis());
                    Err(Error::new(ErrorKind::CallbackFailed, text))
                }
            },
        }
    }

    /// Why there is nothing to show at the moment, if that is so.
    pub(crate) fn trouble(&self) -> Option<Error> {
        match &self.proof {
            Proof::Token(tokens) => tokens.trouble(),
            _ => None,
        }
    }

    /// Runs the exchange. Tells how long the broker believes it; none: as long as the connection lives.
    pub(crate) async fn run(&self, world: &dyn World, ready: Ready, wire: &mut impl Wire) -> Result<Option<Duration>> {
        let answer = wire.handshake(self.mechanism.name()).await?;
        self.check_handshake(answer)?;
        let last = match (&self.proof, ready) {
            (Proof::Password { user, password, .. }, _) if self.mechanism == SaslMechanism::Plain => {
                let message = format!("\0{user}\0{}", password.expose());
                self.say(wire, message.into(), password).await?
            }
            (Proof::Password { user, password, is_token, keys }, _) => {
                let exchange = Scram::begin(user, scram::nonce(), *is_token);
                self.scram(world, wire, exchange, password, keys).await?
            }
            (Proof::Token(_), Ready::Token(token)) => self.bearer(wire, &token).await?,
            (Proof::Signature(_), Ready::Signature(payload)) => self.signed(wire, &payload).await?,
            (Proof::Token(_) | Proof::Signature(_), _) => unreachable!("made ready by the same proof"),
        };
        let lifetime = u64::try_from(last.session_lifetime_ms).unwrap_or(0);
        Ok((lifetime > 0).then(|| Duration::from_millis(lifetime)))
    }

    fn check_handshake(&self, answer: SaslHandshakeResponse) -> Result<()> {
        let mechanism = self.mechanism.name();
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => Ok(()),
            code @ ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                let offered = answer.mechanisms.join(", ");
                let text = format!("the broker does not offer sasl.mechanism {mechanism} here, but {offered}");
                Err(Error::new(ErrorKind::Broker(code), text))
            }
            code @ ErrorCode::ILLEGAL_SASL_STATE => {
                let text = "the broker asks for no SASL on this listener: leave sasl out (security.protocol PLAINTEXT or SSL), or \
                            use its SASL port";
                Err(Error::new(ErrorKind::Broker(code), text))
            }
            code => Err(Error::broker(code, format_args!("SASL handshake for {mechanism}"))),
        }
    }

    async fn say(&self, wire: &mut impl Wire, message: Bytes, secret: &Secret) -> Result<SaslAuthenticateResponse> {
        let answer = wire.authenticate(message).await?;
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => Ok(answer),
            code => Err(self.refused(code, answer.error_message.as_deref(), secret)),
        }
    }

    /// The broker's words are told, unless they repeat the secret that it was shown.
    fn refused(&self, code: ErrorCode, said: Option<&str>, secret: &Secret) -> Error {
        let text = format!("the broker refused {} ({})", self.who(), self.mechanism.name());
        let said = said.map(|said| match !secret.expose().is_empty() && said.contains(secret.expose()) {
            true => "what it says of it repeats the secret, and is not shown".to_owned(),
            false => said.chars().take(300).collect(),
        });
        Error::broker_with(code, format_args!("{text}"), said.as_deref())
    }

    fn who(&self) -> String {
        match &self.proof {
            Proof::Password { user, is_token: true, .. } => format!("the delegation token '{user}'"),
            Proof::Password { user, .. } => format!("user '{user}'"),
            Proof::Token(_) => "the token".to_owned(),
            Proof::Signature(_) => "the credentials of AWS".to_owned(),
        }
    }

    async fn scram(
        &self,
        world: &dyn World,
        wire: &mut impl Wire,
        mut scram: Scram,
        password: &Secret,
        keys: &ScramKeys,
    ) -> Result<SaslAuthenticateResponse> {
        // What the server does wrong is a failed authentication too: it may be somebody else.
        let wrong = |text: String| {
            let text = format!("{} with {}: {text}", self.mechanism.name(), self.who());
            Error::new(ErrorKind::Broker(ErrorCode::SASL_AUTHENTICATION_FAILED), text)
        };
        let first = self.say(wire, scram.client_first(), password).await?;
        let challenge = scram.challenge(&first.auth_bytes).map_err(wrong)?;
        let salted = keys.derive(world, self.mechanism, password, &challenge).await?;
        let proof = scram.client_final(&salted, &challenge);
        let last = self.say(wire, proof, password).await?;
        scram.check_server(&last.auth_bytes).map_err(wrong)?;
        Ok(last)
    }

    /// One message and one answer, which says which request it was to AWS; whoever has nothing to say did not look.
    async fn signed(&self, wire: &mut impl Wire, payload: &Secret) -> Result<SaslAuthenticateResponse> {
        let answer = self.say(wire, payload.expose().to_owned().into(), payload).await?;
        if answer.auth_bytes.is_empty() {
            let said = "it answered nothing, which a broker of Amazon MSK does not do";
            return Err(self.refused(ErrorCode::SASL_AUTHENTICATION_FAILED, Some(said), payload));
        }
        Ok(answer)
    }

    /// RFC 7628. A refusal comes as a message of its own, which is acknowledged before the broker ends the exchange.
    async fn bearer(&self, wire: &mut impl Wire, token: &Token) -> Result<SaslAuthenticateResponse> {
        let mut message = format!("n,,\u{1}auth=Bearer {}", token.value.expose());
        for (name, value) in &token.extensions {
            message.push_str(&format!("\u{1}{name}={value}"));
        }
        message.push_str("\u{1}\u{1}");
        let answer = self.say(wire, message.into(), &token.value).await?;
        if answer.auth_bytes.is_empty() {
            return Ok(answer);
        }
        let said = String::from_utf8_lossy(&answer.auth_bytes);
        let end = self.say(wire, Bytes::from_static(b"\x01"), &token.value).await;
        Err(end
            .err()
            .filter(|error| error.broker_code().is_some())
            .unwrap_or_else(|| self.refused(ErrorCode::SASL_AUTHENTICATION_FAILED, Some(&said), &token.value)))
    }
}

const TOKEN: &str = "sasl.token (sasl.oauthbearer.token)";

/// Where the tokens come from.
fn tokens(options: &ClientOptions, sources: Sources) -> Result<Tokens> {
    let Sources { tokens: given, credentials } = sources;
    for (given, name) in
        [(options.sasl_username.is_some(), "sasl.username"), (options.sasl_password.is_some(), "sasl.password")]
    {
        if given {
            let text = "is given, but OAUTHBEARER takes a token: sasl.token (sasl.oauthbearer.token)";
            return Err(OptionError::new(name, text).into());
        }
    }
    if options.sasl_delegation_token {
        let text = "is for SCRAM-SHA-256 and SCRAM-SHA-512, not for OAUTHBEARER";
        return Err(OptionError::new(DELEGATION_TOKEN, text).into());
    }
    let extensions = extensions(options.sasl_extensions.as_deref().unwrap_or_default())?;
    let wrong = |option: &str, problem: String| Err(OptionError::new(option, problem).into());
    let of_aws = aws::member(options, credentials.is_some());
    let ways = [(options.sasl_token.is_some() || given.is_some()).then_some(TOKEN), oidc::member(options), of_aws];
    let mut ways = ways.into_iter().flatten();
    if let (Some(one), Some(other)) = (ways.next(), ways.next()) {
        return wrong(one, format!("is given, and {other} too; tokens come from one of them"));
    }
    if of_aws.is_some() {
        if !extensions.is_empty() {
            return wrong(EXTENSIONS, "is given, but Amazon MSK takes none".to_owned());
        }
        return Ok(Tokens::of_program(Aws::new(options, credentials, aws::environment)?.into_tokens()?));
    }
    match (&options.sasl_token, given) {
        (Some(_), Some(_)) => wrong(TOKEN, "is given as text and as a function".to_owned()),
        (None, Some(source)) if extensions.is_empty() => Ok(Tokens::of_program(source)),
        (None, Some(_)) => wrong(EXTENSIONS, "comes with the token when that is given by a function".to_owned()),
        (Some(value), None) => {
            let fixed = Token { extensions, ..Token::new(value.clone()) };
            fixed.check().map_err(|error| OptionError::new(TOKEN, error.message().to_owned()))?;
            Ok(Tokens::of_program(Arc::new(Fixed(fixed))))
        }
        (None, None) => match TokenEndpoint::new(options, extensions)? {
            Some(endpoint) => Ok(Tokens::built_in(Arc::new(endpoint))),
            None => wrong(
                TOKEN,
                format!("is needed for OAUTHBEARER, or {}, or, for Amazon MSK, {}", oidc::URL, aws::REGION),
            ),
        },
    }
}

const EXTENSIONS: &str = "sasl.extensions (sasl.oauthbearer.extensions)";

fn extensions(given: &[String]) -> Result<Vec<(String, String)>, OptionError> {
    let wrong = |problem: String| OptionError::new(EXTENSIONS, problem);
    let pair = |one: &String| one.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned()));
    let pairs: Option<Vec<_>> = given.iter().map(pair).collect();
    let extensions = pairs.ok_or_else(|| wrong("has an entry that is not name=value".to_owned()))?;
    check_extensions(&extensions).map_err(wrong)?;
    Ok(extensions)
}

/// What signs for AWS_MSK_IAM.
fn signature(options: &ClientOptions, sources: Sources) -> Result<Aws, OptionError> {
    let others = [
        options.sasl_username.is_some().then_some("sasl.username"),
        options.sasl_password.is_some().then_some("sasl.password"),
        (options.sasl_token.is_some() || sources.tokens.is_some()).then_some(TOKEN),
        options.sasl_extensions.is_some().then_some(EXTENSIONS),
        oidc::member(options),
    ];
    if let Some(other) = others.into_iter().flatten().next() {
        return Err(OptionError::new(other, "is given, but AWS_MSK_IAM takes credentials of AWS"));
    }
    Aws::new(options, sources.credentials, aws::environment)
}

fn password(mechanism: SaslMechanism, options: &ClientOptions, sources: &Sources) -> Result<Proof, OptionError> {
    let name = mechanism.name();
    let of_tokens = [
        options.sasl_extensions.is_some().then_some(EXTENSIONS),
        (options.sasl_token.is_some() || sources.tokens.is_some()).then_some(TOKEN),
        oidc::member(options),
        aws::member(options, sources.credentials.is_some()),
    ];
    if let Some(option) = of_tokens.into_iter().flatten().next() {
        return Err(OptionError::new(option, format!("is given, but {name} takes sasl.username and sasl.password")));
    }
    let is_token = options.sasl_delegation_token;
    if is_token && mechanism == SaslMechanism::Plain {
        return Err(OptionError::new(DELEGATION_TOKEN, "is for SCRAM-SHA-256 and SCRAM-SHA-512, not for PLAIN"));
    }
    let needed = |option: &str| OptionError::new(option, format!("is needed for {name}"));
    let user = options.sasl_username.clone().ok_or_else(|| needed("sasl.username"))?;
    let password = options.sasl_password.clone().ok_or_else(|| needed("sasl.password"))?;
    if user.is_empty() || user.contains('\0') {
        return Err(OptionError::new("sasl.username", "is empty, or has a NUL in it"));
    }
    if password.expose().is_empty() || password.expose().contains('\0') {
        return Err(OptionError::new("sasl.password", "is empty, or has a NUL in it"));
    }
    Ok(Proof::Password { user, password, is_token, keys: ScramKeys::default() })
}
