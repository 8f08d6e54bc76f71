//! A disk in memory for tests: it can be copied, crash (what was not synced is gone), be damaged and fail. Names of files
//! are safe at once, those of folders when the folder that they are in was synced.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Barrier, Weak},
};

use parking_lot::Mutex;

use super::{Disk, DiskFile, Listed, Space};

/// The disk. A clone is the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Arc<MemoryFile>>,
    folders: BTreeSet<PathBuf>,
    /// Folders whose names are not safe.
    unsynced: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, Weak<()>>,
    fail_writes: bool,
    /// Only what is in this folder fails, if there is one.
    full: Option<PathBuf>,
    fail_syncs: bool,
    /// So many renames, then none.
    renames_left: Option<usize>,
    held: Option<(PathBuf, Arc<Barrier>)>,
}

struct MemoryFile {
    path: PathBuf,
    bytes: Mutex<Vec<u8>>,
    synced: Mutex<Vec<u8>>,
    disk: Weak<Mutex<State>>,
}

impl MemoryDisk {
    /// A disk with the same contents.
    pub fn copy(&self) -> Self {
        self.with(|file| (file.bytes.lock().clone(), file.synced.lock().clone()))
    }

    /// What is there after the machine has failed.
    pub fn crashed(&self) -> Self {
        let copy = self.with(|file| {
            let synced = file.synced.lock().clone();
            (synced.clone(), synced)
        });
        let unsynced = self.0.lock().unsynced.clone();
        unsynced.iter().for_each(|folder| copy.remove_folder(folder).unwrap());
        copy
    }

    fn with(&self, contents: impl Fn(&MemoryFile) -> (Vec<u8>, Vec<u8>)) -> Self {
        let copy = Self::default();
        let state = self.0.lock();
        copy.0.lock().folders = state.folders.clone();
        for (path, file) in &state.files {
            let (bytes, synced) = contents(file);
            let (bytes, synced, disk) = (Mutex::new(bytes), Mutex::new(synced), Arc::downgrade(&copy.0));
            let file = MemoryFile { path: path.clone(), bytes, synced, disk };
            copy.0.lock().files.insert(path.clone(), Arc::new(file));
        }
        copy
    }

    /// Whether writes fail from now on.
    pub fn fail_writes(&self, fail: bool) {
        self.0.lock().fail_writes = fail;
    }

    /// Writes to files in this folder fail from now on.
    pub fn fill(&self, folder: Option<&str>) {
        self.0.lock().full = folder.map(Into::into);
    }

    /// Whether syncs fail from now on.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.lock().fail_syncs = fail;
    }

    /// So many renames still work.
    pub fn fail_after_renames(&self, left: usize) {
        self.0.lock().renames_left = Some(left);
    }

    /// The next rename to this name waits at the barrier twice: when it comes, and before it goes on.
    pub fn hold_rename(&self, to: &str) -> Arc<Barrier> {
        let barrier = Arc::new(Barrier::new(2));
        self.0.lock().held = Some((to.into(), barrier.clone()));
        barrier
    }

    /// The contents of a file.
    pub fn bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        self.0.lock().files[path.as_ref()].bytes.lock().clone()
    }

    /// Puts these contents in a file.
    pub fn set(&self, path: impl AsRef<Path>, bytes: Vec<u8>) {
        self.create(path.as_ref()).unwrap().write_at(&bytes, 0).unwrap();
    }

    /// All names of files in a folder.
    pub fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        self.list(folder.as_ref()).unwrap().into_iter().map(|file| file.name).collect()
    }

    fn fails(&self) -> io::Result<()> {
        if self.0.lock().fail_writes { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        match self.0.lock().files.get(path) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.fails()?;
        let (bytes, synced, disk) = (Mutex::default(), Mutex::default(), Arc::downgrade(&self.0));
        let file = MemoryFile { path: path.into(), bytes, synced, disk };
        let file = Arc::new(file);
        self.0.lock().files.insert(path.into(), file.clone());
        Ok(file)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.fails()?;
        let mut state = self.0.lock();
        for folder in path.ancestors() {
            if state.folders.insert(folder.into()) && folder.parent().is_some() {
                state.unsynced.insert(folder.into());
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let state = self.0.lock();
        if !state.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |path: &Path| {
            let name = path.file_name().filter(|_| path.parent() == Some(folder))?;
            Some(name.to_str()?.to_string())
        };
        let folders = state.folders.iter().filter_map(|path| inside(path));
        let folders = folders.map(|name| Listed { name, folder: true, len: 0, modified_ms: 0 });
        let files = state.files.iter().filter_map(|(path, file)| Some((inside(path)?, file.bytes.lock().len() as u64)));
        let files = files.map(|(name, len)| Listed { name, folder: false, len, modified_ms: 0 });
        Ok(folders.chain(files).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fails()?;
        let held = self.0.lock().held.take_if(|(path, _)| path == to);
        if let Some((_, barrier)) = held {
            barrier.wait();
            barrier.wait();
        }
        let mut state = self.0.lock();
        if let Some(left) = &mut state.renames_left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::PermissionDenied)?;
        }
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.into(), file);
            return Ok(());
        }
        if !state.folders.remove(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.folders.insert(to.into());
        state.unsynced.remove(from);
        let moved: Vec<PathBuf> = state.files.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            if let (Some(file), Ok(rest)) = (state.files.remove(&path), path.strip_prefix(from)) {
                state.files.insert(to.join(rest), file);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().files.remove(path);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.folders.retain(|folder| !folder.starts_with(path));
        state.unsynced.retain(|folder| !folder.starts_with(path));
        state.files.retain(|file, _| !file.starts_with(path));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unsynced.retain(|folder| folder.parent() != Some(path));
        Ok(())
    }

    fn space(&self, _: &Path) -> io::Result<Option<Space>> {
        Ok(None)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut state = self.0.lock();
        if state.locks.get(path).is_some_and(|held| held.strong_count() > 0) {
            return Ok(None);
        }
        let lock = Arc::new(());
        state.locks.insert(path.into(), Arc::downgrade(&lock));
        Ok(Some(Box::new(lock)))
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().len() as u64)
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let bytes = self.bytes.lock();
        let there = bytes.get(position as usize..).unwrap_or_default();
        let read = there.len().min(into.len());
        into[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }

    fn write_at(&self, new: &[u8], position: u64) -> io::Result<()> {
        let fails = self.disk.upgrade().is_some_and(|disk| {
            let disk = disk.lock();
            disk.fail_writes || disk.full.as_ref().is_some_and(|folder| self.path.starts_with(folder))
        });
        // A full disk takes the first half.
        let written = if fails { &new[..new.len() / 2] } else { new };
        let (mut bytes, end) = (self.bytes.lock(), position as usize + written.len());
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[position as usize..end].copy_from_slice(written);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.upgrade().is_some_and(|disk| disk.lock().fail_syncs) {
            return Err(io::Error::other("the disk does not sync"));
        }
        let bytes = self.bytes.lock().clone();
        *self.synced.lock() = bytes;
        Ok(())
    }
}
