//! The command `dohle-broker`: arguments, files, signals.
#![cfg(feature = "command")]
#![allow(clippy::disallowed_types, reason = "a process and its clients, outside the simulation")]

use std::{
    io::{BufRead, BufReader, Read},
    ops::{Deref, DerefMut},
    process::{Child, Command, Output, Stdio},
};

use dohle_protocol::messages::{
    OffsetCommitRequest, OffsetFetchRequest,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
};

#[path = "broker/support.rs"]
#[allow(dead_code, reason = "of what all tests share, few is needed here")]
mod support;

use support::*;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dohle-broker"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file that goes with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dohle-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A command that ends with the test, also when that fails.
struct Started(Child);

impl Deref for Started {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Started {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and waits for its address.
fn started(arguments: &[&str]) -> (Started, String) {
    let mut child = Started(command(arguments).spawn().unwrap());
    let mut address = String::new();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
    lines.read_line(&mut address).unwrap();
    (child, address.trim().to_string())
}

fn kill(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn it_serves_what_its_file_says_and_stops_cleanly_at_both_signals() {
    let file = File::new(
        "good.properties",
        "listeners=PLAINTEXT://127.0.0.1:0\nnum.partitions=3\nnum.io.threads=2\n# The records' times are of long ago.\nlog.retention.ms=-1\n",
    );
    for signal in ["-INT", "-TERM"] {
        let arguments =
            ["-c", file.path(), "-v", "--override", "num.partitions=5", "--override=message.max.bytes=1000"];
        let (mut child, address) = started(&arguments);
        let mut connection = Connection::at(&address).await;
        assert_eq!(connection.metadata("made").await.1, 5);
        assert_eq!(connection.produce("made", 0, batch(["a", "b"])).await.error_code, 0);
        assert_eq!(offsets(connection.fetch("made", 0, 0).await.records), [0, 1]);
        assert_eq!(connection.produce("made", 0, batch(["x".repeat(2000)])).await.error_code, 10);
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains(" INFO ") && log.contains("line 3: num.io.threads has no effect here"), "{log}");
        assert!(connection.frame().await.is_none(), "the connection was closed");
    }
}

#[tokio::test]
async fn with_log_dirs_what_was_acknowledged_is_there_after_kill_9_and_two_brokers_on_one_folder_are_refused() {
    let folder = std::env::temp_dir().join(format!("dohle-command-{}", std::process::id()));
    let log_dirs = format!("log.dirs={}", folder.display());
    // The records' times are of long ago.
    let settings = ["log.flush.interval.messages=1", "log.retention.ms=-1"];
    let arguments = ["--port", "0", "--override", &log_dirs, "--override", settings[0], "--override", settings[1]];
    let mut written = 0;
    for signal in ["-KILL", "-KILL", "-TERM", "-TERM"] {
        let (mut child, address) = started(&arguments);
        let mut connection = Connection::at(&address).await;
        assert_eq!(connection.metadata("t").await.1, 1);
        let found = offsets(connection.fetch("t", 0, 0).await.records);
        assert_eq!(found, (0..written).collect::<Vec<i64>>(), "before {signal}");
        for _ in 0..5 {
            assert_eq!(connection.produce("t", 0, batch(["value"])).await.base_offset, written);
            written += 1;
        }
        let second = output(&arguments);
        let said = text(&second.stderr);
        assert!(second.status.code() == Some(1) && said.contains("another broker uses this folder"), "{said}");
        kill(&child, signal);
        child.wait().unwrap();
        assert_eq!(folder.join(".kafka_cleanshutdown").exists(), signal == "-TERM");
    }
    let several = format!("log.dirs={0},{0}2", folder.display());
    let said = text(&output(&["--port", "0", "--override", &several]).stderr);
    assert!(said.contains("log.dirs"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn with_log_dirs_what_a_group_has_committed_is_there_after_kill_9() {
    let folder = std::env::temp_dir().join(format!("dohle-command-offsets-{}", std::process::id()));
    let log_dirs = format!("log.dirs={}", folder.display());
    let arguments = ["--port", "0", "--override", &log_dirs, "--override", "log.flush.interval.messages=1"];
    let mut last = -1;
    for start in 0..4 {
        let (mut child, address) = started(&arguments);
        let mut connection = Connection::at(&address).await;
        assert_eq!(connection.metadata("t").await.1, 1);
        assert_eq!(committed(&mut connection).await, last, "start {start}");
        for _ in 0..20 {
            last += 1;
            commit(&mut connection, last).await;
        }
        kill(&child, "-KILL");
        child.wait().unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn commit(connection: &mut Connection, committed_offset: i64) {
    let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let (group_id, topics) = ("g".into(), vec![topic]);
    let request = OffsetCommitRequest { group_id, generation_id_or_member_epoch: -1, topics, ..Default::default() };
    assert_eq!(connection.ask(8, &request).await.topics[0].partitions[0].error_code, 0);
}

async fn committed(connection: &mut Connection) -> i64 {
    let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    connection.ask(8, &request).await.groups[0].topics[0].partitions[0].committed_offset
}

#[test]
fn what_is_wrong_is_told_and_not_started() {
    let file = File::new("bad.properties", "num.partitions=3\n# comment\nnum.partition=3\nlog.retention.ms=soon\n");
    let bad = output(&["-c", file.path()]);
    let said = text(&bad.stderr);
    assert_eq!((bad.status.code(), text(&bad.stdout)), (Some(1), String::new()));
    assert!(said.contains(":3: Unknown broker config name: num.partition; did you mean num.partitions?"), "{said}");
    assert!(said.contains(":4: Invalid value soon for configuration log.retention.ms"), "{said}");
    for (arguments, code, why) in [
        (&["--prot", "1"][..], 2, "--prot is unknown"),
        (&["--port"], 2, "--port needs a value"),
        (&["--port", "x"], 1, "--port x: it must be 0 to 65535"),
        (&["--override", "a"], 2, "--override a: it must be KEY=VALUE"),
        (&["--override", "ssl.cipher.suites=x"], 1, "not served here"),
        (&["-c", "/nowhere/at.all"], 1, "/nowhere/at.all: "),
    ] {
        let refused = output(arguments);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(code) && said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn help_and_version_are_printed() {
    let help = output(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("--override KEY=VALUE"));
    assert_eq!(text(&output(&["--version"]).stdout), concat!("dohle-broker ", env!("CARGO_PKG_VERSION"), "\n"));
}
