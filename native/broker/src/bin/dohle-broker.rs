//! The embedded broker as a command: `dohle-broker -c server.properties`. `npx dohle broker` takes the same arguments.

use std::process::ExitCode;

use dohle_broker::{Broker, BrokerOptions, stderr_log};
use tracing::Level;

const HELP: &str = "\
A Kafka-compatible broker. Without a log folder it is in memory, and what it holds is gone when it stops.

usage: dohle-broker [options]

  -c, --config FILE         settings in the form of Kafka's server.properties
  -p, --port PORT           port to listen on, in plaintext, in place of the file's listeners (default: 9092; 0: a free one)
      --override KEY=VALUE  one setting; goes before the file's; may be repeated
      --log-dir DIR         keep everything in this folder, laid out as Kafka's (log.dirs)
      --nodes N             so many nodes, at the port and those behind it (default: 1)
      --as-version VERSION  pass for this release of Kafka: 2.1, 2.8, 3.9 or 4.3 (default)
      --record FILE         record the session in a new file (docs/recording.md)
      --allow-non-loopback  listen where other machines can reach it
  -v, -vv                   log what happens, or every detail, to standard error
  -h, --help                this text
      --version             the version

The first line on standard output is the address, once it can be connected to; of several nodes, all addresses.
SIGINT (Ctrl-C) and SIGTERM stop it.
";

/// What the arguments ask for.
#[derive(Debug, Default)]
struct Command {
    config: Option<String>,
    port: Option<String>,
    overrides: Vec<(String, String)>,
    allow_non_loopback: bool,
    record: Option<String>,
    nodes: Option<String>,
    as_version: Option<String>,
    verbosity: u8,
}

enum Asked {
    Run(Command),
    Print(String),
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Asked::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Run(command)) => match run(&command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(&why, 1),
        },
        Err(why) => fail(&format!("{why}\nTry dohle-broker --help."), 2),
    }
}

fn fail(why: &str, code: u8) -> ExitCode {
    eprintln!("dohle-broker: {why}");
    ExitCode::from(code)
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut command = Command::default();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let (name, given) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_string(), Some(value.to_string())),
            _ => (argument, None),
        };
        let has_value = given.is_some();
        let mut value = || given.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "-c" | "--config" => command.config = Some(value()?),
            "-p" | "--port" => command.port = Some(value()?),
            "--record" => command.record = Some(value()?),
            "--nodes" => command.nodes = Some(value()?),
            "--as-version" => command.as_version = Some(value()?),
            "--override" => {
                let pair = value()?;
                let (key, value) = pair.split_once('=').ok_or(format!("--override {pair}: it must be KEY=VALUE"))?;
                command.overrides.push((key.trim().into(), value.trim().into()));
            }
            "--log-dir" => command.overrides.push(("log.dirs".into(), value()?)),
            _ if has_value => return Err(format!("{name} is unknown, or takes no value")),
            "--allow-non-loopback" => command.allow_non_loopback = true,
            "-v" | "-vv" => command.verbosity += name.len() as u8 - 1,
            "-h" | "--help" => return Ok(Asked::Print(HELP.into())),
            "--version" => return Ok(Asked::Print(format!("dohle-broker {}\n", env!("CARGO_PKG_VERSION")))),
            _ => return Err(format!("{name} is unknown")),
        }
    }
    Ok(Asked::Run(command))
}

fn run(command: &Command) -> Result<(), String> {
    let level = match command.verbosity {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    tracing::subscriber::set_global_default(stderr_log(level)).map_err(|error| error.to_string())?;
    let mut options = BrokerOptions::new();
    options.port = 9092;
    options.allow_non_loopback = command.allow_non_loopback;
    options.record = command.record.as_ref().map(Into::into);
    if let Some(nodes) = &command.nodes {
        options.nodes = nodes.parse().map_err(|_| format!("--nodes {nodes}: it must be a number"))?;
    }
    if let Some(version) = &command.as_version {
        options.as_version = version.parse().map_err(|error| format!("--as-version {error}"))?;
    }
    if let Some(path) = &command.config {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let wrong = |error: dohle_broker::PropertiesError| {
            let lines = error.0.iter().map(|(line, why)| format!("{path}:{line}: {why}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        for notice in options.read_properties(&text).map_err(wrong)? {
            tracing::info!("{path}: {notice}");
        }
    }
    for (key, value) in &command.overrides {
        options.set(key, value).map_err(|why| format!("--override {key}: {why}"))?;
    }
    if let Some(port) = &command.port {
        options.port = port.parse().map_err(|_| format!("--port {port}: it must be 0 to 65535"))?;
        options.properties.remove("listeners");
        options.properties.remove("advertised.listeners");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(serve(options)).map_err(|error| error.to_string())
}

async fn serve(options: BrokerOptions) -> Result<(), Box<dyn std::error::Error>> {
    let asked_to_stop = stop_signal()?;
    let broker = Broker::start_default(options).await?;
    let addresses: Vec<String> = broker.cluster().nodes().iter().map(|node| node.address.to_string()).collect();
    println!("{}", addresses.join(","));
    asked_to_stop.await;
    broker.stop().await;
    Ok(())
}

/// Ends with SIGINT or SIGTERM. Listens from here on: a signal that comes while the broker starts is not lost.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
