//! Configurations as Kafka has them: tables of names, types, bounds, defaults and documentation ([`broker`], [`topic`],
//! [`groups`]), and what was changed through the protocol ([`dynamic`]). No wire format: that is in the APIs.

pub(crate) mod broker;
pub(crate) mod dynamic;
pub(crate) mod file;
pub(crate) mod groups;
mod known;
pub(crate) mod properties;
mod reference;
pub(crate) mod security;
pub(crate) mod topic;

pub use file::PropertiesError;
pub use reference::configuration_reference;
pub(crate) use topic::TopicConfig;

/// A property: Kafka's name, type and default, the broker's properties behind it, and what it does.
pub(crate) struct Property {
    pub name: &'static str,
    pub kind: Kind,
    /// `None`: Kafka's null.
    pub default: Option<&'static str>,
    /// The broker's properties that give a topic's or a group's its default, the first that is set; each with what its
    /// number is multiplied by.
    pub synonyms: &'static [(&'static str, i64)],
    pub doc: &'static str,
}

/// Kafka's types of a property, with their bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    /// Any text.
    Text,
    /// Any text, which is shown to nobody.
    Password,
    /// The name of a Java class; nothing is loaded.
    Class,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// Any comma-separated list.
    List,
    /// A number between these two.
    Short(i64, i64),
    Int(i64, i64),
    Long(i64, i64),
    Double(f64, f64),
    /// 1 to 9, or −1.
    GzipLevel,
}

pub(crate) const MAX_INT: i64 = i32::MAX as i64;
pub(crate) const MAX_LONG: i64 = i64::MAX;

impl Kind {
    /// An INT of at least this much.
    pub const fn int(least: i64) -> Self {
        Self::Int(least, MAX_INT)
    }

    /// A LONG of at least this much.
    pub const fn long(least: i64) -> Self {
        Self::Long(least, MAX_LONG)
    }

    pub fn is_list(self) -> bool {
        matches!(self, Self::List | Self::ListOf(_))
    }

    /// Kafka's name and number of the type.
    pub fn wire(self) -> (&'static str, i8) {
        match self {
            Self::Boolean => ("BOOLEAN", 1),
            Self::OneOf(_) | Self::Text => ("STRING", 2),
            Self::Int(..) | Self::GzipLevel => ("INT", 3),
            Self::Short(..) => ("SHORT", 4),
            Self::Long(..) => ("LONG", 5),
            Self::Double(..) => ("DOUBLE", 6),
            Self::ListOf(_) | Self::List => ("LIST", 7),
            Self::Class => ("CLASS", 8),
            Self::Password => ("PASSWORD", 9),
        }
    }

    /// What is allowed, for people.
    pub fn bounds(self) -> String {
        let range = |least: i64, most: i64, top: i64| match most {
            _ if most == top => format!("{least} or more"),
            _ => format!("{least} to {most}"),
        };
        match self {
            Self::OneOf(words) => words.join(", "),
            Self::ListOf(words) => format!("list of: {}", words.join(", ")),
            Self::Short(least, most) => range(least, most, i16::MAX.into()),
            Self::Int(least, most) => range(least, most, MAX_INT),
            Self::Long(least, most) => range(least, most, MAX_LONG),
            Self::Double(least, most) if most == f64::MAX => format!("{least} or more"),
            Self::Double(least, most) => format!("{least} to {most}"),
            Self::GzipLevel => "1 to 9, or -1".into(),
            Self::Boolean => "true, false".into(),
            Self::Text | Self::Class | Self::List | Self::Password => String::new(),
        }
    }
}

