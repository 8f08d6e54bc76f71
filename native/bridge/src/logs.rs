//! What the engine logs (`tracing`), on its way to the language: an event per line, in the queue, bounded.
//!
//! It formats nothing for people; the language's logger does. Each client has a subscriber of its own, which its tasks run
//! under, so that lines of two clients never mix and each has its own level. Below the level a line costs one comparison.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use dohle_client::generated::options::LogLevel;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::failure::shown;
use crate::handles::Handle;
use crate::queue::{Entry, Kind, Queue};

/// The subscriber of one client.
pub(crate) struct Logs {
    queue: Arc<Queue>,
    handle: Arc<OnceLock<Handle>>,
    level: LevelFilter,
    /// Events of the queue that were dropped, as far as told.
    told: AtomicU64,
}

impl Logs {
    /// A dispatcher whose lines go to the queue as events of `handle`.
    pub fn dispatch(queue: Arc<Queue>, handle: Arc<OnceLock<Handle>>, level: LogLevel) -> Dispatch {
        let level = match level {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        Dispatch::new(Self { queue, handle, level, told: AtomicU64::new(0) })
    }
}

impl Subscriber for Logs {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Never spans: nothing is timed or nested here.
        if metadata.is_event() && *metadata.level() <= self.level { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let dropped = self.queue.dropped_events();
        let untold = dropped - self.told.swap(dropped, Ordering::Relaxed).min(dropped);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        let target = event.metadata().target();
        let text = json!({
            "name": "log",
            "level": level,
            "target": target.strip_prefix("dohle_client::").unwrap_or(target),
            "message": line.message,
            "fields": line.fields,
            "dropped": untold,
        });
        let handle = self.handle.get().copied().unwrap_or_default();
        self.queue.push(Entry::new(Kind::Event, handle).text(Some(text.to_string())));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of one event.
#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = shown(&format!("{value:?}")),
            _ => self.put(field, shown(&format!("{value:?}")).into()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = shown(value),
            _ => self.put(field, shown(value).into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{ENTRY_WORDS, Wake};

    struct Deaf;

    impl Wake for Deaf {
        fn wake(&self) {}
    }

    fn lines(queue: &Queue) -> Vec<Value> {
        let (mut words, mut texts) = (vec![0; ENTRY_WORDS * 2000], Vec::new());
        queue.drain(&mut words, &mut texts);
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    #[test]
    fn a_line_has_its_level_message_and_fields_and_less_than_the_level_is_not_told() {
        let queue = Arc::new(Queue::new(Box::new(Deaf)));
        let dispatch = Logs::dispatch(queue.clone(), Arc::new(OnceLock::new()), LogLevel::Warn);
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::warn!(node = 3, peer = %"b:1", "{} is gone", "it");
            tracing::warn!(said = %"a\nb", "one\u{1b}line");
            tracing::info!("nobody hears this");
        });
        tracing::warn!("outside of the client");
        let lines = lines(&queue);
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&json!("warn"), &json!("it is gone")));
        assert_eq!(lines[0]["fields"], json!({ "node": 3, "peer": "b:1" }));
        assert_eq!((&lines[1]["message"], &lines[1]["fields"]["said"]), (&json!("one\\u{1b}line"), &json!("a\\nb")));
    }

    #[test]
    fn lines_are_bounded_and_the_next_one_tells_how_many_were_dropped() {
        let queue = Arc::new(Queue::new(Box::new(Deaf)));
        let dispatch = Logs::dispatch(queue.clone(), Arc::new(OnceLock::new()), LogLevel::Debug);
        let told = |count: usize| {
            tracing::dispatcher::with_default(&dispatch, || (0..count).for_each(|n| tracing::debug!(n, "line")));
            lines(&queue)
        };
        let first = told(1100);
        assert_eq!(first.len(), 1024);
        assert_eq!(first.last().unwrap()["fields"]["n"], 1099, "the oldest are dropped");
        let all: u64 = first.iter().chain(&told(1)).map(|line| line["dropped"].as_u64().unwrap()).sum();
        assert!((1..=76).contains(&all), "{all}");
    }
}
