//! Rust text of `impl Reflect` for the structs of one message (`crate::reflect` of the protocol crate).
//! Versions and order of fields are those of `code.rs`.

use super::code::{condition, differs, rust_name};
use super::codec::tagged;
use super::model::{FieldModel, Model, StructModel};
use crate::import::snake_case;
use crate::spec::Versions;
use std::fmt::Write;

/// The module of a message, without its first line.
pub fn module(model: &Model) -> String {
    let message = snake_case(&model.message.name);
    let mut out = String::from("use crate::reflect::{Field, FieldFacts, Reflect, ReflectError, Slot, Visitor};\n");
    let _ = writeln!(out, "use crate::messages::{message}::*;");
    let body: String = model.structs.iter().map(implementation).collect();
    if body.contains("Uuid::") {
        out.push_str("use crate::Uuid;\n");
    }
    out + &body
}

fn implementation(structure: &StructModel) -> String {
    let name = structure.name;
    let mut out = format!(
        "\nimpl Field for {name} {{\n    fn slot(&mut self) -> Slot<'_> {{\n        Slot::Object(self)\n    }}\n}}\n\n\
         impl Reflect for {name} {{\n    \
         fn reflect(&mut self, v: i16, visitor: &mut dyn Visitor) -> Result<(), ReflectError> {{\n"
    );
    for field in &structure.fields {
        let in_tag = tagged(structure).into_iter().find(|(.., other)| std::ptr::eq(*other, field));
        if !field.in_place.is_empty() {
            out.push_str(&visit(structure, field, field.in_place, false));
        }
        if let Some((_, versions, _)) = in_tag {
            out.push_str(&visit(structure, field, versions, true));
        }
    }
    if !structure.flexible.is_empty() {
        let first_free = tagged(structure).iter().map(|(tag, ..)| tag + 1).max().unwrap_or(0);
        let visit = format!("visitor.unknown_tags(&mut self.unknown_tagged_fields, {first_free});");
        out.push_str(&guarded(&condition(structure.flexible, structure.versions), &visit));
    }
    out.push_str("        Ok(())\n    }\n}\n");
    out
}

fn visit(structure: &StructModel, field: &FieldModel, versions: Versions, tagged: bool) -> String {
    let nullable = condition(field.nullable, versions);
    let name = camel_case(&field.field.name);
    let facts = match tagged {
        true => format!("FieldFacts::tagged(\"{name}\", {nullable}, {})", differs(field)),
        false => format!("FieldFacts::in_place(\"{name}\", {nullable})"),
    };
    let visit = format!("visitor.field({facts}, self.{}.slot(), v)?;", rust_name(field));
    guarded(&condition(versions, structure.versions), &visit)
}

fn guarded(condition: &str, statement: &str) -> String {
    match condition {
        "true" => format!("        {statement}\n"),
        _ => format!("        if {condition} {{\n            {statement}\n        }}\n"),
    }
}

/// `ThrottleTimeMs` → `throttleTimeMs`.
pub fn camel_case(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}
