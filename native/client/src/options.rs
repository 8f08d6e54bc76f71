//! Reads options from the JSON object or key/value pairs that a language or a file hands over, into checked structs.
//! Not the table itself: `spec/options.toml` is, and `generated/options.rs` is rendered from it and calls in here.
//! Driven once per client, producer or consumer; nothing here runs per record.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::security::Secret;

/// An option that cannot be used as it was given: names the option, the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionError {
    /// The option as Kafka names it, such as `linger.ms`; as it was given when it is unknown.
    pub option: String,
    /// What is wrong and what is allowed, such as `-5 is below 0`.
    pub problem: String,
}

impl OptionError {
    /// An error about `option`; `problem` says what is wrong and what is allowed.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option: option.into(), problem: problem.into() }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.option, self.problem)
    }
}

impl std::error::Error for OptionError {}

/// One row of the table, as far as reading needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Kafka's property name.
    pub name: &'static str,
    /// The camelCase name; `object.member` for a member of a nested object.
    pub key: &'static str,
}

impl Row {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.key == name
    }

    fn is_member_of(&self, object: &str) -> bool {
        self.key.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// The options of one object as they were given, those of nested objects under `object.member`. A value of `null` is the
/// same as none.
pub(crate) struct Source<'a> {
    given: Cow<'a, Map<String, Value>>,
}

impl<'a> Source<'a> {
    /// Refuses names that are not in `rows` (with the nearest one that is) and options given under both of their names.
    pub fn new(given: &'a Map<String, Value>, rows: &'static [Row]) -> Result<Self, OptionError> {
        let given = flat(given, rows)?;
        for name in given.keys() {
            if !rows.iter().any(|row| row.is_called(name)) {
                return Err(unknown(name, rows));
            }
        }
        for row in rows.iter().filter(|row| row.name != row.key) {
            if given.contains_key(row.name) && given.contains_key(row.key) {
                return Err(OptionError::new(row.name, format!("is given twice, as {} and as {}", row.name, row.key)));
            }
        }
        Ok(Self { given })
    }

    fn value(&self, row: Row) -> Option<&Value> {
        let value = self.given.get(row.name).or_else(|| self.given.get(row.key))?;
        (!value.is_null()).then_some(value)
    }

    /// What is wrong with an option. A member of a nested object is called as it was given: Kafka's name would not be found.
    fn wrong(&self, row: Row, problem: impl Into<String>) -> OptionError {
        let nested = row.key.contains('.') && self.given.contains_key(row.key);
        OptionError::new(if nested { row.key } else { row.name }, problem)
    }

    /// A whole number within `min..=max`; digits in a string are taken too, as configuration files have them.
    pub fn int(&self, row: Row, min: i64, max: i64) -> Result<Option<i64>, OptionError> {
        let Some(value) = self.value(row) else { return Ok(None) };
        let number = match value {
            Value::Number(n) => {
                n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
            }
            Value::String(s) => s.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            return Err(self.wrong(row, format!("{} is not a whole number", shown(value))));
        };
        if number < min {
            return Err(self.wrong(row, format!("{number} is below {min}")));
        }
        if number > max {
            return Err(self.wrong(row, format!("{number} is above {max}")));
        }
        Ok(Some(number))
    }

    /// A duration given in whole milliseconds.
    pub fn ms(&self, row: Row, min: i64, max: i64) -> Result<Option<Duration>, OptionError> {
        Ok(self.int(row, min, max)?.map(|ms| Duration::from_millis(ms as u64)))
    }

    /// `true` or `false`, also as a string.
    pub fn bool(&self, row: Row) -> Result<Option<bool>, OptionError> {
        let Some(value) = self.value(row) else { return Ok(None) };
        match value {
            Value::Bool(b) => Ok(Some(*b)),
            Value::String(s) if s.trim().eq_ignore_ascii_case("true") => Ok(Some(true)),
            Value::String(s) if s.trim().eq_ignore_ascii_case("false") => Ok(Some(false)),
            other => Err(self.wrong(row, format!("{} is neither true nor false", shown(other)))),
        }
    }

