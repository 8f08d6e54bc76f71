//! The fields of a message by name, for what must treat all messages alike: JSON, random values in tests.
//! Never on a hot path, and only there with the feature `json`; encoding does not come through here.
//! The implementations are generated from `native/spec/messages`; driven by [`crate::json`] and [`Sampler`].

mod sample;

pub use sample::Sampler;

use crate::{RawTaggedField, Uuid};
use bytes::Bytes;

/// A message or a struct in it.
pub trait Reflect {
    /// Shows the visitor every field of this version, in the order of the schema.
    fn reflect(&mut self, version: i16, visitor: &mut dyn Visitor) -> Result<(), ReflectError>;
}

/// Reads or changes fields.
pub trait Visitor {
    /// A field, under Kafka's name in JSON (`throttleTimeMs`).
    fn field(&mut self, field: FieldFacts, slot: Slot<'_>, version: i16) -> Result<(), ReflectError>;

    /// The unknown tagged fields of a struct of a flexible version. Tags below `first_free` may be the schema's.
    fn unknown_tags(&mut self, _tags: &mut Vec<RawTaggedField>, _first_free: u32) {}
}

/// What the schema says of a field in the version at hand.
#[derive(Clone, Copy, Debug)]
pub struct FieldFacts {
    /// Kafka's name in JSON.
    pub name: &'static str,
    /// May be null.
    pub nullable: bool,
    /// Is a tagged field: left out when it holds its default.
    pub tagged: bool,
    /// Holds something else than its default.
    pub differs: bool,
}

impl FieldFacts {
    /// A field in its place.
    pub const fn in_place(name: &'static str, nullable: bool) -> Self {
        FieldFacts { name, nullable, tagged: false, differs: true }
    }

    /// A tagged field.
    pub const fn tagged(name: &'static str, nullable: bool, differs: bool) -> Self {
        FieldFacts { name, nullable, tagged: true, differs }
    }
}

/// A visitor's failure: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ReflectError {
    /// The field, such as `topics[0].name`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

impl ReflectError {
    /// A problem of the value at hand.
    pub fn new(problem: impl Into<String>) -> Self {
        ReflectError { path: String::new(), problem: problem.into() }
    }

    /// The same, below `outer`.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }
}

/// A place that holds a value.
pub enum Slot<'a> {
    /// `bool`
    Bool(&'a mut bool),
    /// `int8`
    I8(&'a mut i8),
    /// `int16`
    I16(&'a mut i16),
    /// `uint16`
    U16(&'a mut u16),
    /// `int32`
    I32(&'a mut i32),
    /// `uint32`
    U32(&'a mut u32),
    /// `int64`
    I64(&'a mut i64),
    /// `float64`
    F64(&'a mut f64),
    /// `uuid`
    Uuid(&'a mut Uuid),
    /// `string`
    String(&'a mut String),
    /// `bytes`, `records`
    Bytes(&'a mut Bytes),
    /// A struct.
    Object(&'a mut dyn Reflect),
    /// An array.
    Array(&'a mut dyn Elements),
    /// A place that may be empty: the field is nullable in some version.
    Optional(&'a mut dyn Optional),
}

/// A type that fields have.
pub trait Field: Default {
    /// Itself as a place.
    fn slot(&mut self) -> Slot<'_>;
}

/// A `Vec` of any type that fields have.
pub trait Elements {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Removes all.
    fn clear(&mut self);
    /// Adds one with its default.
    fn push(&mut self) -> Slot<'_>;
    /// The one at `index`; panics like a slice.
    fn at(&mut self, index: usize) -> Slot<'_>;
}

/// An `Option` of any type that fields have.
pub trait Optional {
    /// Empties it.
    fn set_none(&mut self);
    /// What is in it.
    fn value(&mut self) -> Option<Slot<'_>>;
    /// Fills it with the type's default.
    fn set_default(&mut self) -> Slot<'_>;
}

macro_rules! plain {
    ($($type:ty, $slot:ident;)*) => {$(
        impl Field for $type {
            fn slot(&mut self) -> Slot<'_> {
                Slot::$slot(self)
            }
        }
    )*};
}

plain! {
    bool, Bool; i8, I8; i16, I16; u16, U16; i32, I32; u32, U32; i64, I64; f64, F64;
    Uuid, Uuid; String, String; Bytes, Bytes;
}

impl<T: Field> Field for Vec<T> {
    fn slot(&mut self) -> Slot<'_> {
        Slot::Array(self)
    }
}

impl<T: Field> Field for Option<T> {
    fn slot(&mut self) -> Slot<'_> {
        Slot::Optional(self)
    }
}

impl<T: Field> Elements for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn push(&mut self) -> Slot<'_> {
        Vec::push(self, T::default());
        let last = self.len() - 1;
        self[last].slot()
    }

    fn at(&mut self, index: usize) -> Slot<'_> {
        self[index].slot()
    }
}

impl<T: Field> Optional for Option<T> {
    fn set_none(&mut self) {
        *self = None;
    }

    fn value(&mut self) -> Option<Slot<'_>> {
        self.as_mut().map(Field::slot)
    }

    fn set_default(&mut self) -> Slot<'_> {
        self.insert(T::default()).slot()
    }
}
