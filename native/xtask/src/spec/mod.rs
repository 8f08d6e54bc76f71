//! The facts of a Kafka message: the model, and its text form in `native/spec/messages`.
//! Nothing of Rust and nothing of Kafka's JSON: that is `generators/messages` and `import`.
//! A file holds the messages of one API; `native/spec/README.md` describes the format.

mod text;

pub use text::{parse, print};

use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::Path;

/// A range of versions, both ends included. `highest == i16::MAX` means open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub lowest: i16,
    pub highest: i16,
}

impl Versions {
    pub const NONE: Versions = Versions { lowest: 0, highest: -1 };

    pub fn parse(text: &str) -> Result<Versions> {
        let number = |text: &str| text.parse::<i16>().with_context(|| format!("not a version: {text}"));
        Ok(match text {
            "none" => Versions::NONE,
            _ => match (text.strip_suffix('+'), text.split_once('-')) {
                (Some(lowest), _) => Versions { lowest: number(lowest)?, highest: i16::MAX },
                (None, Some((lowest, highest))) => Versions { lowest: number(lowest)?, highest: number(highest)? },
                (None, None) => Versions { lowest: number(text)?, highest: number(text)? },
            },
        })
    }

    pub fn is_empty(self) -> bool {
        self.lowest > self.highest
    }

    pub fn contains(self, version: i16) -> bool {
        self.lowest <= version && version <= self.highest
    }

    pub fn covers(self, other: Versions) -> bool {
        other.is_empty() || (self.lowest <= other.lowest && other.highest <= self.highest)
    }

    pub fn and(self, other: Versions) -> Versions {
        let both = Versions { lowest: self.lowest.max(other.lowest), highest: self.highest.min(other.highest) };
        if both.is_empty() { Versions::NONE } else { both }
    }

    /// The smallest range that holds both.
    pub fn hull(self, other: Versions) -> Versions {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Versions { lowest: self.lowest.min(other.lowest), highest: self.highest.max(other.highest) },
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Versions { lowest, highest } = self;
        match () {
            () if self.is_empty() => f.pad("none"),
            () if *highest == i16::MAX => f.pad(&format!("{lowest}+")),
            () if lowest == highest => f.pad(&lowest.to_string()),
            () => f.pad(&format!("{lowest}-{highest}")),
        }
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Header,
    Data,
    RecordKey,
    RecordValue,
    /// A record of the cluster's metadata (KRaft).
    Metadata,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Request, "request"),
    (Kind::Response, "response"),
    (Kind::Header, "header"),
    (Kind::Data, "data"),
    (Kind::RecordKey, "record-key"),
    (Kind::RecordValue, "record-value"),
    (Kind::Metadata, "metadata"),
];

/// A message: fields, and the structs that several of its fields share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    pub name: String,
    pub key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    /// The highest version may still change.
    pub unstable: bool,
    pub fields: Vec<Field>,
    pub structs: Vec<Struct>,
}

/// A struct that several fields of a message share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    pub name: String,
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    pub default: Option<String>,
    pub tag: Option<(u32, Versions)>,
    pub map_key: bool,
    pub ignorable: bool,
    pub zero_copy: bool,
    /// Keeps its old encoding in flexible versions (the client id of a request header).
    pub never_flexible: bool,
    pub entity: Option<String>,
    /// Of the struct that this field defines; empty when its type is shared.
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Plain(Plain),
    Struct(String),
    Array(Box<Type>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    String,
    Bytes,
    Records,
    Uuid,
}

const PLAINS: [(Plain, &str); 12] = [
    (Plain::Bool, "bool"),
    (Plain::Int8, "int8"),
    (Plain::Int16, "int16"),
    (Plain::Uint16, "uint16"),
    (Plain::Int32, "int32"),
    (Plain::Uint32, "uint32"),
    (Plain::Int64, "int64"),
    (Plain::Float64, "float64"),
    (Plain::String, "string"),
    (Plain::Bytes, "bytes"),
    (Plain::Records, "records"),
    (Plain::Uuid, "uuid"),
];

impl Type {
    pub fn parse(text: &str) -> Result<Type> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Type::Array(Box::new(Type::parse(element)?)));
        }
        if let Some((plain, _)) = PLAINS.iter().find(|(_, name)| *name == text) {
            return Ok(Type::Plain(*plain));
        }
        if !text.starts_with(|c: char| c.is_ascii_uppercase()) {
            bail!("unknown type {text}");
        }
        Ok(Type::Struct(text.to_owned()))
    }

    /// The struct that this type is, or is an array of.
    pub fn struct_name(&self) -> Option<&str> {
        match self {
            Type::Plain(_) => None,
            Type::Struct(name) => Some(name),
            Type::Array(element) => element.struct_name(),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Plain(plain) => f.write_str(PLAINS.iter().find(|(p, _)| p == plain).map_or("", |(_, name)| name)),
            Type::Struct(name) => f.write_str(name),
            Type::Array(element) => write!(f, "[]{element}"),
        }
    }
}

/// Reads all of `native/spec/messages`, in the order of the file names.
pub fn load(root: &Path) -> Result<Vec<(String, Vec<Message>)>> {
    let folder = root.join("native/spec/messages");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).context("native/spec/messages is missing: run import-schemas")? {
        names.push(entry?.file_name().into_string().ok().context("a file name is not UTF-8")?);
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let text = std::fs::read_to_string(folder.join(&name))?;
        let messages = parse(&text).with_context(|| format!("native/spec/messages/{name}"))?;
        files.push((name, messages));
    }
    Ok(files)
}
