//! Tokens for OAUTHBEARER: where they come from ([`TokenSource`]) and how long one is used.
//!
//! A source makes tokens when it is asked; it keeps none. [`Tokens`] keeps the current one, renews it when 80 % of its life
//! are over, and asks for one at a time, however many connections wait for it. What may pass, as a source's error says, is
//! tried again within the time there is (KIP-768); but nobody waits for that while the current token is still good.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::net::Backoff;
use crate::world::World;

/// Gives tokens: a function of the program's, a token endpoint, a fixed text.
pub trait TokenSource: Send + Sync + 'static {
    /// A new token. It is called again when the last one nears its end, never twice at a time; what it returns is an error
    /// the program is told; after one that is retriable it is called again.
    fn token(&self, world: Arc<dyn World>) -> BoxFuture<'static, Result<Token>>;
}

/// A token and what goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What the broker is shown.
    pub value: Secret,
    /// When it ends, in milliseconds since 1970. None: as the token itself says, if it is a JWT; else it is used once.
    pub expires_at_ms: Option<i64>,
    /// SASL extensions (KIP-342).
    pub extensions: Vec<(String, String)>,
}

impl Token {
    /// A token without extensions, whose end is in itself or unknown.
    pub fn new(value: Secret) -> Self {
        Self { value, expires_at_ms: None, extensions: Vec::new() }
    }

    /// Refuses what would break the message it is part of (RFC 7628).
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::new(ErrorKind::CallbackFailed, text));
        let value = self.value.expose();
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return wrong("the token is empty, or has characters that no token has".to_owned());
        }
        check_extensions(&self.extensions).or_else(wrong)
    }

    /// When it ends, as far as known.
    fn end(&self) -> Option<i64> {
        self.expires_at_ms.or_else(|| expiry_of_jwt(self.value.expose()))
    }
}

/// Refuses SASL extensions that RFC 7628 does not allow.
pub(super) fn check_extensions(extensions: &[(String, String)]) -> Result<(), String> {
    for (name, value) in extensions {
        let is_name = !name.is_empty() && name != "auth" && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_value = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
        if !is_name || !is_value {
            return Err(format!(
                "'{name}' is no SASL extension: names are letters and not 'auth', values are ASCII text"
            ));
        }
    }
    Ok(())
}

/// The claim `exp` of a JWT. Nothing is verified: the broker does that.
fn expiry_of_jwt(token: &str) -> Option<i64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let seconds = claims.get("exp")?.as_f64()?;
    (0.0..9e12).contains(&seconds).then_some((seconds * 1000.0) as i64)
}

/// What a token's failure is told with.
const NO_TOKEN: &str = "no token for OAUTHBEARER";
/// The first pause before a source is asked again, and the longest: Kafka's `sasl.login.retry.backoff.ms` and `.max.ms`.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The least time between two attempts while the current token is good.
const SPARE_TRY: i64 = 1000;

/// The token of a client.
pub(super) struct Tokens {
    source: Arc<dyn TokenSource>,
    /// What it means when the source is late.
    late: ErrorKind,
    /// Locked while one is asked for: whoever comes meanwhile waits for that one.
    current: Mutex<Option<Current>>,
    /// Why there was none when the source was asked last.
    trouble: parking_lot::Mutex<Option<Error>>,
}

struct Current {
    token: Token,
    renew_at: i64,
    end: i64,
}

impl Tokens {
    /// The tokens of a source that is the program's own.
    pub(super) fn of_program(source: Arc<dyn TokenSource>) -> Self {
        Self::new(source, ErrorKind::CallbackFailed)
    }

    /// The tokens of a source that is built in.
    pub(super) fn built_in(source: Arc<dyn TokenSource>) -> Self {
        Self::new(source, ErrorKind::BrokerUnreachable)
    }

    fn new(source: Arc<dyn TokenSource>, late: ErrorKind) -> Self {
        Self { source, late, current: Mutex::default(), trouble: parking_lot::Mutex::default() }
    }

    /// Why there was no token when one was asked for last; none when there was.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().clone()
    }

    /// The current token, or a new one. When none can be had, the current one is used to its end.
    pub(super) async fn current(&self, world: &Arc<dyn World>, limit: Duration) -> Result<Token> {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current
            && world.wall_clock_ms() < current.renew_at
        {
            return Ok(current.token.clone());
        }
        let is_spare = current.as_ref().is_some_and(|current| world.wall_clock_ms() < current.end);
        let outcome = self.ask(world, limit, is_spare).await;
        let now = world.wall_clock_ms();
        match (outcome, &mut *current) {
            (Ok(token), _) => {
                let keep = token.end().filter(|end| *end > now).map(|end| {
                    // Not all clients at the same moment: from 75 to 80 % of what is left.
                    let part = 75 + (world.random_u64() % 6) as i64;
                    Current { token: token.clone(), renew_at: now + (end - now) * part / 100, end }
                });
                *current = keep;
                Ok(token)
            }
            (Err(error), Some(old)) if now < old.end => {
                tracing::warn!(%error, "SASL: no new token; the current one is used while it lasts");
                old.renew_at = (now + SPARE_TRY.max((old.end - now) / 10)).min(old.end);
                Ok(old.token.clone())
            }
            (Err(error), _) => {
                *current = None;
                Err(error.context(NO_TOKEN))
            }
        }
    }
}

