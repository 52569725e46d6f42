//! The hook is compiled into this test, and not into the program.

use std::fs;
use std::path::Path;

use palisade_sandbox::acts::MARK;

fn holds_the_hook(program: &Path) -> bool {
    memchr::memmem::find(&fs::read(program).unwrap(), MARK).is_some()
}

pub fn hook() {
    assert!(holds_the_hook(&std::env::current_exe().unwrap()), "the search finds nothing");
    assert!(!holds_the_hook(Path::new(env!("CARGO_BIN_EXE_palisade"))), "the program has the hook");
}
