//! The declarations of types in C#, with what makes JSON of them and them of JSON.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Result;

use super::BY_HAND;
use super::values::{from_json, from_json_or_null, of, to_json, to_json_or_null, type_name};
use crate::generators::csharp::{pascal, summary};
use crate::generators::operations::model::{Kind, Member, Object, Shape, Table, Type};

/// The types of these names, in a namespace.
pub fn declarations(table: &Table, namespace: &str, names: &BTreeSet<String>) -> Result<String> {
    let mut out = format!("using System;\nusing System.Collections.Generic;\n\nnamespace {namespace}\n{{\n");
    for name in names.iter().filter(|name| !BY_HAND.contains(&name.as_str())) {
        declaration(&mut out, table, table.get(name));
    }
    out.push_str("}\n");
    Ok(out)
}

fn declaration(out: &mut String, table: &Table, of: &Type) {
    let (takes, gives) = (table.requests.contains(&of.name), table.responses.contains(&of.name));
    let name = type_name(&of.name);
    summary(out, "    ", &of.doc);
    match &of.shape {
        Shape::Object(object) => class(out, table, "    ", &name, object, (takes, gives)),
        Shape::Open(names) => open(out, &name, names.iter().map(|name| (name.as_str(), String::new()))),
        Shape::Choice(all) => open(out, &name, all.iter().map(|one| (one.value.as_str(), one.doc.clone()))),
        Shape::Named(named) => number(out, &name, &named.names),
        Shape::Variants(variants) => {
            let _ = writeln!(
                out,
                "    public abstract class {name}\n    {{\n        private {name}() {{ }}\n\n        internal abstract Dictionary<string, object?> ToJson();\n"
            );
            for variant in variants {
                summary(out, "        ", &variant.doc);
                let inner = pascal(&variant.tag);
                let declared = format!("{inner} : {name}");
                class_as(out, table, "        ", (&inner, &declared), &variant.object, Some(&variant.tag));
            }
            out.push_str("    }\n");
        }
    }
    out.push('\n');
}

/// A class with a property per member.
fn class(out: &mut String, table: &Table, indent: &str, name: &str, object: &Object, (takes, gives): (bool, bool)) {
    let _ = writeln!(out, "{indent}public sealed class {name}\n{indent}{{");
    let inner = format!("{indent}    ");
    if takes {
        constructor(out, table, &inner, name, object);
    } else {
        let _ = writeln!(out, "{inner}private {name}() {{ }}\n");
    }
    properties(out, &inner, name, object, if takes { "set" } else { "private set" });
    if takes {
        json(out, table, &inner, "internal", name, object, None);
    }
    if gives {
        from(out, table, &inner, name, object, takes);
    }
    let _ = writeln!(out, "{indent}}}");
}

/// One of several classes that a value may be.
fn class_as(
    out: &mut String,
    table: &Table,
    indent: &str,
    (name, declared): (&str, &str),
    object: &Object,
    tag: Option<&str>,
) {
    let _ = writeln!(out, "{indent}public sealed class {declared}\n{indent}{{");
    let inner = format!("{indent}    ");
    constructor(out, table, &inner, name, object);
    properties(out, &inner, name, object, "set");
    json(out, table, &inner, "internal override", name, object, tag);
    let _ = writeln!(out, "{indent}}}");
}

fn shown(object: &Object) -> impl Iterator<Item = &Member> {
    object.members.iter().filter(|member| !matches!(member.slot.kind, Kind::Literal(_)))
}

fn is_optional(member: &Member) -> bool {
    member.required.is_none() || member.slot.nullable
}

/// The name of a property; C# has none that are called as their class.
fn property_name(class: &str, member: &str) -> String {
    let name = pascal(member);
    if name == class { "Values".to_owned() } else { name }
}

/// The name of an argument.
pub fn argument(name: &str) -> String {
    match name {
        "operator" | "event" | "internal" | "string" | "object" | "params" | "ref" => format!("@{name}"),
        _ => name.to_owned(),
    }
}

fn constructor(out: &mut String, _: &Table, indent: &str, class: &str, object: &Object) {
    let required = object.required().into_iter().filter(|member| !matches!(member.slot.kind, Kind::Literal(_)));
    let required = required.collect::<Vec<_>>();
    summary(out, indent, "What must be there; the rest is set as properties.");
    let arguments = required
        .iter()
        .map(|member| format!("{} {}", of(&member.slot.kind, is_optional(member)), argument(&member.name)));
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "{indent}public {class}({arguments})\n{indent}{{");
    for member in required {
        let _ = writeln!(out, "{indent}    {} = {};", property_name(class, &member.name), argument(&member.name));
    }
    let _ = writeln!(out, "{indent}}}\n");
}

