//! Topics that are subscribed by name and cannot be had: told once each, in the log too, as nothing else would say why no records come.
//! It asks for nothing: the metadata are kept up to date by others. Driven by `Member`, at each of its steps.

use std::sync::Arc;

use dohle_protocol::ErrorCode;

use crate::{Error, ErrorKind};

use super::super::ConsumerEvent;
use super::super::shared::Shared;
use super::super::subscription::Interest;

/// What was told.
#[derive(Default)]
pub(super) struct Missing(Vec<Arc<str>>);

impl Missing {
    /// Tells what is news. A topic that was there in between is told again.
    pub fn look(&mut self, shared: &Shared) {
        // What a pattern finds exists.
        let wanted = shared.with(|s| match (&s.interest, &s.pattern) {
            (Interest::Topics(topics), None) => Some(topics.clone()),
            _ => None,
        });
        let (topics, metadata) = (wanted.unwrap_or_default(), shared.client.metadata().snapshot());
        self.0.retain(|told| topics.contains(told) && metadata.topic(told).is_none());
        for topic in topics.iter().filter(|topic| metadata.topic(topic).is_none()) {
            let Some(code) = metadata.topic_error(topic) else { continue };
            if self.0.contains(topic) {
                continue;
            }
            self.0.push(topic.clone());
            let error = match code {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Error::new(
                    ErrorKind::Broker(code),
                    format!("topic {topic} is subscribed and does not exist; create it, or check its name"),
                ),
                code => Error::broker(code, format_args!("topic {topic}, which is subscribed")),
            };
            // An event alone would leave a program silent that has no listener for it.
            tracing::warn!(%error, "no records come of a topic");
            shared.sink.event(ConsumerEvent::Retrying(error));
        }
    }
}
