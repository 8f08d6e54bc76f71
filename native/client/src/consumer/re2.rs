//! A regular expression of a programming language in RE2's syntax (KIP-848), where both mean the same for names of topics.
//! Not a parser of any dialect: what is not surely the same in all of them is left to the client to match.
//! Driven by subscriptions to patterns.

/// The expression that a broker must match whole names with, so that it finds what `source` finds anywhere in a name. None:
/// it has something that RE2 lacks or reads differently (look-around, back references, Unicode classes, …).
pub fn re2_of(source: &str, ignore_case: bool) -> Option<String> {
    let mut rest = source.chars().peekable();
    let mut depth = 0usize;
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(rest.next()?, false)?,
            '[' => class(&mut rest)?,
            '(' => {
                depth += 1;
                if rest.next_if_eq(&'?').is_some() && rest.next() != Some(':') {
                    return None;
                }
            }
            ')' => depth = depth.checked_sub(1)?,
            '{' => repetition(&mut rest)?,
            ']' | '}' => return None,
            c if c.is_ascii_graphic() => {}
            _ => return None,
        }
    }
    let flags = if ignore_case { "(?is)" } else { "(?s)" };
    (depth == 0).then(|| format!("{flags}.*(?:{source}).*"))
}

/// What may follow a backslash.
fn escape(c: char, in_class: bool) -> Option<()> {
    let known = matches!(c, 'd' | 'D' | 'w' | 'W' | 's' | 'S') || (!in_class && matches!(c, 'b' | 'B'));
    (known || c.is_ascii_punctuation()).then_some(())
}

/// The rest of a class. An empty one, and one with a bracket in it, are read differently here and there.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    rest.next_if_eq(&'^');
    let mut empty = true;
    loop {
        match rest.next()? {
            ']' if empty => return None,
            ']' => return Some(()),
            '\\' => escape(rest.next()?, true)?,
            // Set operations of some dialects.
            '[' | '&' | '~' => return None,
            '-' if rest.peek() == Some(&'-') => return None,
            c if c.is_ascii_graphic() => {}
            _ => return None,
        }
        empty = false;
    }
}

/// The rest of `{n}`, `{n,}` or `{n,m}`, of at most RE2's 1000.
fn repetition(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '}' => break,
            c => text.push(c),
        }
    }
    let number = |text: &str| text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| n <= 1000);
    match text.split_once(',') {
        None => number(&text),
        Some((least, most)) => number(least) && (most.is_empty() || number(most)),
    }
    .then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_dialects_share_is_the_brokers_to_match_anywhere_in_the_name() {
        assert_eq!(re2_of("^orders-", false).unwrap(), "(?s).*(?:^orders-).*");
        assert_eq!(re2_of("a|b$", true).unwrap(), "(?is).*(?:a|b$).*");
        for source in [r"\d+\.\w*?", "[a-z_0-9]{2,}", r"(?:x|(y))+", r"[^\d\-.]{1,1000}", r"\bin\B", "", r"\/a\-b"] {
            assert!(re2_of(source, false).is_some(), "{source}");
        }
    }

    #[test]
    fn what_re2_lacks_or_reads_differently_is_left_to_the_client() {
        let odd = [
            "(?=a)",
            "(?!a)",
            "(?<!a)b",
            "(?<name>a)",
            r"(a)\1",
            r"\p{L}",
            r"\u0061",
            r"\x61",
            r"\cA",
            "[]a]",
            "[^]",
            "[[:alpha:]]",
            "[a--b]",
            "[a&&b]",
            r"[\b]",
            "a{1001}",
            "a{,5}",
            "a{x}",
            "a}",
            "]",
            "ä",
            "a\tb",
            r"a\",
            "(a",
            "a)",
            "[a",
        ];
        for source in odd {
            assert_eq!(re2_of(source, false), None, "{source}");
        }
    }
}
