//! The four checkpoint files of a folder: what they say, and how they are written anew. What is in them must not outlive its
//! partition: one that is made later under the same name would be taken for it. Driven by the folder.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::checkpoint::{self, Offsets};
use crate::{disk::Disk, log::Checkpoint, topics::Topics};

const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const START_OFFSETS: &str = "log-start-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const COMPACTED: &str = "cleaner-offset-checkpoint";
const FILES: [&str; 4] = [RECOVERY_POINTS, START_OFFSETS, HIGH_WATERMARKS, COMPACTED];

/// A partition.
type Key = (String, i32);

/// What the files say.
#[derive(Clone, Default)]
struct Points([Offsets; 4]);

/// The files.
pub(super) struct Checkpoints {
    /// What may be in them.
    written: Mutex<Points>,
    /// Partitions that were begun or cut: what was gathered before is of another one of its name, or of what is gone.
    changed: AtomicU64,
}

impl Points {
    /// What is to be in the files now.
    fn of((topics, node): (&Topics, i32)) -> Self {
        let mut points = Self::default();
        for topic in topics.all() {
            for (index, partition) in (0..).zip(topic.partitions()) {
                let replica = partition.replica(node);
                let Some(checkpoint) = replica.and_then(|replica| replica.log.lock().checkpoint()) else { continue };
                let Checkpoint { recovery_point, start_offset, high_watermark, compacted_to } = checkpoint;
                let start_offset = Some(start_offset).filter(|offset| *offset > 0);
                let all = [Some(recovery_point), start_offset, Some(high_watermark), compacted_to];
                for (offsets, offset) in points.0.iter_mut().zip(all) {
                    offsets.extend(offset.map(|offset| ((topic.name.to_string(), index), offset)));
                }
            }
        }
        points
    }

    fn write(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let mut all = FILES.iter().zip(&self.0);
        all.try_for_each(|(name, offsets)| checkpoint::write_offsets(disk, &folder.join(name), offsets))
    }
}

impl Checkpoints {
    pub fn read(disk: &dyn Disk, folder: &Path) -> io::Result<Self> {
        let mut points = Points::default();
        for (name, offsets) in FILES.iter().zip(&mut points.0) {
            *offsets = checkpoint::read_offsets(disk, &folder.join(name))?;
        }
        Ok(Self { written: Mutex::new(points), changed: AtomicU64::new(0) })
    }

    /// What they say of a partition.
    pub fn of(&self, partition: &Key) -> Checkpoint {
        let written = self.written.lock();
        let [recovery_point, start_offset, high_watermark, compacted_to] =
            written.0.each_ref().map(|offsets| offsets.get(partition).copied());
        Checkpoint {
            recovery_point: recovery_point.unwrap_or(0),
            start_offset: start_offset.unwrap_or(0),
            high_watermark: high_watermark.unwrap_or(0),
            compacted_to,
        }
    }

    /// Writes them anew. One at a time: what one has gathered must not be written behind what is newer.
    pub fn write(&self, disk: &dyn Disk, folder: &Path, of: (&Topics, i32)) -> io::Result<()> {
        loop {
            let changed = self.changed.load(Ordering::Acquire);
            let points = Points::of(of);
            let mut written = self.written.lock();
            if self.changed.load(Ordering::Acquire) != changed {
                continue;
            }
            let done = points.write(disk, folder);
            match done {
                Ok(()) => *written = points,
                // Some of the files are the new ones.
                Err(_) => written.0.iter_mut().zip(points.0).for_each(|(old, new)| old.extend(new)),
            }
            return done;
        }
    }

    /// A new partition begins: nothing in the files is of it.
    pub fn begin(&self, disk: &dyn Disk, folder: &Path, partition: &Key) -> io::Result<()> {
        self.change(disk, folder, partition, |_| None)
    }

    /// The end of a partition's log is about to be cut: nothing in the files goes beyond it, or what is written there next would be
    /// believed after a crash (Kafka's LogManager.truncateTo). Call with the log's lock, which who gathers waits for.
    pub fn cut(&self, disk: &dyn Disk, folder: &Path, partition: &Key, end: i64) -> io::Result<()> {
        self.change(disk, folder, partition, |offset| Some(offset.min(end)))
    }

    fn change(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        partition: &Key,
        new: impl Fn(i64) -> Option<i64>,
    ) -> io::Result<()> {
        let mut written = self.written.lock();
        self.changed.fetch_add(1, Ordering::Release);
        let differs = |offsets: &Offsets| offsets.get(partition).is_some_and(|offset| new(*offset) != Some(*offset));
        if written.0.iter().any(differs) {
            let mut other = written.clone();
            for offsets in &mut other.0 {
                let offset = offsets.remove(partition).and_then(&new);
                offsets.extend(offset.map(|offset| (partition.clone(), offset)));
            }
            other.write(disk, folder)?;
            *written = other;
        }
        Ok(())
    }
}
