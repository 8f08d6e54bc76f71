//! Which versions of which API a broker speaks, as it said in its ApiVersions answer.
//!
//! It decides nothing but the highest version both sides know; versions marked unstable are never chosen.

use dohle_protocol::messages::{
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, SyncGroupRequest,
};
use dohle_protocol::{ApiKey, Request};

use super::question::Api;
use crate::collections::Map;
use crate::error::{Error, ErrorKind, Result};

/// One broker's version ranges and finalized features.
#[derive(Clone, Debug, Default)]
pub struct ApiVersionTable {
    ranges: Map<i16, (i16, i16)>,
    features: Map<String, i16>,
}

impl ApiVersionTable {
    /// A table from `(api key, lowest, highest)` and finalized `(feature, level)`; a range upside down is left out.
    pub fn new(
        ranges: impl IntoIterator<Item = (i16, i16, i16)>,
        features: impl IntoIterator<Item = (String, i16)>,
    ) -> Self {
        let ranges = ranges.into_iter().filter(|(_, min, max)| min <= max);
        Self {
            ranges: ranges.map(|(key, min, max)| (key, (min, max))).collect(),
            features: features.into_iter().collect(),
        }
    }

    /// The broker's range for an API.
    pub fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.ranges.get(&api.0).copied()
    }

    /// The finalized level of a feature such as `transaction.version`; 0 when the broker does not say.
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Whether all that every broker offers its clients is offered, in a version we know.
    pub(super) fn is_whole(&self) -> bool {
        self.version::<ProduceRequest>().is_ok()
            && self.version::<FetchRequest>().is_ok()
            && self.version::<ListOffsetsRequest>().is_ok()
            && self.version::<MetadataRequest>().is_ok()
            && self.version::<OffsetCommitRequest>().is_ok()
            && self.version::<OffsetFetchRequest>().is_ok()
            && self.version::<FindCoordinatorRequest>().is_ok()
            && self.version::<JoinGroupRequest>().is_ok()
            && self.version::<SyncGroupRequest>().is_ok()
            && self.version::<HeartbeatRequest>().is_ok()
            && self.version::<LeaveGroupRequest>().is_ok()
            && self.version::<InitProducerIdRequest>().is_ok()
    }

    /// The highest version of `R` that both sides know.
    pub fn version<R: Request>(&self) -> Result<i16> {
        self.version_up_to::<R>(R::MAX_STABLE_VERSION)
    }

    /// As [`Self::version`], but not above `cap`: for callers that must avoid newer semantics.
    pub fn version_up_to<R: Request>(&self, cap: i16) -> Result<i16> {
        self.version_of(Api::of::<R>(), cap)
    }

    pub(super) fn version_of(&self, api: Api, cap: i16) -> Result<i16> {
        let ours = (api.min, api.max.min(cap));
        let Some(theirs) = self.range(api.key) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the broker does not offer {}; it is too old or too new for this call", api.key.name()),
            ));
        };
        let version = ours.1.min(theirs.1);
        if version < ours.0.max(theirs.0) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the broker offers {} versions {} to {}, this client knows {} to {}",
                    api.key.name(),
                    theirs.0,
                    theirs.1,
                    ours.0,
                    ours.1
                ),
            ));
        }
        Ok(version)
    }
}
