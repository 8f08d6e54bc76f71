//! As much of DER as the subject of a certificate needs. Bounds are checked everywhere: the bytes are a stranger's.

pub(super) const SET: u8 = 0x31;
pub(super) const OID: u8 = 0x06;
/// `[0]`, the version of a certificate.
pub(super) const VERSION: u8 = 0xa0;
const SEQUENCE: u8 = 0x30;

/// What is left to read.
pub(super) struct Der<'a>(pub &'a [u8]);

impl<'a> Der<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Tag and contents of the next element.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, contents))
    }
}

/// The contents of the next element, if it is a sequence.
pub(super) fn sequence<'a>(der: &mut Der<'a>) -> Option<Der<'a>> {
    match der.next()? {
        (SEQUENCE, contents) => Some(Der(contents)),
        _ => None,
    }
}

/// What one of the types of text says.
pub(super) fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString, IA5String.
        12 | 18 | 19 | 22 => String::from_utf8(value.to_vec()).ok(),
        // T61String, which Java takes for Latin-1.
        20 => Some(value.iter().copied().map(char::from).collect()),
        // BMPString.
        30 => {
            let units: Vec<u16> =
                value.chunks(2).map(|two| two.iter().fold(0, |n, b| n << 8 | u16::from(*b))).collect();
            String::from_utf16(&units).ok().filter(|_| value.len().is_multiple_of(2))
        }
        _ => None,
    }
}

/// An object identifier in numbers.
pub(super) fn dotted(oid: &[u8]) -> Option<String> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let (first, rest) = numbers.split_first()?;
    let top = (first / 40).min(2);
    let all = [top, first - 40 * top].into_iter().chain(rest.iter().copied());
    Some(all.map(|number| number.to_string()).collect::<Vec<_>>().join("."))
}
