//! TLS, SASL, ACLs and limits, as clients and strangers on a socket meet them.

mod acls;
mod limits;
mod login;
mod sasl;
mod tls;
mod tokens;
