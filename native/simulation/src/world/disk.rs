//! The disk of a simulated host, which outlives it. When the host fails, what was not synced is gone, but for what happened to be
//! safe by then: of a file the first of what was written to it, the last of that torn; of names, which change in order as in a
//! file system with a journal, the first changes. Syncing a folder makes safe what was changed in it, and all before that.
//! Not a disk that is full, or breaks.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use dohle_broker::disk::{Disk, DiskFile, Listed, Space};
use parking_lot::{Mutex, MutexGuard};

use super::{mixed, wall_clock_ms};

/// A host's disk, over all of its lives. Clones are the same disk.
#[derive(Clone)]
pub struct HostDisk(Arc<Mutex<State>>);

/// What a crash took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Bytes that had been written to files.
    pub bytes: u64,
    /// Files and folders made, renamed and removed.
    pub names: u64,
}

struct State {
    /// As the host sees them, and as they are after a crash.
    names: Names,
    safe: Names,
    /// What makes of the safe ones those that the host sees.
    journal: Vec<Change>,
    locks: BTreeMap<PathBuf, Weak<()>>,
    /// Which life of the host this is.
    life: u32,
    random: u64,
}

/// Files, and folders as those without anything of their own.
type Names = BTreeMap<PathBuf, Option<Arc<File>>>;

enum Change {
    Put(PathBuf, Option<Arc<File>>),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default)]
struct File(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    modified_ms: i64,
    /// What was done since it was synced, oldest first.
    unsynced: Vec<Undo>,
}

/// What was there before a write, or before the file got another length.
struct Undo {
    len: usize,
    at: usize,
    before: Vec<u8>,
    /// Bytes that were written.
    written: usize,
}

/// A disk as one life of its host has it.
#[derive(Clone)]
struct Mounted {
    disk: HostDisk,
    life: u32,
}

struct Opened {
    disk: Mounted,
    file: Arc<File>,
}

impl HostDisk {
    /// An empty one; the seed decides what crashes leave.
    pub fn new(seed: u64) -> Self {
        let (names, safe, journal, locks) = Default::default();
        Self(Arc::new(Mutex::new(State { names, safe, journal, locks, life: 0, random: seed })))
    }

    /// For the life of its host that begins.
    pub fn mounted(&self) -> Arc<dyn Disk> {
        Arc::new(Mounted { disk: self.clone(), life: self.0.lock().life })
    }

    /// The host fails. What it has open is of no use any more.
    pub fn crash(&self) -> Lost {
        let mut state = self.0.lock();
        state.life += 1;
        state.locks.clear();
        let journal = std::mem::take(&mut state.journal);
        let kept = if state.keeps_some() { state.below(journal.len() + 1) } else { 0 };
        journal.iter().take(kept).for_each(|change| change.apply(&mut state.safe));
        state.names = state.safe.clone();
        let files: Vec<_> = state.names.values().flatten().cloned().collect();
        let bytes = files.iter().map(|file| file.0.lock().crash(&mut state)).sum();
        Lost { bytes, names: (journal.len() - kept) as u64 }
    }
}

impl State {
    fn below(&mut self, n: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mixed(self.random) % n as u64) as usize
    }

    /// Whether anything that was not synced is safe by chance.
    fn keeps_some(&mut self) -> bool {
        self.below(2) == 0
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        self.names.get(path).and_then(Option::clone).ok_or_else(not_found)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.journal.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, what) => drop(names.insert(path.clone(), what.clone())),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to) => {
                let inside: Vec<PathBuf> = inside(names, from).map(|(path, _)| path.clone()).collect();
                for path in inside {
                    if let (Ok(rest), Some(what)) = (path.strip_prefix(from), names.remove(&path)) {
                        names.insert(to.join(rest), what);
                    }
                }
                if let Some(what) = names.remove(from) {
                    names.insert(to.clone(), what);
                }
            }
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        let is_in = |path: &PathBuf| path.parent() == Some(folder);
        match self {
            Self::Put(path, _) | Self::Remove(path) => is_in(path),
            Self::Rename(from, to) => is_in(from) || is_in(to),
        }
    }
}

