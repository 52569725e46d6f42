//! A process of the same user that traces before the measures are taken: it stays attached, so
//! that it must be seen.

use std::io::{BufRead, BufReader, Write};
use std::process::Child;

use palisade_sandbox::{ApplyError, Measure, Plan, Table, harden_early, shield};

use crate::role::{READY, Scene, say};

/// What a process says of the measures that it takes while this thread traces it, or not.
fn said(act: &str, is_traced: bool) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let mut child = Scene::new("none", act, home.path(), "").spawn();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), READY);
    if is_traced {
        seize(&child);
    }
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let said = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    said
}

fn seize(child: &Child) {
    let none = std::ptr::null_mut::<libc::c_void>();
    let id: libc::pid_t = child.id().try_into().unwrap();
    // SAFETY: with PTRACE_SEIZE the kernel takes both pointers as numbers.
    let answer = unsafe { libc::ptrace(libc::PTRACE_SEIZE, id, none, none) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

pub(crate) fn found() {
    // SAFETY: takes nothing and cannot fail.
    let this_thread = unsafe { libc::gettid() };
    let tracer = format!("ptrace-refused: process {this_thread} traces this one already");
    for act in ["tracer-shield", "tracer-harden"] {
        assert_eq!(said(act, true), [tracer.as_str(), "dumpable: 0"], "{act}");
        assert_eq!(said(act, false), ["it holds", "dumpable: 0"], "{act}");
    }
}

pub(crate) fn allowed() {
    for act in ["tracer-shield-but-ptrace-refused", "tracer-harden-but-ptrace-refused"] {
        assert_eq!(said(act, true), ["it holds", "dumpable: 0"], "{act}");
    }
}

pub(crate) fn dumpable() {
    let act = "tracer-shield-but-not-dumpable";
    assert_eq!(said(act, false), ["it holds", "dumpable: 1"]);
    let found = said(act, true);
    assert!(found[0].starts_with("ptrace-refused: "), "{found:?}");
}

pub(crate) fn play(scene: &Scene) {
    let (act, but) = scene.act.split_once("-but-").unwrap_or((&scene.act, ""));
    let allowed: Vec<Measure> = but.parse().into_iter().collect();
    say(READY);
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    let taken = match act {
        "tracer-shield" => shield(&allowed),
        // Of another kernel nothing is asked: the tracer is what is looked for.
        _ => harden_early(&Plan::default(), &but_for_the_machine(allowed)),
    };
    say(&match taken {
        Ok(()) => "it holds".to_owned(),
        Err(ApplyError { measure, reason }) => format!("{measure}: {reason}"),
    });
    // SAFETY: asks for a flag of this process.
    let flag = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
    say(&format!("dumpable: {flag}"));
}

/// Only what every kernel has, without the measures that are allowed to be off.
fn but_for_the_machine(mut allowed: Vec<Measure>) -> Table {
    let has = [Measure::NotDumpable, Measure::CoreDumpsOff, Measure::PtraceRefused];
    allowed.extend(Measure::ALL.into_iter().filter(|measure| !has.contains(measure)));
    Table::without(&allowed)
}
