//! The metrics that KIP-714 asks of every client, from its statistics: names without `org.apache.kafka.`, times in milliseconds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::otlp::{Kind, Metric};
use crate::statistics::{BrokerStatistics, Histogram, Statistics};

const PREFIX: &str = "org.apache.kafka.";

/// A metric's name and attributes.
type Series = (String, Vec<(&'static str, String)>);

/// Makes metrics of what a producer or consumer tells, and of what it told before.
#[derive(Default)]
pub(super) struct Collector {
    /// Sums as they were when a broker last took them.
    told: BTreeMap<Series, f64>,
    /// Sums as they were collected last.
    fresh: BTreeMap<Series, f64>,
    connects: u64,
    waited: Duration,
}

impl Collector {
    /// All that is asked for: names begin with one of `wanted`. `seconds`: since the last time.
    pub fn collect(&mut self, of: &Statistics, wanted: &[String], seconds: f64, delta: bool) -> Vec<Metric> {
        let mut metrics = self.all(of, seconds);
        metrics.retain(|metric| wanted.iter().any(|prefix| prefix == "*" || metric.name.starts_with(prefix.as_str())));
        for metric in metrics.iter_mut().filter(|metric| metric.kind == Kind::Sum) {
            let series = (metric.name.clone(), metric.attributes.clone());
            let before = self.told.get(&series).copied().unwrap_or(0.0);
            self.fresh.insert(series, metric.value);
            if delta {
                metric.value -= before;
            }
        }
        metrics
    }

    /// A broker took what was collected last: the next deltas begin there. Until then they begin where they did.
    pub fn told(&mut self) {
        self.told.append(&mut self.fresh);
    }

    fn all(&mut self, of: &Statistics, seconds: f64) -> Vec<Metric> {
        let mut metrics = Metrics { of: of.kind, list: Vec::new() };
        let connects: u64 = of.brokers.values().map(|broker| broker.connects).sum();
        let new = connects.saturating_sub(std::mem::replace(&mut self.connects, connects));
        metrics.add("connection.creation.total", Kind::Sum, connects as f64);
        metrics.add("connection.creation.rate", Kind::Gauge, if seconds > 0.0 { new as f64 / seconds } else { 0.0 });
        for broker in of.brokers.values().filter(|broker| broker.nodeid >= 0 && broker.rtt.cnt > 0) {
            let node = vec![("node_id", broker.nodeid.to_string())];
            metrics.push("node.request.latency.avg", Kind::Gauge, broker.rtt.avg as f64 / 1e3, node.clone());
            metrics.push("node.request.latency.max", Kind::Gauge, broker.rtt.max as f64 / 1e3, node);
        }
        if of.kind == "producer" {
            metrics.times("produce.throttle.time", &merged(of, |broker| &broker.throttle.new), 1.0);
            metrics.times("record.queue.time", &merged(of, |broker| &broker.int_latency.new), 1e3);
            return metrics.list;
        }
        let waited = of.waited.saturating_sub(std::mem::replace(&mut self.waited, of.waited)).as_secs_f64();
        let ratio = if seconds > 0.0 { (waited / seconds).min(1.0) } else { 0.0 };
        metrics.add("poll.idle.ratio.avg", Kind::Gauge, ratio);
        metrics.times("fetch.manager.fetch.latency", &merged(of, |broker| &broker.fetch.new), 1e3);
        if let Some(group) = &of.cgrp {
            metrics.times("coordinator.commit.latency", &merged(of, |broker| &broker.commit.new), 1e3);
            metrics.add("coordinator.assigned.partitions", Kind::Gauge, group.assignment_size as f64);
            metrics.times("coordinator.rebalance.latency", &group.rebalances.new, 1.0);
            metrics.add("coordinator.rebalance.latency.total", Kind::Sum, group.rebalances.all.sum() as f64);
        }
        metrics.list
    }
}

struct Metrics {
    of: &'static str,
    list: Vec<Metric>,
}

impl Metrics {
    fn add(&mut self, name: &str, kind: Kind, value: f64) {
        self.push(name, kind, value, Vec::new());
    }

    fn push(&mut self, name: &str, kind: Kind, value: f64, attributes: Vec<(&'static str, String)>) {
        self.list.push(Metric { name: format!("{PREFIX}{}.{name}", self.of), kind, value, attributes });
    }

    /// Mean and maximum of a window; 0 when nothing was measured, as Java's client says it.
    fn times(&mut self, name: &str, of: &Histogram, unit: f64) {
        let mean = if of.count() == 0 { 0.0 } else { of.sum() as f64 / of.count() as f64 };
        self.add(&format!("{name}.avg"), Kind::Gauge, mean / unit);
        self.add(&format!("{name}.max"), Kind::Gauge, of.max() as f64 / unit);
    }
}

fn merged(of: &Statistics, window: fn(&BrokerStatistics) -> &Histogram) -> Histogram {
    let mut all = Histogram::default();
    of.brokers.values().for_each(|broker| all.merge(window(broker)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Window;

    fn statistics(connects: u64) -> Statistics {
        let mut rtt = Histogram::default();
        rtt.record(2_000);
        let broker = BrokerStatistics { nodeid: 3, connects, rtt: Window::of(rtt), ..BrokerStatistics::default() };
        let brokers = [("b:1/3".to_owned(), broker)].into();
        Statistics { kind: "producer", brokers, ..Statistics::default() }
    }

    fn value(metrics: &[Metric], name: &str) -> Option<f64> {
        metrics.iter().find(|metric| metric.name == format!("org.apache.kafka.producer.{name}")).map(|one| one.value)
    }

    #[test]
    fn deltas_are_what_came_since_and_totals_are_all() {
        for (delta, second) in [(true, 2.0), (false, 5.0)] {
            let mut collector = Collector::default();
            let all = ["*".to_owned()];
            let first = collector.collect(&statistics(3), &all, 1.0, delta);
            assert_eq!(value(&first, "connection.creation.total"), Some(3.0));
            assert_eq!(value(&first, "node.request.latency.avg"), Some(2.0), "milliseconds");
            collector.told();
            let next = collector.collect(&statistics(5), &all, 4.0, delta);
            assert_eq!(value(&next, "connection.creation.total"), Some(second), "delta: {delta}");
            assert_eq!(value(&next, "connection.creation.rate"), Some(0.5));
        }
    }

    #[test]
    fn what_no_broker_took_is_in_the_next_delta() {
        let mut collector = Collector::default();
        let all = [String::new()];
        for (connects, delta) in [(3, 3.0), (5, 5.0)] {
            let metrics = collector.collect(&statistics(connects), &all, 1.0, true);
            assert_eq!(value(&metrics, "connection.creation.total"), Some(delta));
        }
        collector.told();
        let metrics = collector.collect(&statistics(6), &all, 1.0, true);
        assert_eq!(value(&metrics, "connection.creation.total"), Some(1.0));
    }

    #[test]
    fn a_consumer_says_which_part_of_the_time_its_loop_waited() {
        let mut collector = Collector::default();
        let all = [String::new()];
        for (waited, ratio) in [(1, 0.25), (4, 0.75)] {
            let waited = Duration::from_secs(waited);
            let statistics = Statistics { kind: "consumer", waited, ..Statistics::default() };
            let metrics = collector.collect(&statistics, &all, 4.0, true);
            let found = metrics.iter().find(|metric| metric.name == "org.apache.kafka.consumer.poll.idle.ratio.avg");
            assert_eq!(found.map(|metric| metric.value), Some(ratio));
        }
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            Collector::default().collect(&statistics(1), &wanted, 1.0, true).len()
        };
        assert_eq!(names(&["org.apache.kafka.producer.node."]), 2);
        assert_eq!(names(&["org.apache.kafka.consumer."]), 0);
        assert!(names(&[""]) > 2);
    }
}
