//! The process of Kafka's classes, one for all tests: compiled from `test/oracle` when that has changed.
//! Questions and answers are frames over its standard input and output, described in `Oracle.java`.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// A running oracle.
pub struct Java {
    _process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// The oracle, for one test at a time; `None` when this machine has no Java or cannot get Kafka's jars, and is no CI.
pub fn oracle() -> Option<MutexGuard<'static, Java>> {
    static ORACLE: OnceLock<Result<Mutex<Java>, String>> = OnceLock::new();
    match ORACLE.get_or_init(|| Java::start().map(Mutex::new)) {
        Ok(java) => Some(java.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        Err(why) if std::env::var_os("CI").is_some() => panic!("the oracle is needed in CI: {why}"),
        Err(why) => {
            eprintln!("not compared with Kafka's own classes: {why}");
            None
        }
    }
}

impl Java {
    fn start() -> Result<Java, String> {
        let sources = Path::new("../../test/oracle");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let (jars, classes) = (folder.join("lib"), folder.join("classes"));
        unless_done(&folder.join("pom.done"), &[sources.join("pom.xml")], || {
            let _ = fs::remove_dir_all(&jars);
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "dependency:copy-dependencies"]).arg("-f").arg(sources.join("pom.xml"));
            run(maven.arg(format!("-DoutputDirectory={}", jars.display())))
        })?;
        let mut java: Vec<PathBuf> = fs::read_dir(sources.join("src"))
            .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
            .map_err(|e| format!("test/oracle/src: {e}"))?;
        java.sort();
        let all_jars = format!("{}/*", jars.display());
        unless_done(&folder.join("classes.done"), &java, || {
            let _ = fs::remove_dir_all(&classes);
            let compiled = run(Command::new("javac").args(["-cp", &all_jars, "-d"]).arg(&classes).args(&java));
            // Without the compiler the machine lacks something; what it does not take is our mistake on any machine.
            compiled.inspect_err(|why| assert!(!why.starts_with("javac failed"), "{why}"))
        })?;
        let log = fs::File::create(folder.join("stderr.log")).map_err(|e| e.to_string())?;
        let mut process = Command::new("java")
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp"])
            .arg(format!("{}:{all_jars}", classes.display()))
            .arg("Oracle")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| format!("java: {e}"))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else { unreachable!("piped") };
        Ok(Java { _process: process, stdin, stdout: BufReader::with_capacity(1 << 16, stdout) })
    }

    /// Decodes and encodes again: the bytes and the JSON.
    pub fn read(&mut self, name: &str, version: i16, bytes: &[u8]) -> Result<(Vec<u8>, String), String> {
        let mut question = message(b'm', name, version);
        block(&mut question, bytes);
        self.ask(&question).map(bytes_and_json)
    }

    /// Makes up a message: the bytes and the JSON.
    pub fn random(&mut self, name: &str, version: i16, seed: u64) -> Result<(Vec<u8>, String), String> {
        let mut question = message(b'r', name, version);
        question.extend(seed.to_be_bytes());
        self.ask(&question).map(bytes_and_json)
    }

    /// Kafka's tables.
    pub fn facts(&mut self) -> serde_json::Value {
        let answer = self.ask(b"f").unwrap();
        serde_json::from_slice(&answer[4..]).unwrap()
    }

    /// Writes a batch.
    pub fn write_batch(&mut self, batch: &serde_json::Value) -> Result<Vec<u8>, String> {
        let mut question = vec![b'b'];
        block(&mut question, batch.to_string().as_bytes());
        self.ask(&question).map(|answer| answer[4..].to_vec())
    }

    /// Reads a record set.
    pub fn read_batches(&mut self, bytes: &[u8]) -> Result<serde_json::Value, String> {
        let mut question = vec![b'B'];
        block(&mut question, bytes);
        self.ask(&question).map(|answer| serde_json::from_slice(&answer[4..]).unwrap())
    }

    fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, String> {
        let mut frame = Vec::new();
        block(&mut frame, question);
        let log = "see oracle/stderr.log in target/tmp";
        self.stdin.write_all(&frame).unwrap_or_else(|e| panic!("the oracle has ended ({log}): {e}"));
        let mut length = [0; 4];
        self.stdout.read_exact(&mut length).unwrap_or_else(|e| panic!("the oracle has ended ({log}): {e}"));
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stdout.read_exact(&mut answer).unwrap();
        match answer.split_off(1) {
            body if answer[0] == 0 => Ok(body),
            body => Err(String::from_utf8_lossy(&body[4..]).into_owned()),
        }
    }
}

fn message(kind: u8, name: &str, version: i16) -> Vec<u8> {
    let mut question = vec![kind];
    question.extend((name.len() as u16).to_be_bytes());
    question.extend(name.as_bytes());
    question.extend(version.to_be_bytes());
    question
}

fn block(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

fn bytes_and_json(answer: Vec<u8>) -> (Vec<u8>, String) {
    let (length, rest) = answer.split_first_chunk::<4>().unwrap();
    let (bytes, json) = rest.split_at(u32::from_be_bytes(*length) as usize);
    (bytes.to_vec(), String::from_utf8(json[4..].to_vec()).unwrap())
}

/// Runs `work` unless it was done with these very inputs before.
fn unless_done(mark: &Path, inputs: &[PathBuf], work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let mut state = Vec::new();
    for input in inputs {
        state.extend(fs::read(input).map_err(|e| format!("{}: {e}", input.display()))?);
    }
    if fs::read(mark).is_ok_and(|done| done == state) {
        return Ok(());
    }
    work()?;
    fs::write(mark, state).map_err(|e| e.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Both tools are there, so this is a failure of ours, not of the machine; but Maven may be offline.
    Err(format!("{name} failed: {out}{err}"))
}
