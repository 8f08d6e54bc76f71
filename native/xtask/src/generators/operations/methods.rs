//! The methods of one target, rendered into an abstract class that a hand-written one completes.

use std::fmt::Write;

use anyhow::{Result, ensure};

use super::schema::{description, properties, type_of};
use super::types::{doc, property, response_type};
use super::{Operation, Table};

/// The methods. The only required member of a request is the method's argument, the others are options.
pub fn methods(table: &Table, target: &str, class: &str) -> Result<String> {
    let prefix = format!("{target}.");
    let own: Vec<&Operation> = table.operations.iter().filter(|o| o.waits && o.name.starts_with(&prefix)).collect();
    let mut out = String::from(
        "
/** For calls that wait. */
export interface CallOptions {
  /** Stops waiting, and the call with it; what it has done stays done. */
  signal?: AbortSignal | undefined
}
",
    );
    for operation in &own {
        let schema = table.schema(&operation.request);
        out.push('\n');
        doc(&mut out, "", &format!("Options of {{@link {class}.{}}}.", method(operation)), &[]);
        writeln!(out, "export interface {}Options extends CallOptions {{", operation.request)?;
        for (name, schema, _) in properties(schema).into_iter().filter(|(.., required)| !required) {
            property(&mut out, "  ", schema, true, (name, false))?;
        }
        out.push_str("}\n");
    }
    writeln!(out, "\n/** The methods of `{class}`. */\nexport abstract class {class}Operations {{")?;
    out.push_str("  /** @internal */\n  protected abstract operate<Name extends OperationName>(\n    name: Name,\n");
    out.push_str("    request: Operations[Name]['request'],\n    signal: AbortSignal | undefined,\n");
    out.push_str("  ): Promise<Operations[Name]['response']>\n");
    for operation in own {
        out.push_str(&one_method(table, operation)?);
    }
    out.push_str("}\n");
    Ok(out)
}

fn method(operation: &Operation) -> &str {
    operation.name.split_once('.').map_or(operation.name.as_str(), |(_, method)| method)
}

/// `async`, so that whatever is wrong with an argument rejects instead of being thrown.
fn one_method(table: &Table, operation: &Operation) -> Result<String> {
    let schema = table.schema(&operation.request);
    let (required, optional): (Vec<_>, Vec<_>) = properties(schema).into_iter().partition(|(.., required)| *required);
    ensure!(required.len() <= 1, "{}: a method has at most one argument beside its options", operation.name);
    let mut out = String::from("\n");
    let tags: Vec<String> =
        required.iter().map(|(name, schema, _)| format!("@param {name} - {}", description(schema))).collect();
    doc(&mut out, "  ", description(schema), &tags);
    let (argument, request) = match required.first() {
        Some((name, schema, _)) => (format!("{name}: {}, ", type_of(schema)?), format!("{{ ...rest, {name} }}")),
        None => (String::new(), "rest".to_owned()),
    };
    let response = response_type(operation)?;
    let known: Vec<String> = optional.iter().map(|(name, ..)| format!("'{name}', ")).collect();
    let options = format!("{}Options", operation.request);
    writeln!(out, "  async {}({argument}options: {options} = {{}}): Promise<{response}> {{", method(operation))?;
    writeln!(out, "    const {{ signal, ...rest }} = optionsOf(options, [{}'signal'])", known.concat())?;
    writeln!(out, "    return await this.operate('{}', {request}, signal)\n  }}", operation.name)?;
    Ok(out)
}
