//! Kafka's checkpoint files (CheckpointFile): a version, the number of lines, and lines of words. One file for offsets of all
//! partitions of a folder (OffsetCheckpointFile), one for the leader epochs of each partition (LeaderEpochCheckpointFile).

use std::{collections::BTreeMap, io, path::Path};

use crate::disk::{Disk, read_all, replace};

const VERSION: &str = "0";
/// Beyond any real file of these.
const MOST: u64 = 256 << 20;

/// Offsets by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

/// Writes a file of such lines.
pub(crate) fn write(disk: &dyn Disk, path: &Path, lines: &[String]) -> io::Result<()> {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    replace(disk, path, text.as_bytes())
}

/// The lines of a file, none when there is none. An error of the kind `InvalidData` when it is no such file.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<String>>> {
    let Some(bytes) = read_all(disk, path, MOST)? else { return Ok(None) };
    match parse(&bytes) {
        Ok(lines) => Ok(Some(lines)),
        Err(why) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))),
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not a text".to_string())?;
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default().trim();
    if version != VERSION {
        return Err(format!("version {version:?} of a checkpoint; {VERSION} is known"));
    }
    let count: usize = lines.next().and_then(|line| line.trim().parse().ok()).ok_or("without a number of lines")?;
    let lines: Vec<String> = lines.map(str::to_string).collect();
    if lines.len() == count { Ok(lines) } else { Err(format!("{count} lines are announced, {} there", lines.len())) }
}

/// Writes offsets of partitions.
pub(crate) fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> io::Result<()> {
    let lines: Vec<String> =
        offsets.iter().map(|((topic, index), offset)| format!("{topic} {index} {offset}")).collect();
    write(disk, path, &lines)
}

/// Offsets of partitions. A file that is damaged counts as none, as in Kafka: more is recovered then.
pub(crate) fn read_offsets(disk: &dyn Disk, path: &Path) -> io::Result<Offsets> {
    match read(disk, path) {
        Ok(lines) => Ok(lines.unwrap_or_default().iter().filter_map(|line| offset(line)).collect()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            tracing::warn!(%error, "a checkpoint is not used");
            Ok(Offsets::default())
        }
        Err(error) => Err(error),
    }
}

fn offset(line: &str) -> Option<((String, i32), i64)> {
    let mut words = line.split_ascii_whitespace();
    let (topic, index, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then(|| ((topic.to_string(), index), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_checkpoint_is_told_and_what_is_one_is_read() {
        assert_eq!(parse(b"0\n2\na 0 5\nb 1 7\n").unwrap(), ["a 0 5", "b 1 7"]);
        assert_eq!(parse(b"0\n0\n").unwrap(), Vec::<String>::new());
        for wrong in [&b""[..], b"1\n0\n", b"0\n", b"0\n2\na 0 5\n", b"0\nx\n", b"0\n1\na 0 5\nb 1 7\n", b"\xff\n0\n"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(offset("a 0 5"), Some((("a".into(), 0), 5)));
        assert_eq!((offset("a 0"), offset("a x 5"), offset("a 0 5 6")), (None, None, None));
    }
}
