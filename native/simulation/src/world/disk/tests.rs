use std::collections::BTreeSet;

use super::*;

const FOLDER: &str = "/log/node-1";

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn contents(disk: &dyn Disk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(&path(name)).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

/// A disk with its folder.
fn disk(seed: u64) -> (HostDisk, Arc<dyn Disk>) {
    let host = HostDisk::new(seed);
    let disk = host.mounted();
    disk.create_folder(Path::new(FOLDER)).unwrap();
    disk.sync_folder(Path::new("/log")).unwrap();
    (host, disk)
}

/// What many crashes leave: each seed has its own, and the same again.
fn crashes<T: Ord + std::fmt::Debug>(run: impl Fn(&dyn Disk), left: impl Fn(&dyn Disk, Lost) -> T) -> BTreeSet<T> {
    let of = |seed: u64| {
        let (host, disk) = disk(seed);
        run(&*disk);
        let lost = host.crash();
        left(&*host.mounted(), lost)
    };
    let all = (0..300).map(|seed| {
        let (once, again) = (of(seed), of(seed));
        assert_eq!(once, again);
        once
    });
    all.collect()
}

fn write(disk: &dyn Disk, name: &str, at: u64, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(&path(name)).or_else(|_| disk.create(&path(name))).unwrap();
    file.write_at(bytes, at).unwrap();
    file
}

fn saved(disk: &dyn Disk, name: &str, bytes: &[u8]) {
    write(disk, name, 0, bytes).sync().unwrap();
    disk.sync_folder(Path::new(FOLDER)).unwrap();
}

#[test]
fn what_was_synced_stays_and_of_the_rest_a_beginning() {
    let run = |disk: &dyn Disk| {
        saved(disk, "a", b"safe");
        write(disk, "a", 4, b"lo");
        write(disk, "a", 6, b"st");
    };
    let left = crashes(run, |disk, lost| (String::from_utf8(contents(disk, "a").unwrap()).unwrap(), lost.bytes));
    let each = ["safe", "safel", "safelo", "safelos", "safelost"].map(|text| (text.to_owned(), 8 - text.len() as u64));
    assert_eq!(left, each.into());
}

#[test]
fn what_was_overwritten_or_cut_and_not_synced_may_be_back() {
    let run = |disk: &dyn Disk| {
        saved(disk, "a", b"before");
        write(disk, "a", 0, b"BE").truncate(4).unwrap();
        write(disk, "a", 8, b"!");
    };
    let left = crashes(run, |disk, _| contents(disk, "a").unwrap());
    let each = [&b"before"[..], b"Before", b"BEfore", b"BEfo", b"BEfo\0\0\0\0!"].map(<[u8]>::to_vec);
    assert_eq!(left, each.into());
}

#[test]
fn a_file_that_was_emptied_and_not_synced_may_be_back() {
    let run = |disk: &dyn Disk| {
        saved(disk, "a", b"old");
        disk.create(&path("a")).unwrap().write_at(b"new", 0).unwrap();
    };
    let left = crashes(run, |disk, _| contents(disk, "a").unwrap());
    assert!(left.contains(&b"old"[..]) && left.contains(&b""[..]) && left.contains(&b"new"[..]), "{left:?}");
}

#[test]
fn names_change_in_order_and_are_safe_when_their_folder_was_synced() {
    let run = |disk: &dyn Disk| {
        saved(disk, "gone", b"");
        saved(disk, "kept", b"");
        disk.remove(&path("gone")).unwrap();
        disk.create_folder(&path("sub")).unwrap();
        disk.create(&path("sub/file")).unwrap();
        disk.rename(&path("sub"), &path("renamed")).unwrap();
    };
    let names = |disk: &dyn Disk| {
        let listed = disk.list(Path::new(FOLDER)).unwrap();
        listed.into_iter().map(|of| of.name).collect::<Vec<_>>().join(" ")
    };
    let left = crashes(run, |disk, lost| (names(disk), disk.open(&path("sub/file")).is_ok(), lost.names));
    let each = [
        ("gone kept", false, 4),
        ("kept", false, 3),
        ("kept sub", false, 2),
        ("kept sub", true, 1),
        ("kept renamed", false, 0),
    ];
    assert_eq!(left, each.map(|(names, file, lost)| (names.to_owned(), file, lost)).into());
    let synced = |disk: &dyn Disk| {
        run(disk);
        disk.sync_folder(Path::new(FOLDER)).unwrap();
    };
    let left = crashes(synced, |disk, lost| (names(disk), disk.open(&path("renamed/file")).is_ok(), lost.names));
    assert_eq!(left, [("kept renamed".to_owned(), true, 0)].into());
}

#[test]
fn a_small_file_that_is_replaced_is_the_old_one_or_the_new_one() {
    let run = |disk: &dyn Disk| {
        saved(disk, "a", b"old");
        write(disk, "a.tmp", 0, b"new").sync().unwrap();
        disk.rename(&path("a.tmp"), &path("a")).unwrap();
    };
    let left = crashes(run, |disk, _| contents(disk, "a").unwrap());
    assert_eq!(left, [&b"new"[..], b"old"].map(<[u8]>::to_vec).into());
}

#[test]
fn who_lived_before_a_crash_has_no_disk_any_more_and_its_lock_is_free() {
    let (host, before) = disk(1);
    let file = write(&*before, "a", 0, b"a");
    let lock = before.lock(&path(".lock")).unwrap();
    assert!(lock.is_some() && before.lock(&path(".lock")).unwrap().is_none());
    host.crash();
    let now = host.mounted();
    assert!(now.lock(&path(".lock")).unwrap().is_some());
    assert!(file.write_at(b"b", 0).is_err() && file.len().is_err() && file.sync().is_err());
    assert!(before.create(&path("b")).is_err() && before.list(Path::new(FOLDER)).is_err());
    assert!(before.lock(&path(".lock")).is_err());
}

#[test]
fn it_says_no_where_a_file_system_does() {
    let (_, disk) = disk(1);
    saved(&*disk, "a", b"a");
    let kind = |done: io::Result<()>| done.unwrap_err().kind();
    assert_eq!(kind(disk.create(&path("none/b")).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&path("b")).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.open(Path::new(FOLDER)).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.list(&path("a")).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(&path("b"), &path("c"))), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.create_folder(&path("a"))), io::ErrorKind::AlreadyExists);
    disk.create_folder(&path("sub/deep")).unwrap();
    assert_eq!(kind(disk.rename(&path("sub"), Path::new(FOLDER))), io::ErrorKind::AlreadyExists);
    disk.remove(&path("b")).unwrap();
    disk.remove_folder(&path("sub")).unwrap();
    disk.remove_folder(&path("sub")).unwrap();
    assert_eq!(disk.list(Path::new(FOLDER)).unwrap().len(), 1);
}
