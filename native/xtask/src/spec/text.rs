//! The text form of messages, read and printed.
//!
//! One message after the other; a field per line: `Name type versions attribute…`; the fields of a struct are indented
//! below the field (or `struct` line) that defines it. Everything after `#` is a comment.
//!
//! ```text
//! request FooRequest key=7 versions=0-3 flexible=2+
//!   Topics  []Topic  0+  null=1+
//!     Name  string   0+  key entity=topicName
//! ```

use super::{Field, KINDS, Message, Struct, Type, Versions};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;

/// Prints messages; [`parse`] reads them back unchanged.
pub fn print(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        let kind = KINDS.iter().find(|(kind, _)| *kind == message.kind).map_or("", |(_, name)| name);
        let key = message.key.map(|key| format!(" key={key}")).unwrap_or_default();
        let unstable = if message.unstable { " unstable" } else { "" };
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "{kind} {}{key} versions={} flexible={}{unstable}",
            message.name, message.versions, message.flexible
        );
        print_fields(&mut out, 1, &message.fields);
        for shared in &message.structs {
            let _ = writeln!(out, "  struct {} {}", shared.name, shared.versions);
            print_fields(&mut out, 2, &shared.fields);
        }
    }
    out
}

fn print_fields(out: &mut String, depth: usize, fields: &[Field]) {
    let names = fields.iter().map(|f| f.name.len()).max().unwrap_or(0);
    let types = fields.iter().map(|f| f.ty.to_string().len()).max().unwrap_or(0);
    for field in fields {
        let mut line = format!(
            "{:indent$}{:names$}  {:types$}  {:5}  {}",
            "",
            field.name,
            field.ty.to_string(),
            field.versions,
            attributes(field).join(" "),
            indent = depth * 2,
        );
        line.truncate(line.trim_end().len());
        out.push_str(&line);
        out.push('\n');
        print_fields(out, depth + 1, &field.fields);
    }
}

fn attributes(field: &Field) -> Vec<String> {
    let mut all = Vec::new();
    if !field.nullable.is_empty() {
        all.push(format!("null={}", field.nullable));
    }
    if let Some(default) = &field.default {
        all.push(format!("default={default}"));
    }
    if let Some((tag, versions)) = field.tag {
        all.push(format!("tag={tag}@{versions}"));
    }
    if let Some(entity) = &field.entity {
        all.push(format!("entity={entity}"));
    }
    let flags = [
        (field.map_key, "key"),
        (field.ignorable, "ignorable"),
        (field.zero_copy, "zerocopy"),
        (field.never_flexible, "flexible=none"),
    ];
    all.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
    all
}

/// Reads the messages of one file.
pub fn parse(text: &str) -> Result<Vec<Message>> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim_end();
        if !line.is_empty() {
            let words: Vec<&str> = line.split_whitespace().collect();
            lines.push(Line { number: number + 1, indent: line.len() - line.trim_start().len(), words });
        }
    }
    let mut rest = lines.as_slice();
    let mut messages = Vec::new();
    while let Some((line, tail)) = rest.split_first() {
        ensure!(line.indent == 0, "line {}: a message begins without indentation", line.number);
        rest = tail;
        let mut message = line.message().with_context(|| format!("line {}", line.number))?;
        while let Some(line) = rest.first().filter(|line| line.indent > 0) {
            if let ["struct", name, versions] = line.words[..] {
                rest = &rest[1..];
                let fields = parse_fields(&mut rest, line.indent)?;
                message.structs.push(Struct { name: name.to_owned(), versions: Versions::parse(versions)?, fields });
            } else {
                message.fields.extend(parse_fields(&mut rest, 0)?);
            }
        }
        messages.push(message);
    }
    Ok(messages)
}

/// Takes the fields deeper than `outer` off `rest`.
fn parse_fields(rest: &mut &[Line], outer: usize) -> Result<Vec<Field>> {
    let mut fields: Vec<Field> = Vec::new();
    let indent = rest.first().map_or(0, |line| line.indent);
    while let Some((line, tail)) = rest.split_first().filter(|(line, _)| line.indent > outer) {
        if line.words[0] == "struct" {
            break;
        }
        if line.indent > indent {
            let parent = fields.last_mut().with_context(|| format!("line {}: indented too far", line.number))?;
            parent.fields = parse_fields(rest, indent)?;
            continue;
        }
        ensure!(line.indent == indent, "line {}: indented by neither its siblings nor its parent", line.number);
        fields.push(line.field().with_context(|| format!("line {}", line.number))?);
        *rest = tail;
    }
    Ok(fields)
}

