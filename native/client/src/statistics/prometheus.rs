//! Statistics as Prometheus reads them: text exposition format 0.0.4, names with base units, no label of unbounded values
//! (a key, an offset or an error's text is none).

use std::fmt::Write;

use super::document::{BrokerStatistics, PartitionStatistics, Statistics};
use super::histogram::Histogram;

/// Upper bounds of the buckets of times, in microseconds.
const TIMES: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
/// Milliseconds.
const PAUSES: [u64; 8] = [1, 10, 50, 100, 500, 1_000, 5_000, 30_000];
/// Bytes.
const SIZES: [u64; 7] = [1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];

/// All statistics of a client as one text. Metrics of brokers are those of the client, whose producers and consumers share
/// connections; all others have the label `name`.
pub fn prometheus(all: &[Statistics]) -> String {
    let mut text = Text { out: String::new() };
    instances(&mut text, all);
    partitions(&mut text, all);
    groups(&mut text, all);
    brokers(&mut text, all);
    text.out
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

struct Text {
    out: String,
}

impl Text {
    /// One metric with its help and type; without samples, nothing at all.
    fn metric(&mut self, name: &str, kind: &str, help: &str, samples: impl FnOnce(&mut Samples<'_>)) {
        let mut lines = String::new();
        samples(&mut Samples { name, lines: &mut lines });
        if !lines.is_empty() {
            let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
    }
}

struct Samples<'a> {
    name: &'a str,
    lines: &'a mut String,
}

impl Samples<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, value);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.lines, "{}{suffix}", self.name);
        for (index, (label, of)) in labels.iter().enumerate() {
            let _ = write!(self.lines, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(of));
        }
        let _ = writeln!(self.lines, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// Buckets, sum and count. `unit`: values per base unit.
    fn histogram(&mut self, labels: &[(&str, &str)], of: &Histogram, bounds: &[u64], unit: f64) {
        for bound in bounds {
            let le = (*bound as f64 / unit).to_string();
            let with: Labels<'_> = labels.iter().copied().chain([("le", le.as_str())]).collect();
            self.line("_bucket", &with, of.up_to(*bound) as f64);
        }
        let with: Labels<'_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        self.line("_bucket", &with, of.count() as f64);
        self.line("_sum", labels, of.sum() as f64 / unit);
        self.line("_count", labels, of.count() as f64);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Name, kind, help, and the value of one.
type Row<T> = (&'static str, &'static str, &'static str, fn(&T) -> Option<f64>);

fn whole(value: u64) -> Option<f64> {
    Some(value as f64)
}

/// Offsets and lags that are not known are no samples.
fn known(value: i64) -> Option<f64> {
    (value >= 0).then_some(value as f64)
}

const INSTANCE: [Row<Statistics>; 12] = [
    ("dohle_producer_sent_records_total", "counter", "Records written to brokers, again when written again.", |s| {
        (s.kind == "producer").then_some(s.txmsgs as f64)
    }),
    ("dohle_producer_sent_bytes_total", "counter", "Bytes of batches written to brokers, compressed.", |s| {
        (s.kind == "producer").then_some(s.txmsg_bytes as f64)
    }),
    ("dohle_producer_acknowledged_records_total", "counter", "Records that brokers have acknowledged.", |s| {
        (s.kind == "producer").then_some(s.ackmsgs as f64)
    }),
    ("dohle_producer_failed_records_total", "counter", "Records that have failed.", |s| {
        (s.kind == "producer").then_some(s.errmsgs as f64)
    }),
    ("dohle_producer_waiting_records", "gauge", "Records that wait to be acknowledged.", |s| {
        (s.kind == "producer").then_some(s.msg_cnt as f64)
    }),
    ("dohle_producer_buffer_used_bytes", "gauge", "Bytes of buffer.memory in use.", |s| {
        (s.kind == "producer").then_some(s.msg_size as f64)
    }),
    ("dohle_producer_buffer_limit_bytes", "gauge", "buffer.memory.", |s| {
        (s.kind == "producer").then_some(s.msg_size_max as f64)
    }),
    ("dohle_consumer_received_records_total", "counter", "Records fetched for the program.", |s| {
        (s.kind == "consumer").then_some(s.rxmsgs as f64)
    }),
    ("dohle_consumer_received_bytes_total", "counter", "Bytes of records fetched, decompressed.", |s| {
        (s.kind == "consumer").then_some(s.rxmsg_bytes as f64)
    }),
    ("dohle_consumer_buffer_used_bytes", "gauge", "Bytes of fetch.buffer.bytes held.", |s| {
        (s.kind == "consumer").then_some(s.fetch_buffer_size as f64)
    }),
    ("dohle_consumer_buffer_limit_bytes", "gauge", "fetch.buffer.bytes.", |s| {
        (s.kind == "consumer").then_some(s.fetch_buffer_size_max as f64)
    }),
    ("dohle_age_seconds", "gauge", "Time since the producer or consumer was made.", |s| Some(s.age as f64 / 1e6)),
];

fn instances(text: &mut Text, all: &[Statistics]) {
    for (name, kind, help, value) in INSTANCE {
        text.metric(name, kind, help, |samples| {
            for one in all {
                if let Some(value) = value(one) {
                    samples.add(&[("client_id", &one.client_id), ("name", &one.name)], value);
                }
            }
        });
    }
    let topics = || all.iter().flat_map(|one| one.topics.values().map(move |topic| (one, topic)));
    text.metric("dohle_producer_batch_size_bytes", "histogram", "Bytes of batches written, compressed.", |samples| {
        for (one, topic) in topics().filter(|(one, _)| one.kind == "producer") {
            let labels = [("client_id", &*one.client_id), ("name", &one.name), ("topic", &topic.topic)];
            samples.histogram(&labels, &topic.batchsize.all, &SIZES, 1.0);
        }
    });
}

const OF_PRODUCER: [Row<PartitionStatistics>; 2] = [
    ("dohle_producer_partition_sent_records_total", "counter", "Records written.", |p| whole(p.txmsgs)),
    ("dohle_producer_partition_waiting_records", "gauge", "Records that wait to be acknowledged.", |p| {
        whole(p.msgq_cnt + p.xmit_msgq_cnt + p.msgs_inflight)
    }),
];

const OF_CONSUMER: [Row<PartitionStatistics>; 6] = [
    ("dohle_consumer_partition_lag_records", "gauge", "Records that could be read.", |p| known(p.consumer_lag)),
    ("dohle_consumer_partition_position", "gauge", "Offset of the next record.", |p| known(p.app_offset)),
    ("dohle_consumer_partition_committed_offset", "gauge", "Offset committed.", |p| known(p.committed_offset)),
    ("dohle_consumer_partition_high_watermark", "gauge", "End of the log.", |p| known(p.hi_offset)),
    ("dohle_consumer_partition_received_records_total", "counter", "Records fetched.", |p| whole(p.rxmsgs)),
    ("dohle_consumer_partition_stalled", "gauge", "1 while it has records to read and stands still.", |p| {
        whole(p.stalled.is_some().into())
    }),
];

fn partitions(text: &mut Text, all: &[Statistics]) {
    for (of, rows) in [("producer", OF_PRODUCER.as_slice()), ("consumer", OF_CONSUMER.as_slice())] {
        for (name, kind, help, value) in rows {
            text.metric(name, kind, help, |samples| {
                for one in all.iter().filter(|one| one.kind == of) {
                    let of_topic = |topic: &'_ str, number: &'_ str, value: f64, samples: &mut Samples<'_>| {
                        let labels = [("topic", topic), ("partition", number)];
                        samples.add(&[[("client_id", &*one.client_id), ("name", &*one.name)], labels].concat(), value);
                    };
                    for topic in one.topics.values() {
                        for (number, partition) in &topic.partitions {
                            if let Some(value) = value(partition) {
                                of_topic(&topic.topic, number, value, samples);
                            }
                        }
                    }
                }
            });
        }
    }
}

fn groups(text: &mut Text, all: &[Statistics]) {
    let members = || all.iter().filter_map(|one| Some((one, one.cgrp.as_ref()?)));
    text.metric("dohle_consumer_rebalances_total", "counter", "Rebalances that have ended.", |samples| {
        for (one, group) in members() {
            samples.add(&[("client_id", &one.client_id), ("name", &one.name)], group.rebalance_cnt as f64);
        }
    });
    text.metric("dohle_consumer_assigned_partitions", "gauge", "Partitions assigned.", |samples| {
        for (one, group) in members() {
            samples.add(&[("client_id", &one.client_id), ("name", &one.name)], group.assignment_size as f64);
        }
    });
}

const BROKER: [Row<BrokerStatistics>; 11] = [
    ("dohle_broker_up", "gauge", "1 while a connection is open.", |b| whole((b.state == "UP").into())),
    ("dohle_broker_requests_total", "counter", "Requests written.", |b| whole(b.tx)),
    ("dohle_broker_sent_bytes_total", "counter", "Bytes of requests written.", |b| whole(b.txbytes)),
    ("dohle_broker_responses_total", "counter", "Responses.", |b| whole(b.rx)),
    ("dohle_broker_received_bytes_total", "counter", "Bytes of responses.", |b| whole(b.rxbytes)),
    ("dohle_broker_failed_requests_total", "counter", "Requests whose connection broke.", |b| whole(b.txerrs)),
    ("dohle_broker_request_timeouts_total", "counter", "Requests not answered in time.", |b| whole(b.req_timeouts)),
    ("dohle_broker_produce_retries_total", "counter", "Produce requests sent again.", |b| whole(b.txretries)),
    ("dohle_broker_connects_total", "counter", "Connections opened.", |b| whole(b.connects)),
    ("dohle_broker_disconnects_total", "counter", "Connections that ended.", |b| whole(b.disconnects)),
    ("dohle_broker_waiting_requests", "gauge", "Requests to be written or answered.", |b| {
        whole(b.outbuf_cnt + b.waitresp_cnt)
    }),
];

fn brokers(text: &mut Text, all: &[Statistics]) {
    // The same in each of them.
    let Some(one) = all.first() else { return };
    for (name, kind, help, value) in BROKER {
        text.metric(name, kind, help, |samples| {
            for broker in one.brokers.values() {
                let labels = [("client_id", &*one.client_id), ("broker", &broker.name)];
                value(broker).into_iter().for_each(|value| samples.add(&labels, value));
            }
        });
    }
    let mut times = |name: &str, help: &str, of: fn(&BrokerStatistics) -> &Histogram, bounds: &[u64], unit: f64| {
        text.metric(name, "histogram", help, |samples| {
            for broker in one.brokers.values() {
                let labels = [("client_id", &*one.client_id), ("broker", &broker.name)];
                samples.histogram(&labels, of(broker), bounds, unit);
            }
        });
    };
    times("dohle_broker_round_trip_seconds", "From a request written to its response.", |b| &b.rtt.all, &TIMES, 1e6);
    times("dohle_broker_throttle_seconds", "Throttling by the broker (KIP-219).", |b| &b.throttle.all, &PAUSES, 1e3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{TopicStatistics, Window};

    #[test]
    fn every_sample_has_help_and_type_and_label_values_are_escaped() {
        let mut rtt = Histogram::default();
        [300, 700, 40_000].into_iter().for_each(|micros| rtt.record(micros));
        let mut one = Statistics { name: "a\"b\\c\nd#producer-1".into(), kind: "producer", ..Statistics::default() };
        let broker = BrokerStatistics { name: "h:1/1".into(), rtt: Window::of(rtt), ..BrokerStatistics::default() };
        one.brokers.insert("h:1/1".into(), broker);
        let mut topic = TopicStatistics { topic: "t".into(), ..TopicStatistics::default() };
        topic.partitions.insert("0".into(), PartitionStatistics::default());
        one.topics.insert("t".into(), topic);
        let text = prometheus(&[one]);
        let mut declared = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => declared = rest.split(' ').next().unwrap(),
                None if line.starts_with("# HELP ") => {}
                None => assert!(line.starts_with(declared), "{line} under {declared}"),
            }
        }
        assert!(text.contains(r#"name="a\"b\\c\nd#producer-1""#), "{text}");
        assert!(
            text.contains("dohle_broker_round_trip_seconds_bucket{client_id=\"\",broker=\"h:1/1\",le=\"0.001\"} 2\n")
        );
        assert!(text.contains("dohle_broker_round_trip_seconds_count{client_id=\"\",broker=\"h:1/1\"} 3\n"));
        assert!(!text.contains("dohle_consumer"), "a producer has none of these");
        assert_eq!(prometheus(&[]), "");
    }
}
