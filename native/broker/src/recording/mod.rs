//! Sessions in files: every frame of every connection with its time. A broker records its own ([`Recorder`]), a recording is
//! read entry by entry ([`Recording`]), written as packets ([`pcap`]), and sent again to a broker ([`replay`]).
//! The bytes of the file are in `format`, what is left out of it in `secrets`; `docs/recording.md` describes both.

mod format;
pub mod pcap;
mod reader;
mod recorder;
pub mod replay;
mod secrets;
pub mod stand_in;
#[cfg(test)]
mod tests;

pub use format::{Entry, Frame, Opened, What};
pub use reader::{Recording, RecordingError};
pub(crate) use recorder::{Recorder, Tap};
