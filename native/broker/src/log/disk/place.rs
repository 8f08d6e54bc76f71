//! Where a partition's files are, for as long as they are this log's: a topic may be deleted, and another one of its name have a folder
//! of the same name, while somebody is still at work on the one before.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::disk::{Disk, DiskFile, Listed, Space};

/// The place.
#[derive(Clone)]
pub struct Place {
    /// It does nothing more when the place was left.
    pub disk: Arc<dyn Disk>,
    pub folder: Arc<Path>,
    left: Arc<AtomicBool>,
}

impl Place {
    pub fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        let left = Arc::<AtomicBool>::default();
        let disk = Arc::new(Held { disk, left: left.clone() });
        Self { disk, folder: folder.into(), left }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What is there is another's from now on: no name in it is looked up, made or removed any more.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }
}

/// A disk until it is left. Files that are open are what they are: whatever became of their names.
struct Held {
    disk: Arc<dyn Disk>,
    left: Arc<AtomicBool>,
}

impl Held {
    fn disk(&self) -> io::Result<&dyn Disk> {
        match self.left.load(Ordering::Acquire) {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "the log is closed, or its topic was deleted")),
            false => Ok(&*self.disk),
        }
    }
}

impl Disk for Held {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk()?.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk()?.open_to_read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk()?.create(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk()?.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        self.disk()?.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk()?.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.disk()?.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk()?.sync_folder(path)
    }

    fn space(&self, folder: &Path) -> io::Result<Option<Space>> {
        self.disk()?.space(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk()?.lock(path)
    }
}