struct Line<'a> {
    number: usize,
    indent: usize,
    words: Vec<&'a str>,
}

impl Line<'_> {
    fn message(&self) -> Result<Message> {
        let [kind, name, attributes @ ..] = &self.words[..] else { bail!("expected a kind and a name") };
        let kind = KINDS.iter().find(|(_, text)| text == kind).with_context(|| format!("unknown kind {kind}"))?.0;
        let mut message = Message {
            kind,
            name: (*name).to_owned(),
            key: None,
            versions: Versions::NONE,
            flexible: Versions::NONE,
            unstable: false,
            fields: Vec::new(),
            structs: Vec::new(),
        };
        for attribute in attributes {
            match attribute.split_once('=').unwrap_or((attribute, "")) {
                ("key", key) => message.key = Some(key.parse()?),
                ("versions", versions) => message.versions = Versions::parse(versions)?,
                ("flexible", versions) => message.flexible = Versions::parse(versions)?,
                ("unstable", "") => message.unstable = true,
                _ => bail!("unknown attribute {attribute}"),
            }
        }
        ensure!(
            !message.versions.is_empty() && message.versions.highest < i16::MAX,
            "versions=LOWEST-HIGHEST is missing"
        );
        Ok(message)
    }

    fn field(&self) -> Result<Field> {
        let [name, ty, versions, attributes @ ..] = &self.words[..] else {
            bail!("expected a name, a type and versions")
        };
        let mut field = Field {
            name: (*name).to_owned(),
            ty: Type::parse(ty)?,
            versions: Versions::parse(versions)?,
            nullable: Versions::NONE,
            default: None,
            tag: None,
            map_key: false,
            ignorable: false,
            zero_copy: false,
            never_flexible: false,
            entity: None,
            fields: Vec::new(),
        };
        for attribute in attributes {
            match attribute.split_once('=').unwrap_or((attribute, "")) {
                ("null", versions) => field.nullable = Versions::parse(versions)?,
                ("default", value) => field.default = Some(value.to_owned()),
                ("tag", value) => {
                    let (tag, versions) = value.split_once('@').context("expected tag=NUMBER@VERSIONS")?;
                    field.tag = Some((tag.parse()?, Versions::parse(versions)?));
                }
                ("entity", value) => field.entity = Some(value.to_owned()),
                ("key", "") => field.map_key = true,
                ("ignorable", "") => field.ignorable = true,
                ("zerocopy", "") => field.zero_copy = true,
                ("flexible", "none") => field.never_flexible = true,
                _ => bail!("unknown attribute {attribute}"),
            }
        }
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
request FooRequest key=7 versions=0-3 flexible=2+ unstable
  Id      int32    0+
  Topics  []Topic  1+     null=2+ default=null
    Name  string  0+     entity=topicName key
    More  []More  3+
      X  uuid  3+     tag=0@3+ ignorable
  Last    Shared   0+
  struct Shared 0+
    A  records  0+     null=0+ zerocopy

response FooResponse key=7 versions=0-3 flexible=none
  ClientId  string  0+     flexible=none
";

    #[test]
    fn what_is_printed_is_what_was_read() {
        let messages = parse(TEXT).unwrap();
        assert_eq!(print(&messages), TEXT);
        assert_eq!(messages[0].fields[1].fields[1].fields[0].name, "X");
        assert_eq!(messages[0].structs[0].fields[0].name, "A");
    }

    #[test]
    fn a_mistake_is_reported_with_its_line() {
        let error = |text| format!("{:#}", parse(text).unwrap_err());
        assert_eq!(error("request A versions=0\n  B int99 0+\n"), "line 2: unknown type int99");
        assert_eq!(error("request A versions=0\n  B int8 0+ nul=0\n"), "line 2: unknown attribute nul=0");
        assert!(error("request A\n").starts_with("line 1: versions"));
    }
}
