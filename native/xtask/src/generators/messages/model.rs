//! A message as the generator sees it: flat structs, each field with the versions in which it really occurs.
//! Decides nothing about Rust text.

use crate::spec::{Field, Message, Plain, Type, Versions};
use anyhow::{Context, Result, ensure};

/// A message and all structs in it, the message itself first.
pub struct Model<'a> {
    pub message: &'a Message,
    pub structs: Vec<StructModel<'a>>,
}

pub struct StructModel<'a> {
    pub name: &'a str,
    /// In which it occurs at all, within the versions of the message.
    pub versions: Versions,
    pub flexible: Versions,
    pub fields: Vec<FieldModel<'a>>,
}

pub struct FieldModel<'a> {
    pub field: &'a Field,
    /// In which the field occurs, tagged or not.
    pub versions: Versions,
    /// In which it is written in its place, not as a tagged field.
    pub in_place: Versions,
    pub nullable: Versions,
    /// `Option` in Rust.
    pub optional: bool,
    /// Bytes that an element of the array takes at least, in any version.
    pub element_min_size: usize,
}

/// Highest version that may be negotiated.
pub fn max_stable(message: &Message) -> i16 {
    message.versions.highest - i16::from(message.unstable)
}

impl<'a> Model<'a> {
    pub fn new(message: &'a Message) -> Result<Self> {
        let mut declared: Declared = vec![(&message.name, &message.fields)];
        collect(&message.fields, &mut declared)?;
        for shared in &message.structs {
            declared.push((&shared.name, &shared.fields));
            collect(&shared.fields, &mut declared)?;
        }
        let mut reached = Vec::new();
        reach(&declared, &message.name, message.versions, &mut reached)?;
        let structs = reached.iter().map(|(name, versions)| structure(message, &declared, name, *versions));
        Ok(Model { message, structs: structs.collect::<Result<_>>()? })
    }
}

type Declared<'a> = Vec<(&'a str, &'a [Field])>;

/// Finds the structs that fields define in place.
fn collect<'a>(fields: &'a [Field], declared: &mut Declared<'a>) -> Result<()> {
    for field in fields.iter().filter(|field| !field.fields.is_empty()) {
        let name = field.ty.struct_name().with_context(|| format!("{} has fields but is no struct", field.name))?;
        ensure!(declared.iter().all(|(other, _)| *other != name), "struct {name} is defined twice");
        declared.push((name, &field.fields));
        collect(&field.fields, declared)?;
    }
    Ok(())
}

/// Finds the versions in which each struct occurs; several fields may share one.
fn reach<'a>(
    declared: &Declared<'a>,
    name: &'a str,
    versions: Versions,
    reached: &mut Vec<(&'a str, Versions)>,
) -> Result<()> {
    match reached.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) if known.covers(versions) => return Ok(()),
        Some((_, known)) => *known = known.hull(versions),
        None => reached.push((name, versions)),
    }
    for field in lookup(declared, name)? {
        let within = field.versions.and(versions);
        if let Some(inner) = field.ty.struct_name().filter(|_| !within.is_empty()) {
            reach(declared, inner, within, reached)?;
        }
    }
    Ok(())
}

fn structure<'a>(
    message: &'a Message,
    declared: &Declared<'a>,
    name: &'a str,
    versions: Versions,
) -> Result<StructModel<'a>> {
    let mut fields = Vec::new();
    for field in lookup(declared, name)?.iter().filter(|field| !field.versions.and(versions).is_empty()) {
        fields.push(self::field(message, declared, field, versions).with_context(|| field.name.clone())?);
    }
    Ok(StructModel { name, versions, flexible: message.flexible.and(versions), fields })
}

fn field<'a>(
    message: &'a Message,
    declared: &Declared<'a>,
    field: &'a Field,
    versions: Versions,
) -> Result<FieldModel<'a>> {
    let within = field.versions.and(versions);
    let tagged = field.tag.map_or(Versions::NONE, |(_, versions)| versions.and(within).and(message.flexible));
    let in_place = match tagged {
        tagged if tagged.is_empty() => within,
        tagged => {
            ensure!(tagged.highest == within.highest, "tagged only in the middle");
            Versions { lowest: within.lowest, highest: tagged.lowest - 1 }
        }
    };
    let mut element_min_size = usize::MAX;
    if let Type::Array(element) = &field.ty {
        for version in within.lowest..=within.highest {
            element_min_size = element_min_size.min(min_size(message, declared, element, version)?);
        }
        ensure!(element_min_size > 0, "elements of no size");
    }
    let nullable = field.nullable.and(within);
    let optional = !nullable.is_empty() || field.ty == Type::Plain(Plain::Records);
    Ok(FieldModel { field, versions: within, in_place, nullable, optional, element_min_size })
}

