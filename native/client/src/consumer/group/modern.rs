//! Membership by KIP-848: one request, ConsumerGroupHeartbeat, joins, says what changed, and brings what the group's
//! coordinator assigns. Nobody leads and nobody waits for anybody: partitions are given up, then the next heartbeat says so.
//! Not what a member does besides (membership.rs). Driven by `Member`, in place of `join.rs`.
//!
//! ```text
//!   wait_for_topics ─► begin (epoch 0, everything is said) ─► step … target ─► reconcile: revoke, add ─► step …
//!   FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID: all is lost, begin again with the same member id
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use dohle_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use dohle_protocol::{ApiKey, ErrorCode, Uuid};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::collections::Map;
use crate::generated::options::GroupProtocol;
use crate::net::Lane;
use crate::{CoordinatorKind, Error, ErrorKind, Result};

use super::super::checks::sets_classic_options;
use super::super::handover::TopicPartition;
use super::super::shared::Shared;
use super::super::subscription::Interest;
use super::super::{Ask, ConsumerEvent, GroupExit, StartAt};
use super::membership::{Member, Stop};
use super::{Identity, without};

/// The epoch of a member that leaves for good.
const LEAVES: i32 = -1;
/// The epoch of a static member that goes and will come back.
const GOES: i32 = -2;

/// What is subscribed, as the coordinator is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subscribed {
    topics: Arc<[Arc<str>]>,
    /// In place of `topics`.
    regex: Option<String>,
}

/// What only a member of KIP-848 has.
pub(super) struct Modern {
    /// The same for as long as the consumer lives, whatever the coordinator forgets (KIP-1082).
    member_id: String,
    interval: Duration,
    /// Everything is said in the next heartbeat: it is the first, or nobody knows what came of the last one.
    full: bool,
    /// What the coordinator has been told.
    said: Option<Subscribed>,
    owned: Vec<TopicPartition>,
    /// The broker cannot read our regular expression: names are said.
    no_regex: bool,
    /// What we are to have, not taken over yet.
    target: Option<Vec<(Uuid, Vec<i32>)>>,
    ids: Map<Arc<str>, Uuid>,
}

impl Modern {
    fn new(shared: &Shared) -> Modern {
        let world = shared.client.world();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&world.random_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&world.random_u64().to_be_bytes());
        Modern {
            member_id: Uuid(bytes).to_string(),
            interval: shared.options.heartbeat_interval,
            full: true,
            said: None,
            owned: Vec::new(),
            no_regex: false,
            target: None,
            ids: Map::default(),
        }
    }

    /// As before the first heartbeat.
    pub fn forget(&mut self) {
        self.full = true;
        self.said = None;
        self.owned = Vec::new();
        self.target = None;
    }

    /// What there is to be subscribed now.
    fn wanted(&self, shared: &Shared) -> Option<Subscribed> {
        shared.with(|s| {
            let Interest::Topics(topics) = &s.interest else { return None };
            let pattern = s.pattern.as_ref().filter(|pattern| pattern.no_internal && !self.no_regex);
            let regex = pattern.and_then(|pattern| pattern.matcher.re2());
            Some(Subscribed { topics: topics.clone(), regex })
        })
    }

    /// Whether the coordinator does not know it yet.
    fn has_news(&self, shared: &Shared) -> bool {
        let unsaid = |wanted: &Subscribed| match (&self.said, &wanted.regex) {
            (None, _) => true,
            // Which topics it finds is the coordinator's to know.
            (Some(said), Some(_)) => said.regex != wanted.regex,
            (Some(said), None) => said != wanted,
        };
        self.wanted(shared).as_ref().is_some_and(unsaid)
    }

    /// The next heartbeat. What it says counts as said, until it fails.
    pub fn beat(&mut self, shared: &Arc<Shared>) -> BoxFuture<'static, Result<Option<ConsumerGroupHeartbeatResponse>>> {
        let identity = shared.group.identity();
        let owned = shared.with(|s| s.assigned());
        let wanted = self.wanted(shared).or(self.said.clone());
        let (full, news) = (self.full, self.has_news(shared));
        let had_regex = self.said.as_ref().is_some_and(|said| said.regex.is_some());
        let options = &shared.options;
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: options.group_id.clone().unwrap_or_default(),
            member_id: identity.member_id.clone(),
            member_epoch: identity.generation,
            instance_id: options.group_instance_id.clone(),
            ..Default::default()
        };
        if full {
            request.rack_id = (!options.client_rack.is_empty()).then(|| options.client_rack.clone());
            request.rebalance_timeout_ms = i32::try_from(options.max_poll_interval.as_millis()).unwrap_or(i32::MAX);
            request.server_assignor = options.group_remote_assignor.clone();
        }
        if full || owned != self.owned {
            request.topic_partitions = Some(self.by_id(&owned));
        }
        let mut names = None;
        if let Some(wanted) = wanted.filter(|_| full || news) {
            names = Some(wanted.topics.iter().map(|topic| topic.to_string()).collect::<Vec<_>>());
            request.subscribed_topic_regex = wanted.regex.clone().or_else(|| had_regex.then(String::new));
            self.said = Some(wanted);
        }
        self.owned = owned;
        self.full = false;
        let timeout = shared.client.options().request_timeout.min(options.session_timeout);
        let shared = shared.clone();
        async move {
            let make = |version: i16| {
                let mut request = request.clone();
                // An expression and names at the same time would be the topics of both.
                let regex =
                    version >= 1 && request.subscribed_topic_regex.as_ref().is_some_and(|regex| !regex.is_empty());
                request.subscribed_topic_names = if regex { Some(Vec::new()) } else { names.clone() };
                if version < 1 {
                    request.subscribed_topic_regex = None;
                }
                Ok(request)
            };
            let answer = shared.ask_coordinator(Lane::Coordinator, make, |answer| answer.error_code, timeout).await?;
            Ok(Some(answer))
        }
        .boxed()
    }

    fn by_id(&self, partitions: &[TopicPartition]) -> Vec<TopicPartitions> {
        let mut topics: Vec<TopicPartitions> = Vec::new();
        for tp in partitions {
            let Some(&topic_id) = self.ids.get(&tp.topic) else { continue };
            match topics.last_mut().filter(|last| last.topic_id == topic_id) {
                Some(last) => last.partitions.push(tp.partition),
                None => topics.push(TopicPartitions { topic_id, partitions: vec![tp.partition], ..Default::default() }),
            }
        }
        topics
    }
}

