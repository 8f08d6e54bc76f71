//! `auto.offset.reset`: where to begin without a committed offset, or when the position is not in the log.
//! Only the reading of the option; the look-up is the fetcher's.

use crate::{Error, Result};

use super::subscription::ResetTo;

/// `None` is Kafka's `none`: an error for the loop.
pub(super) fn parse(text: &str) -> Result<Option<ResetTo>> {
    Ok(Some(match text {
        "earliest" => ResetTo::Earliest,
        "latest" => ResetTo::Latest,
        "none" => return Ok(None),
        other => match other.strip_prefix("by_duration:").and_then(iso_8601_millis) {
            Some(ms) => ResetTo::Ago(ms),
            None => {
                return Err(Error::invalid_config(format!(
                    "auto.offset.reset: '{text}' is none of earliest, latest, none, by_duration:PnDTnHnMn.nS"
                )));
            }
        },
    }))
}

/// What Java's `Duration.parse` takes, without signs: `P2D`, `PT1H30M`, `PT0.5S`.
fn iso_8601_millis(text: &str) -> Option<i64> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = units(days, &[('D', 86_400_000)])?;
    total = total.checked_add(units(time, &[('H', 3_600_000), ('M', 60_000), ('S', 1_000)])?)?;
    Some(total)
}

/// Numbers with units, each unit at most once and in this order; only seconds may have a fraction.
fn units(mut text: &str, mut units: &[(char, i64)]) -> Option<i64> {
    let mut total = 0i64;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let unit = rest.chars().next()?.to_ascii_uppercase();
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let millis = units[at].1;
        units = &units[at + 1..];
        text = &rest[1..];
        let value = match number.split_once('.') {
            None => number.parse::<i64>().ok()?.checked_mul(millis)?,
            Some((whole, fraction)) if unit == 'S' && !whole.is_empty() && fraction.len() <= 9 => {
                let thousandths: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
                whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(thousandths)?
            }
            Some(_) => return None,
        };
        total = total.checked_add(value)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_java_reads_them() {
        for (text, millis) in [
            ("PT1H", 3_600_000),
            ("P1D", 86_400_000),
            ("P1DT1M", 86_460_000),
            ("PT1H30M", 5_400_000),
            ("PT0.5S", 500),
            ("pt20.345s", 20_345),
            ("PT0S", 0),
        ] {
            assert_eq!(parse(&format!("by_duration:{text}")).unwrap(), Some(ResetTo::Ago(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_policy_is_refused_with_its_name_and_value() {
        for text in
            ["", "first", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:1H", "by_duration:PT1M1H"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("auto.offset.reset") && error.contains(text), "{error}");
        }
    }
}
