//! Values in C#: their types, and the expressions that make JSON of them and them of JSON.

use crate::generators::csharp::pascal;
use crate::generators::operations::model::{Kind, Shape, Slot, Table};

/// The name of a type in C#.
pub fn type_name(name: &str) -> String {
    match name {
        "BrokerStart" => "EmbeddedBrokerOptions".into(),
        "BrokerAddFault" => "FaultRule".into(),
        _ => name.to_owned(),
    }
}

/// Whether a type is a value of C#'s, which has no null of its own.
fn is_value(table: &Table, kind: &Kind) -> bool {
    match kind {
        Kind::Type(name) => matches!(table.get(name).shape, Shape::Open(_) | Shape::Named(_) | Shape::Choice(_)),
        Kind::Int64 | Kind::Double | Kind::Integer { .. } | Kind::Number | Kind::Boolean => true,
        _ => false,
    }
}

/// The type of a value that is there.
pub fn plain(kind: &Kind) -> String {
    match kind {
        Kind::Type(name) => type_name(name),
        Kind::Int64 => "long".into(),
        Kind::Bytes | Kind::SecretBytes => "byte[]".into(),
        Kind::Double | Kind::Number => "double".into(),
        Kind::Failure => "global::Dohle.Error".into(),
        Kind::Text | Kind::Secret | Kind::Literal(_) => "string".into(),
        Kind::Integer { most, .. } if *most > i64::from(i32::MAX) => "long".into(),
        Kind::Integer { .. } => "int".into(),
        Kind::Boolean => "bool".into(),
        Kind::List(inner) => format!("IReadOnlyList<{}>", plain(inner)),
        Kind::Map(inner) => format!("IReadOnlyDictionary<string, {}>", plain(inner)),
        Kind::Nothing => "void".into(),
    }
}

/// The type of a place; `optional`: there may be none.
pub fn of(kind: &Kind, optional: bool) -> String {
    plain(kind) + if optional { "?" } else { "" }
}

/// An expression for the JSON of `value`.
pub fn to_json(table: &Table, kind: &Kind, value: &str) -> String {
    match kind {
        Kind::Type(name) => match table.get(name).shape {
            Shape::Open(_) | Shape::Choice(_) => format!("{value}.Name"),
            Shape::Named(_) => format!("{value}.Value"),
            _ => format!("{value}.ToJson()"),
        },
        Kind::Int64 => format!("Json.Decimal({value})"),
        Kind::List(inner) => match to_json(table, inner, "one") {
            same if same == "one" => value.to_owned(),
            one => format!("Json.List({value}, one => {one})"),
        },
        Kind::Map(inner) => match to_json(table, inner, "one") {
            same if same == "one" => format!("Json.Map({value}, one => one)"),
            one => format!("Json.Map({value}, one => {one})"),
        },
        _ => value.to_owned(),
    }
}

/// As [`to_json`], of what may be null.
pub fn to_json_or_null(table: &Table, kind: &Kind, value: &str) -> String {
    let there = if is_value(table, kind) { format!("{value}.Value") } else { value.to_owned() };
    match to_json(table, kind, &there) {
        same if same == there => value.to_owned(),
        made => format!("{value} == null ? null : (object?){made}"),
    }
}

/// An expression for the value of `json`, which is an `object?`.
pub fn from_json(table: &Table, kind: &Kind, json: &str) -> String {
    match kind {
        Kind::Type(name) => match table.get(name).shape {
            Shape::Open(_) | Shape::Choice(_) => format!("new {}((string){json}!)", type_name(name)),
            Shape::Named(_) => format!("new {}({json}!)", type_name(name)),
            _ => format!("{}.From({json})", type_name(name)),
        },
        Kind::Int64 => format!("Json.Long({json})!.Value"),
        Kind::Bytes | Kind::SecretBytes => format!("Convert.FromBase64String((string){json}!)"),
        Kind::Double | Kind::Number => format!("Json.Double({json})"),
        Kind::Failure => format!("global::Dohle.Error.From((IDictionary<string, object?>){json}!)"),
        Kind::Text | Kind::Secret | Kind::Literal(_) => format!("(string){json}!"),
        Kind::Integer { most, .. } if *most > i64::from(i32::MAX) => format!("(long){json}!"),
        Kind::Integer { .. } => format!("(int)(long){json}!"),
        Kind::Boolean => format!("(bool){json}!"),
        Kind::List(inner) => format!("Json.ListOf({json}, one => {})", from_json(table, inner, "one")),
        Kind::Map(inner) => format!("Json.MapOf({json}, one => {})", from_json(table, inner, "one")),
        Kind::Nothing => "null".into(),
    }
}

/// As [`from_json`], of what may be null; `member` names what is read, for a name within the expression.
pub fn from_json_or_null(table: &Table, slot: &Slot, json: &str, member: &str) -> String {
    let name = format!("the{}", pascal(member));
    let value = from_json(table, &slot.kind, &name);
    format!("{json} is object {name} ? {value} : ({}?)null", plain(&slot.kind))
}