/// Tells the coordinator that we go, for good or (a static member) for a while. One attempt.
pub(super) async fn leave(shared: &Shared, identity: Identity, timeout: Duration) -> Result<()> {
    let is_static = shared.options.group_instance_id.is_some();
    let epoch = match shared.exit() {
        GroupExit::Default if is_static => GOES,
        GroupExit::Remain if is_static => GOES,
        GroupExit::Remain => return Ok(()),
        GroupExit::Default | GroupExit::Leave => LEAVES,
    };
    let make = |_| {
        Ok(ConsumerGroupHeartbeatRequest {
            group_id: shared.group_id()?.to_owned(),
            member_id: identity.member_id.clone(),
            member_epoch: epoch,
            instance_id: shared.options.group_instance_id.clone(),
            ..Default::default()
        })
    };
    shared.ask_coordinator(Lane::Coordinator, make, |answer| answer.error_code, timeout).await?;
    Ok(())
}

/// Whether the group's coordinator offers the protocol and its cluster has turned it on.
async fn is_offered(shared: &Arc<Shared>) -> Result<bool> {
    let node = shared.client.coordinator(CoordinatorKind::Group, shared.group_id()?).await?;
    let connection = shared.client.connection(node, Lane::Coordinator).await;
    let connection = connection.inspect_err(|error| shared.note_coordinator_error(node, error))?;
    let versions = connection.versions();
    let offers = versions.version::<ConsumerGroupHeartbeatRequest>().is_ok();
    Ok(offers && versions.feature("group.version") >= 1)
}

impl Member {
    /// Decides once by which protocol this consumer is a member.
    pub(super) async fn choose_protocol(&mut self) -> Result<(), Stop> {
        let wanted = self.shared.options.group_protocol;
        let classic = match wanted {
            GroupProtocol::Classic => true,
            GroupProtocol::Consumer => false,
            GroupProtocol::Auto => sets_classic_options(&self.shared.options).is_some(),
        };
        if classic || self.modern.is_some() || self.chosen {
            return Ok(());
        }
        loop {
            let shared = self.shared.clone();
            let offered = self.tend(async move { is_offered(&shared).await }).await?;
            match offered {
                Ok(true) => self.modern = Some(Modern::new(&self.shared)),
                Ok(false) if wanted == GroupProtocol::Auto => {}
                Ok(false) => {
                    let text = format!(
                        "group.protocol: consumer needs brokers of 4.0 or newer with group.version 1; the coordinator does not offer {}",
                        ApiKey::CONSUMER_GROUP_HEARTBEAT.name()
                    );
                    return Err(Stop::Fatal(Error::new(ErrorKind::Unsupported, text)));
                }
                Err(error) => {
                    self.retry_or_stop(error).await?;
                    continue;
                }
            }
            self.chosen = true;
            return Ok(());
        }
    }

    /// A member's life from here on.
    pub(super) async fn serve_modern(&mut self) -> Result<Infallible, Stop> {
        if let Some(modern) = &mut self.modern {
            modern.forget();
            let member_id = modern.member_id.clone();
            self.shared.group.change_identity(|identity| {
                *identity = Identity { generation: 0, member_id, joining: false, modern: true };
            });
        }
        let Interest::Topics(topics) = self.shared.with(|s| s.interest.clone()) else { return Err(Stop::Unsubscribed) };
        self.topics = Some(topics);
        self.heart.start(Duration::ZERO);
        loop {
            match self.modern.as_mut().and_then(|modern| modern.target.take()) {
                Some(target) => self.reconcile(target).await?,
                None => self.step().await?,
            }
        }
    }

