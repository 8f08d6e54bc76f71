//! Requests on their way in: an encoder per type, made of those in `ts/internal/encoders.ts`. Each checks every member, so
//! that nothing that JSON turns into `null` or leaves out becomes a default unnoticed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::super::model::{Kind, Object, Shape, Table, Type};
use super::types::quoted;

/// The encoders of all request types, those that others use first.
pub fn encoders(table: &Table) -> Result<String> {
    let mut out = String::from("\n");
    let mut done = BTreeSet::new();
    for name in &table.requests {
        encoder(table, name, &mut done, &mut out)?;
    }
    Ok(out)
}

fn encoder(table: &Table, name: &str, done: &mut BTreeSet<String>, out: &mut String) -> Result<()> {
    if !done.insert(name.to_owned()) {
        return Ok(());
    }
    let encoded = table.get(name);
    let mut used = BTreeSet::new();
    for member in encoded.objects().flat_map(|object| &object.members) {
        table.reach(&member.slot.kind, &mut used);
    }
    for other in &used {
        encoder(table, other, done, out)?;
    }
    let how = of_type(encoded).with_context(|| name.to_owned())?;
    out.push_str(&format!("const encode{name} = {how}\n"));
    Ok(())
}

/// The encoder of a type with a name.
fn of_type(encoded: &Type) -> Result<String> {
    Ok(match &encoded.shape {
        Shape::Open(_) => "text".to_owned(),
        Shape::Named(named) => format!("named({}, {})", named.least, named.most),
        Shape::Choice(choices) => format!("oneOf({})", quoted(choices.iter().map(|one| &one.value)).join(", ")),
        Shape::Variants(variants) => {
            let mut members = Vec::new();
            for variant in variants {
                members.push(format!("  {}: {},\n", variant.tag, object(&variant.object)?.replace('\n', "\n  ")));
            }
            format!("variants({{\n{}}})", members.concat())
        }
        Shape::Object(members) => object(members)?,
    })
}

fn object(object: &Object) -> Result<String> {
    let function = if object.exact { "exact" } else { "object" };
    let mut members = Vec::new();
    for member in &object.members {
        let how = of_value(&member.slot.kind).with_context(|| member.name.clone())?;
        let there = member.required.is_some() && !member.slot.nullable;
        let how = if there { how } else { format!("maybe({how})") };
        members.push(format!("  {}: {how},\n", member.name));
    }
    Ok(match members.as_slice() {
        [] => format!("{function}({{}})"),
        _ => format!("{function}({{\n{}}})", members.concat()),
    })
}

/// The encoder of a member, without `null`.
fn of_value(kind: &Kind) -> Result<String> {
    Ok(match kind {
        Kind::Type(name) => format!("encode{name}"),
        Kind::Literal(only) => format!("oneOf('{only}')"),
        Kind::Int64 => "int64".into(),
        Kind::Bytes | Kind::SecretBytes => "bytes".into(),
        Kind::Double => "double".into(),
        Kind::Text | Kind::Secret => "text".into(),
        Kind::Boolean => "flag".into(),
        Kind::Integer { least, most } => format!("whole({least}, {most})"),
        Kind::List(element) => format!("list({})", of_value(element)?),
        Kind::Map(value) => format!("map({})", of_value(value)?),
        Kind::Failure | Kind::Number | Kind::Nothing => bail!("only a response has this kind of value"),
    })
}
