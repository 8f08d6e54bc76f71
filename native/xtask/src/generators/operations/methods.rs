//! The methods of one target, rendered into an abstract class that a hand-written one completes.

use std::fmt::Write;

use anyhow::{Result, ensure};

use super::schema::{description, properties, type_of};
use super::types::{doc, property, response_type};
use super::{Operation, Table};

/// The methods. The required members of a request are the method's arguments, in the order declared; the others are options.
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
    let (mut required, optional): (Vec<_>, Vec<_>) =
        properties(schema).into_iter().partition(|(.., required)| *required);
    let declared = |name: &str| schema["required"].as_array()?.iter().position(|one| one == name);
    required.sort_by_key(|(name, ..)| declared(name));
    ensure!(required.len() <= 2, "{}: a method has at most two arguments beside its options", operation.name);
    let mut out = String::from("\n");
    let tags: Vec<String> =
        required.iter().map(|(name, schema, _)| format!("@param {name} - {}", description(schema))).collect();
    doc(&mut out, "  ", description(schema), &tags);
    let mut arguments = String::new();
    for (name, schema, _) in &required {
        write!(arguments, "{name}: {}, ", type_of(schema)?)?;
    }
    let names: Vec<&str> = required.iter().map(|(name, ..)| name.as_str()).collect();
    let request = if names.is_empty() { "rest".to_owned() } else { format!("{{ ...rest, {} }}", names.join(", ")) };
    let response = response_type(operation)?;
    let known: Vec<String> = optional.iter().map(|(name, ..)| format!("'{name}', ")).collect();
    let options = format!("{}Options", operation.request);
    writeln!(out, "  async {}({arguments}options: {options} = {{}}): Promise<{response}> {{", method(operation))?;
    writeln!(out, "    const {{ signal, ...rest }} = optionsOf(options, [{}'signal'])", known.concat())?;
    writeln!(out, "    return await this.operate('{}', {request}, signal)\n  }}", operation.name)?;
    Ok(out)
}
