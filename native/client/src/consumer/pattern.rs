//! Subscriptions to a pattern: all topics are watched, and those whose names match are what is subscribed.
//! Not the matching itself, which is the language's: its expressions mean what they mean there.
//! Driven by its own task, woken by metadata and by `subscribe`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::collections::Map;
use crate::{Client, Result};

use super::ConsumerEvent;
use super::group::verdict::{self, Verdict};
use super::shared::Shared;
use super::subscription::Interest;

/// What an error of the first look-up means for the program.
const UNKNOWN_TOPICS: &str = "the topics that match are not known, so nothing is read; it is tried again meanwhile: \
                              begin another loop to wait on, or close the consumer";

/// Tells which topics are subscribed.
pub trait TopicMatcher: Send + Sync {
    /// Those of these names that match. Asked once per name. It is asked again after an error, which is
    /// an event, or the loop's when no topics are known yet.
    fn matching(&self, topics: Vec<Arc<str>>) -> BoxFuture<'static, Result<Vec<Arc<str>>>>;

    /// The same as an expression that a broker matches whole names with (RE2, KIP-848); none: only the client can.
    fn re2(&self) -> Option<String> {
        None
    }
}

/// What is subscribed by a pattern.
#[derive(Clone)]
pub(crate) struct Pattern {
    pub matcher: Arc<dyn TopicMatcher>,
    /// Tells it from the ones before: an answer for those comes too late.
    pub serial: u64,
    /// It finds none of Kafka's own topics, which are left out here and not by a broker.
    pub no_internal: bool,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pattern").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// All topics are kept up to date while this lives.
struct AllTracked(Client);

impl AllTracked {
    fn new(client: &Client) -> AllTracked {
        client.metadata().track_all(true);
        AllTracked(client.clone())
    }
}

impl Drop for AllTracked {
    fn drop(&mut self) {
        self.0.metadata().track_all(false);
    }
}

/// Keeps the subscribed topics those that match, until the task is ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let Some(pattern) = shared.with(|s| s.pattern.clone()) else {
            shared.patterns.notified().await;
            continue;
        };
        let tracked = AllTracked::new(&shared.client);
        follow(&shared, &pattern).await;
        drop(tracked);
    }
}

/// Until there is another pattern, or none. What keeps it from finding its first topics is told to the loop, once: at once
/// what does not pass by itself, the rest after `default.api.timeout.ms`.
async fn follow(shared: &Arc<Shared>, pattern: &Pattern) {
    let mut updates = shared.client.metadata().updates();
    let mut backoff = shared.backoff();
    let api_timeout = shared.client.options().default_api_timeout;
    // What is known before this can be a part of the topics only.
    let mut complete = false;
    // Whether the loop knows how the look-up began, and since when it fails.
    let (mut told, since) = (false, Instant::now());
    let mut known: Map<Arc<str>, bool> = Map::default();
    while shared.with(|s| s.pattern.as_ref().is_some_and(|now| now.serial == pattern.serial)) {
        updates.mark_unchanged();
        let outcome = match complete {
            true => resolve(shared, pattern, &mut known).await,
            false => match shared.client.metadata().refresh().await {
                Ok(_) => resolve(shared, pattern, &mut known).await,
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(()) => {
                (complete, told) = (true, true);
                backoff.reset();
                tokio::select! {
                    biased;
                    () = shared.patterns.notified() => {}
                    _ = updates.changed() => {}
                }
            }
            Err(error) => {
                let passes = verdict::of(&error) != Verdict::Fatal && since.elapsed() < api_timeout;
                match told || passes {
                    true => shared.sink.event(ConsumerEvent::Retrying(error)),
                    false => {
                        told = true;
                        shared.raise(error.context(UNKNOWN_TOPICS));
                    }
                }
                tokio::time::sleep(backoff.next(&**shared.client.world())).await;
            }
        }
    }
}

async fn resolve(shared: &Arc<Shared>, pattern: &Pattern, known: &mut Map<Arc<str>, bool>) -> Result<()> {
    let snapshot = shared.client.metadata().snapshot();
    let names: Vec<(Arc<str>, bool)> = snapshot.topics().map(|topic| (topic.name.clone(), topic.internal)).collect();
    let mut news: Vec<Arc<str>> =
        names.iter().map(|(name, _)| name).filter(|&n| !known.contains_key(n)).cloned().collect();
    if !news.is_empty() {
        news.sort_unstable();
        let matching = pattern.matcher.matching(news.clone()).await?;
        known.extend(news.into_iter().map(|name| (name, false)));
        for name in matching {
            known.entry(name).and_modify(|matches| *matches = true);
        }
    }
    let matches = |name: &Arc<str>| known.get(name) == Some(&true);
    let no_internal = !names.iter().any(|(name, internal)| *internal && matches(name));
    let mut topics: Vec<Arc<str>> =
        names.into_iter().filter(|(name, internal)| !internal && matches(name)).map(|(name, _)| name).collect();
    topics.sort_unstable();

    let changed = shared.change(|s| {
        let Some(now) = s.pattern.as_mut().filter(|now| now.serial == pattern.serial) else { return false };
        let news = match &s.interest {
            Interest::Topics(before) => **before != *topics || now.no_internal != no_internal,
            Interest::Matching => true,
            _ => return false,
        };
        now.no_internal = no_internal;
        s.interest = Interest::Topics(topics.clone().into());
        news
    });
    if changed {
        shared.track_existing(topics);
    }
    Ok(())
}
