//! The table of configurations as documentation: made from the tables that the broker acts on.

use std::fmt::Write;

use super::{broker, broker::Update, topic};
use crate::BrokerOptions;

/// The properties of the broker and of topics that have an effect, as two tables of Markdown.
pub fn configuration_reference() -> String {
    let mut text = String::from("### The broker's properties\n\n");
    text.push_str(
        "| Name | Type | Default | Values | Changes while it runs | What it does |\n|---|---|---|---|---|---|\n",
    );
    let mut of_broker: Vec<_> = broker::all().filter(|of| of.effect).collect();
    of_broker.sort_by_key(|of| of.property.name);
    for of in of_broker {
        let changes = if of.update == Update::ClusterWide { "yes" } else { "no" };
        let (property, default) = (&of.property, of.default().unwrap_or_default());
        let (kind, bounds) = (property.kind.wire().0, property.kind.bounds());
        let _ =
            writeln!(text, "| `{}` | {kind} | {default} | {bounds} | {changes} | {} |", property.name, property.doc);
    }
    text.push_str("\n### Topics' properties\n\n");
    text.push_str(
        "| Name | Type | Default | Values | The broker's behind it | What it does |\n|---|---|---|---|---|---|\n",
    );
    let options = BrokerOptions::default();
    for property in topic::TABLE {
        let (kind, bounds) = (property.kind.wire().0, property.kind.bounds());
        let default = topic::default_value(&options, property.name);
        let behind: Vec<String> = property.synonyms.iter().map(|(name, _)| format!("`{name}`")).collect();
        let (behind, doc) = (behind.join(", "), property.doc);
        let _ = writeln!(text, "| `{}` | {kind} | {default} | {bounds} | {behind} | {doc} |", property.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with `DOHLE_WRITE_DOCS=1` to write the page anew.
    #[test]
    fn the_page_on_the_broker_has_the_tables_as_they_are() {
        let path = "../../docs/embedded-broker.md";
        let page = std::fs::read_to_string(path).unwrap();
        let (start, end) = ("<!-- configuration: generated -->\n\n", "\n<!-- end -->");
        let (before, rest) = page.split_once(start).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let expected = format!("{before}{start}{}{end}{after}", configuration_reference());
        if std::env::var_os("DOHLE_WRITE_DOCS").is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(page == expected, "docs/embedded-broker.md is old: run this test with DOHLE_WRITE_DOCS=1");
        }
    }
}
