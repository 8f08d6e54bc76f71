//! A `server.properties` of Kafka's: what of it this broker takes, and what is wrong with it, by line.

use super::{broker, properties};
use crate::{BrokerOptions, listeners};

/// What is wrong with a `server.properties`: lines and sentences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|(line, why)| format!("line {line}: {why}")).collect::<Vec<_>>().join("\n"))]
pub struct PropertiesError(pub Vec<(usize, String)>);

/// Prefixes of what would protect a broker. To take them without effect would promise what is not there.
const PROTECTING: &[&str] = &[
    "ssl.",
    "sasl.",
    "listener.name.",
    "authorizer.",
    "super.users",
    "allow.everyone.if.no.acl.found",
    "security.inter.broker.protocol",
    "delegation.token.",
    "principal.builder.class",
    "connections.max.reauth.ms",
];

impl BrokerOptions {
    /// Sets what the text of a `server.properties` says, in the syntax of Java. Unknown names and wrong values are all
    /// told, each with its line; what has no effect here is told in what is returned, and taken.
    ///
    /// ```
    /// let mut options = dohle_broker::BrokerOptions::new();
    /// options.read_properties("num.partitions=3\nlog.retention.ms=60000").unwrap();
    /// assert_eq!(options.partitions, 3);
    /// assert!(options.read_properties("num.partition=3").is_err());
    /// ```
    pub fn read_properties(&mut self, text: &str) -> Result<Vec<String>, PropertiesError> {
        let lines = properties::parse(text).map_err(|error| PropertiesError(vec![error]))?;
        let (mut wrong, mut without_effect) = (Vec::new(), Vec::new());
        for line in &lines {
            match self.set(&line.key, &line.value) {
                Err(why) => wrong.push((line.number, why)),
                Ok(()) if broker::find(&line.key).is_some_and(|of| !of.effect) => {
                    without_effect.push(format!("line {}: {} has no effect here", line.number, line.key));
                }
                Ok(()) => {}
            }
        }
        // Listeners are checked together: one line may name what another one maps.
        let line_of = |key: &str| lines.iter().find(|line| line.key == key).map(|line| line.number);
        if let Err((key, why)) = listeners::endpoints(self) {
            match line_of(key) {
                Some(number) if wrong.is_empty() => wrong.push((number, why)),
                _ => {}
            }
        }
        if wrong.is_empty() { Ok(without_effect) } else { Err(PropertiesError(wrong)) }
    }
}

/// What to say of a name that the broker does not know.
pub(crate) fn unknown(name: &str) -> String {
    match PROTECTING.iter().any(|prefix| name.starts_with(prefix)) {
        true => format!("{name}: not served here, and to take it without effect would promise what is not there"),
        false => match nearest(name) {
            Some(near) => format!("Unknown broker config name: {name}; did you mean {near}?"),
            None => format!("Unknown broker config name: {name}"),
        },
    }
}

/// The name that differs in the fewest letters, if in few.
fn nearest(name: &str) -> Option<&'static str> {
    let may_be = |known: &&str| known.len().abs_diff(name.len()) <= 2;
    let names = broker::all().map(|of| of.property.name).filter(may_be);
    names.map(|known| (distance(name, known), known)).filter(|(n, _)| *n <= 2).min().map(|(_, known)| known)
}

/// How many letters must be changed, added or taken away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_server_properties_is_taken_and_what_has_no_effect_is_told() {
        let text = "\
# The role of this server
process.roles=broker,controller
node.id=7
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
log.dirs=/tmp/kraft-combined-logs
num.partitions=4
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
";
        let mut options = BrokerOptions::new();
        let told = options.read_properties(text).unwrap();
        assert_eq!((options.node_id, options.partitions, options.segment_bytes), (7, 4, Some(1 << 30)));
        assert!(told.contains(&"line 10: num.network.threads has no effect here".to_string()), "{told:?}");
        assert!(!told.iter().any(|line| line.contains("num.partitions") || line.contains("listeners")), "{told:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "num.partition=3\n\nlog.retention.ms=soon\nssl.cipher.suites=X\nnum.partitions=2\nfoo=bar";
        let error = BrokerOptions::new().read_properties(text).unwrap_err().to_string();
        let expected = "\
line 1: Unknown broker config name: num.partition; did you mean num.partitions?
line 3: Invalid value soon for configuration log.retention.ms: Not a number of type LONG
line 4: ssl.cipher.suites: not served here, and to take it without effect would promise what is not there
line 6: Unknown broker config name: foo";
        assert_eq!(error, expected);
        let text = "num.partitions=2\nlisteners=OTHER://:9092";
        let error = BrokerOptions::new().read_properties(text).unwrap_err().to_string();
        assert!(error.starts_with("line 2: OTHER://:9092: ") && error.contains("does not name OTHER"), "{error}");
    }
}
