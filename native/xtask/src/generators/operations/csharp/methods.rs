//! `IAdminClient`, the classes of its optional arguments, and what carries its calls out.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::types::argument;
use super::values::{from_json, of, plain, to_json, to_json_or_null};
use crate::generators::csharp::{pascal, summary, xml};
use crate::generators::operations::model::{Kind, Object, Operation, Shape, Table};

const USING: &str = "using System;\nusing System.Collections.Generic;\nusing System.Threading;\nusing System.Threading.Tasks;\nusing Dohle.Admin;\n\n";

/// The interface, and the options of its methods.
pub fn interface(table: &Table, operations: &[&Operation]) -> Result<String> {
    let mut out = format!("{USING}namespace Dohle\n{{\n");
    summary(
        &mut out,
        "    ",
        "What there is to do with a cluster beside records. Made by `AdminClientBuilder`; every method may be called from every thread. \
         Each fails with a `KafkaException`; of a call about several things its `Items` say which have failed.",
    );
    out.push_str("    public interface IAdminClient : IDisposable, IAsyncDisposable\n    {\n");
    out.push_str("        /// <summary>Its name in the broker's logs: <c>client.id</c>.</summary>\n        string Name { get; }\n");
    for operation in operations {
        let object = request(table, operation)?;
        out.push('\n');
        summary(&mut out, "        ", &table.get(&operation.request).doc);
        for member in object.required() {
            let _ = writeln!(out, "        /// <param name=\"{}\">{}</param>", member.name, xml(&member.doc));
        }
        if object.optional().next().is_some() {
            out.push_str("        /// <param name=\"options\">What may be said beside.</param>\n");
        }
        out.push_str(
            "        /// <param name=\"cancellationToken\">Ends the waiting; what is done stays done.</param>\n",
        );
        let _ = writeln!(out, "        {};", signature(operation, object, true));
    }
    out.push_str("    }\n}\n\nnamespace Dohle.Admin\n{\n");
    for operation in operations {
        options(&mut out, table, operation)?;
    }
    out.push_str("}\n");
    Ok(out)
}

/// The class behind it.
pub fn class(table: &Table, operations: &[&Operation]) -> Result<String> {
    let mut out =
        format!("{USING}namespace Dohle\n{{\n    internal sealed partial class AdminClient : IAdminClient\n    {{");
    for operation in operations {
        let object = request(table, operation)?;
        let start = match object.optional().next() {
            Some(_) => "options?.ToJson() ?? new Dictionary<string, object?>()",
            None => "new Dictionary<string, object?>()",
        };
        let nothing = matches!(operation.response.kind, Kind::Nothing);
        let asynchronous = if nothing { "" } else { "async " };
        let _ = writeln!(
            out,
            "\n        public {asynchronous}{}\n        {{\n            var request = {start};",
            signature(operation, object, false)
        );
        for member in object.required() {
            let made = to_json(table, &member.slot.kind, &argument(&member.name));
            let _ = writeln!(out, "            request[{:?}] = {made};", member.name);
        }
        let call = format!("Operate({:?}, request, cancellationToken)", operation.name);
        let _ = match nothing {
            true => writeln!(out, "            return {call};"),
            false => {
                let read = from_json(table, &operation.response.kind, "response");
                let read = if operation.response.nullable { format!("response == null ? null : {read}") } else { read };
                writeln!(
                    out,
                    "            object? response = await {call}.ConfigureAwait(false);\n            return {read};"
                )
            }
        };
        out.push_str("        }\n");
    }
    out.push_str("    }\n}\n");
    Ok(out)
}

fn request<'a>(table: &'a Table, operation: &Operation) -> Result<&'a Object> {
    match &table.get(&operation.request).shape {
        Shape::Object(object) => Ok(object),
        _ => bail!("{}: a request is an object", operation.name),
    }
}

fn signature(operation: &Operation, object: &Object, declared: bool) -> String {
    let response = match &operation.response.kind {
        Kind::Nothing => "Task".to_owned(),
        kind => format!("Task<{}>", of(kind, operation.response.nullable)),
    };
    let mut arguments: Vec<String> = object
        .required()
        .iter()
        .map(|member| format!("{} {}", plain(&member.slot.kind), argument(&member.name)))
        .collect();
    let none = if declared { " = null" } else { "" };
    if object.optional().next().is_some() {
        arguments.push(format!("{}Options? options{none}", operation.request));
    }
    arguments.push(format!("CancellationToken cancellationToken{}", if declared { " = default" } else { "" }));
    format!("{response} {}Async({})", pascal(operation.method()), arguments.join(", "))
}

/// The optional members of a request.
fn options(out: &mut String, table: &Table, operation: &Operation) -> Result<()> {
    let object = request(table, operation)?;
    if object.optional().next().is_none() {
        return Ok(());
    }
    summary(out, "    ", &format!("What may be said beside in a call of `{}Async`.", pascal(operation.method())));
    let _ = writeln!(out, "    public sealed class {}Options\n    {{", operation.request);
    let mut parts = Vec::new();
    for member in object.optional() {
        summary(out, "        ", &member.doc);
        let name = pascal(&member.name);
        let _ = writeln!(out, "        public {} {name} {{ get; set; }}", of(&member.slot.kind, true));
        parts.push(format!("\n            ({:?}, {})", member.name, to_json_or_null(table, &member.slot.kind, &name)));
    }
    let _ = writeln!(
        out,
        "\n        internal Dictionary<string, object?> ToJson() => Json.Object({});\n    }}\n",
        parts.join(",")
    );
    Ok(())
}
