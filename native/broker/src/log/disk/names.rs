//! Names of a partition's files (Kafka's LogFileUtils): twenty digits of an offset, then what the file is.

/// Batches.
pub const LOG: &str = ".log";
/// Offsets to positions.
pub const INDEX: &str = ".index";
/// Times to offsets.
pub const TIME_INDEX: &str = ".timeindex";
/// Aborted transactions.
pub const TXN_INDEX: &str = ".txnindex";
/// What was known of producers at this offset.
pub const SNAPSHOT: &str = ".snapshot";
/// Behind the names of files that are about to go.
pub const DELETED: &str = ".deleted";
/// Behind the names of files that compaction is writing.
pub const CLEANED: &str = ".cleaned";
/// Behind the names of files that compaction has written, and that shall replace others.
pub const SWAP: &str = ".swap";
/// The four files of a segment.
pub const OF_SEGMENT: [&str; 4] = [LOG, INDEX, TIME_INDEX, TXN_INDEX];

/// Beyond any offset of a name: what is behind one is a number, too.
const BEYOND: i64 = i64::MAX - (1 << 32);

/// The name of a file.
pub fn name(offset: i64, kind: &str) -> String {
    format!("{offset:020}{kind}")
}

/// The offset in a name, and what is behind it.
pub fn parse(name: &str) -> Option<(i64, &str)> {
    let (digits, kind) = name.split_at_checked(20)?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|offset| all_digits && *offset < BEYOND)?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas_and_nothing_else_is_taken_for_one() {
        assert_eq!(name(12, LOG), "00000000000000000012.log");
        assert_eq!(parse("00000000000000000012.log"), Some((12, LOG)));
        assert_eq!(parse("00000000000000000012.log.deleted"), Some((12, ".log.deleted")));
        for wrong in [
            "",
            "partition.metadata",
            "0000000000000000012.log",
            "+0000000000000000012.log",
            "99999999999999999999.log",
            "09223372036854775807.log",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
