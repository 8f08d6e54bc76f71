//! What a message consists of.

use bytes::Bytes;

use crate::{RawTaggedField, Uuid};

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, where that is allowed.
    Null,
    /// `bool`
    Bool(bool),
    /// An integer of any width.
    Int(i64),
    /// `float64`
    F64(f64),
    /// `uuid`
    Uuid(Uuid),
    /// `string`
    String(String),
    /// `bytes`, `records`
    Bytes(Bytes),
    /// Values of one type.
    Array(Vec<Value>),
    /// Fields.
    Struct(Struct),
}

/// Fields by their names in Kafka's JSON, in the order of the schema: those that the version has, and tagged ones that were there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    /// Name and value.
    pub fields: Vec<(&'static str, Value)>,
    /// Tagged fields that the schema does not know.
    pub unknown: Vec<RawTaggedField>,
}

impl Value {
    /// The integer, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(x) => Some(*x),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::String(x) => Some(x),
            _ => None,
        }
    }

    /// The bytes, if it is some.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(x) => Some(x),
            _ => None,
        }
    }

    /// The structs of an array; none for anything else.
    pub fn structs(&self) -> impl Iterator<Item = &Struct> {
        let elements = if let Self::Array(x) = self { x.as_slice() } else { &[] };
        elements.iter().filter_map(|element| if let Self::Struct(x) = element { Some(x) } else { None })
    }
}

impl Struct {
    /// A field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// A field to change.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.fields.iter_mut().find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// An integer field.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.field(name)?.int()
    }

    /// A field of text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.field(name)?.text()
    }

    /// The structs of an array field.
    pub fn structs(&self, name: &str) -> impl Iterator<Item = &Struct> {
        self.field(name).into_iter().flat_map(Value::structs)
    }

    /// Shows every struct, this one first, to a function that may change it.
    pub fn each_struct(&mut self, change: &mut dyn FnMut(&mut Struct)) {
        change(self);
        for (_, value) in &mut self.fields {
            match value {
                Value::Struct(inner) => inner.each_struct(change),
                Value::Array(elements) => {
                    for element in elements {
                        if let Value::Struct(inner) = element {
                            inner.each_struct(change);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
