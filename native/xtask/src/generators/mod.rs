//! The generators, one module each: tables of `native/spec` in, sources out.
//! To add one: a module with `pub fn run(root: &Path) -> Result<Vec<Output>>` and a line in [`ALL`].

mod csharp;
mod errors;
mod header;
mod java;
mod messages;
mod operations;
mod options;

use crate::generate::Generator;

/// Every generator that `xtask codegen` runs, in this order. The last one builds a crate that uses what the others write.
pub const ALL: &[Generator] = &[
    Generator {
        name: "messages",
        owns: &["native/protocol/src/generated/messages", "native/protocol/src/generated/reflect"],
        run: messages::run,
    },
    Generator { name: "errors", owns: &[], run: errors::run },
    Generator { name: "options", owns: &[], run: options::run },
    Generator { name: "header", owns: &[], run: header::run },
    Generator { name: "operations", owns: &["wrappers/java/src/main/java/io/dohle/admin"], run: operations::run },
];
