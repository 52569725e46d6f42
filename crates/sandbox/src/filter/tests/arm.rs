//! The numbers of the lists on aarch64, in the order of the lists.
//!
//! Where the tests run they are what the lists become there; where aarch64 is compiled for, the
//! compiler finds that the lists are these. So what was tried here is what is in force there.

use crate::syscalls;

/// Each list with its numbers.
pub(super) const LISTS: [(&[i64], &[i64]); 6] = [
    (
        syscalls::BASE,
        &[
            63, 65, 64, 66, 57, 23, 24, 207, 209, 204, 205, 214, 215, 216, 233, 228, 284, 229, 447,
            46, 283, 435, 98, 99, 100, 293, 96, 124, 123, 178, 172, 173, 93, 94, 113, 114, 115,
            101, 169, 278, 134, 135, 139, 132, 128, 20, 21, 22, 441, 19, 59, 73, 85, 86, 174, 175,
            176, 177, 160, 179, 165, 17,
        ],
    ),
    (syscalls::FIND_FILES, &[56, 79, 291, 43, 78, 48, 439]),
    (syscalls::READ_FILES, &[80, 44, 61, 62, 67, 69, 223]),
    (syscalls::WRITE_FILES, &[68, 70, 82, 83, 84, 47, 32, 38, 276, 35, 34, 52, 53, 166]),
    (syscalls::ACCEPT, &[242, 202]),
    (CONDITIONAL, &[220, 435, 222, 226, 131, 261, 206, 210, 25, 29, 167, 208]),
];

/// The calls that `conditional` and the answered filters name.
const CONDITIONAL: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_tgkill,
    libc::SYS_prlimit64,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_prctl,
    libc::SYS_setsockopt,
];

#[cfg(target_arch = "aarch64")]
const _: () = {
    let mut list = 0;
    while list < LISTS.len() {
        let (compiled, expected) = LISTS[list];
        assert!(compiled.len() == expected.len(), "a call too many or too few");
        let mut call = 0;
        while call < compiled.len() {
            assert!(compiled[call] == expected[call], "another number than was tried");
            call += 1;
        }
        list += 1;
    }
};
