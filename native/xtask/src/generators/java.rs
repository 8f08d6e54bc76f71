//! What all generators of Java need.

/// Where the package `io.dohle` lies.
pub const FOLDER: &str = "wrappers/java/src/main/java/io/dohle";

/// Text as Javadoc has it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;").replace("*/", "*&#47;")
}
