//! Whether a broker is the one it is taken for (KIP-1242): an address can change hands while a client knows it.
//!
//! It connects to nobody: the pool tells a broker what this says, and this what the broker answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dohle_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::ApiVersionTable;
use super::connect::CHECKED;
use crate::error::{Error, ErrorKind};
use crate::generated::options::{ClientOptions, MetadataRecoveryStrategy};

pub(crate) struct Routing {
    /// Wanted, and a wrong broker can be acted upon.
    checks: bool,
    /// The cluster that the brokers are of.
    cluster: Mutex<Option<Arc<str>>>,
    /// Brokers can be told, as the last one said of itself: older ones would cost a round trip each.
    offered: AtomicBool,
    misrouted: AtomicBool,
}

impl Routing {
    pub(super) fn new(options: &ClientOptions) -> Self {
        let may_begin_again = options.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap;
        Self {
            checks: options.metadata_cluster_check_enable && may_begin_again,
            cluster: Mutex::default(),
            offered: AtomicBool::new(false),
            misrouted: AtomicBool::new(false),
        }
    }

    /// The cluster that the brokers are of, as metadata tells it.
    pub(crate) fn learn_cluster(&self, id: Option<Arc<str>>) {
        *self.cluster.lock() = id;
    }

    /// Whether a broker said, since the last call, that it is not the one it was taken for: what is known of the cluster is
    /// out of date.
    pub(crate) fn take_misrouted(&self) -> bool {
        self.misrouted.swap(false, Ordering::Relaxed)
    }

    /// What a broker is told of itself. A bootstrap server (negative) is nobody yet.
    pub(super) fn taken_for(&self, node: i32) -> Option<(Arc<str>, i32)> {
        let told = self.checks && node >= 0 && self.offered.load(Ordering::Relaxed);
        Some((self.cluster.lock().clone().filter(|_| told)?, node))
    }

    /// A broker told its versions.
    pub(super) fn answered(&self, versions: &ApiVersionTable) {
        let offered = versions.range(ApiKey::API_VERSIONS).is_some_and(|(_, max)| max >= CHECKED);
        self.offered.store(offered, Ordering::Relaxed);
    }

    /// A broker did not. One that is somebody else counts as not to be reached where it was thought to be.
    pub(super) fn refused(&self, node: impl fmt::Display, error: Error) -> Error {
        if error.broker_code() != Some(ErrorCode::REBOOTSTRAP_REQUIRED) {
            return error;
        }
        self.misrouted.store(true, Ordering::Relaxed);
        let text = format!(
            "{node}: another broker, or one of another cluster, answers there; beginning again from the bootstrap servers"
        );
        tracing::warn!("{text}");
        Error::new(ErrorKind::BrokerUnreachable, text).with_source(error)
    }
}