fn lookup<'a>(declared: &Declared<'a>, name: &str) -> Result<&'a [Field]> {
    let found = declared.iter().find(|(known, _)| *known == name);
    found.map(|(_, fields)| *fields).with_context(|| format!("struct {name} is not defined"))
}

/// Bytes that the shortest value takes.
fn min_size(message: &Message, declared: &Declared<'_>, ty: &Type, version: i16) -> Result<usize> {
    let flexible = message.flexible.contains(version);
    let length = |classic| if flexible { 1 } else { classic };
    Ok(match ty {
        Type::Plain(Plain::Bool | Plain::Int8) => 1,
        Type::Plain(Plain::Int16 | Plain::Uint16) => 2,
        Type::Plain(Plain::Int32 | Plain::Uint32) => 4,
        Type::Plain(Plain::Int64 | Plain::Float64) => 8,
        Type::Plain(Plain::Uuid) => 16,
        Type::Plain(Plain::String) => length(2),
        Type::Plain(Plain::Bytes | Plain::Records) | Type::Array(_) => length(4),
        Type::Struct(name) => {
            let mut size = usize::from(flexible);
            for field in lookup(declared, name)? {
                let tagged = flexible && field.tag.is_some_and(|(_, versions)| versions.contains(version));
                if tagged || !field.versions.contains(version) {
                    continue;
                }
                let nullable = field.nullable.contains(version);
                size += match &field.ty {
                    Type::Struct(_) if nullable => 1,
                    ty => min_size(message, declared, ty, version)?,
                };
            }
            size
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::parse;

    const TEXT: &str = "\
request FooRequest key=7 versions=1-5 flexible=3+
  Gone   int8       0
  New    []Outer    4+
    Inner  []Shared  4+
  Old    []Shared   0-3
  Later  int32      2+  tag=0@4+
  struct Shared 0+
    Name   string  0+    null=3+
    Extra  uuid    5+
";

    fn model(check: impl FnOnce(Model)) {
        let messages = parse(TEXT).unwrap();
        check(Model::new(&messages[0]).unwrap());
    }

    #[test]
    fn a_shared_struct_has_the_versions_of_all_its_uses() {
        model(|model| {
            let shared = model.structs.iter().find(|s| s.name == "Shared").unwrap();
            assert_eq!(shared.versions, Versions { lowest: 1, highest: 5 });
            assert_eq!(shared.flexible, Versions { lowest: 3, highest: 5 });
            assert_eq!(shared.fields[0].versions, shared.versions);
            assert_eq!(shared.fields[0].nullable, Versions { lowest: 3, highest: 5 });
        });
    }

    #[test]
    fn a_field_without_a_version_is_left_out_and_one_may_become_tagged() {
        model(|model| {
            let fields = &model.structs[0].fields;
            assert!(fields.iter().all(|field| field.field.name != "Gone"));
            let later = fields.iter().find(|field| field.field.name == "Later").unwrap();
            assert_eq!(later.versions, Versions { lowest: 2, highest: 5 });
            assert_eq!(later.in_place, Versions { lowest: 2, highest: 3 });
        });
    }

    #[test]
    fn the_least_size_of_an_element_is_that_of_its_smallest_version() {
        model(|model| {
            let old = model.structs[0].fields.iter().find(|field| field.field.name == "Old").unwrap();
            // Version 1: a length of two bytes; version 3: a compact length and a count of tagged fields.
            assert_eq!(old.element_min_size, 2);
        });
    }

    #[test]
    fn a_struct_that_nobody_defines_is_an_error() {
        let messages = parse("request A key=1 versions=0-0 flexible=none\n  B  []Missing  0+\n").unwrap();
        assert!(Model::new(&messages[0]).is_err());
    }
}