fn properties(out: &mut String, indent: &str, class: &str, object: &Object, set: &str) {
    for member in shown(object) {
        summary(out, indent, &member.doc);
        let optional = is_optional(member);
        let kind = of(&member.slot.kind, optional);
        let start = if set == "set" || optional { "" } else { " = default!;" };
        let _ = writeln!(out, "{indent}public {kind} {} {{ get; {set}; }}{start}", property_name(class, &member.name));
    }
}

fn json(out: &mut String, table: &Table, indent: &str, access: &str, class: &str, object: &Object, tag: Option<&str>) {
    let _ = write!(out, "\n{indent}{access} Dictionary<string, object?> ToJson() => Json.Object(");
    let mut parts = tag.map(|tag| format!("(\"kind\", {tag:?})")).into_iter().collect::<Vec<_>>();
    for member in shown(object) {
        let value = property_name(class, &member.name);
        let made = match is_optional(member) {
            true => to_json_or_null(table, &member.slot.kind, &value),
            false => to_json(table, &member.slot.kind, &value),
        };
        parts.push(format!("\n{indent}    ({:?}, {made})", member.name));
    }
    let _ = writeln!(out, "{});", parts.join(","));
}

fn from(out: &mut String, table: &Table, indent: &str, class: &str, object: &Object, takes: bool) {
    let value = |member: &Member| {
        let json = format!("from[{:?}]", member.name);
        match is_optional(member) {
            true => from_json_or_null(table, &member.slot, &format!("Json.Get(from, {:?})", member.name), &member.name),
            false => from_json(table, &member.slot.kind, &json),
        }
    };
    let _ = writeln!(
        out,
        "\n{indent}internal static {class} From(object? json)\n{indent}{{\n{indent}    var from = (IDictionary<string, object?>)json!;"
    );
    let (given, set): (Vec<&Member>, Vec<&Member>) = match takes {
        true => (object.required(), object.optional().collect()),
        false => (Vec::new(), object.members.iter().collect()),
    };
    let given = given.into_iter().map(value).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "{indent}    return new {class}({given})\n{indent}    {{");
    for member in set {
        let _ = writeln!(out, "{indent}        {} = {},", property_name(class, &member.name), value(member));
    }
    let _ = writeln!(out, "{indent}    }};\n{indent}}}");
}

/// A name of a set that may grow.
fn open<'a>(out: &mut String, name: &str, names: impl Iterator<Item = (&'a str, String)>) {
    let _ = writeln!(out, "    public readonly struct {name} : IEquatable<{name}>\n    {{");
    for (value, doc) in names {
        summary(out, "        ", &if doc.is_empty() { format!("`{value}`") } else { doc });
        let _ =
            writeln!(out, "        public static readonly {name} {} = new {name}({value:?});", constant(name, value));
    }
    equality(
        out,
        name,
        "string",
        "Name",
        "By its name, which may be one that is not known here, such as <c>UNKNOWN(77)</c>.",
        "The name.",
    );
}

/// A name or a number.
fn number(out: &mut String, name: &str, names: &[String]) {
    let _ = writeln!(out, "    public readonly struct {name} : IEquatable<{name}>\n    {{");
    for value in names {
        summary(out, "        ", &format!("`{value}`"));
        let _ =
            writeln!(out, "        public static readonly {name} {} = new {name}({value:?});", constant(name, value));
    }
    equality(out, name, "object", "Value", "By its name, or by its number.", "The name or the number.");
}

fn constant(class: &str, value: &str) -> String {
    let name = property_name(class, value);
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("V{}", value.replace('.', "_")) } else { name }
}

fn equality(out: &mut String, name: &str, kind: &str, property: &str, make: &str, doc: &str) {
    let _ = write!(
        out,
        "
        /// <summary>{make}</summary>
        public {name}({kind} value) => {property} = value;

        /// <summary>{doc}</summary>
        public {kind} {property} {{ get; }}
        /// <inheritdoc/>
        public bool Equals({name} other) => Equals({property}, other.{property});
        /// <inheritdoc/>
        public override bool Equals(object? other) => other is {name} one && Equals(one);
        /// <inheritdoc/>
        public override int GetHashCode() => {property}?.GetHashCode() ?? 0;
        /// <summary>Whether both are the same.</summary>
        public static bool operator ==({name} a, {name} b) => a.Equals(b);
        /// <summary>Whether they are different.</summary>
        public static bool operator !=({name} a, {name} b) => !a.Equals(b);
        /// <summary>{doc}</summary>
        public override string ToString() => {property}?.ToString() ?? \"\";
    }}
"
    );
}
