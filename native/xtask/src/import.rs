//! Imports the message schemas inside Kafka's published jars into `native/spec/messages`.
//! Facts only: names, types, versions, tags, nullability, defaults, keys. No text of Kafka's is copied.
//! Run by hand when a new Kafka comes out; the result is reviewed and committed.

use crate::spec::{self, Field, Kind, Message, Struct, Type, Versions};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Kafka whose protocol we speak.
const KAFKA: &str = "4.4.0";

/// The first one is the client's; the others hold the records that coordinators and the controller keep in internal topics, and
/// those in files beside a log.
const JARS: [&str; 6] = [
    "kafka-clients",
    "kafka-group-coordinator",
    "kafka-transaction-coordinator",
    "kafka-share-coordinator",
    "kafka-metadata",
    "kafka-storage",
];
/// The folders of the jars that have schemas.
const FOLDERS: [&str; 3] = ["common/message/", "common/metadata/", "message/"];

/// APIs that only brokers and controllers call each other with, and those of Kafka Streams.
const SKIPPED_APIS: &[i16] = &[52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 83, 84, 85, 86, 87, 88, 93, 94];

/// Messages that are not part of an API: group metadata, control and index records, offsets, groups, transactions, what the
/// controller remembers of features, topics, configurations and producer ids.
const DATA: &[&str] = &[
    "AbortedTxn",
    "ConfigRecord",
    "ConsumerGroupCurrentMemberAssignmentKey",
    "ConsumerGroupCurrentMemberAssignmentValue",
    "ConsumerGroupMemberMetadataKey",
    "ConsumerGroupMemberMetadataValue",
    "ConsumerGroupMetadataKey",
    "ConsumerGroupMetadataValue",
    "ConsumerGroupTargetAssignmentMemberKey",
    "ConsumerGroupTargetAssignmentMemberValue",
    "ConsumerGroupTargetAssignmentMetadataKey",
    "ConsumerGroupTargetAssignmentMetadataValue",
    "ConsumerProtocolAssignment",
    "ConsumerProtocolSubscription",
    "ControlRecordTypeSchema",
    "EndTxnMarker",
    "FeatureLevelRecord",
    "GroupMetadataKey",
    "GroupMetadataValue",
    "OffsetCommitKey",
    "OffsetCommitValue",
    "PartitionChangeRecord",
    "PartitionRecord",
    "ProducerIdsRecord",
    "ProducerSnapshot",
    "RemoveTopicRecord",
    "RequestHeader",
    "ResponseHeader",
    "TopicRecord",
    "TransactionLogKey",
    "TransactionLogValue",
];

/// Writes `native/spec/messages`.
pub fn run(root: &Path) -> Result<()> {
    let mut files: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    let mut missing = DATA.to_vec();
    for jar in JARS {
        for (name, json) in schemas(&fetch(root, jar)?)? {
            let Some(file) = file_name(&json)? else { continue };
            let Some(message) = message(&json).with_context(|| name)? else { continue };
            missing.retain(|name| *name != message.name);
            files.entry(file).or_default().push(message);
        }
    }
    ensure!(missing.is_empty(), "the jars have no {}", missing.join(", "));
    let folder = root.join("native/spec/messages");
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir(&folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    for (name, mut messages) in files {
        messages.sort_by_key(|message| message.kind == Kind::Response);
        let head = format!("# Facts of Apache Kafka {KAFKA}, written by `xtask import-schemas`.\n\n");
        std::fs::write(folder.join(&name), head + &spec::print(&messages))?;
        println!("wrote {name}");
    }
    Ok(())
}

/// The file a schema goes to, `None` for one that we leave out.
fn file_name(json: &Value) -> Result<Option<String>> {
    let (kind, name) = (text(json, "type")?, text(json, "name")?);
    if DATA.contains(&name) {
        return Ok(Some(snake_case(name)));
    }
    let key = json.get("apiKey").and_then(Value::as_i64).map(i16::try_from).transpose()?;
    Ok(key.filter(|key| ["request", "response"].contains(&kind) && !SKIPPED_APIS.contains(key)).map(|key| {
        let api = name.trim_end_matches("Request").trim_end_matches("Response");
        format!("{key:02}_{}", snake_case(api))
    }))
}

/// `TopicData` → `topic_data`; runs of capitals stay together.
pub fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_small = i > 0 && !chars[i - 1].is_uppercase();
        let before_small = i > 0 && chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_small || before_small) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The jar from Maven's local repository or from Maven Central, copied to `native/target/kafka`.
fn fetch(root: &Path, artifact: &str) -> Result<PathBuf> {
    let folder = root.join("native/target/kafka");
    let jar = folder.join(format!("{artifact}-{KAFKA}.jar"));
    if jar.exists() {
        return Ok(jar);
    }
    let status = Command::new("mvn")
        .args(["-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"])
        .arg(format!("-Dartifact=org.apache.kafka:{artifact}:{KAFKA}"))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .status()
        .context("mvn (Apache Maven) is needed to get Kafka's jars")?;
    ensure!(status.success() && jar.exists(), "Maven could not get org.apache.kafka:{artifact}:{KAFKA}");
    Ok(jar)
}

/// The schemas in a jar, by file name.
fn schemas(jar: &Path) -> Result<BTreeMap<String, Value>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(jar)?)?;
    let mut found = BTreeMap::new();
    for i in 0..archive.len() {
        let mut file = archive.by_index(i)?;
        let name = file.name()?.into_owned();
        if FOLDERS.iter().any(|folder| name.starts_with(folder)) && name.ends_with(".json") {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let json = serde_json::from_str(&without_comments(&text)).with_context(|| name.clone())?;
            found.insert(name, json);
        }
    }
    Ok(found)
}

