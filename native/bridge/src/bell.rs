//! How a queue wakes a program that calls and is never called: a condition that a thread waits for, and, where there is
//! an event loop, the reading end of a pipe that is readable for as long as there is something to drain.
//!
//! It is the waker of the languages outside of Node, and drains nothing itself.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::queue::Wake;

#[derive(Default)]
struct State {
    rung: bool,
    closed: bool,
    pipe: Option<Pipe>,
}

/// Holds one byte while the bell is rung, and none while it is not: so neither end ever waits.
struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    full: bool,
}

impl Pipe {
    fn set(&mut self, full: bool) {
        if self.full == full {
            return;
        }
        // Both ends are ours and the pipe holds one byte at most: this cannot fail, nor wait.
        let done = if full { self.writer.write_all(&[1]) } else { self.reader.read_exact(&mut [0]) };
        self.full = full == done.is_ok();
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There is something to drain.
    Rung,
    /// Nothing came in time.
    TimedOut,
    /// [`Bell::close`] was called.
    Closed,
}

/// See the module.
#[derive(Default)]
pub struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

impl Bell {
    /// Wakes who waits, now or later, until [`Bell::silence`].
    pub fn ring(&self) {
        self.change(|state| state.rung = true);
    }

    /// To be called before the queue is drained: what comes after this rings again.
    pub fn silence(&self) {
        self.change(|state| state.rung = false);
    }

    /// Ends every wait, for good.
    pub fn close(&self) {
        self.change(|state| state.closed = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let full = state.rung || state.closed;
        if let Some(pipe) = &mut state.pipe {
            pipe.set(full);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether there is something to drain. Never waits.
    pub fn is_rung(&self) -> bool {
        self.state.lock().rung
    }

    /// Waits until it is rung or closed; `None`: for ever.
    pub fn wait(&self, timeout: Option<Duration>) -> Waited {
        let mut state = self.state.lock();
        let quiet = |state: &mut State| !state.rung && !state.closed;
        match timeout {
            Some(timeout) => drop(self.changed.wait_while_for(&mut state, quiet, timeout)),
            None => self.changed.wait_while(&mut state, quiet),
        }
        match (state.closed, state.rung) {
            (true, _) => Waited::Closed,
            (_, true) => Waited::Rung,
            _ => Waited::TimedOut,
        }
    }

    /// The pipe's reading end, made on first use.
    #[cfg(unix)]
    pub fn descriptor(&self) -> io::Result<i32> {
        use std::os::fd::AsRawFd;
        let mut state = self.state.lock();
        if state.pipe.is_none() {
            let (reader, writer) = io::pipe()?;
            state.pipe = Some(Pipe { reader, writer, full: false });
        }
        let full = state.rung || state.closed;
        let pipe = state.pipe.as_mut().expect("made above");
        pipe.set(full);
        Ok(pipe.reader.as_raw_fd())
    }

    /// Only Unix has descriptors that one can wait for.
    #[cfg(not(unix))]
    pub fn descriptor(&self) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The half that the queue has.
pub struct Ringer(pub std::sync::Arc<Bell>);

impl Wake for Ringer {
    fn wake(&self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rang_before_a_wait_is_heard_and_silence_ends_it() {
        let bell = Bell::default();
        assert_eq!(bell.wait(Some(Duration::ZERO)), Waited::TimedOut);
        bell.ring();
        assert!(bell.is_rung());
        assert_eq!(bell.wait(None), Waited::Rung);
        bell.silence();
        assert_eq!((bell.is_rung(), bell.wait(Some(Duration::ZERO))), (false, Waited::TimedOut));
        bell.close();
        assert_eq!(bell.wait(None), Waited::Closed);
    }
}
