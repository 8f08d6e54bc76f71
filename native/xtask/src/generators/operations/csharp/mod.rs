//! The operations in C#: the types that admin clients and embedded brokers take and give, and `IAdminClient`.

mod methods;
mod types;
mod values;

use std::collections::BTreeSet;

use anyhow::Result;

use super::model::{Kind, Table};
use crate::generate::Output;
use crate::generators::csharp::{FOLDER, head};

const FROM: &str = "the cold operations of native/bridge";
/// Operations beside those of `admin` whose types are public.
const BROKER: [&str; 3] = ["environment.startBroker", "broker.addFault", "broker.faultHits"];
/// Types that are written by hand, or not at all.
const BY_HAND: [&str; 2] = ["TopicPartition", "RunningBroker"];

pub fn render(table: &Table) -> Result<Vec<Output>> {
    let admin = table.waiting("admin").collect::<Vec<_>>();
    let mut administered = BTreeSet::new();
    for operation in &admin {
        // Of a request its members are arguments, and what is optional has a class of its own.
        for member in table.members(&operation.request)? {
            table.reach(&member.slot.kind, &mut administered);
        }
        table.reach(&operation.response.kind, &mut administered);
    }
    let mut broken = BTreeSet::new();
    for operation in table.operations.iter().filter(|operation| BROKER.contains(&operation.name.as_str())) {
        table.reach(&Kind::Type(operation.request.clone()), &mut broken);
        if operation.name != "environment.startBroker" {
            table.reach(&operation.response.kind, &mut broken);
        }
    }
    broken.retain(|name| !administered.contains(name) && name != "BrokerFaultHits");
    let file = |name: &str, text: String| Output::text(format!("{FOLDER}/{name}.cs"), head(FROM) + &text);
    Ok(vec![
        file("AdminTypes", types::declarations(table, "Dohle.Admin", &administered)?),
        file("TestingTypes", types::declarations(table, "Dohle.Testing", &broken)?),
        file("IAdminClient", methods::interface(table, &admin)?),
        file("AdminClient", methods::class(table, &admin)?),
    ])
}