    /// A string; a number is taken as its digits.
    pub fn string(&self, row: Row) -> Result<Option<String>, OptionError> {
        let Some(value) = self.value(row) else { return Ok(None) };
        match value {
            Value::String(s) => Ok(Some(s.clone())),
            Value::Number(n) => Ok(Some(n.to_string())),
            other => Err(self.wrong(row, format!("{} is not a string", shown(other)))),
        }
    }

    /// Certificates as text. A value of another type is not shown: it may be a key.
    pub fn pem(&self, row: Row) -> Result<Option<String>, OptionError> {
        match self.value(row) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(row, "is not text in PEM")),
        }
    }

    /// Text that no error, log or dump shows.
    pub fn secret(&self, row: Row) -> Result<Option<Secret>, OptionError> {
        match self.value(row) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Secret::new(text.as_str()))),
            Some(_) => Err(self.wrong(row, "is not a string")),
        }
    }

    /// Strings: an array of them, or one string with commas. `values` limits what they may be when it is not empty.
    pub fn list(&self, row: Row, values: &[&str]) -> Result<Option<Vec<String>>, OptionError> {
        let Some(value) = self.value(row) else { return Ok(None) };
        let items: Vec<String> = match value {
            Value::String(s) => {
                s.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
            }
            Value::Array(items) => items
                .iter()
                .map(|item| match item {
                    Value::String(s) => Ok(s.trim().to_owned()),
                    other => Err(self.wrong(row, format!("{} is not a string", shown(other)))),
                })
                .collect::<Result<_, _>>()?,
            other => return Err(self.wrong(row, format!("{} is not a list of strings", shown(other)))),
        };
        if items.is_empty() {
            return Err(self.wrong(row, "is empty: at least one entry is needed"));
        }
        if let Some(item) = items.iter().find(|item| !values.is_empty() && !values.contains(&item.as_str())) {
            return Err(self.wrong(row, format!("'{}' is not one of {}", short(item), values.join(", "))));
        }
        Ok(Some(items))
    }

    /// One of the values that `parse` knows; `values` is for the error.
    pub fn one_of<T>(
        &self,
        row: Row,
        values: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, OptionError> {
        let Some(text) = self.string(row)? else { return Ok(None) };
        match parse(text.trim()) {
            Some(value) => Ok(Some(value)),
            None => match NOT_HERE.iter().find(|(name, value, _)| row.name == *name && text.trim() == *value) {
                Some((_, _, said)) => Err(self.wrong(row, *said)),
                None => Err(self.wrong(row, format!("'{}' is not one of {}", short(&text), values.join(", ")))),
            },
        }
    }
}

/// With the members of nested objects beside the others: `{ tls: { ca } }` becomes `{ tls: true, 'tls.ca': ca }`.
fn flat<'a>(given: &'a Map<String, Value>, rows: &[Row]) -> Result<Cow<'a, Map<String, Value>>, OptionError> {
    let is_nested = |name: &str| rows.iter().any(|row| row.is_member_of(name));
    if !given.keys().any(|name| is_nested(name)) {
        return Ok(Cow::Borrowed(given));
    }
    let mut all = Map::new();
    for (name, value) in given {
        let has_switch = rows.iter().any(|row| row.key == name);
        let members = match value {
            _ if !is_nested(name) => None,
            Value::Object(members) => Some(members),
            Value::Null | Value::Bool(_) if has_switch => None,
            Value::String(text) if has_switch && matches!(text.trim(), "true" | "false") => None,
            Value::Null => continue,
            // What it is instead is not shown: it may be a key.
            _ if has_switch => {
                return Err(OptionError::new(name, "is neither true nor false nor an object of options"));
            }
            _ => return Err(OptionError::new(name, "is not an object of options")),
        };
        let switch = members.filter(|_| has_switch).map(|_| (name.clone(), Value::Bool(true)));
        let flat = members.into_iter().flatten().map(|(member, value)| (format!("{name}.{member}"), value.clone()));
        let itself = members.is_none().then(|| (name.clone(), value.clone()));
        for (name, value) in switch.into_iter().chain(flat).chain(itself) {
            if all.insert(name.clone(), value).is_some() {
                return Err(OptionError::new(name, "is given twice"));
            }
        }
    }
    Ok(Cow::Owned(all))
}

