//! Whether what is written in a directory is still there after the machine was switched off.
//!
//! Invariants: a file system that lives in memory is never taken for a disk; what cannot be looked
//! at is not either. What lies below a file system is not seen, but for an overlay whose upper
//! layer is in sight: a block device or a host's directory may be in memory, and look like a disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Finding;

/// `f_type` of statfs(2), and what people call it.
const IN_MEMORY: [(u32, &str); 3] =
    [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs"), (0x9584_58f6, "hugetlbfs")];

/// Where flushing a file, and locking it against other machines, is somebody else's word.
const ELSEWHERE: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0xff53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x6573_5546, "FUSE"),
];

/// A container's own layer is thrown away with the container.
const OVERLAY: u32 = 0x794c_7630;

/// What the kernel says of the file system that holds `directory`, or that would hold it once it is
/// made.
#[must_use]
pub fn durability_of(directory: &Path) -> Finding {
    let there = directory.ancestors().find(|ancestor| ancestor.exists());
    let there = there.unwrap_or(Path::new("."));
    match (kind_of(there), upper_layer(there).and_then(|upper| kind_of(&upper).ok())) {
        (Ok(OVERLAY), Some(upper)) if IN_MEMORY.iter().any(|(kind, _)| *kind == upper) => {
            judged(upper)
        }
        (Ok(kind), _) => judged(kind),
        (Err(error), _) => {
            Finding::Fails(format!("{} cannot be looked at: {error}", there.display()))
        }
    }
}

/// Where an overlay keeps what is written, as its mount says; it may be out of sight.
fn upper_layer(directory: &Path) -> Option<PathBuf> {
    let device = directory.metadata().ok()?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // proc_pid_mountinfo(5): the third field is the device, the last are the options.
    let is_its = |line: &&str| line.split(' ').nth(2) == Some(&device);
    let options = mounts.lines().find(is_its)?.rsplit(' ').next()?;
    options.split(',').find_map(|option| option.strip_prefix("upperdir=")).map(PathBuf::from)
}

fn kind_of(path: &Path) -> io::Result<u32> {
    let kind = rustix::fs::statfs(path)?.f_type;
    // A number of 32 bits in a word, with or without its sign.
    u32::try_from(kind & 0xffff_ffff).map_err(io::Error::other)
}

fn judged(kind: u32) -> Finding {
    let named = |kinds: &[(u32, &'static str)]| {
        kinds.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
    };
    if let Some(name) = named(&IN_MEMORY) {
        return Finding::Fails(format!(
            "the home is on {name}, in memory: a restart of the machine forgets every record, and \
             what was signed may be signed again otherwise"
        ));
    }
    if let Some(name) = named(&ELSEWHERE) {
        return Finding::WorksAs(format!(
            "the home is on {name}: what is written, and that no other machine has it open, is as \
             sure as its server"
        ));
    }
    if kind == OVERLAY {
        return Finding::WorksAs(
            "the home is in a container's own layer (overlay), and goes with the container"
                .to_owned(),
        );
    }
    Finding::Works
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_no_disk_a_server_is_one_with_a_warning_and_the_rest_is_taken() {
        for (kind, name) in IN_MEMORY {
            assert!(matches!(judged(kind), Finding::Fails(why) if why.contains(name)), "{name}");
        }
        for kind in [0x6969, 0xff53_4d42, 0x6573_5546, OVERLAY] {
            assert!(matches!(judged(kind), Finding::WorksAs(_)), "{kind:x}");
        }
        // ext4, XFS, Btrfs, ZFS, F2FS, bcachefs.
        for kind in [0xef53, 0x5846_5342, 0x9123_683e, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e] {
            assert_eq!(judged(kind), Finding::Works, "{kind:x}");
        }
    }

    #[test]
    fn the_kernel_is_asked_and_what_is_not_there_yet_is_where_it_would_be_made() {
        // Mounted on every Linux, and neither a disk nor in memory that files can have.
        assert_eq!(kind_of(Path::new("/proc")).ok(), Some(0x9fa0));
        let shared = Path::new("/dev/shm");
        if kind_of(shared).ok() == Some(0x0102_1994) {
            let found = durability_of(&shared.join("not/there/yet"));
            assert!(matches!(found, Finding::Fails(why) if why.contains("tmpfs")));
        }
        assert_eq!(durability_of(Path::new("not-there")), durability_of(Path::new(".")));
    }
}
