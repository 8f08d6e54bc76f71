//! AWS IAM for Amazon MSK, in both ways MSK knows: the mechanism AWS_MSK_IAM, whose one message is a signed request as JSON, and
//! a token for OAUTHBEARER, which is the same as a presigned URL.
//!
//! Nothing is asked of AWS: a signature says all. Credentials come from options, from a function of the program's (AWS's SDK has
//! one for every way to get them) or from the environment; there is no chain of our own.

mod sigv4;

use std::env;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::Secret;
use super::token::{Token, TokenSource};
use crate::error::{Error, ErrorKind, Result};
use crate::generated::options::ClientOptions;
use crate::options::OptionError;
use crate::world::World;
use sigv4::{Presign, query};

const ACCESS_KEY_ID: &str = "sasl.awsAccessKeyId (sasl.aws.access.key.id)";
const SECRET_ACCESS_KEY: &str = "sasl.awsSecretAccessKey (sasl.aws.secret.access.key)";
const SESSION_TOKEN: &str = "sasl.awsSessionToken (sasl.aws.session.token)";
pub(super) const REGION: &str = "sasl.awsRegion (sasl.aws.region)";
const FUNCTION: &str = "sasl.awsCredentials";
const SERVICE: &str = "kafka-cluster";
const ACTION: (&str, &str) = ("Action", "kafka-cluster:Connect");
/// As long as AWS's own signers have it.
const LIFETIME_SECONDS: i64 = 900;
const USER_AGENT: &str = concat!("dohle/", env!("CARGO_PKG_VERSION"));
/// How hosts of AWS's end; before that stands the region.
const SUFFIXES: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// Who somebody is to AWS.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// The name of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// What belongs to a key that is good for some time only.
    pub session_token: Option<Secret>,
    /// When that time is over, in milliseconds since 1970, if it is known.
    pub expires_at_ms: Option<i64>,
}

/// Gives credentials: a function of the program's.
pub trait CredentialSource: Send + Sync + 'static {
    /// Those that are good now. It is called for each login, or each token.
    fn credentials(&self) -> BoxFuture<'static, Result<Credentials>>;
}

/// See the module.
#[derive(Clone)]
pub(super) struct Aws {
    /// As an option says it.
    region: Option<String>,
    /// As the environment says it: where neither an option nor the host tells.
    fallback: Option<String>,
    credentials: Given,
}

#[derive(Clone)]
enum Given {
    Fixed(Credentials),
    Asked(Arc<dyn CredentialSource>),
}

/// An option of AWS's that is given.
pub(super) fn member(options: &ClientOptions, has_source: bool) -> Option<&'static str> {
    [
        (has_source, FUNCTION),
        (options.sasl_aws_region.is_some(), REGION),
        (options.sasl_aws_access_key_id.is_some(), ACCESS_KEY_ID),
        (options.sasl_aws_secret_access_key.is_some(), SECRET_ACCESS_KEY),
        (options.sasl_aws_session_token.is_some(), SESSION_TOKEN),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
}

impl Aws {
    /// What the options, the function and the environment give.
    pub(super) fn new(
        options: &ClientOptions,
        source: Option<Arc<dyn CredentialSource>>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OptionError> {
        let region = options.sasl_aws_region.clone();
        if region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(OptionError::new(REGION, "is not the name of a region, such as eu-central-1"));
        }
        let of_options = [
            (options.sasl_aws_access_key_id.is_some(), ACCESS_KEY_ID),
            (options.sasl_aws_secret_access_key.is_some(), SECRET_ACCESS_KEY),
            (options.sasl_aws_session_token.is_some(), SESSION_TOKEN),
        ];
        let credentials = match (source, of_options.into_iter().find(|(given, _)| *given)) {
            (Some(_), Some((_, name))) => return Err(OptionError::new(name, format!("is given, and {FUNCTION} too"))),
            (Some(source), None) => Given::Asked(source),
            (None, Some(_)) => Given::Fixed(of_options_alone(options)?),
            (None, None) => Given::Fixed(of_environment(&environment)?),
        };
        let fallback = environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION"));
        Ok(Self { region, fallback: fallback.filter(|region| is_region(region)), credentials })
    }

    /// The message of AWS_MSK_IAM for this broker.
    pub(super) async fn payload(&self, world: &dyn World, host: &str) -> Result<Secret> {
        let region = self.region.as_deref().or_else(|| region_of(host)).or(self.fallback.as_deref());
        let region = region.ok_or_else(|| {
            Error::from(OptionError::new(
                REGION,
                format!("is needed: the name of the broker, {host}, does not tell it"),
            ))
        })?;
        let credentials = self.credentials().await?;
        let now_ms = world.wall_clock_ms();
        let presign = Presign {
            credentials: &credentials,
            region,
            service: SERVICE,
            host,
            query: &[ACTION],
            now_ms,
            lifetime_seconds: lifetime(&credentials, now_ms)?,
        };
        let mut payload: Map<String, Value> =
            presign.parameters().iter().map(|(name, value)| (name.to_lowercase(), json!(value.as_str()))).collect();
        for (name, value) in [("version", "2020_10_22"), ("host", host), ("user-agent", USER_AGENT)] {
            payload.insert(name.to_owned(), json!(value));
        }
        Ok(Secret::new(Value::Object(payload).to_string()))
    }

