//! Declarations: a record per object, with `with…` for what may be left out; records with constants for open sets of names.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::super::model::{Kind, Member, Object, Shape, Table, Type};
use super::codec;

/// Text as Javadoc has it.
pub fn comment(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        match place % 2 {
            1 => {
                let _ = write!(out, "{{@code {part}}}");
            }
            _ if part.contains("{@link") => out.push_str(part),
            _ => out
                .push_str(&part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;")),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A doc comment; `tags` are comments already.
pub fn doc(out: &mut String, indent: &str, text: &str, tags: &[String]) {
    let paragraphs: Vec<String> = text.split("\n\n").filter(|part| !part.is_empty()).map(comment).collect();
    let mut lines = Vec::new();
    for (place, paragraph) in paragraphs.iter().enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        lines.push(format!("{}{paragraph}", if place > 0 { "<p>" } else { "" }));
    }
    if !tags.is_empty() {
        lines.push(String::new());
        lines.extend_from_slice(tags);
    }
    out.push('\n');
    let _ = writeln!(out, "{indent}/**");
    for line in lines {
        let _ = writeln!(out, "{}", format!("{indent} * {line}").trim_end());
    }
    let _ = writeln!(out, "{indent} */");
}

/// The type of a value that must be there.
pub fn name_of(kind: &Kind) -> String {
    match kind {
        Kind::Int64 => "long".into(),
        Kind::Double | Kind::Number => "double".into(),
        Kind::Integer { .. } if is_wide(kind) => "long".into(),
        Kind::Integer { .. } => "int".into(),
        Kind::Boolean => "boolean".into(),
        other => boxed(other),
    }
}

/// Whether an integer needs a `long`.
pub fn is_wide(kind: &Kind) -> bool {
    matches!(kind, Kind::Integer { least, most } if *least < i32::MIN.into() || *most > i32::MAX.into())
}

/// The type of a value that may be null.
pub fn boxed(kind: &Kind) -> String {
    match kind {
        Kind::Type(name) => name.clone(),
        Kind::Bytes | Kind::SecretBytes => "byte[]".into(),
        Kind::Failure => "KafkaException".into(),
        Kind::Text | Kind::Secret | Kind::Literal(_) => "String".into(),
        Kind::Int64 => "Long".into(),
        Kind::Integer { .. } if is_wide(kind) => "Long".into(),
        Kind::Integer { .. } => "Integer".into(),
        Kind::Double | Kind::Number => "Double".into(),
        Kind::Boolean => "Boolean".into(),
        Kind::List(element) => format!("List<{}>", boxed(element)),
        Kind::Map(value) => format!("Map<String, {}>", boxed(value)),
        Kind::Nothing => "Void".into(),
    }
}

/// The declaration of a type with a file of its own.
pub fn declaration(table: &Table, declared: &Type) -> Result<String> {
    let Type { name, doc: text, shape } = declared;
    // Those of a method's options are in no table.
    let way_in = table.requests.contains(name) || !table.types.contains_key(name);
    let way_out = table.responses.contains(name);
    let mut out = String::new();
    match shape {
        Shape::Object(object) => record(&mut out, "", name, text, object, way_in, way_out, "")?,
        Shape::Open(names) => open(&mut out, name, text, names)?,
        Shape::Choice(choices) => {
            doc(&mut out, "", text, &[]);
            writeln!(out, "public enum {name} {{")?;
            for (place, choice) in choices.iter().enumerate() {
                doc(&mut out, "    ", &choice.doc, &[]);
                let end = if place + 1 == choices.len() { ";" } else { "," };
                writeln!(out, "    {}(\"{}\"){end}", constant(&choice.value), choice.value)?;
            }
            writeln!(
                out,
                "\n    private final String word;\n\n    {name}(String word) {{\n        this.word = word;\n    }}\n"
            )?;
            writeln!(out, "    static {name} read(Object word) {{\n        for ({name} each : values()) {{")?;
            writeln!(
                out,
                "            if (each.word.equals(word)) {{\n                return each;\n            }}\n        }}"
            )?;
            writeln!(out, "        throw new IllegalArgumentException(\"{name}: \" + word);\n    }}\n")?;
            writeln!(out, "    Object write() {{\n        return word;\n    }}\n}}")?;
        }
        Shape::Variants(variants) => {
            doc(&mut out, "", text, &[]);
            writeln!(out, "public sealed interface {name} {{")?;
            for variant in variants {
                let of = capitalised(&variant.tag);
                let object = &variant.object;
                record(&mut out, "    ", &of, &variant.doc, object, way_in, way_out, &format!(" implements {name}"))?;
            }
            if way_in {
                doc(&mut out, "    ", "For the engine.", &["@return its JSON".to_owned()]);
                writeln!(out, "    Map<String, Object> write();")?;
            }
            if way_out {
                bail!("{name}: variants only go into the engine");
            }
            out.push_str("}\n");
        }
        Shape::Named(_) => bail!("{name}: the admin operations have no names with numbers"),
    }
    Ok(out.trim_start_matches('\n').to_owned())
}

fn open(out: &mut String, name: &str, text: &str, names: &[String]) -> Result<()> {
    let tags =
        ["@param name Kafka's name; {@code UNKNOWN(n)} where a newer broker has one that is not known here".to_owned()];
    doc(out, "", text, &tags);
    writeln!(out, "public record {name}(String name) {{")?;
    for each in names {
        writeln!(out, "    /** {{@code {each}}}. */")?;
        writeln!(out, "    public static final {name} {} = new {name}(\"{each}\");\n", constant(each))?;
    }
    writeln!(
        out,
        "    /** Its name. */\n    @Override\n    public String toString() {{\n        return name;\n    }}\n"
    )?;
    writeln!(out, "    static {name} read(Object name) {{\n        return new {name}((String) name);\n    }}\n")?;
    writeln!(out, "    Object write() {{\n        return name;\n    }}\n}}")?;
    Ok(())
}

/// A record: what must be there first, in the order declared.
#[allow(clippy::too_many_arguments)]
fn record(
    out: &mut String,
    indent: &str,
    name: &str,
    text: &str,
    object: &Object,
    way_in: bool,
    way_out: bool,
    implements: &str,
) -> Result<()> {
    let of = |member: &&Member| !matches!(member.slot.kind, Kind::Literal(_));
    let required: Vec<&Member> = object.required().into_iter().filter(of).collect();
    let optional: Vec<&Member> = object.optional().filter(of).collect();
    let all = || required.iter().chain(&optional);
    let tags: Vec<String> = all().map(|member| tag(member, way_in)).collect();
    doc(out, indent, text, &tags);
    let components: Vec<String> = all().map(|member| format!("{} {}", component(member), member.name)).collect();
    writeln!(out, "{indent}public record {name}({}){implements} {{", components.join(", "))?;
    if way_in && !optional.is_empty() {
        constructor(out, indent, name, &required, &optional)?;
        for member in &optional {
            wither(out, indent, name, member, all().copied())?;
        }
    }
    if all().any(|member| matches!(member.slot.kind, Kind::Secret | Kind::SecretBytes)) {
        writeln!(
            out,
            "\n{indent}    /** Without what is secret. */\n{indent}    @Override\n{indent}    public String toString() {{"
        )?;
        writeln!(out, "{indent}        return \"{name}[***]\";\n{indent}    }}")?;
    }
    if way_out {
        codec::reader(out, indent, name, all().copied())?;
    }
    if way_in {
        codec::writer(out, indent, object, !implements.is_empty())?;
    }
    writeln!(out, "{indent}}}")?;
    Ok(())
}

fn constructor(out: &mut String, indent: &str, name: &str, required: &[&Member], optional: &[&Member]) -> Result<()> {
    let tags: Vec<String> = required.iter().map(|member| tag(member, true)).collect();
    let what = if required.is_empty() { "Nothing but defaults." } else { "The others are left to their defaults." };
    doc(out, &format!("{indent}    "), what, &tags);
    let arguments: Vec<String> = required.iter().map(|m| format!("{} {}", component(m), m.name)).collect();
    let given: Vec<String> =
        (required.iter().map(|member| member.name.clone())).chain(optional.iter().map(|_| "null".to_owned())).collect();
    writeln!(out, "{indent}    public {name}({}) {{", arguments.join(", "))?;
    writeln!(out, "{indent}        this({});\n{indent}    }}", given.join(", "))?;
    Ok(())
}

fn wither<'a>(
    out: &mut String,
    indent: &str,
    name: &str,
    member: &Member,
    all: impl Iterator<Item = &'a Member>,
) -> Result<()> {
    let tags = [format!("@param {} the value; null: none", member.name), "@return a copy that has it".to_owned()];
    doc(out, &format!("{indent}    "), &member.doc, &tags);
    let argument = format!("{} {}", component(member), member.name);
    writeln!(out, "{indent}    public {name} with{}({argument}) {{", capitalised(&member.name))?;
    let given: Vec<&str> = all.map(|member| member.name.as_str()).collect();
    writeln!(out, "{indent}        return new {name}({});\n{indent}    }}", given.join(", "))?;
    Ok(())
}

/// The type of a record's component.
fn component(member: &Member) -> String {
    if member.required.is_some() && !member.slot.nullable {
        name_of(&member.slot.kind)
    } else {
        boxed(&member.slot.kind)
    }
}

fn tag(member: &Member, way_in: bool) -> String {
    let optional = member.required.is_none() || member.slot.nullable;
    let none = match (optional, way_in) {
        (false, _) => "",
        (true, true) => " May be null",
        (true, false) => " Possibly null",
    };
    let text = member.doc.replace(".\n\nDefault: ", "; default: ").replace("\n\nDefault: ", "; default: ");
    let text = if text.trim().is_empty() { "the value".to_owned() } else { text };
    format!(
        "@param {} {}{}",
        member.name,
        comment(&text),
        if none.is_empty() { none.to_owned() } else { format!("{none}.") }
    )
}

pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `readCommitted`, `consumer-group` and `Kafka` as a constant's name.
fn constant(word: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for letter in word.chars() {
        if letter.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            out.push('_');
        }
        out.extend(if letter.is_alphanumeric() { letter.to_uppercase().collect::<Vec<_>>() } else { vec!['_'] });
        before = letter;
    }
    out
}
