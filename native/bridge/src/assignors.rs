//! Assignors written in the language: a question `assign` to the consumer that leads its group.
//!
//! The request has `assignor` (its name), `topics` (`[{topic, partitions}]`, the numbers of partitions) and `members`
//! (`[{memberId, groupInstanceId, topics, ownedPartitions, generation, rack, userData}]`, bytes in base64). The answer is
//! `[{memberId, partitions: [{topic, partition}]}]`; who is not in it gets nothing. What makes no sense is the engine's to
//! refuse.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dohle_client::consumer::{GroupMember, GroupToAssign, PartitionAssignor, TopicPartition as EnginePartition};
use dohle_client::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cold::consumer::{TopicPartition, engine_partitions, partitions};
use crate::cold::values::Base64;
use crate::failure::Failure;
use crate::handles::Handle;
use crate::questions::{Outcome, Questions};

/// What the language says of an assignor of its own, in the option `assignors`, which no table has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Declared {
    name: String,
    #[serde(default)]
    cooperative: bool,
    user_data: Option<Base64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    member_id: String,
    partitions: Vec<TopicPartition>,
}

/// The assignors that options declare.
pub(crate) fn taken_out_of(
    options: &mut Map<String, Value>,
    questions: &Arc<Questions>,
    handle: &Arc<OnceLock<Handle>>,
) -> Result<Vec<Arc<dyn PartitionAssignor>>, Failure> {
    let Some(declared) = options.remove("assignors") else { return Ok(Vec::new()) };
    let declared: Vec<Declared> = serde_json::from_value(declared)
        .map_err(|_| Failure::argument("assignors", "is not a list of names with what belongs to them"))?;
    let asked = declared.into_iter().map(|declared| {
        let asked = Asked { declared, questions: questions.clone(), handle: handle.clone() };
        Arc::new(asked) as Arc<dyn PartitionAssignor>
    });
    Ok(asked.collect())
}

struct Asked {
    declared: Declared,
    questions: Arc<Questions>,
    handle: Arc<OnceLock<Handle>>,
}

impl PartitionAssignor for Asked {
    fn name(&self) -> &str {
        &self.declared.name
    }

    fn is_cooperative(&self) -> bool {
        self.declared.cooperative
    }

    fn user_data(&self) -> Option<Bytes> {
        self.declared.user_data.as_ref().map(|bytes| Bytes::copy_from_slice(&bytes.0))
    }

    fn assign(&self, group: GroupToAssign) -> BoxFuture<'static, Result<Vec<Vec<EnginePartition>>>> {
        let handle = self.handle.get().copied().unwrap_or_default();
        let topic = |(topic, count): &(Arc<str>, i32)| json!({ "topic": **topic, "partitions": count });
        let request = json!({
            "assignor": self.declared.name,
            "topics": group.topics.iter().map(topic).collect::<Vec<_>>(),
            "members": group.members.iter().map(said).collect::<Vec<_>>(),
        });
        let answer = self.questions.ask(handle, "assign", request, group.deadline);
        let members = group.members;
        async move {
            let failed = |text: String| Error::new(ErrorKind::CallbackFailed, text);
            match answer.await {
                Outcome::Answered(answer) => lists(&members, answer).map_err(failed),
                Outcome::Failed(text) => Err(failed(text)),
                Outcome::TimedOut => Err(failed("no assignment in time".to_owned())),
                Outcome::Closed => Err(Error::closed("consumer")),
            }
        }
        .boxed()
    }
}

fn said(member: &GroupMember) -> Value {
    json!({
        "memberId": member.id,
        "groupInstanceId": member.instance_id,
        "topics": member.topics.iter().map(|topic| &**topic).collect::<Vec<_>>(),
        "ownedPartitions": partitions(&member.owned),
        "generation": (member.generation >= 0).then_some(member.generation),
        "rack": member.rack,
        "userData": member.user_data.as_ref().map(|bytes| Base64(bytes.to_vec())),
    })
}

/// In the order of `members`.
fn lists(members: &[GroupMember], answer: Value) -> Result<Vec<Vec<EnginePartition>>, String> {
    let given: Vec<Given> = serde_json::from_value(answer)
        .map_err(|_| "its result is not a list of members with their partitions".to_owned())?;
    let mut lists = vec![Vec::new(); members.len()];
    for one in given {
        let Some(at) = members.iter().position(|member| member.id == one.member_id) else {
            return Err(format!("its result has a member '{}', which the group has not", one.member_id));
        };
        lists[at].extend(engine_partitions(&one.partitions));
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_put_in_the_order_of_members_and_odd_ones_are_refused() {
        let member = |id: &str| GroupMember { id: id.to_owned(), ..GroupMember::default() };
        let members = [member("a"), member("b"), member("c")];
        let of = |id: &str, partition: i32| json!({ "memberId": id, "partitions": [{ "topic": "t", "partition": partition }] });
        let got = lists(&members, json!([of("c", 0), of("a", 1), of("c", 2)])).unwrap();
        let tp = |partition| EnginePartition::new("t", partition);
        assert_eq!(got, [vec![tp(1)], vec![], vec![tp(0), tp(2)]]);
        assert!(lists(&members, json!([of("d", 0)])).unwrap_err().contains("'d'"));
        for odd in [json!(null), json!({}), json!([1]), json!([{ "memberId": "a" }])] {
            assert!(lists(&members, odd).unwrap_err().contains("not a list"));
        }
    }
}
