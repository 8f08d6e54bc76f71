//! The disk that a broker keeps its logs on: files that are read and written by position, folders, locks. Small, synchronous and
//! honest about errors; it knows nothing of logs. Implemented here with `std::fs`; a simulation gives one that forgets what was not
//! synced when it crashes. Comes from the [`BrokerWorld`](crate::BrokerWorld).

#[cfg(test)]
pub(crate) mod memory;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A disk. What was written is safe from a crash of the machine once its file, and its name once its folder, was synced.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file to read and to write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file to read only. Default: as [`open`](Self::open).
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }
    /// Makes a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a folder and those above it; no error when it is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// What is in a folder, by name.
    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>>;
    /// Gives a file or a folder another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; no error when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder safe.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// How much fits where this folder is; none when that is not known.
    fn space(&self, folder: &Path) -> io::Result<Option<Space>>;
    /// Locks a file, which is made for it, until what is returned is dropped; none when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// An open file.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send + Sync {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Reads from a position on until `into` is full or the file ends; answers how many bytes.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at a position.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Cuts, or fills with zeros.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes what was written safe.
    fn sync(&self) -> io::Result<()>;
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name; one that is no text is left out of the list.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes of a file.
    pub len: u64,
    /// When it was last written to, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// Bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total: u64,
    /// Left.
    pub free: u64,
}

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// A world without a disk: everything fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(fs::File::open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let options = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(RealFile(options)))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // It may have gone since.
            let Ok(about) = entry.metadata() else { continue };
            found.push(Listed { name, folder: about.is_dir(), len: about.len(), modified_ms: modified_ms(&about) });
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    #[cfg(unix)]
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    /// Other systems keep names safe by themselves.
    #[cfg(not(unix))]
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn space(&self, folder: &Path) -> io::Result<Option<Space>> {
        let about = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.f_frsize);
        Ok(Some(Space { total: bytes(about.f_blocks), free: bytes(about.f_bavail) }))
    }

    #[cfg(not(unix))]
    fn space(&self, _: &Path) -> io::Result<Option<Space>> {
        Ok(None)
    }

    /// Two locks: one that two brokers in one process see as well, and the one that Java takes.
    #[cfg(unix)]
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        use rustix::{
            fs::{FlockOperation::NonBlockingLockExclusive, fcntl_lock, flock},
            io::Errno,
        };
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, NonBlockingLockExclusive).and_then(|()| fcntl_lock(&file, NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::AGAIN | Errno::ACCESS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(windows)]
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        const SHARING_VIOLATION: i32 = 32;
        let mut options = fs::OpenOptions::new();
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
        match options.read(true).write(true).create(true).truncate(false).open(path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[allow(clippy::disallowed_types)] // the file system's own times, not a clock
fn modified_ms(about: &fs::Metadata) -> i64 {
    let since_1970 = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since_1970.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

struct RealFile(fs::File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match read_some(&self.0, &mut into[done..], position + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match write_some(&self.0, &bytes[done..], position + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(unix)]
fn read_some(file: &fs::File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, position)
}

#[cfg(unix)]
fn write_some(file: &fs::File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, position)
}

#[cfg(windows)]
fn read_some(file: &fs::File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, position)
}

#[cfg(windows)]
fn write_some(file: &fs::File, bytes: &[u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, position)
}

fn no_disk<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this world has no disk"))
}

impl Disk for NoDisk {
    fn open(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        no_disk()
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        no_disk()
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        no_disk()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<Listed>> {
        no_disk()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        no_disk()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        no_disk()
    }

    fn remove_folder(&self, _: &Path) -> io::Result<()> {
        no_disk()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        no_disk()
    }

    fn space(&self, _: &Path) -> io::Result<Option<Space>> {
        no_disk()
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        no_disk()
    }
}

/// Puts a small file in the place of the one of this name, or makes it: what is there after a crash is the old one or the new one.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = suffixed(path, ".tmp");
    let file = disk.create(&new)?;
    file.write_at(contents, 0)?;
    file.sync()?;
    disk.rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| disk.sync_folder(folder))
}

/// Makes a folder and those above it, if they are not there; their names are safe then.
pub(crate) fn make_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| {
        let missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        !folder.as_os_str().is_empty() && disk.list(folder).is_err_and(missing)
    };
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    disk.create_folder(path)?;
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(|above| match above.as_os_str().is_empty() {
        true => disk.sync_folder(Path::new(".")),
        false => disk.sync_folder(above),
    })
}

/// All of a file that may be at most so large; none when there is no such file.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let len = file.len()?;
    if len > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: {len} bytes are too many", path.display()),
        ));
    }
    let mut contents = vec![0; len as usize];
    let read = file.read_at(&mut contents, 0)?;
    contents.truncate(read);
    Ok(Some(contents))
}

/// The path with something behind its name.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
