//! The operations and their types as every language renders them, read from what `schemars` puts out for `bridge/src/cold`.
//! Not a general reader of JSON Schema: it knows what those types become, and fails on anything else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Everything that languages render.
pub struct Table {
    pub operations: Vec<Operation>,
    pub types: BTreeMap<String, Type>,
    /// Names of the types that go into the engine.
    pub requests: BTreeSet<String>,
    /// Names of the types that come out of it.
    pub responses: BTreeSet<String>,
}

/// An operation: `admin.createTopics`.
pub struct Operation {
    /// Its target and its name there, with a dot between them.
    pub name: String,
    /// Whether it completes later; one that does not is run at once.
    pub waits: bool,
    /// The type of what it takes, always an object.
    pub request: String,
    /// What it gives.
    pub response: Slot,
}

/// A type with a name.
pub struct Type {
    pub name: String,
    /// Sentences, paragraphs apart by an empty line; one that begins with `Default: ` says what an absent member means.
    pub doc: String,
    pub shape: Shape,
}

/// What a type is.
pub enum Shape {
    /// Members by name, possibly none.
    Object(Object),
    /// A string: one of these, or another that a newer broker knows (`UNKNOWN(n)`).
    Open(Vec<String>),
    /// One of these names, or a number.
    Named(Named),
    /// A string: just one of these.
    Choice(Vec<Choice>),
    /// One of several objects, told apart by their member `kind`.
    Variants(Vec<Variant>),
}

/// Members by name.
pub struct Object {
    pub members: Vec<Member>,
    /// Whether other members are refused.
    pub exact: bool,
}

/// Names with numbers beside them.
pub struct Named {
    pub names: Vec<String>,
    /// The table that has the names, when another generator renders it: `errors`.
    pub table: Option<String>,
    pub least: i64,
    pub most: i64,
}

/// A string that a type may be.
pub struct Choice {
    pub value: String,
    pub doc: String,
}

/// An object that a type may be.
pub struct Variant {
    /// The value of its member `kind`, which is among the members too.
    pub tag: String,
    pub doc: String,
    pub object: Object,
}

/// A member of an object.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub doc: String,
    /// Its place among the members that must be there, in the order declared; `None`: it may be absent.
    pub required: Option<usize>,
    pub slot: Slot,
}

/// A place for a value.
#[derive(Clone)]
pub struct Slot {
    pub kind: Kind,
    /// Whether there may be none: absent and `null` are the same.
    pub nullable: bool,
}

/// What a value is, in the language and in JSON.
#[derive(Clone)]
pub enum Kind {
    /// A type with a name.
    Type(String),
    /// Always this string.
    Literal(String),
    /// 64 bits, in JSON a string of decimal digits.
    Int64,
    /// Bytes, in JSON base64.
    Bytes,
    /// Bytes that are not to be shown.
    SecretBytes,
    /// A double, in JSON a string when JSON has no number for it.
    Double,
    /// A failure: an error of the language.
    Failure,
    Text,
    /// Text that is not to be shown.
    Secret,
    Integer {
        least: i64,
        most: i64,
    },
    Number,
    Boolean,
    List(Box<Kind>),
    /// Values by text.
    Map(Box<Kind>),
    /// Nothing: an operation that only succeeds.
    Nothing,
}

impl Table {
    /// Reads what `cargo run -p dohle-bridge --example operations` prints.
    pub fn read(table: &Value) -> Result<Self> {
        let types = table["types"].as_object().context("types")?;
        let types = types.iter().map(|(name, schema)| {
            let read = Type::read(name, schema).with_context(|| name.clone())?;
            Ok((name.clone(), read))
        });
        let types = types.collect::<Result<BTreeMap<_, _>>>()?;
        let operations = table["operations"].as_array().context("operations")?;
        let operations = operations.iter().map(Operation::read).collect::<Result<Vec<_>>>()?;
        let mut table = Self { operations, types, requests: BTreeSet::new(), responses: BTreeSet::new() };
        let (mut requests, mut responses) = (BTreeSet::new(), BTreeSet::new());
        for operation in &table.operations {
            table.reach(&Kind::Type(operation.request.clone()), &mut requests);
            table.reach(&operation.response.kind, &mut responses);
        }
        (table.requests, table.responses) = (requests, responses);
        Ok(table)
    }

    /// The type of a name that occurs in the table.
    pub fn get(&self, name: &str) -> &Type {
        &self.types[name]
    }

    /// The members of a request.
    pub fn members(&self, request: &str) -> Result<&[Member]> {
        match &self.get(request).shape {
            Shape::Object(object) => Ok(&object.members),
            _ => bail!("{request}: a request is an object"),
        }
    }

    /// The operations of one target that complete later, such as those of `admin`.
    pub fn waiting<'a>(&'a self, target: &'a str) -> impl Iterator<Item = &'a Operation> {
        self.operations.iter().filter(move |operation| operation.waits && operation.target() == target)
    }

    /// Adds every type that a value leads to.
    pub fn reach(&self, kind: &Kind, found: &mut BTreeSet<String>) {
        match kind {
            Kind::Type(name) if found.insert(name.clone()) => {
                self.get(name).objects().flat_map(|object| &object.members).for_each(|member| {
                    self.reach(&member.slot.kind, found);
                });
            }
            Kind::List(inner) | Kind::Map(inner) => self.reach(inner, found),
            _ => {}
        }
    }
}

impl Operation {
    fn read(value: &Value) -> Result<Self> {
        let name = value["name"].as_str().context("name")?.to_owned();
        let request = reference(&value["request"]).context("a request is a type with a name")?.to_owned();
        let response = Slot::read(&value["response"]).with_context(|| name.clone())?;
        Ok(Self { waits: value["waits"].as_bool().context("waits")?, request, response, name })
    }