/// Kafka's schemas have `//` comments, which JSON has not.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (i, c) in line.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '/' if !quoted && line[i..].starts_with("//") => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

/// `None` for a message of which no version is left.
fn message(json: &Value) -> Result<Option<Message>> {
    let kind = match text(json, "type")? {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "header" => Kind::Header,
        "data" => Kind::Data,
        "coordinator-key" => Kind::RecordKey,
        "coordinator-value" => Kind::RecordValue,
        "metadata" => Kind::Metadata,
        other => bail!("unknown type of message: {other}"),
    };
    let versions = versions(json, "validVersions")?.unwrap_or(Versions::NONE);
    if versions.is_empty() {
        return Ok(None);
    }
    let structs = json.get("commonStructs").and_then(Value::as_array).into_iter().flatten();
    Ok(Some(Message {
        kind,
        name: text(json, "name")?.to_owned(),
        key: json.get("apiKey").and_then(Value::as_i64).map(i16::try_from).transpose()?,
        versions,
        flexible: self::versions(json, "flexibleVersions")?.unwrap_or(Versions::NONE),
        unstable: flag(json, "latestVersionUnstable"),
        fields: fields(json)?,
        structs: structs
            .map(|shared| {
                let versions = self::versions(shared, "versions")?.context("a struct has versions")?;
                Ok(Struct { name: text(shared, "name")?.to_owned(), versions, fields: fields(shared)? })
            })
            .collect::<Result<_>>()?,
    }))
}

fn fields(json: &Value) -> Result<Vec<Field>> {
    json.get("fields").and_then(Value::as_array).into_iter().flatten().map(field).collect()
}

fn field(json: &Value) -> Result<Field> {
    let name = text(json, "name")?;
    let read = || {
        let ty = Type::parse(text(json, "type")?)?;
        let tag = match (json.get("tag").and_then(Value::as_u64), versions(json, "taggedVersions")?) {
            (Some(tag), Some(versions)) => Some((u32::try_from(tag)?, versions)),
            (None, None) => None,
            _ => bail!("tag and taggedVersions go together"),
        };
        let never_flexible = match versions(json, "flexibleVersions")? {
            None => false,
            Some(versions) if versions.is_empty() => true,
            Some(versions) => bail!("flexibleVersions {versions} of a field"),
        };
        Ok(Field {
            name: name.to_owned(),
            default: default(json, &ty)?,
            ty,
            // A field that is only ever tagged may leave out its versions.
            versions: versions(json, "versions")?.or(tag.map(|(_, v)| v)).context("a field has versions")?,
            nullable: versions(json, "nullableVersions")?.unwrap_or(Versions::NONE),
            tag,
            map_key: flag(json, "mapKey"),
            ignorable: flag(json, "ignorable"),
            zero_copy: flag(json, "zeroCopy"),
            never_flexible,
            entity: json.get("entityType").and_then(Value::as_str).map(str::to_owned),
            fields: fields(json)?,
        })
    };
    read().with_context(|| name.to_owned())
}

/// The default in one form, whether Kafka wrote it as string, number, bool or in hex. None when it is the type's own.
fn default(json: &Value, ty: &Type) -> Result<Option<String>> {
    let value = match json.get("default") {
        // Kafka's generator takes JSON's null, other than the text "null", for no default.
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let value = match (ty, value.strip_prefix("0x")) {
        (Type::Plain(_), Some(hex)) => i64::from_str_radix(hex, 16)?.to_string(),
        _ => value,
    };
    ensure!(!value.contains(char::is_whitespace) && !value.contains('#'), "default {value:?} has no text form");
    Ok(Some(value).filter(|value| !["", "0", "false"].contains(&value.as_str())))
}

fn versions(json: &Value, name: &str) -> Result<Option<Versions>> {
    json.get(name).and_then(Value::as_str).map(Versions::parse).transpose()
}

fn text<'a>(json: &'a Value, name: &str) -> Result<&'a str> {
    json.get(name).and_then(Value::as_str).with_context(|| format!("{name} is missing"))
}

fn flag(json: &Value, name: &str) -> bool {
    json.get(name).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_slashes_in_strings_stay() {
        let text = "{ // a \"comment\"\n \"a\": \"http://b\\\"//c\" } // d";
        assert_eq!(without_comments(text), "{ \n \"a\": \"http://b\\\"//c\" } \n");
    }

    #[test]
    fn names_become_snake_case() {
        assert_eq!(snake_case("ThrottleTimeMs"), "throttle_time_ms");
        assert_eq!(snake_case("ISRNodes"), "isr_nodes");
        assert_eq!(snake_case("AddOffsetsToTxn"), "add_offsets_to_txn");
    }

    #[test]
    fn defaults_have_one_form() {
        let read = |json: Value, ty: &str| default(&json, &Type::parse(ty).unwrap()).unwrap();
        assert_eq!(read(serde_json::json!({"default": "0x7fffffff"}), "int32"), Some("2147483647".into()));
        assert_eq!(read(serde_json::json!({"default": -1}), "int32"), Some("-1".into()));
        assert_eq!(read(serde_json::json!({"default": false}), "bool"), None);
        assert_eq!(read(serde_json::json!({"default": null}), "string"), None);
        assert_eq!(read(serde_json::json!({"default": "null"}), "string"), Some("null".into()));
    }
}
