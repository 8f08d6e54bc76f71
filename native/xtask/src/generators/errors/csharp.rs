//! The names of the codes in C#.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{FROM, Table};
use crate::generate::Output;
use crate::generators::csharp::{FOLDER, head, pascal, summary};

pub fn render(table: &Table) -> Output {
    let mut out = head(FROM);
    out.push_str("namespace Dohle\n{\n");
    summary(
        &mut out,
        "    ",
        "The codes of errors: Kafka's names of those that brokers answer with, and Dohle's own. A code that is not here comes as `UNKNOWN(n)`.",
    );
    out.push_str("    public static partial class ErrorCode\n    {\n");
    let broker = table.error.iter().filter(|row| row.code != 0).map(|row| (&row.name, &row.text));
    let mut seen = BTreeSet::new();
    // One of our own is called as a broker's.
    for (name, text) in
        broker.chain(table.own.iter().map(|row| (&row.name, &row.text))).filter(|(name, _)| seen.insert(*name))
    {
        summary(&mut out, "        ", text);
        let _ = writeln!(out, "        public const string {} = {name:?};", pascal(name));
    }
    out.push_str("    }\n}\n");
    Output::text(format!("{FOLDER}/ErrorCode.cs"), out)
}