impl Property {
    /// Whether a value is allowed; an error is a sentence, as Kafka's `ConfigException`.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let (type_name, _) = self.kind.wire();
        let value = value.trim();
        let no_number = || format!("Not a number of type {type_name}");
        let within = |n: f64, least: f64, most: f64| match n {
            n if n < least => Err(format!("Value must be at least {least}")),
            n if n > most => Err(format!("Value must be no more than {most}")),
            _ => Ok(()),
        };
        let number = |least: i64, most: i64, of_type: std::ops::RangeInclusive<i64>| {
            let n = value.parse::<i64>().ok().filter(|n| of_type.contains(n)).ok_or_else(no_number)?;
            match n {
                n if n < least => Err(format!("Value must be at least {least}")),
                n if n > most => Err(format!("Value must be no more than {most}")),
                _ => Ok(()),
            }
        };
        let int = i32::MIN.into()..=MAX_INT;
        let words = |words: &[&str]| format!("String must be one of: {}", words.join(", "));
        let mut shown = value.to_string();
        let checked = match self.kind {
            Kind::Boolean if matches!(value.to_ascii_lowercase().as_str(), "true" | "false") => Ok(()),
            Kind::Boolean => Err("Expected value to be either true or false".into()),
            Kind::Text | Kind::Class | Kind::List | Kind::Password => Ok(()),
            Kind::OneOf(allowed) if allowed.contains(&value) => Ok(()),
            Kind::OneOf(allowed) => Err(words(allowed)),
            Kind::ListOf(allowed) => match split(value).find(|word| !allowed.contains(word)) {
                None => Ok(()),
                Some(word) => {
                    shown = word.into();
                    Err(words(allowed))
                }
            },
            Kind::Short(least, most) => number(least, most, i16::MIN.into()..=i16::MAX.into()),
            Kind::Int(least, most) => number(least, most, int),
            Kind::Long(least, most) => number(least, most, i64::MIN..=i64::MAX),
            Kind::GzipLevel => number(i64::MIN, i64::MAX, int.clone()).and_then(|()| match value.parse() {
                Ok(-1 | 1..=9) => Ok(()),
                _ => Err("Value must be between 1 and 9 or equal to -1".into()),
            }),
            Kind::Double(least, most) => match value.parse::<f64>() {
                Ok(n) if !n.is_nan() => {
                    shown = format!("{n:?}");
                    within(n, least, most)
                }
                _ => Err(no_number()),
            },
        };
        checked.map_err(|reason: String| format!("Invalid value {shown} for configuration {}: {reason}", self.name))
    }
}

/// The words of a list.
pub(crate) fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Kafka's numbers of resource types.
pub(crate) mod resource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const BROKER_LOGGER: i8 = 8;
    pub const CLIENT_METRICS: i8 = 16;
    pub const GROUP: i8 = 32;
}

/// Kafka's numbers of where a value comes from (DescribeConfigs).
pub(crate) mod source {
    /// Set for this topic.
    pub const TOPIC: i8 = 1;
    /// Set for this broker while it ran.
    pub const DYNAMIC_BROKER: i8 = 2;
    /// Set for all brokers while they ran.
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    /// From the broker's start.
    pub const STATIC_BROKER: i8 = 4;
    /// Kafka's default.
    pub const DEFAULT: i8 = 5;
    pub const BROKER_LOGGER: i8 = 6;
    pub const CLIENT_METRICS: i8 = 7;
    pub const GROUP: i8 = 8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check_and_every_name_is_unique() {
        let all = topic::TABLE.iter().chain(groups::GROUP).chain(groups::CLIENT_METRICS);
        for property in all.chain(broker::all().map(|of| &of.property)) {
            let checked = property.default.map_or(Ok(()), |default| property.check(default));
            assert_eq!(checked, Ok(()), "{}", property.name);
        }
        let mut names: Vec<&str> = broker::all().map(|of| of.property.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_stands_behind_a_property_is_a_property_of_the_broker() {
        for property in topic::TABLE.iter().chain(groups::GROUP) {
            for (synonym, _) in property.synonyms {
                assert!(broker::find(synonym).is_some(), "{synonym} behind {}", property.name);
            }
        }
    }

    #[test]
    fn wrong_values_are_told_in_the_words_of_apache_kafka() {
        let topic = |name: &str, value: &str| topic::find(name).unwrap().check(value).unwrap_err();
        let said = "Invalid value x for configuration retention.ms: Not a number of type LONG";
        assert_eq!(topic("retention.ms", "x"), said);
        let said = "Invalid value -7 for configuration retention.ms: Value must be at least -1";
        assert_eq!(topic("retention.ms", "-7"), said);
        let said = "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT";
        assert_eq!(topic("max.message.bytes", "99999999999"), said);
        let said = "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete";
        assert_eq!(topic("cleanup.policy", "delete,foo"), said);
        let said = "Invalid value 7.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1";
        assert_eq!(topic("min.cleanable.dirty.ratio", "7"), said);
        let said =
            "Invalid value 99 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1";
        assert_eq!(topic("compression.gzip.level", "99"), said);
        let said = "Invalid value maybe for configuration preallocate: Expected value to be either true or false";
        assert_eq!(topic("preallocate", "maybe"), said);
    }
}
