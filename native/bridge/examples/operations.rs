//! Prints the table of cold operations with the schemas of their types as JSON: what `xtask codegen` renders from.
//!
//! An example, so that `xtask` itself does not depend on the crates it generates code for.

use dohle_bridge::cold::{Call, OPERATIONS, SCHEMAS};
use schemars::generate::SchemaSettings;
use serde_json::json;

fn main() {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let operations: Vec<_> = (OPERATIONS.iter().zip(SCHEMAS))
        .map(|(row, schemas)| {
            let (request, response) = schemas(&mut generator);
            json!({
                "name": row.name,
                "waits": matches!(row.call, Call::Later(_)),
                "closes": row.closes,
                "request": request,
                "response": response,
            })
        })
        .collect();
    let table = json!({ "operations": operations, "types": generator.definitions() });
    println!("{}", serde_json::to_string_pretty(&table).expect("schemas are plain JSON"));
}
