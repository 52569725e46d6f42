//! Which program the service starts, and whether it may: systemd starts it as root's word.
//!
//! Invariants: the unit names no program that somebody else than root can exchange, neither the
//! file nor a directory on the way to it; no name that systemd would read otherwise than it is
//! written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::failure::Failure;

/// The program in the units as they are in the repository.
pub(super) const PACKAGED: &str = "/usr/bin/palisade";

/// What the service cannot see: its own view of these directories is empty.
const HIDDEN: [&str; 6] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev"];

/// Letters and digits aside, what systemd takes as it is: no specifier, variable, quote, escape,
/// separator or space (systemd.service(5), "COMMAND LINES"; systemd.exec(5), `ExecPaths=`).
const PLAIN: &str = "/._-+";

const INSTALL: &str = "install -m 755 palisade /usr/local/bin/palisade";

/// This program's place on the system below `root`.
pub(super) fn to_start(root: &Path) -> Result<String, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::io("cannot tell where this program is", &error))?;
    if root == Path::new("/") {
        is_visible(&program)?;
        let path = as_written(&program)?;
        is_roots_alone(&program)?;
        return Ok(path);
    }
    // A tree for another machine: the program in it, or the place where it belongs. Who may write
    // there is for that machine to say.
    match program.strip_prefix(root) {
        Ok(inside) => as_written(&Path::new("/").join(inside)),
        Err(_) => Ok(PACKAGED.to_owned()),
    }
}

fn is_visible(program: &Path) -> Result<(), Failure> {
    let Some(hidden) = HIDDEN.iter().find(|hidden| program.starts_with(hidden)) else {
        return Ok(());
    };
    Err(Failure::Usage(format!(
        "the service could not start {}: it sees nothing in {hidden}. Install the program first, \
         as root: `{INSTALL}`, and call that one",
        program.display()
    )))
}

fn as_written(program: &Path) -> Result<String, Failure> {
    let text = program.to_str().unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || PLAIN.contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Failure::Usage(format!(
        "systemd would read the name {program:?} otherwise than it is written: a path in a unit \
         may have letters, digits and {PLAIN} only. Install the program under such a name, as \
         root: `{INSTALL}`, and call that one"
    )))
}

fn is_roots_alone(program: &Path) -> Result<(), Failure> {
    for path in program.ancestors() {
        let shown = path.display();
        let found = fs::symlink_metadata(path)
            .map_err(|error| Failure::io(format!("cannot look at {shown}"), &error))?;
        let mode = found.mode() & 0o7777;
        let why = match found.uid() {
            0 if mode & 0o022 == 0 => continue,
            0 => format!("has mode {mode:04o}"),
            owner => format!("belongs to user {owner}"),
        };
        return Err(Failure::Usage(format!(
            "the service would start {}, and {shown} {why}: somebody else than root can put \
             another program there. Install the program where only root may write, as root: \
             `{INSTALL}`, and call that one; or run `chown root {shown}` and `chmod go-w {shown}`",
            program.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(result: Result<impl Sized, Failure>) -> String {
        result.err().and_then(|failure| failure.message().map(str::to_owned)).unwrap_or_default()
    }

    #[test]
    fn a_name_that_systemd_would_expand_or_split_is_refused() {
        for plain in ["/usr/local/bin/palisade", "/opt/palisade-0.1.0+x86_64/bin/palisade"] {
            assert_eq!(as_written(Path::new(plain)).ok().as_deref(), Some(plain));
        }
        for odd in
            ["%n", "$HOME", "${x}", "a b", "a\tb", "a\nb", "\"a", "'a", "a\\x", "a;b", "a*", "ä"]
        {
            let said = error(as_written(&Path::new("/opt").join(odd).join("palisade")));
            assert!(said.contains("systemd would read the name"), "{odd}: {said}");
            assert!(said.contains("/usr/local/bin/palisade"), "{odd}: {said}");
        }
    }

    #[test]
    fn a_program_that_the_service_cannot_see_is_refused() {
        for hidden in ["/home/a/palisade", "/root/palisade", "/var/tmp/palisade"] {
            assert!(error(is_visible(Path::new(hidden))).contains("it sees nothing in"));
        }
        for seen in ["/usr/bin/palisade", "/homestead/palisade", "/var/lib/palisade"] {
            assert!(is_visible(Path::new(seen)).is_ok(), "{seen}");
        }
    }
}