/// All that is in a folder, and in those within it.
fn inside<'n>(names: &'n Names, folder: &'n Path) -> impl Iterator<Item = (&'n PathBuf, &'n Option<Arc<File>>)> {
    let behind = names.range::<Path, _>((Excluded(folder), Unbounded));
    behind.take_while(move |(path, _)| path.starts_with(folder))
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Contents {
    fn write(&mut self, new: &[u8], at: usize) {
        let (len, end) = (self.bytes.len(), at + new.len());
        let before = self.bytes[at.min(len)..end.min(len)].to_vec();
        self.bytes.resize(len.max(end), 0);
        self.bytes[at..end].copy_from_slice(new);
        self.changed(Undo { len, at, before, written: new.len() });
    }

    fn truncate(&mut self, to: usize) {
        let len = self.bytes.len();
        let before = self.bytes[to.min(len)..].to_vec();
        self.bytes.resize(to, 0);
        self.changed(Undo { len, at: to, before, written: 0 });
    }

    fn changed(&mut self, undo: Undo) {
        self.unsynced.push(undo);
        self.modified_ms = wall_clock_ms();
    }

    fn undo(&mut self, Undo { len, at, before, .. }: &Undo) {
        self.bytes.resize(*len, 0);
        let at = *at.min(len);
        self.bytes[at..at + before.len()].copy_from_slice(before);
    }

    /// Takes back what is not among the survivors; answers how many bytes were.
    fn crash(&mut self, state: &mut State) -> u64 {
        let mut lost = std::mem::take(&mut self.unsynced);
        let some = state.keeps_some();
        let lost = lost.split_off(if some { state.below(lost.len() + 1) } else { 0 });
        let mut bytes = 0;
        for (nth, undo) in lost.iter().enumerate().rev() {
            let torn = if some && nth == 0 { state.below(undo.written + 1) } else { 0 };
            let part = self.bytes[undo.at..undo.at + torn].to_vec();
            self.undo(undo);
            if torn > 0 {
                self.write(&part, undo.at);
            }
            bytes += undo.written - torn;
        }
        self.unsynced.clear();
        bytes as u64
    }
}

impl Mounted {
    /// An error when the host has failed since.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.0.lock();
        let lives = state.life == self.life;
        lives.then_some(state).ok_or_else(|| io::Error::other("the host of this disk has failed"))
    }

    fn opened(&self, file: Arc<File>) -> Arc<dyn DiskFile> {
        Arc::new(Opened { disk: self.clone(), file })
    }
}

impl Disk for Mounted {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.opened(self.state()?.file(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state()?;
        if let Ok(file) = state.file(path) {
            file.0.lock().truncate(0);
            return Ok(self.opened(file));
        }
        if path.parent().is_none_or(|folder| !matches!(state.names.get(folder), Some(None))) {
            return Err(not_found());
        }
        let file = Arc::<File>::default();
        state.change(Change::Put(path.into(), Some(file.clone())));
        Ok(self.opened(file))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !state.names.contains_key(*path)).collect();
        missing.iter().rev().for_each(|path| state.change(Change::Put(path.into(), None)));
        match state.names[path] {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => Ok(()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let state = self.state()?;
        if !matches!(state.names.get(folder), Some(None)) {
            return Err(not_found());
        }
        let listed = inside(&state.names, folder).filter_map(|(path, what)| {
            let name = path.file_name().filter(|_| path.parent() == Some(folder))?.to_str()?.to_owned();
            let file = what.as_ref().map(|file| file.0.lock());
            let (len, modified_ms) = file.map_or((0, 0), |file| (file.bytes.len() as u64, file.modified_ms));
            Some(Listed { name, folder: what.is_none(), len, modified_ms })
        });
        Ok(listed.collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        match (state.names.get(from), state.names.get(to)) {
            (None, _) => Err(not_found()),
            (Some(Some(_)), None | Some(Some(_))) | (Some(None), None) => {
                state.change(Change::Rename(from.into(), to.into()));
                Ok(())
            }
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        if state.file(path).is_ok() {
            state.change(Change::Remove(path.into()));
        }
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        let inside: Vec<PathBuf> = inside(&state.names, path).map(|(path, _)| path.clone()).collect();
        inside.into_iter().rev().for_each(|path| state.change(Change::Remove(path)));
        if state.names.contains_key(path) {
            state.change(Change::Remove(path.into()));
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state()?;
        let safe = state.journal.iter().rposition(|change| change.is_in(path)).map_or(0, |last| last + 1);
        let journal: Vec<Change> = state.journal.drain(..safe).collect();
        journal.iter().for_each(|change| change.apply(&mut state.safe));
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Option<Space>> {
        Ok(None)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        if self.open(path).is_err() {
            self.create(path)?;
        }
        let mut state = self.state()?;
        if state.locks.get(path).is_some_and(|held| held.strong_count() > 0) {
            return Ok(None);
        }
        let lock = Arc::new(());
        state.locks.insert(path.into(), Arc::downgrade(&lock));
        Ok(Some(Box::new(lock)))
    }
}

impl DiskFile for Opened {
    fn len(&self) -> io::Result<u64> {
        let _lives = self.disk.state()?;
        Ok(self.file.0.lock().bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let _lives = self.disk.state()?;
        let contents = self.file.0.lock();
        let there = contents.bytes.get(position as usize..).unwrap_or_default();
        let read = there.len().min(into.len());
        into[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let _lives = self.disk.state()?;
        self.file.0.lock().write(bytes, position as usize);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let _lives = self.disk.state()?;
        self.file.0.lock().truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _lives = self.disk.state()?;
        self.file.0.lock().unsynced.clear();
        Ok(())
    }
}
