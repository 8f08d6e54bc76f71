//! Requests and responses as text that `crate::schema` of the protocol crate reads at run time: what treats all messages alike
//! needs a few bytes per field of it, not code per message.

use super::model::{Model, StructModel};
use super::reflect::camel_case;
use crate::spec::{Plain, Type};
use std::fmt::Write;

/// One line per struct (`#Name`) and per field: name, type, versions in place, versions in which it may be null, tag and its
/// versions.
pub fn text(model: &Model) -> String {
    model.structs.iter().map(structure).collect()
}

fn structure(structure: &StructModel) -> String {
    let mut out = format!("#{}\n", structure.name);
    for field in &structure.fields {
        let (name, ty) = (camel_case(&field.field.name), type_text(&field.field.ty));
        let _ = write!(out, "{name} {ty} {} {}", field.in_place, field.nullable);
        if let Some((tag, versions)) = field.field.tag {
            let _ = write!(out, " {tag} {versions}");
        }
        out.push('\n');
    }
    out
}

/// Records are bytes like any other here.
fn type_text(ty: &Type) -> String {
    match ty {
        Type::Plain(Plain::Records) => "bytes".into(),
        Type::Array(element) => format!("[]{}", type_text(element)),
        other => other.to_string(),
    }
}