    /// What it is for: `admin`.
    pub fn target(&self) -> &str {
        self.name.split_once('.').map_or("", |(target, _)| target)
    }

    /// Its name there: `createTopics`.
    pub fn method(&self) -> &str {
        self.name.split_once('.').map_or(self.name.as_str(), |(_, method)| method)
    }
}

impl Type {
    fn read(name: &str, schema: &Value) -> Result<Self> {
        let shape = match (format(schema), schema["oneOf"].as_array()) {
            ("open", _) => Shape::Open(strings(&schema["examples"])),
            ("named", _) => {
                let (least, most) = bounds(schema)?;
                let table = schema["x-table"].as_str().map(str::to_owned);
                Shape::Named(Named { names: strings(&schema["examples"]), table, least, most })
            }
            (_, Some(all)) if all.iter().all(|one| one["const"].is_string()) => {
                let choice = |one: &Value| Choice { value: text(&one["const"]), doc: text(&one["description"]) };
                Shape::Choice(all.iter().map(choice).collect())
            }
            (_, Some(all)) => Shape::Variants(all.iter().map(Variant::read).collect::<Result<_>>()?),
            _ => Shape::Object(Object::read(schema)?),
        };
        Ok(Self { name: name.to_owned(), doc: text(&schema["description"]), shape })
    }

    /// The object that it is, or the objects that it may be.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let (one, several) = match &self.shape {
            Shape::Object(object) => (Some(object), [].as_slice()),
            Shape::Variants(variants) => (None, variants.as_slice()),
            _ => (None, [].as_slice()),
        };
        one.into_iter().chain(several.iter().map(|variant| &variant.object))
    }
}

impl Variant {
    fn read(schema: &Value) -> Result<Self> {
        let tag = schema["properties"]["kind"]["const"].as_str().context("variants are told apart by `kind`")?;
        Ok(Self { tag: tag.to_owned(), doc: text(&schema["description"]), object: Object::read(schema)? })
    }
}

impl Object {
    fn read(schema: &Value) -> Result<Self> {
        ensure!(has_type(schema, "object"), "a schema of unknown form: {schema}");
        let required = strings(&schema["required"]);
        let members = schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| {
            Ok(Member {
                name: name.clone(),
                doc: text(&schema["description"]),
                required: required.iter().position(|one| one == name),
                slot: Slot::read(schema).with_context(|| name.clone())?,
            })
        });
        let exact = schema["additionalProperties"] == Value::Bool(false);
        Ok(Self { members: members.collect::<Result<_>>()?, exact })
    }

    /// The members that must be there, in the order declared.
    pub fn required(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().filter(|member| member.required.is_some()).collect();
        members.sort_by_key(|member| member.required);
        members
    }

    /// The others.
    pub fn optional(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.required.is_none())
    }
}

impl Slot {
    fn read(schema: &Value) -> Result<Self> {
        let kind = Kind::read(schema)?;
        let nothing = matches!(kind, Kind::Nothing);
        Ok(Self { kind, nullable: !nothing && nullable(schema) })
    }
}

impl Kind {
    fn read(schema: &Value) -> Result<Self> {
        if let Some(name) = reference(schema) {
            return Ok(Self::Type(name.to_owned()));
        }
        if let Some(only) = schema["const"].as_str() {
            return Ok(Self::Literal(only.to_owned()));
        }
        let elements = || Ok::<_, anyhow::Error>(Box::new(Self::read(&schema["items"])?));
        Ok(match format(schema) {
            "int64" if has_type(schema, "string") => Self::Int64,
            "base64" => Self::Bytes,
            "secret-base64" => Self::SecretBytes,
            "double" => Self::Double,
            "failure" => Self::Failure,
            "secret" => Self::Secret,
            _ if has_type(schema, "string") => Self::Text,
            _ if has_type(schema, "integer") => {
                let (least, most) = bounds(schema)?;
                Self::Integer { least, most }
            }
            _ if has_type(schema, "number") => Self::Number,
            _ if has_type(schema, "boolean") => Self::Boolean,
            _ if has_type(schema, "array") => Self::List(elements()?),
            _ if has_type(schema, "object") && schema["additionalProperties"].is_object() => {
                Self::Map(Box::new(Self::read(&schema["additionalProperties"])?))
            }
            _ if has_type(schema, "null") => Self::Nothing,
            _ => bail!("a schema of unknown form: {schema}"),
        })
    }
}

/// The name of the type that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema["$ref"].as_str();
    let optional = || schema["anyOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str());
    direct.or_else(optional)?.strip_prefix("#/$defs/")
}

fn has_type(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn nullable(schema: &Value) -> bool {
    let in_any = || schema["anyOf"].as_array().is_some_and(|any| any.iter().any(|one| has_type(one, "null")));
    has_type(schema, "null") || in_any()
}

fn format(schema: &Value) -> &str {
    schema["format"].as_str().unwrap_or_default()
}

/// The least and the largest value of an integer, its own or those of its format.
fn bounds(schema: &Value) -> Result<(i64, i64)> {
    let (least, most): (i64, i64) = match format(schema) {
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "int64" => (i64::MIN, i64::MAX),
        "uint64" => (0, i64::MAX),
        "named" => (0, 0),
        other => bail!("an integer of unknown format {other:?}"),
    };
    Ok((schema["minimum"].as_i64().unwrap_or(least), schema["maximum"].as_i64().unwrap_or(most)))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(text).collect()
}
