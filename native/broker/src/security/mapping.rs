//! `ssl.principal.mapping.rules` (KIP-371): who the subject of a certificate is. `DEFAULT` takes it as it is;
//! `RULE:pattern/replacement/` and `.../L`, `.../U` take a part of it, in small or capital letters.

use regex::Regex;

/// The rules, the first that matches counts.
#[derive(Debug)]
pub(crate) struct Mapping(Vec<Rule>);

#[derive(Debug)]
enum Rule {
    Default,
    Replace { pattern: Regex, replacement: String, case: Case },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    AsIs,
    Lower,
    Upper,
}

/// Longer ones are refused.
const MAX_RULES: usize = 100;

impl Mapping {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if rules.len() == MAX_RULES {
                return Err(format!("more than {MAX_RULES} rules"));
            }
            let (rule, after) = match rest.strip_prefix("RULE:") {
                Some(body) => replacement(body)?,
                None => match rest.strip_prefix("DEFAULT") {
                    Some(after) => (Rule::Default, after),
                    None => return Err("rules are DEFAULT and RULE:pattern/replacement/[LU]".into()),
                },
            };
            rules.push(rule);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => "",
                None => return Err("rules are separated by commas".into()),
            };
        }
        Ok(Self(rules))
    }

    /// The name for a subject; none when no rule matches.
    pub fn name(&self, subject: &str) -> Option<String> {
        self.0.iter().find_map(|rule| match rule {
            Rule::Default => Some(subject.to_string()),
            Rule::Replace { pattern, replacement, case } => {
                let found = pattern.captures(subject)?;
                let mut name = String::new();
                found.expand(replacement, &mut name);
                Some(match case {
                    Case::AsIs => name,
                    Case::Lower => name.to_lowercase(),
                    Case::Upper => name.to_uppercase(),
                })
            }
        })
    }
}

fn replacement(body: &str) -> Result<(Rule, &str), String> {
    let form = || "a rule must be RULE:pattern/replacement/, perhaps with L or U behind it".to_string();
    let (pattern, rest) = cut(body).ok_or_else(form)?;
    let (replacement, rest) = cut(rest).ok_or_else(form)?;
    let (case, rest) = match rest.as_bytes().first() {
        Some(b'L') => (Case::Lower, &rest[1..]),
        Some(b'U') => (Case::Upper, &rest[1..]),
        _ => (Case::AsIs, rest),
    };
    // Java matches the whole text, and names groups by $1; `$1a` is the first group and an a.
    let pattern =
        Regex::new(&format!("^(?:{pattern})$")).map_err(|_| "a pattern is no regular expression".to_string())?;
    let mut groups = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => {
                let mut digits = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                groups.push_str(&format!("${{{digits}}}"));
            }
            c => groups.push(c),
        }
    }
    Ok((Rule::Replace { pattern, replacement: groups, case }, rest))
}

/// At the first slash that is not escaped.
fn cut(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let at = text.find(|c| {
        let ends = !escaped && c == '/';
        escaped = !escaped && c == '\\';
        ends
    })?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rules: &str, subject: &str) -> Option<String> {
        Mapping::parse(rules).unwrap().name(subject)
    }

    /// The examples of KIP-371.
    #[test]
    fn the_first_rule_that_matches_counts() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U,DEFAULT";
        let is = |subject| name(rules, subject).unwrap();
        assert_eq!(is("CN=kafka1,OU=ServiceUsers,O=Unknown"), "kafka1");
        assert_eq!(is("CN=Kafka2,OU=Admin,O=X"), "kafka2@admin");
        assert_eq!(is("cn=k3,O=X"), "K3");
        assert_eq!(is("O=X"), "O=X");
        assert_eq!(name("RULE:^CN=(.*)$/$1x/", "O=X"), None);
        assert_eq!(name("DEFAULT", "CN=a"), Some("CN=a".into()));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["RULE:a", "RULE:a/b", "OTHER", "DEFAULT DEFAULT", "RULE:(/b/", "RULE:a/b/LU"] {
            assert!(Mapping::parse(text).is_err(), "{text}");
        }
    }
}
