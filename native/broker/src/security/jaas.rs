//! The one line of JAAS that Kafka's `sasl.jaas.config` has: `MODULE required NAME="VALUE" ...;`. No error quotes a value.

use std::collections::BTreeMap;

use dohle_security::Secret;

/// A login module and its options.
#[derive(Debug, PartialEq)]
pub(crate) struct Jaas {
    pub module: String,
    pub options: BTreeMap<String, Secret>,
}

impl Jaas {
    /// The users of `user_NAME="password"`.
    pub fn users(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.options.iter().filter_map(|(name, value)| Some((name.strip_prefix("user_")?, value)))
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Equals,
    End,
}

/// Reads it. An error is the end of a sentence that begins with the property.
pub(crate) fn parse(text: &str) -> Result<Jaas, String> {
    let mut tokens = tokens(text)?.into_iter();
    let Some(Token::Word(module)) = tokens.next() else { return Err("has no login module".into()) };
    match tokens.next() {
        Some(Token::Word(flag))
            if ["required", "requisite", "sufficient", "optional"]
                .iter()
                .any(|known| flag.eq_ignore_ascii_case(known)) => {}
        _ => return Err("must have required behind the login module".into()),
    }
    let mut options = BTreeMap::new();
    loop {
        match (tokens.next(), tokens.next(), tokens.next()) {
            (Some(Token::End), None, None) => return Ok(Jaas { module, options }),
            (Some(Token::End), ..) => return Err("has more than one login module".into()),
            (Some(Token::Word(name)), Some(Token::Equals), Some(Token::Word(value))) => {
                options.insert(name, Secret::new(value));
            }
            (None, ..) => return Err("must end with a semicolon".into()),
            _ => return Err("must have options of the form name=\"value\", and end with a semicolon".into()),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '=' => tokens.push(Token::Equals),
            ';' => tokens.push(Token::End),
            c if c.is_whitespace() => {}
            '"' => tokens.push(Token::Word(quoted(&mut chars)?)),
            c => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(c, '=' | ';' | '"')) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// The rest of a text in quotes, with the escapes that Java's `StreamTokenizer` knows.
fn quoted(chars: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut word = String::new();
    loop {
        match chars.next() {
            None | Some('\n' | '\r') => return Err("has a quote that does not end".into()),
            Some('"') => return Ok(word),
            Some('\\') => match chars.next() {
                None => return Err("has a quote that does not end".into()),
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                Some(other) => word.push(other),
            },
            Some(c) => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_examples_are_read() {
        let jaas = parse(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \\\n username=admin password=\"a \\\"b\\\" ; c\" \
             user_admin=\"x=y\"  user_alice='z';"
                .replace("\\\n", "\n")
                .as_str(),
        )
        .unwrap();
        assert_eq!(jaas.module, "org.apache.kafka.common.security.plain.PlainLoginModule");
        assert_eq!(jaas.options["password"].expose(), "a \"b\" ; c");
        let users: Vec<_> = jaas.users().map(|(name, password)| (name, password.expose())).collect();
        assert_eq!(users, [("admin", "x=y"), ("alice", "'z'")]);
        assert_eq!(parse("M required;").unwrap().options.len(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for (text, why) in [
            ("", "no login module"),
            (";", "no login module"),
            ("M", "required"),
            ("M perhaps;", "required"),
            ("M required user_a=\"hunter2\"", "semicolon"),
            ("M required user_a \"hunter2\";", "name=\"value\""),
            ("M required user_a=\"hunter2", "does not end"),
            ("M required user_a=\"hunter2\\", "does not end"),
            ("M required =;", "name=\"value\""),
            ("M required; N required;", "more than one"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert!(!format!("{:?}", parse("M required user_a=\"hunter2\";")).contains("hunter2"));
    }

    #[test]
    fn nothing_makes_it_panic() {
        let pieces = ["M", " ", "required", "=", ";", "\"", "\\", "a", "ä", "\n", "user_"];
        for n in 0..20_000_usize {
            let text: String =
                (0..6).map(|digit| pieces[(n.wrapping_mul(2_654_435_761) >> (digit * 4)) % pieces.len()]).collect();
            let _ = parse(&text);
        }
    }
}