impl Tokens {
    /// A new token of the source. What may pass is tried again until the time is up, unless the token `is_spare`.
    async fn ask(&self, world: &Arc<dyn World>, limit: Duration, is_spare: bool) -> Result<Token> {
        let end = Instant::now() + limit;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let error = match timeout_at(end, self.source.token(world.clone())).await {
                Ok(Ok(token)) => {
                    let outcome = token.check().map(|()| token);
                    *self.trouble.lock() = outcome.as_ref().err().cloned();
                    return outcome;
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(Error::new(self.late, format!("no token came within {} ms", limit.as_millis()))),
            };
            *self.trouble.lock() = Some(error.clone().context(NO_TOKEN));
            let pause = backoff.next(&**world);
            if is_spare || !error.retriable() || Instant::now() + pause >= end {
                return Err(error);
            }
            tracing::warn!(%error, "SASL: no token yet; trying again");
            sleep(pause).await;
        }
    }
}

/// The same token always: `sasl.oauthbearer.token`.
pub(super) struct Fixed(pub(super) Token);

impl TokenSource for Fixed {
    fn token(&self, _: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
        let token = self.0.clone();
        Box::pin(async move { Ok(token) })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::world::{Socket, SocketOptions};

    /// A world whose clock a test sets.
    struct Clock(AtomicI64);

    impl World for Clock {
        fn connect(
            &self,
            _: std::net::SocketAddr,
            _: &SocketOptions,
        ) -> BoxFuture<'_, std::io::Result<Box<dyn Socket>>> {
            unreachable!()
        }
        fn resolve(&self, _: &str, _: u16) -> BoxFuture<'_, std::io::Result<Vec<std::net::SocketAddr>>> {
            unreachable!()
        }
        fn wall_clock_ms(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
        fn random_u64(&self) -> u64 {
            5
        }
        fn spawn(&self, _: BoxFuture<'static, ()>) {}
        fn blocking(&self, _: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
            unreachable!()
        }
    }

    /// Gives `t1`, `t2`, …, each for 1000 ms; fails while told to; ends none when told so.
    #[derive(Default)]
    struct Counting {
        asked: AtomicI64,
        fails: std::sync::atomic::AtomicBool,
        endless: bool,
    }

    impl TokenSource for Counting {
        fn token(&self, world: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
            let n = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let fails = self.fails.load(Ordering::Relaxed);
            let end = (!self.endless).then(|| world.wall_clock_ms() + 1000);
            Box::pin(async move {
                tokio::task::yield_now().await;
                if fails {
                    return Err(Error::new(ErrorKind::CallbackFailed, "down"));
                }
                Ok(Token { expires_at_ms: end, ..Token::new(Secret::new(format!("t{n}"))) })
            })
        }
    }

    const LIMIT: Duration = Duration::from_secs(60);

    async fn value(tokens: &Tokens, world: &Arc<dyn World>) -> Result<String> {
        Ok(tokens.current(world, LIMIT).await?.value.expose().to_owned())
    }

    #[tokio::test]
    async fn a_token_serves_until_80_percent_of_its_life_and_is_asked_for_once_at_a_time() {
        let clock = Arc::new(Clock(AtomicI64::new(1_000_000)));
        let world: Arc<dyn World> = clock.clone();
        let source = Arc::new(Counting::default());
        let tokens = Tokens::of_program(source.clone());
        let (a, b) = tokio::join!(value(&tokens, &world), value(&tokens, &world));
        assert_eq!((a.unwrap(), b.unwrap()), ("t1".to_owned(), "t1".to_owned()));
        clock.0.store(1_000_799, Ordering::Relaxed);
        assert_eq!(value(&tokens, &world).await.unwrap(), "t1");
        clock.0.store(1_000_800, Ordering::Relaxed);
        assert_eq!(value(&tokens, &world).await.unwrap(), "t2");
    }

    #[tokio::test]
    async fn a_source_that_fails_leaves_the_current_token_in_use_to_its_end() {
        let clock = Arc::new(Clock(AtomicI64::new(0)));
        let world: Arc<dyn World> = clock.clone();
        let source = Arc::new(Counting::default());
        let tokens = Tokens::of_program(source.clone());
        assert_eq!(value(&tokens, &world).await.unwrap(), "t1");
        source.fails.store(true, Ordering::Relaxed);
        clock.0.store(999, Ordering::Relaxed);
        assert_eq!(value(&tokens, &world).await.unwrap(), "t1");
        clock.0.store(1000, Ordering::Relaxed);
        let error = value(&tokens, &world).await.unwrap_err();
        assert_eq!(error.to_string(), "CALLBACK_FAILED: no token for OAUTHBEARER: down");
        assert_eq!(tokens.trouble().unwrap().message(), error.message());
        source.fails.store(false, Ordering::Relaxed);
        assert_eq!(value(&tokens, &world).await.unwrap(), "t4");
        assert!(tokens.trouble().is_none());
    }

    /// Fails twice with what may pass, then gives a token for 10 s; counts.
    #[derive(Default)]
    struct Rising(AtomicI64);

    impl TokenSource for Rising {
        fn token(&self, world: Arc<dyn World>) -> BoxFuture<'static, Result<Token>> {
            let n = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let end = Some(world.wall_clock_ms() + 10_000);
            Box::pin(async move {
                match n {
                    3 => Ok(Token { expires_at_ms: end, ..Token::new(Secret::new("third")) }),
                    _ => Err(Error::new(ErrorKind::BrokerUnreachable, format!("away {n}"))),
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_within_the_time_there_is() {
        let world: Arc<dyn World> = Arc::new(Clock(AtomicI64::new(0)));
        let tokens = Tokens::built_in(Arc::new(Rising::default()));
        assert_eq!(value(&tokens, &world).await.unwrap(), "third");
        let source = Arc::new(Rising(AtomicI64::new(3)));
        let tokens = Tokens::built_in(source.clone());
        let begun = Instant::now();
        let error = value(&tokens, &world).await.unwrap_err();
        assert!(begun.elapsed() <= LIMIT && error.message().contains("away"), "{error}");
        // 0.1 + 0.2 + … + 6.4 s, then 10 s each.
        let asked = source.0.load(Ordering::Relaxed) - 3;
        assert!((10..=14).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_another_try_while_the_token_is_good() {
        let clock = Arc::new(Clock(AtomicI64::new(0)));
        let world: Arc<dyn World> = clock.clone();
        let source = Arc::new(Rising::default());
        let tokens = Tokens::built_in(source.clone());
        assert_eq!(value(&tokens, &world).await.unwrap(), "third");
        clock.0.store(9_000, Ordering::Relaxed);
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(value(&tokens, &world).await.unwrap(), "third");
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(source.0.load(Ordering::Relaxed), 4, "the source was asked once");
    }

    #[tokio::test]
    async fn a_token_of_unknown_end_is_used_once() {
        let world: Arc<dyn World> = Arc::new(Clock(AtomicI64::new(0)));
        let tokens = Tokens::of_program(Arc::new(Counting { endless: true, ..Counting::default() }));
        assert_eq!(value(&tokens, &world).await.unwrap(), "t1");
        assert_eq!(value(&tokens, &world).await.unwrap(), "t2");
    }

    #[test]
    fn the_end_of_a_jwt_is_in_itself() {
        let jwt = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry_of_jwt(&jwt(r#"{"exp":1700000000}"#)), Some(1_700_000_000_000));
        assert_eq!(expiry_of_jwt(&jwt(r#"{"exp":1.5}"#)), Some(1500));
        for none in [jwt("{}"), jwt(r#"{"exp":"soon"}"#), jwt(r#"{"exp":1e300}"#), "opaque".into(), "a.!.c".into()] {
            assert_eq!(expiry_of_jwt(&none), None, "{none}");
        }
    }

    #[test]
    fn a_token_that_would_break_the_message_is_refused() {
        assert!(Token::new(Secret::new("abc.def-_~+/=")).check().is_ok());
        for odd in ["", "a b", "a\u{1}auth=x", "ä", "a\n"] {
            assert!(Token::new(Secret::new(odd)).check().is_err(), "{odd:?}");
        }
        let with = |name: &str, value: &str| {
            let extensions = vec![(name.to_owned(), value.to_owned())];
            Token { extensions, ..Token::new(Secret::new("t")) }.check()
        };
        assert!(with("logicalCluster", "lkc-1 a").is_ok());
        assert!(with("auth", "x").is_err() && with("a1", "x").is_err() && with("", "x").is_err());
        assert!(with("a", "x\u{1}").is_err());
    }
}