    /// Says what the user wants now, if that is news.
    pub(super) fn look_modern(&mut self) {
        if self.modern.as_ref().is_some_and(|modern| !modern.full && modern.has_news(&self.shared)) {
            self.heart.soon(Duration::ZERO);
        }
    }

    /// The coordinator's answer to a heartbeat.
    pub(super) fn heard(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        let Some(modern) = &mut self.modern else { return };
        self.backoff.reset();
        self.failing_since = None;
        modern.interval = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0).max(1));
        self.heart.set_interval(modern.interval);
        let first = !self.ever_joined;
        self.ever_joined = true;
        if let Some(member_id) = answer.member_id.filter(|id| !id.is_empty()) {
            modern.member_id = member_id;
        }
        let member_id = modern.member_id.clone();
        self.shared.group.change_identity(|identity| {
            identity.generation = answer.member_epoch;
            identity.member_id.clone_from(&member_id);
        });
        if let Some(assignment) = answer.assignment {
            modern.target = Some(assignment.topic_partitions.into_iter().map(|t| (t.topic_id, t.partitions)).collect());
        } else if first {
            self.shared.group.rebalanced();
            self.shared.sink.event(ConsumerEvent::Joined {
                generation: answer.member_epoch,
                member_id,
                partitions: Vec::new(),
            });
        }
        self.look_modern();
    }

    /// A heartbeat failed: the next one says everything. True: it is sent again at once.
    pub(super) fn unheard(&mut self, error: &Error) -> bool {
        let Some(modern) = &mut self.modern else { return false };
        modern.full = true;
        let unreadable = error.broker_code() == Some(ErrorCode::INVALID_REGULAR_EXPRESSION) && !modern.no_regex;
        modern.no_regex |= unreadable;
        unreadable
    }

    /// Gives up what is not ours any more, then takes what is new, and says so.
    async fn reconcile(&mut self, target: Vec<(Uuid, Vec<i32>)>) -> Result<(), Stop> {
        let (assigned, unknown) = self.named(&target);
        let owned = self.shared.with(|s| s.assigned());
        self.revoke(without(&owned, &assigned)).await?;
        let newer = |member: &Member| member.modern.as_ref().is_some_and(|modern| modern.target.is_some());
        if newer(self) {
            return Ok(());
        }
        let coming = without(&assigned, &owned);
        if !coming.is_empty() || (unknown.is_empty() && assigned.len() != owned.len()) || owned.is_empty() {
            let identity = self.shared.group.identity();
            self.shared.change(|s| coming.iter().for_each(|tp| s.add(tp.clone(), StartAt::Committed, true)));
            self.shared.group.rebalanced();
            self.shared.sink.event(ConsumerEvent::Joined {
                generation: identity.generation,
                member_id: identity.member_id,
                partitions: assigned,
            });
        }
        if !coming.is_empty() {
            let asked = self.ask(Ask::Assigned(coming.clone()), self.handshake_time() / 2).await;
            // Also when the wait was cut short: what is still ours must be read.
            self.shared.change(|s| coming.iter().for_each(|tp| s.release(tp)));
            asked?;
        }
        self.heart.soon(Duration::ZERO);
        if !unknown.is_empty() {
            // Topics that the metadata does not have yet.
            self.shared.client.metadata().request_update();
            let delay = self.backoff.next(&**self.shared.client.world());
            self.tend(tokio::time::sleep(delay)).await?;
            if let Some(modern) = self.modern.as_mut().filter(|modern| modern.target.is_none()) {
                modern.target = Some(target);
            }
        }
        Ok(())
    }

    /// Partitions by name, sorted, and the ids of topics whose names are not known (yet).
    fn named(&mut self, target: &[(Uuid, Vec<i32>)]) -> (Vec<TopicPartition>, Vec<Uuid>) {
        let snapshot = self.shared.client.metadata().snapshot();
        let (mut assigned, mut unknown) = (Vec::new(), Vec::new());
        let Some(modern) = &mut self.modern else { return (assigned, unknown) };
        for (id, partitions) in target {
            let known = snapshot.topic_by_id(*id).map(|topic| topic.name.clone());
            // Its metadata may be gone for a moment: what we have stays ours.
            let known =
                known.or_else(|| modern.ids.iter().find(|(_, known)| *known == id).map(|(name, _)| name.clone()));
            match known {
                Some(name) => {
                    modern.ids.insert(name.clone(), *id);
                    assigned.extend(partitions.iter().map(|&partition| TopicPartition::new(name.clone(), partition)));
                }
                None => unknown.push(*id),
            }
        }
        assigned.sort_unstable();
        assigned.dedup();
        (assigned, unknown)
    }
}