/// What a wrong value looks like in an error: its JSON, cut short.
fn shown(value: &Value) -> String {
    short(&value.to_string())
}

/// What was given may be of any length, and an error is for people.
fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Values that other clients know.
const NOT_HERE: &[(&str, &str, &str)] = &[(
    "sasl.mechanism",
    "GSSAPI",
    "GSSAPI (Kerberos) is not there yet (docs/adr/0004-gssapi.md); a broker can offer SCRAM-SHA-512 or OAUTHBEARER beside it",
)];

/// What people look for under a name of another client. Lower case, without dots.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["ssl"], "is not an option here; tls is: true, or an object such as { ca, cert, key }"),
    (
        &["sasljaasconfig"],
        "is not an option here: it names a class of Java's; sasl.mechanism, sasl.username and sasl.password say the same",
    ),
    (
        &["sasloauthbearerclientid"],
        "is not an option here; sasl.oauthbearer.client.credentials.client.id (sasl.clientId) is",
    ),
    (
        &["sasloauthbearerclientsecret"],
        "is not an option here; sasl.oauthbearer.client.credentials.client.secret (sasl.clientSecret) is",
    ),
    (
        &["sasloauthbearermethod"],
        "is not an option here: sasl.oauthbearer.token.endpoint.url (sasl.tokenEndpointUrl) alone means oidc",
    ),
    (&["saslmechanisms"], "is not an option here; sasl.mechanism is"),
    (
        &[
            "ssltruststorelocation",
            "ssltruststoretype",
            "ssltruststorepassword",
            "sslkeystorelocation",
            "sslkeystoretype",
            "sslkeystorepassword",
        ],
        "is not an option here: key stores of Java's are not read; ssl.ca.location, ssl.certificate.location and \
         ssl.key.location name files in PEM",
    ),
    (
        &["saslkerberosservicename", "saslkerberosprincipal", "saslkerberoskeytab", "saslkerberoskinitcmd"],
        "is not an option here: there is no GSSAPI (Kerberos) yet (docs/adr/0004-gssapi.md)",
    ),
    (
        &["frombeginning"],
        "is not an option here; auto.offset.reset (autoOffsetReset) 'earliest' reads from the beginning",
    ),
    (&["idempotent"], "is not an option here; enable.idempotence (enableIdempotence) is, and is on by default"),
    (&["metadatabrokerlist"], "is not an option here; bootstrap.servers (brokers) is"),
];

fn unknown(name: &str, rows: &[Row]) -> OptionError {
    let plain = name.replace('.', "").to_lowercase();
    if let Some((_, said)) = ELSEWHERE.iter().find(|(names, _)| names.contains(&plain.as_str())) {
        return OptionError::new(name, *said);
    }
    // In the style in which it was written.
    let nested = name.split_once('.').is_some_and(|(object, _)| rows.iter().any(|row| row.is_member_of(object)));
    let style = |row: &Row| if name.contains('.') && !nested { row.name } else { row.key };
    let all = rows.iter().map(|row| (distance(name, row.name).min(distance(name, row.key)), style(row)));
    match closest(all) {
        Some(known) => OptionError::new(short(name), format!("is not an option here; did you mean {known}?")),
        None => OptionError::new(short(name), "is not an option here; docs/configuration.md lists them"),
    }
}

/// The one of `known` that `name` was probably meant to be, if there is one.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    closest(known.into_iter().map(|known| (distance(name, known), known)))
}

/// The name with the least distance, unless that is most of the name.
fn closest<'a>(all: impl Iterator<Item = (usize, &'a str)>) -> Option<&'a str> {
    all.min().filter(|(distance, known)| *distance <= known.len().div_ceil(3)).map(|(_, known)| known)
}

