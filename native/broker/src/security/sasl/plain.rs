//! PLAIN (RFC 4616), with the users of the settings.

use std::collections::BTreeMap;

use bytes::Bytes;
use dohle_security::{Secret, is_same};

use super::{Progress, Proven, Refused};

pub(super) fn check(users: &BTreeMap<String, Secret>, message: &[u8]) -> Result<Progress, Refused> {
    let text = std::str::from_utf8(message).map_err(|_| Refused::Hidden)?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [as_whom, name, password] = parts[..] else { return Err(Refused::Hidden) };
    if name.is_empty() || password.is_empty() {
        return Err(Refused::Hidden);
    }
    let refused = |why: &str| Err(Refused::Told(format!("Authentication failed: {why}")));
    let known = users.get(name);
    // Somebody unknown takes as long as somebody known.
    let nobody = Secret::new(password);
    let good = is_same(known.unwrap_or(&nobody).expose().as_bytes(), password.as_bytes());
    match (known, good) {
        (Some(_), true) if as_whom.is_empty() || as_whom == name => {
            Ok(Progress::Done(Bytes::new(), Proven::user(name)))
        }
        (Some(_), true) => refused("Client requested an authorization id that is different from username"),
        _ => refused("Invalid username or password"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_of_a_known_user_lets_in() {
        let users = BTreeMap::from([("alice".to_string(), Secret::new("hunter2"))]);
        let said = |message: &str| match check(&users, message.as_bytes()) {
            Ok(Progress::Done(_, proven)) => format!("{}", proven.principal),
            Ok(_) => "more".into(),
            Err(Refused::Told(why)) => why,
            Err(Refused::Hidden) => "hidden".into(),
        };
        assert_eq!(said("\0alice\0hunter2"), "User:alice");
        assert_eq!(said("alice\0alice\0hunter2"), "User:alice");
        assert!(said("bob\0alice\0hunter2").contains("authorization id"));
        for wrong in ["\0alice\0hunter", "\0alice\0hunter22", "\0bob\0hunter2", "\0bob\0x", "\0Alice\0hunter2"] {
            assert_eq!(said(wrong), "Authentication failed: Invalid username or password", "{wrong}");
        }
        for odd in ["", "\0", "\0\0", "\0alice", "\0alice\0", "\0\0hunter2", "\0alice\0hunter2\0"] {
            assert_eq!(said(odd), "hidden", "{odd:?}");
        }
        assert_eq!(check(&users, b"\0alice\0\xff").err(), Some(Refused::Hidden));
    }
}