    /// A token for OAUTHBEARER.
    async fn bearer(&self, world: &dyn World) -> Result<Token> {
        let region = self.region.as_deref().or(self.fallback.as_deref()).unwrap_or_default();
        let credentials = self.credentials().await?;
        let now_ms = world.wall_clock_ms();
        let host = format!("kafka.{region}.amazonaws.com");
        let lifetime_seconds = lifetime(&credentials, now_ms)?;
        let presign = Presign {
            credentials: &credentials,
            region,
            service: SERVICE,
            host: &host,
            query: &[ACTION],
            now_ms,
            lifetime_seconds,
        };
        let query = query(&presign.parameters());
        let url = format!("https://{host}/?{}&User-Agent={}", *query, super::percent::encoded(USER_AGENT));
        // Signed for whole seconds.
        let end = now_ms / 1000 * 1000 + lifetime_seconds * 1000;
        Ok(Token { expires_at_ms: Some(end), ..Token::new(Secret::new(URL_SAFE_NO_PAD.encode(url))) })
    }

    /// As the source of tokens.
    pub(super) fn into_tokens(self) -> Result<Arc<dyn TokenSource>, OptionError> {
        match self.region.as_ref().or(self.fallback.as_ref()) {
            Some(_) => Ok(Arc::new(Bearer(self))),
            None => Err(OptionError::new(REGION, "is needed for a token, here or as AWS_REGION in the environment")),
        }
    }

    async fn credentials(&self) -> Result<Credentials> {
        let source = match &self.credentials {
            Given::Fixed(credentials) => return Ok(credentials.clone()),
            Given::Asked(source) => source,
        };
        let credentials = source.credentials().await?;
        if credentials.access_key_id.is_empty() || credentials.secret_access_key.expose().is_empty() {
            return Err(Error::new(
                ErrorKind::CallbackFailed,
                format!("{FUNCTION} gave an empty accessKeyId or secretAccessKey"),
            ));
        }
        Ok(credentials)
    }
}

struct Bearer(Aws);

impl TokenSource for Bearer {
    fn token(&self, world: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
        let aws = self.0.clone();
        Box::pin(async move { aws.bearer(&*world).await })
    }
}

/// The variables of the process, as AWS's tools have them.
pub(super) fn environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn of_options_alone(options: &ClientOptions) -> Result<Credentials, OptionError> {
    let needed = |option: &str, other: &str| OptionError::new(option, format!("is needed beside {other}"));
    let id = options.sasl_aws_access_key_id.clone().filter(|id| !id.is_empty());
    let secret = options.sasl_aws_secret_access_key.clone().filter(|secret| !secret.expose().is_empty());
    let id = id.ok_or_else(|| needed(ACCESS_KEY_ID, SECRET_ACCESS_KEY))?;
    Ok(Credentials {
        secret_access_key: secret.ok_or_else(|| needed(SECRET_ACCESS_KEY, ACCESS_KEY_ID))?,
        access_key_id: id,
        session_token: options.sasl_aws_session_token.clone(),
        expires_at_ms: None,
    })
}

fn of_environment(environment: &impl Fn(&str) -> Option<String>) -> Result<Credentials, OptionError> {
    match (environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY")) {
        (Some(access_key_id), Some(secret)) => Ok(Credentials {
            access_key_id,
            secret_access_key: Secret::new(secret),
            session_token: environment("AWS_SESSION_TOKEN").map(Secret::new),
            expires_at_ms: None,
        }),
        _ => {
            let text = format!(
                "is needed, with {SECRET_ACCESS_KEY}: neither they nor {FUNCTION} are given, and AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY are not in the environment"
            );
            Err(OptionError::new(ACCESS_KEY_ID, text))
        }
    }
}

/// No longer than the credentials are good.
fn lifetime(credentials: &Credentials, now_ms: i64) -> Result<i64> {
    let left = credentials.expires_at_ms.map_or(LIFETIME_SECONDS, |end| (end - now_ms).div_euclid(1000));
    if left < 1 {
        return Err(Error::new(ErrorKind::CallbackFailed, format!("{FUNCTION} gave credentials that have expired")));
    }
    Ok(left.min(LIFETIME_SECONDS))
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `b-1.orders.abc.c2.kafka.eu-central-1.amazonaws.com` is in eu-central-1.
fn region_of(host: &str) -> Option<&str> {
    let before = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    before.rsplit_once('.').map(|(_, region)| region).filter(|region| is_region(region))
}

#[cfg(test)]
mod tests;