/// Levenshtein's distance, over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use crate::generated::options::{Acks, ClientOptions, ConsumerOptions, ProducerOptions};
    use serde_json::{Map, Value, json};
    use std::time::Duration;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    fn producer_error(value: Value) -> String {
        ProducerOptions::parse(&object(value)).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_gives_the_defaults_of_the_table() {
        assert_eq!(ProducerOptions::parse(&Map::new()).unwrap(), ProducerOptions::default());
        assert_eq!(ConsumerOptions::parse(&Map::new()).unwrap(), ConsumerOptions::default());
        assert_eq!(ProducerOptions::default().linger, None);
        assert_eq!(ProducerOptions::default().acks, Acks::All);
    }

    #[test]
    fn both_names_of_an_option_and_strings_from_files_are_understood() {
        let a = ProducerOptions::parse(&object(json!({ "linger.ms": "5", "acks": -1, "enable.idempotence": "true" })))
            .unwrap();
        let b = ProducerOptions::parse(&object(json!({ "lingerMs": 5, "acks": "all", "enableIdempotence": true })))
            .unwrap();
        assert_eq!(a, b);
        assert_eq!(a.linger, Some(Duration::from_millis(5)));
    }

    #[test]
    fn brokers_may_be_a_list_or_a_string_with_commas() {
        let a = ClientOptions::parse(&object(json!({ "brokers": "a:1, b:2" }))).unwrap();
        let b = ClientOptions::parse(&object(json!({ "bootstrap.servers": ["a:1", "b:2"] }))).unwrap();
        assert_eq!(a.bootstrap_servers, b.bootstrap_servers);
        assert_eq!(
            ClientOptions::parse(&Map::new()).unwrap_err().to_string(),
            "bootstrap.servers: is needed (brokers in TypeScript)"
        );
    }

    #[test]
    fn an_error_names_the_option_the_value_and_what_is_allowed() {
        assert_eq!(producer_error(json!({ "lingerMs": -5 })), "linger.ms: -5 is below 0");
        assert_eq!(producer_error(json!({ "lingerMs": "soon" })), "linger.ms: \"soon\" is not a whole number");
        assert_eq!(producer_error(json!({ "acks": 2 })), "acks: '2' is not one of all, 1, 0");
        let long = producer_error(json!({ "acks": "x".repeat(100_000) }));
        assert_eq!(long, format!("acks: '{}…' is not one of all, 1, 0", "x".repeat(60)));
        assert!(producer_error(json!({ "x".repeat(100_000): 1 })).len() < 200);
        assert_eq!(producer_error(json!({ "linger": 2 })), "linger: is not an option here; did you mean lingerMs?");
        assert_eq!(
            producer_error(json!({ "compressionType": "lz4" })),
            "compressionType: is not an option here; did you mean compression?"
        );
        assert_eq!(
            producer_error(json!({ "compression.typ": "lz4" })),
            "compression.typ: is not an option here; did you mean compression.type?"
        );
        assert_eq!(
            producer_error(json!({ "foo": "lz4" })),
            "foo: is not an option here; docs/configuration.md lists them"
        );
        assert_eq!(
            producer_error(json!({ "linger.ms": 1, "lingerMs": 1 })),
            "linger.ms: is given twice, as linger.ms and as lingerMs"
        );
    }

    #[test]
    fn names_of_other_clients_and_what_is_not_there_yet_are_answered() {
        let client = |value| ClientOptions::parse(&object(value)).unwrap_err().to_string();
        assert!(client(json!({ "brokers": "a:1", "ssl": true })).contains("; tls is: true"));
        assert!(client(json!({ "brokers": "a:1", "ssl.truststore.location": "a.jks" })).contains("ssl.ca.location"));
        assert!(client(json!({ "brokers": "a:1", "sasl.jaas.config": "hunter2" })).contains("sasl.mechanism"));
        let gssapi = client(json!({ "brokers": "a:1", "sasl": { "mechanism": "GSSAPI" } }));
        assert!(gssapi.starts_with("sasl.mechanism: GSSAPI (Kerberos) is not there yet"), "{gssapi}");
        let consumer = ConsumerOptions::parse(&object(json!({ "fromBeginning": true }))).unwrap_err().to_string();
        assert!(consumer.contains("autoOffsetReset"), "{consumer}");
        assert!(consumer.starts_with("fromBeginning: "), "{consumer}");
    }
}
