//! Who somebody is: a kind and a name, as ACLs and super users name them. That of a certificate is its subject.

use std::{fmt, sync::Arc};

use super::der::{self, Der};

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Principal {
    kind: Arc<str>,
    name: Arc<str>,
}

impl Principal {
    pub fn user(name: &str) -> Self {
        Self { kind: "User".into(), name: name.into() }
    }

    /// Whoever did not log in.
    pub fn anonymous() -> Self {
        Self::user(crate::quotas::ANONYMOUS)
    }

    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is its text, without making it.
    pub fn is(&self, text: &str) -> bool {
        text.split_once(':').is_some_and(|(kind, name)| kind == &*self.kind && name == &*self.name)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// The subject of a certificate as Java's `X500Principal` prints it (RFC 2253): the last part first, names for the attributes
/// that RFC 2253 knows, numbers and bytes for the others. None when the bytes are no certificate.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut fields = der::sequence(&mut Der(certificate))?;
    let mut fields = der::sequence(&mut fields)?;
    if fields.peek() == Some(der::VERSION) {
        fields.next()?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        fields.next()?;
    }
    let mut names = der::sequence(&mut fields)?;
    let mut parts = Vec::new();
    while !names.is_empty() {
        let (der::SET, set) = names.next()? else { return None };
        let (mut set, mut values) = (Der(set), Vec::new());
        while !set.is_empty() {
            let mut attribute = der::sequence(&mut set)?;
            let (der::OID, oid) = attribute.next()? else { return None };
            let whole = attribute.0;
            let (tag, value) = attribute.next()?;
            values.push(attribute_text(oid, tag, value, whole)?);
        }
        parts.push(values.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute_text(oid: &[u8], tag: u8, value: &[u8], whole: &[u8]) -> Option<String> {
    let text = der::text(tag, value);
    match (keyword(oid), text) {
        (Some(keyword), Some(text)) => Some(format!("{keyword}={}", escaped(&text))),
        (keyword, _) => {
            let hex: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = keyword.map_or_else(|| der::dotted(oid), |keyword| Some(keyword.into()))?;
            Some(format!("{name}=#{hex}"))
        }
    }
}

/// The attributes that RFC 2253 has names for.
fn keyword(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1] => "UID",
        _ => return None,
    })
}

fn escaped(text: &str) -> String {
    let blank = |c: char| c == ' ' || c == '\r';
    let lead = text.len() - text.trim_start_matches(blank).len();
    let trail = text.trim_end_matches(blank).len();
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\0' => {
                escaped.push_str("\\00");
                continue;
            }
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => escaped.push('\\'),
            _ if at < lead || at >= trail => escaped.push('\\'),
            _ => {}
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn of(parts: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().unwrap();
        subject(params.self_signed(&key).unwrap().der()).unwrap()
    }

    /// The texts are those of `new X500Principal(bytes).getName()` of Java 21.
    #[test]
    fn a_subject_is_printed_as_java_prints_it() {
        let text = |text: &str| DnValue::Utf8String(text.into());
        let parts = [
            (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
            (DnType::OrganizationName, text("A, B + \"C\"")),
            (DnType::OrganizationalUnitName, text(" #x=y ")),
            (DnType::CommonName, text("jörg")),
        ];
        assert_eq!(of(&parts), r#"CN=jörg,OU=\ \#x\=y\ ,O=A\, B \+ \"C\",C=DE"#);
        let email = DnType::from_oid(&[1, 2, 840, 113549, 1, 9, 1]);
        assert_eq!(
            of(&[(email, DnValue::Ia5String("a@b".try_into().unwrap())), (DnType::CommonName, text("c"))]),
            "CN=c,1.2.840.113549.1.9.1=#1603614062"
        );
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        let key = KeyPair::generate().unwrap();
        let good = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
        for end in 0..200 {
            assert_eq!(subject(&good[..end]), None, "{end}");
        }
        for at in 0..good.len().min(120) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            let _ = subject(&bad); // Must not panic.
        }
        assert_eq!(subject(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
