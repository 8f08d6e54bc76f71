//! Tokens of a token endpoint (OAuth 2.0, OpenID Connect): by the grant client_credentials (KIP-768), with a secret or with an
//! assertion in its place, and by JWT bearer (RFC 7523, KIP-1139).
//!
//! It asks once and keeps nothing: [`Tokens`](super::token::Tokens) renews in time and tries again what may pass.

mod answer;
mod assertion;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use zeroize::Zeroizing;

use super::Secret;
use super::http::{self, Asking, Url};
use super::percent::encoded;
use super::tls::Tls;
use super::token::{Token, TokenSource};
use crate::error::Result;
use crate::generated::options::{ClientOptions, SaslOauthbearerGrantType as Grant};
use crate::options::OptionError;
use crate::world::World;
use assertion::Assertion;

pub(super) const URL: &str = "sasl.tokenEndpointUrl (sasl.oauthbearer.token.endpoint.url)";
const CLIENT_ID: &str = "sasl.clientId (sasl.oauthbearer.client.credentials.client.id)";
const CLIENT_SECRET: &str = "sasl.clientSecret (sasl.oauthbearer.client.credentials.client.secret)";
const GRANT: &str = "sasl.grantType (sasl.oauthbearer.grant.type)";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// See the module.
pub(super) struct TokenEndpoint(Arc<Inner>);

struct Inner {
    url: Url,
    tls: Tls,
    grant: Grant,
    client_id: Option<String>,
    secret: Option<Secret>,
    urlencode: bool,
    assertion: Option<Assertion>,
    scope: Option<String>,
    extensions: Vec<(String, String)>,
}

/// An option that belongs to a token endpoint and is given.
pub(super) fn member(options: &ClientOptions) -> Option<&'static str> {
    [
        (options.sasl_token_endpoint_url.is_some(), URL),
        (options.sasl_client_id.is_some(), CLIENT_ID),
        (options.sasl_client_secret.is_some(), CLIENT_SECRET),
        (options.sasl_grant_type.is_some(), GRANT),
        (options.sasl_scope.is_some(), "sasl.scope (sasl.oauthbearer.scope)"),
        (options.sasl_header_urlencode, "sasl.headerUrlencode (sasl.oauthbearer.header.urlencode)"),
        (options.sasl_token_endpoint_ca.is_some(), "sasl.tokenEndpointCa (https.ca.pem)"),
        (options.sasl_token_endpoint_ca_file.is_some(), "sasl.tokenEndpointCaFile (https.ca.location)"),
        (
            options.sasl_token_endpoint_without_tls,
            "sasl.tokenEndpointWithoutTls (sasl.oauthbearer.token.endpoint.without.tls)",
        ),
    ]
    .into_iter()
    .find_map(|(given, name)| given.then_some(name))
    .or_else(|| assertion::member(options))
}

impl TokenEndpoint {
    /// None: the options name no endpoint.
    pub(super) fn new(options: &ClientOptions, extensions: Vec<(String, String)>) -> Result<Option<Self>> {
        let Some(url) = &options.sasl_token_endpoint_url else {
            return match member(options) {
                Some(member) => {
                    Err(OptionError::new(member, format!("is given, but no token endpoint that it is for: {URL}"))
                        .into())
                }
                None => Ok(None),
            };
        };
        let url = Url::parse(URL, url)?;
        if url.is_exposed() && !options.sasl_token_endpoint_without_tls {
            let text = "sends secrets and tokens readable for everyone on the way: it must begin with https://, or be allowed by \
                        sasl.tokenEndpointWithoutTls (sasl.oauthbearer.token.endpoint.without.tls)";
            return Err(OptionError::new(URL, text).into());
        }
        let tls = Tls::towards_service(
            ("sasl.tokenEndpointCa (https.ca.pem)", options.sasl_token_endpoint_ca.as_deref()),
            ("sasl.tokenEndpointCaFile (https.ca.location)", options.sasl_token_endpoint_ca_file.as_ref()),
        )?;
        let assertion = Assertion::new(options, &url.to_string())?;
        let grant = options.sasl_grant_type;
        let grant = grant.unwrap_or(if assertion.is_some() { Grant::JwtBearer } else { Grant::ClientCredentials });
        check_client(options, grant, assertion.is_some())?;
        Ok(Some(Self(Arc::new(Inner {
            url,
            tls,
            grant,
            client_id: options.sasl_client_id.clone(),
            secret: options.sasl_client_secret.clone(),
            urlencode: options.sasl_header_urlencode,
            assertion,
            scope: options.sasl_scope.clone(),
            extensions,
        }))))
    }
}

/// Whether there is what the grant takes, and nothing that would not be used.
fn check_client(options: &ClientOptions, grant: Grant, has_assertion: bool) -> Result<(), OptionError> {
    let wrong = |option: &str, problem: &str| Err(OptionError::new(option, problem));
    let (id, secret) = (&options.sasl_client_id, &options.sasl_client_secret);
    if id.as_ref().is_some_and(String::is_empty) {
        return wrong(CLIENT_ID, "is empty");
    }
    if secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
        return wrong(CLIENT_SECRET, "is empty");
    }
    match (grant, has_assertion) {
        (Grant::JwtBearer, false) => wrong(
            GRANT,
            "is jwt-bearer, which needs an assertion: sasl.assertionFile, or sasl.assertionKey that signs one",
        ),
        (Grant::ClientCredentials, true) if secret.is_some() => {
            wrong(CLIENT_SECRET, "is given, but the assertion stands in its place")
        }
        (Grant::ClientCredentials, _) if id.is_none() => wrong(CLIENT_ID, "is needed for the grant client_credentials"),
        (Grant::ClientCredentials, false) if secret.is_none() => wrong(
            CLIENT_SECRET,
            "is needed for the grant client_credentials, or an assertion: sasl.assertionKey, sasl.assertionFile",
        ),
        _ if id.is_none() && secret.is_some() => wrong(CLIENT_ID, "is needed beside the client secret"),
        _ => Ok(()),
    }
}

