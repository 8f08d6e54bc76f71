//! Checks what the workspace depends on: the direction of edges between our crates, and licences, sources and bans of
//! foreign ones by the table in `deny.toml` (cargo-deny's format). Knows no advisories. Driven by `npm run check` and a test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// Which of our crates each of our crates may use. Everything else is a wall.
const ALLOWED: &[(&str, &[&str])] = &[
    ("dohle-protocol", &[]),
    ("dohle-security", &[]),
    ("dohle-client", &["dohle-protocol", "dohle-security"]),
    ("dohle-broker", &["dohle-protocol", "dohle-security"]),
    ("dohle-bridge", &["dohle-protocol", "dohle-client", "dohle-broker"]),
    ("dohle-node", &["dohle-bridge"]),
    ("dohle-bench", &["dohle-protocol", "dohle-client"]),
    ("dohle-micro", &["dohle-protocol"]),
    ("dohle-simulation", &["dohle-protocol", "dohle-client", "dohle-broker"]),
    ("dohle-ffi", &["dohle-bridge"]),
    ("dohle-python", &["dohle-bridge"]),
    ("dohle-java", &["dohle-bridge"]),
    ("xtask", &["dohle-bridge"]),
];

/// What tests may use beyond that: the engine and the broker are each other's counterpart.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] =
    &[("dohle-client", &["dohle-broker", "dohle-simulation"]), ("dohle-broker", &["dohle-client"])];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A crate that may have other licences than all.
#[derive(Deserialize)]
struct Exception {
    name: String,
    allow: BTreeSet<String>,
}

impl Licenses {
    fn of(&self, name: &str) -> BTreeSet<String> {
        let own = self.exceptions.iter().filter(|exception| exception.name == name);
        self.allow.iter().chain(own.flat_map(|exception| &exception.allow)).cloned().collect()
    }
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
}

/// Checks the workspace in `native`; `Err` lists every violation.
pub fn check(native: &Path) -> Result<()> {
    let metadata = metadata(native)?;
    let table = std::fs::read_to_string(native.join("../deny.toml")).context("deny.toml")?;
    let deny: Deny = toml::from_str(&table).context("deny.toml")?;
    let mut wrong = direction(&metadata.packages);
    wrong.extend(metadata.packages.iter().filter(|package| package.source.is_some()).flat_map(|p| foreign(p, &deny)));
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} packages: direction, licences, sources and bans are in order", metadata.packages.len());
    Ok(())
}

fn metadata(native: &Path) -> Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--all-features"])
        .current_dir(native)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn direction(packages: &[Package]) -> Vec<String> {
    let ours = packages.iter().filter(|package| package.source.is_none());
    let mut wrong = Vec::new();
    for package in ours {
        let Some(allowed) = listed(ALLOWED, &package.name) else {
            wrong.push(format!("{}: not in the table of xtask/src/dependencies.rs", package.name));
            continue;
        };
        let in_tests = listed(ALLOWED_IN_TESTS, &package.name).unwrap_or(&[]);
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let name = dependency.name.as_str();
            let is_test = dependency.kind.as_deref() == Some("dev");
            // A crate may name itself in its dev-dependencies, to switch a feature on for its tests.
            if allowed.contains(&name) || (is_test && (in_tests.contains(&name) || name == package.name)) {
                continue;
            }
            wrong.push(format!("{} must not depend on {name} (docs/architecture.md, \"The walls\")", package.name));
        }
    }
    wrong
}

fn listed(table: &'static [(&str, &'static [&'static str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, allowed)| *allowed)
}

fn foreign(package: &Package, deny: &Deny) -> Vec<String> {
    let Package { name, version, license, source, .. } = package;
    let mut wrong = Vec::new();
    if source.as_deref() != Some(CRATES_IO) {
        wrong.push(format!(
            "{name} {version}: comes from {}, not from crates.io",
            source.as_deref().unwrap_or("nowhere")
        ));
    }
    if deny.bans.deny.iter().any(|ban| ban.name == *name) {
        wrong.push(format!("{name} {version}: banned in deny.toml"));
    }
    match license {
        Some(expression) if is_allowed(expression, &deny.licenses.of(name)) => {}
        Some(expression) => wrong.push(format!("{name} {version}: licence {expression} is not allowed in deny.toml")),
        None => wrong.push(format!("{name} {version}: states no licence")),
    }
    wrong
}

/// Evaluates an SPDX expression (`OR`, `AND`, `WITH`, parentheses; `/` of old manifests is `OR`) against a list of licences.
fn is_allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = any(&tokens, &mut at, allow);
    answer && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize, allow: &BTreeSet<String>) -> bool {
    let mut answer = all(tokens, at, allow);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= all(tokens, at, allow);
    }
    answer
}

fn all(tokens: &[&str], at: &mut usize, allow: &BTreeSet<String>) -> bool {
    let mut answer = one(tokens, at, allow);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= one(tokens, at, allow);
    }
    answer
}

fn one(tokens: &[&str], at: &mut usize, allow: &BTreeSet<String>) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let answer = any(tokens, at, allow);
        let closed = tokens.get(*at) == Some(&")");
        *at += usize::from(closed);
        return answer && closed;
    }
    let mut license = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        license = format!("{license} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allow.contains(&license)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency {
                name: (*name).into(),
                kind: kind.map(Into::into),
                path: Some("/somewhere".into()),
            })
            .collect();
        Package { name: name.into(), version: "0.1.0".into(), license: None, source: None, dependencies }
    }

    #[test]
    fn the_workspace_is_in_order() {
        check(Path::new("..")).unwrap();
    }

    #[test]
    fn an_edge_against_the_direction_is_refused() {
        assert_eq!(direction(&[package("dohle-protocol", &[("dohle-client", None)])]).len(), 1);
        assert_eq!(direction(&[package("dohle-client", &[("dohle-broker", None)])]).len(), 1);
        assert_eq!(direction(&[package("dohle-node", &[("dohle-client", None)])]).len(), 1);
        assert_eq!(direction(&[package("dohle-new", &[])]).len(), 1);
    }

    #[test]
    fn the_engine_and_the_broker_meet_in_tests_only() {
        assert!(
            direction(&[package("dohle-client", &[("dohle-broker", Some("dev")), ("dohle-protocol", None)])])
                .is_empty()
        );
        assert_eq!(direction(&[package("dohle-client", &[("dohle-broker", Some("build"))])]).len(), 1);
    }

    #[test]
    fn licence_expressions_are_evaluated() {
        let allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(String::from).into();
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_allowed(good, &allow), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 WITH LLVM-exception", "(MIT", "MIT GPL-3.0", ""] {
            assert!(!is_allowed(bad, &allow), "{bad}");
        }
    }
}
