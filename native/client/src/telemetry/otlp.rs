//! As much of OTLP's protobuf as metrics of a client need: gauges and sums of doubles, with attributes.
//! Not a protobuf library: every field written here is named by its number in `opentelemetry/proto/metrics/v1/metrics.proto`.

/// A measurement to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub name: String,
    pub kind: Kind,
    pub value: f64,
    pub attributes: Vec<(&'static str, String)>,
}

/// What a value means over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Sum,
}

/// The times of a message, in nanoseconds since 1970, and whether sums are what came since the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub from: u64,
    pub to: u64,
    pub delta: bool,
}

const DELTA: u64 = 1;
const CUMULATIVE: u64 = 2;

/// `MetricsData` with one resource, one scope and these metrics.
pub(super) fn encode(resource: &[(&'static str, String)], metrics: &[Metric], span: Span) -> Vec<u8> {
    let scope = |out: &mut Vec<u8>| {
        nested(out, 1, |out| {
            text(out, 1, "dohle");
            text(out, 2, env!("CARGO_PKG_VERSION"));
        });
        metrics.iter().for_each(|metric| nested(out, 2, |out| one(out, metric, span)));
    };
    let mut data = Vec::new();
    nested(&mut data, 1, |out| {
        nested(out, 1, |out| attributes(out, 1, resource));
        nested(out, 2, scope);
    });
    data
}

fn one(out: &mut Vec<u8>, metric: &Metric, span: Span) {
    text(out, 1, &metric.name);
    let point = |out: &mut Vec<u8>| {
        nested(out, 1, |out| {
            if metric.kind == Kind::Sum {
                fixed(out, 2, span.from);
            }
            fixed(out, 3, span.to);
            fixed(out, 4, metric.value.to_bits());
            attributes(out, 7, &metric.attributes);
        });
    };
    match metric.kind {
        Kind::Gauge => nested(out, 5, point),
        Kind::Sum => nested(out, 7, |out| {
            point(out);
            number(out, 2, if span.delta { DELTA } else { CUMULATIVE });
            number(out, 3, 1);
        }),
    }
}

fn attributes(out: &mut Vec<u8>, field: u32, all: &[(&'static str, String)]) {
    for (key, value) in all {
        nested(out, field, |out| {
            text(out, 1, key);
            nested(out, 2, |out| text(out, 1, value));
        });
    }
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 0);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    tag(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn nested(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    tag(out, field, 2);
    varint(out, inner.len() as u64);
    out.append(&mut inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `protoc --encode` of opentelemetry-proto makes of the same message, by hand from its schema.
    #[test]
    fn a_sum_is_encoded_as_the_schema_says() {
        let metric = Metric { name: "m".into(), kind: Kind::Sum, value: 1.0, attributes: vec![("k", "v".into())] };
        let bytes = encode(&[("r", "s".into())], &[metric], Span { from: 1, to: 2, delta: true });
        let point = [
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x19, 2, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f][..],
            &[0x3a, 8, 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, b'v'],
        ]
        .concat();
        let sum = [&[0x0a, point.len() as u8], &point[..], &[0x10, 1, 0x18, 1]].concat();
        let metric = [&[0x0a, 1, b'm', 0x3a, sum.len() as u8], &sum[..]].concat();
        let version = env!("CARGO_PKG_VERSION");
        let name = [&[0x0a, 5][..], b"dohle", &[0x12, version.len() as u8], version.as_bytes()].concat();
        let scope = [&[0x0a, name.len() as u8], &name[..], &[0x12, metric.len() as u8], &metric[..]].concat();
        let resource = [0x0a, 10, 0x0a, 8, 0x0a, 1, b'r', 0x12, 3, 0x0a, 1, b's'];
        let all = [&resource[..], &[0x12, scope.len() as u8], &scope[..]].concat();
        assert_eq!(bytes, [&[0x0a, all.len() as u8], &all[..]].concat());
    }

    #[test]
    fn lengths_above_127_are_varints() {
        let metric = Metric { name: "n".repeat(300), kind: Kind::Gauge, value: 0.5, attributes: Vec::new() };
        let bytes = encode(&[], &[metric], Span { from: 0, to: 0, delta: false });
        assert!(bytes.windows(3).any(|three| three == [0x0a, 0xac, 0x02]), "300 as a varint");
    }
}