impl TokenSource for TokenEndpoint {
    fn token(&self, world: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
        let inner = self.0.clone();
        Box::pin(async move { inner.token(&world).await })
    }
}

impl Inner {
    async fn token(&self, world: &Arc<dyn World>) -> Result<Token> {
        let asked_at = world.wall_clock_ms();
        let assertion = match &self.assertion {
            Some(assertion) => Some(assertion.make(world).await?),
            None => None,
        };
        let assertion = assertion.as_ref().map(|text| text.as_str());
        let mut headers = vec![
            (CONTENT_TYPE, Zeroizing::new("application/x-www-form-urlencoded".to_owned())),
            (ACCEPT, Zeroizing::new("application/json".to_owned())),
        ];
        let basic = self.basic();
        headers.extend(basic.clone().map(|basic| (AUTHORIZATION, basic)));
        let body = urlencoded(&self.form(assertion));
        let asking = Asking { url: &self.url, method: Method::POST, headers, body };
        let answer = http::ask(world, &self.tls, asking).await?;
        let basic = basic.as_ref().and_then(|basic| basic.strip_prefix("Basic "));
        let secrets: Vec<&str> =
            self.secret.as_ref().map(Secret::expose).into_iter().chain(assertion).chain(basic).collect();
        let mut token = answer::token(&answer, asked_at, &secrets).map_err(|error| match &self.client_id {
            Some(id) => error.context(format_args!("{} (client '{id}')", self.url)),
            None => error.context(&self.url),
        })?;
        token.extensions.clone_from(&self.extensions);
        Ok(token)
    }

    fn form<'a>(&'a self, assertion: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
        let mut form = match (self.grant, assertion) {
            (Grant::JwtBearer, Some(assertion)) => vec![("grant_type", JWT_BEARER), ("assertion", assertion)],
            (_, Some(assertion)) => vec![
                ("grant_type", "client_credentials"),
                ("client_assertion_type", CLIENT_ASSERTION),
                ("client_assertion", assertion),
            ],
            (_, None) => vec![("grant_type", "client_credentials")],
        };
        // With a secret, the header says who asks.
        form.extend(self.client_id.as_deref().filter(|_| self.secret.is_none()).map(|id| ("client_id", id)));
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        form
    }

    /// RFC 6749 §2.3.1.
    fn basic(&self) -> Option<Zeroizing<String>> {
        let (Some(id), Some(secret)) = (&self.client_id, &self.secret) else { return None };
        let form = |text: &str| Zeroizing::new(if self.urlencode { encoded(text) } else { text.to_owned() });
        let pair = Zeroizing::new(format!("{}:{}", *form(id), *form(secret.expose())));
        Some(Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes())))))
    }
}

/// A form's body.
fn urlencoded(form: &[(&str, &str)]) -> Zeroizing<String> {
    let mut body = Zeroizing::new(String::with_capacity(4096));
    for (name, value) in form {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        body.push_str(&Zeroizing::new(encoded(value)));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn endpoint(change: serde_json::Value) -> TokenEndpoint {
        let mut options = json!({ "brokers": "a:1" });
        options["sasl"] = change;
        options["sasl"]["tokenEndpointUrl"] = json!("https://login.example/token");
        let options = ClientOptions::parse(options.as_object().unwrap()).unwrap();
        TokenEndpoint::new(&options, Vec::new()).unwrap().unwrap()
    }

    #[test]
    fn a_client_is_told_as_it_is_or_percent_encoded() {
        let told = |urlencode: bool| {
            let change = json!({ "clientId": "a:b", "clientSecret": "ü +/%", "headerUrlencode": urlencode });
            let header = endpoint(change).0.basic().unwrap();
            String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
        };
        assert_eq!(told(false), "a:b:ü +/%");
        assert_eq!(told(true), "a%3Ab:%C3%BC%20%2B%2F%25");
    }

    #[test]
    fn an_assertion_is_the_grant_or_stands_for_the_secret() {
        let form = |change| {
            endpoint(change).0.form(Some("jwt")).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        let file = json!({ "assertionFile": "f", "scope": "s" });
        assert_eq!(form(file), [&format!("grant_type={JWT_BEARER}"), "assertion=jwt", "scope=s"]);
        let named = json!({ "assertionFile": "f", "clientId": "c" });
        assert_eq!(form(named), [&format!("grant_type={JWT_BEARER}"), "assertion=jwt", "client_id=c"]);
        let both = json!({ "assertionFile": "f", "clientId": "c", "clientSecret": "s" });
        assert_eq!(form(both.clone()), [&format!("grant_type={JWT_BEARER}"), "assertion=jwt"]);
        assert!(endpoint(both).0.basic().is_some());
        let instead = json!({ "assertionFile": "f", "clientId": "c", "grantType": "client_credentials" });
        let kind = format!("client_assertion_type={CLIENT_ASSERTION}");
        assert_eq!(form(instead), ["grant_type=client_credentials", &kind, "client_assertion=jwt", "client_id=c"]);
        let long = json!({ "assertionFile": "f", "grantType": JWT_BEARER });
        assert_eq!(form(long), [&format!("grant_type={JWT_BEARER}"), "assertion=jwt"]);
    }

    #[test]
    fn a_form_is_one_that_every_server_reads() {
        assert_eq!(*urlencoded(&[("grant_type", "a:b"), ("scope", "x y&z")]), "grant_type=a%3Ab&scope=x%20y%26z");
    }
}
