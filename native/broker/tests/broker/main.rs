//! The embedded broker as a client on a socket sees it. Raw frames, made by the protocol crate; no client of ours.
#![allow(clippy::disallowed_types, reason = "these clients live outside the simulation")]

mod admin;
mod cluster;
mod compaction;
mod configs;
mod consumer_groups;
mod coordinators;
mod disk;
mod faults;
mod fetch;
mod groups;
mod idempotence;
mod listeners;
mod produce;
mod quotas;
mod recording;
mod releases;
mod retention;
mod security;
mod support;
mod topics;
mod transactions;
mod wire;
