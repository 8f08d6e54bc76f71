//! Readers and writers: what becomes of each kind of value between Java and the engine's JSON.

use std::fmt::Write;

use anyhow::Result;

use super::super::model::{Kind, Member, Object};
use super::BY_HAND;
use super::types::is_wide;

/// The Java value of `from`, which JSON has given and which is there.
pub fn read(kind: &Kind, from: &str, depth: usize) -> String {
    let each = format!("each{depth}");
    match kind {
        Kind::Type(name) if BY_HAND.contains(&name.as_str()) => format!("Values.read{name}({from})"),
        Kind::Type(name) => format!("{name}.read({from})"),
        Kind::Int64 => format!("Values.readLong({from})"),
        Kind::Integer { .. } if is_wide(kind) => format!("((Long) {from})"),
        Kind::Integer { .. } => format!("Values.readInt({from})"),
        Kind::Double | Kind::Number => format!("Values.readDouble({from})"),
        Kind::Bytes | Kind::SecretBytes => format!("Values.readBytes({from})"),
        Kind::Failure => format!("Values.readFailure({from})"),
        Kind::Text | Kind::Secret | Kind::Literal(_) => format!("((String) {from})"),
        Kind::Boolean => format!("((Boolean) {from})"),
        Kind::List(element) => format!("Values.readList({from}, {each} -> {})", read(element, &each, depth + 1)),
        Kind::Map(value) => format!("Values.readMap({from}, {each} -> {})", read(value, &each, depth + 1)),
        Kind::Nothing => "null".to_owned(),
    }
}

/// What JSON has of the Java value `from`, which is there.
pub fn written(kind: &Kind, from: &str, depth: usize) -> String {
    let each = format!("each{depth}");
    match kind {
        Kind::Type(name) if BY_HAND.contains(&name.as_str()) => format!("Values.write{name}({from})"),
        Kind::Type(_) => format!("{from}.write()"),
        Kind::Int64 => format!("Long.toString({from})"),
        Kind::Bytes | Kind::SecretBytes => format!("Values.writeBytes({from})"),
        Kind::List(element) if plain(element) => from.to_owned(),
        Kind::Map(value) if plain(value) => from.to_owned(),
        Kind::List(element) => format!("Values.writeList({from}, {each} -> {})", written(element, &each, depth + 1)),
        Kind::Map(value) => format!("Values.writeMap({from}, {each} -> {})", written(value, &each, depth + 1)),
        _ => from.to_owned(),
    }
}

/// Whether JSON has it as Java does.
fn plain(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Text
            | Kind::Secret
            | Kind::Literal(_)
            | Kind::Boolean
            | Kind::Integer { .. }
            | Kind::Number
            | Kind::Double
            | Kind::Nothing
    )
}

/// `static T read(Object)`.
pub fn reader<'a>(out: &mut String, indent: &str, name: &str, members: impl Iterator<Item = &'a Member>) -> Result<()> {
    writeln!(out, "\n{indent}    static {name} read(Object json) {{")?;
    writeln!(out, "{indent}        Map<?, ?> of = (Map<?, ?>) json;")?;
    let given: Vec<String> = members
        .map(|member| {
            let from = format!("of.get(\"{}\")", member.name);
            let read = read(&member.slot.kind, &from, 0);
            let sure = member.required.is_some() && !member.slot.nullable;
            if sure { read } else { format!("{from} == null ? null : {read}") }
        })
        .collect();
    writeln!(out, "{indent}        return new {name}({});\n{indent}    }}", given.join(", "))?;
    Ok(())
}

/// `Map<String, Object> write()`.
pub fn writer(out: &mut String, indent: &str, object: &Object, overrides: bool) -> Result<()> {
    let start = if overrides { format!("{indent}    @Override\n{indent}    public ") } else { format!("{indent}    ") };
    writeln!(out, "\n{start}Map<String, Object> write() {{")?;
    writeln!(out, "{indent}        Map<String, Object> json = Json.map();")?;
    for Member { name, slot, required, .. } in &object.members {
        let value = match &slot.kind {
            Kind::Literal(text) => format!("\"{text}\""),
            kind => written(kind, name, 0),
        };
        let put = format!("json.put(\"{name}\", {value});");
        if matches!(slot.kind, Kind::Literal(_)) || required.is_some() && !slot.nullable {
            writeln!(out, "{indent}        {put}")?;
        } else {
            writeln!(out, "{indent}        if ({name} != null) {{\n{indent}            {put}\n{indent}        }}")?;
        }
    }
    writeln!(out, "{indent}        return json;\n{indent}    }}")?;
    Ok(())
}
