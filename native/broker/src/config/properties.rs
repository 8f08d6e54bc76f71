//! The syntax of Java's `.properties` files, as `java.util.Properties` reads it: comments, continued lines, escapes.
//! What the names mean is in [`broker`](super::broker).

/// A line that says something: the number of the line that it begins in, its key and its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub number: usize,
    pub key: String,
    pub value: String,
}

/// Reads a file. An error is the number of a line and a sentence.
pub(crate) fn parse(text: &str) -> Result<Vec<Line>, (usize, String)> {
    let mut lines = Vec::new();
    let mut natural = (1..).zip(split(text.strip_prefix('\u{feff}').unwrap_or(text)));
    while let Some((number, first)) = natural.next() {
        let first = first.trim_start_matches(BLANK);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        if first.starts_with("-----BEGIN ") {
            // Nothing of what follows may be shown, and it is no name.
            return Err((number, "this is a certificate or a key, not a file of properties".into()));
        }
        let mut logical = first.to_string();
        while continues(&logical) {
            logical.pop();
            match natural.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(BLANK)),
                None => break,
            }
        }
        let (key, value) = cut(&logical);
        let plain = |text: &str| unescape(text).map_err(|why| (number, why));
        lines.push(Line { number, key: plain(key)?, value: plain(value)? });
    }
    Ok(lines)
}

const BLANK: [char; 3] = [' ', '\t', '\x0c'];

/// Lines end with `\n`, `\r` or both.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let end = if text[at..].starts_with("\r\n") { at + 2 } else { at + 1 };
        rest = Some(&text[end..]);
        Some(&text[..at])
    })
}

/// Whether an odd number of backslashes ends it.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value, still escaped: at the first `=`, `:` or blank that is not escaped.
fn cut(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || BLANK.contains(&c));
        escaped = !escaped && c == '\\';
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut units: Vec<u16> = Vec::new();
    while let Some(c) = chars.next() {
        let escape = if c == '\\' { chars.next() } else { None };
        if escape == Some('u') {
            let digits: String = chars.by_ref().take(4).collect();
            let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4 && !digits.starts_with('+'));
            units.push(unit.ok_or_else(|| format!("Malformed \\uxxxx encoding: \\u{digits}"))?);
            continue;
        }
        flush(&mut units, &mut plain);
        match (c, escape) {
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('f')) => plain.push('\x0c'),
            ('\\', Some(other)) => plain.push(other),
            ('\\', None) => {}
            (c, _) => plain.push(c),
        }
    }
    flush(&mut units, &mut plain);
    Ok(plain)
}

/// Two escapes may be one character (surrogates).
fn flush(units: &mut Vec<u16>, plain: &mut String) {
    plain.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        parse(text).unwrap().into_iter().map(|line| (line.number, line.key, line.value)).collect()
    }

    fn pair(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}");
        let (_, key, value) = all.remove(0);
        (key, value)
    }

    #[test]
    fn a_key_that_is_taken_for_properties_is_not_shown() {
        let (number, why) = parse("a=b\n-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n").unwrap_err();
        assert!(number == 2 && why.contains("a key, not a file of properties") && !why.contains("MIG"), "{why}");
    }

    #[test]
    fn keys_end_at_the_first_separator_that_is_not_escaped() {
        for text in ["a=b", "a:b", "a b", "  a =  b", "a\t:\tb", "a  b", "\u{feff}a=b"] {
            assert_eq!(pair(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(pair(r"a\=b\:c\ d=e"), ("a=b:c d".into(), "e".into()));
        assert_eq!(pair("listeners=PLAINTEXT://:9092"), ("listeners".into(), "PLAINTEXT://:9092".into()));
        assert_eq!(pair("a"), ("a".into(), String::new()));
        assert_eq!(pair("a=b = c "), ("a".into(), "b = c ".into()), "blanks at the end belong to the value");
        assert_eq!(pair("a==b"), ("a".into(), "=b".into()));
    }

    #[test]
    fn comments_empty_lines_and_continued_lines_keep_the_count_of_lines() {
        let text = "# one\r\n! two\r\n\r\na=b,\\\r\n   c,\\\n\td\re=f\\\\\n  # g\nh=#i";
        let expected = [(4, "a", "b,c,d"), (7, "e", r"f\"), (9, "h", "#i")];
        assert_eq!(pairs(text), expected.map(|(n, key, value)| (n, key.to_string(), value.to_string())));
        assert_eq!(pair("a=b\\"), ("a".into(), "b".into()));
    }

    #[test]
    fn escapes_are_those_of_java() {
        assert_eq!(pair(r"a=\t\n\r\f\q\\\u00e4\uD83D\uDE00"), ("a".into(), "\t\n\r\x0cq\\ä😀".into()));
        assert_eq!(parse("a=1\nb=\\u00g0"), Err((2, r"Malformed \uxxxx encoding: \u00g0".into())));
        assert_eq!(parse("b=\\u00"), Err((1, r"Malformed \uxxxx encoding: \u00".into())));
    }
}
