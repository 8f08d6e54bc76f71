//! The methods of one target, rendered into an abstract class that a hand-written one completes.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};

use super::super::model::{Operation, Shape, Table};
use super::types::{doc, property, response_type, type_of};

/// The methods. The required members of a request are the method's arguments, in the order declared; the others are options.
pub fn methods(table: &Table, target: &str, class: &str) -> Result<String> {
    let own: Vec<&Operation> = table.waiting(target).collect();
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
        out.push('\n');
        doc(&mut out, "", &format!("Options of {{@link {class}.{}}}.", operation.method()), &[]);
        writeln!(out, "export interface {}Options extends CallOptions {{", operation.request)?;
        for member in table.members(&operation.request)?.iter().filter(|member| member.required.is_none()) {
            property(&mut out, "  ", member, true)?;
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

/// `async`, so that whatever is wrong with an argument rejects instead of being thrown.
fn one_method(table: &Table, operation: &Operation) -> Result<String> {
    let request = table.get(&operation.request);
    let Shape::Object(object) = &request.shape else { bail!("{}: a request is an object", operation.request) };
    let required = object.required();
    ensure!(required.len() <= 2, "{}: a method has at most two arguments beside its options", operation.name);
    let mut out = String::from("\n");
    let tags: Vec<String> = required.iter().map(|member| format!("@param {} - {}", member.name, member.doc)).collect();
    doc(&mut out, "  ", &request.doc, &tags);
    let mut arguments = String::new();
    for member in &required {
        write!(arguments, "{}: {}, ", member.name, type_of(&member.slot.kind))?;
    }
    let names: Vec<&str> = required.iter().map(|member| member.name.as_str()).collect();
    let request = if names.is_empty() { "rest".to_owned() } else { format!("{{ ...rest, {} }}", names.join(", ")) };
    let response = response_type(operation);
    let known: Vec<String> = object.optional().map(|member| format!("'{}', ", member.name)).collect();
    let options = format!("{}Options", operation.request);
    writeln!(out, "  async {}({arguments}options: {options} = {{}}): Promise<{response}> {{", operation.method())?;
    writeln!(out, "    const {{ signal, ...rest }} = optionsOf(options, [{}'signal'])", known.concat())?;
    writeln!(out, "    return await this.operate('{}', {request}, signal)\n  }}", operation.name)?;
    Ok(out)
}
