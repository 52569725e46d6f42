//! Landlock: which files, which TCP ports, and nobody to signal.
//!
//! Invariants: every right that the kernel's version knows is handled, so that what is not granted
//! is refused; nothing is ever granted to execute; called while the process has one thread, because
//! the rules bind the calling thread and those that it starts.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::{ApplyError, Measure};

/// The first version that can move a file between directories.
pub(crate) const FILES_VERSION: i32 = 2;
/// The first version that knows TCP.
pub(crate) const TCP_VERSION: i32 = 4;
/// The first version that knows scopes.
pub(crate) const SCOPE_VERSION: i32 = 6;
/// The newest version that this crate is tested with.
const TESTED_VERSION: i32 = 7;

/// What to allow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules<'a> {
    /// The kernel's version.
    pub(crate) version: i32,
    /// Files and directories to read and write, but not to execute; `None` leaves files alone.
    pub(crate) files: Option<(&'a [PathBuf], &'a [PathBuf])>,
    /// TCP ports to bind, and to connect to; `None` leaves TCP alone.
    pub(crate) ports: Option<(&'a [u16], &'a [u16])>,
    /// No signals and abstract sockets to the outside.
    pub(crate) scope: bool,
}

impl Rules<'_> {
    /// What fails when all of it fails: the first that is wanted.
    fn first(&self) -> Measure {
        match (self.files, self.ports) {
            (Some(_), _) => Measure::LandlockFiles,
            (None, Some(_)) => Measure::LandlockTcp,
            (None, None) => Measure::LandlockScope,
        }
    }
}

fn failed(measure: Measure) -> impl Fn(landlock::RulesetError) -> ApplyError {
    move |error| ApplyError { measure, reason: error.to_string() }
}

/// Binds this thread, and those that it starts, for good. An error names the rule that failed.
pub(crate) fn enforce(rules: &Rules<'_>) -> Result<(), ApplyError> {
    let abi = ABI::from(rules.version.min(TESTED_VERSION));
    let [files, tcp, scope] =
        [Measure::LandlockFiles, Measure::LandlockTcp, Measure::LandlockScope];
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if rules.files.is_some() {
        ruleset = ruleset.handle_access(AccessFs::from_all(abi)).map_err(failed(files))?;
    }
    if rules.ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi)).map_err(failed(tcp))?;
    }
    if rules.scope {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(failed(scope))?;
    }
    let mut created = ruleset.create().map_err(failed(rules.first()))?;
    if let Some((read_write, read_only)) = rules.files {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let everything = AccessFs::from_all(abi) & !AccessFs::Execute & !devices(abi);
        for (paths, access) in [(read_write, everything), (read_only, read)] {
            for path in paths {
                let rule = beneath(path, access, abi);
                let rule = rule.map_err(|reason| ApplyError { measure: files, reason })?;
                created = created.add_rule(rule).map_err(failed(files))?;
            }
        }
    }
    let (bind, connect) = rules.ports.unwrap_or_default();
    for (ports, access) in [(bind, AccessNet::BindTcp), (connect, AccessNet::ConnectTcp)] {
        for port in ports {
            let rule = NetPort::new(*port, access);
            created = created.add_rule(rule).map_err(failed(tcp))?;
        }
    }
    let status = created.restrict_self().map_err(failed(rules.first()))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        other => Err(ApplyError {
            measure: rules.first(),
            reason: format!("the kernel enforces the rules only so far: {other:?}"),
        }),
    }
}

/// Nothing in a home is a device.
fn devices(abi: ABI) -> BitFlags<AccessFs> {
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    devices & AccessFs::from_all(abi)
}

fn beneath(
    path: &Path,
    access: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<PathBeneath<PathFd>, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let is_directory = std::fs::metadata(path).map_err(|error| named(&error))?.is_dir();
    // A file has no entries: rights on entries are an error there.
    let access = if is_directory { access } else { access & AccessFs::from_file(abi) };
    Ok(PathBeneath::new(PathFd::new(path).map_err(|error| named(&error))?, access))
}
