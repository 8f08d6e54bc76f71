//! Connections, metadata, coordinators and admin calls against a scripted peer and the embedded broker.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

mod admin;
mod connections;
mod coordinators;
mod foreign_peers;
mod handshake;
mod line;
mod metadata;
mod msk;
mod panics;
mod quotas;
mod reaching;
mod sasl;
mod sessions;
mod support;
mod telemetry;
mod tls;
mod token_endpoint;
