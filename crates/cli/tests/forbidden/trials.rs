//! What is tried where: everything in every process, with all measures; without the filter, where
//! another measure must do; and without any, where everything must succeed.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;

use libtest_mimic::Trial;
use palisade_sandbox::Profile;

use crate::acts::{ACTS, Act, CALLS};
use crate::stage::{Outcome, Stage};
use crate::support::duty::block;
use crate::support::home::KEYS;
use crate::{absent, dumps};

const PROFILES: [(Profile, &str, &[&str]); 3] = [
    (Profile::Core, "core", &[]),
    (Profile::Front, "front", &[]),
    (Profile::Whole, "whole", &["two-processes"]),
];

/// All that an act is refused by, and what would keep one process from tracing the other.
const EVERYTHING: &[&str] = &[
    "seccomp",
    "landlock-files",
    "landlock-tcp",
    "landlock-scope",
    "write-xor-execute",
    "not-dumpable",
    "ptrace-refused",
];

/// The number of SIGSYS, by which the filter ends a process.
const BAD_CALL: i32 = libc::SIGSYS;

pub fn all() -> Vec<Trial> {
    let mut trials = vec![
        trial("the_hook_is_not_in_the_program".to_owned(), absent::hook),
        trial("a_crash_of_either_process_leaves_no_core".to_owned(), dumps::none),
        trial("a_core_that_is_let_happen_holds_no_key".to_owned(), dumps::without_keys),
    ];
    for (profile, name, off) in PROFILES {
        let acts = ACTS.iter().chain(CALLS).filter(move |act| act.ends(profile));
        trials.extend(acts.map(move |act| {
            let name = format!("the_{name}_is_ended_when_it_tries_to::{}", act.name());
            trial(name, move || is_ended(act, profile, off))
        }));
        let name = |rest: &str| format!("the_{name}_{rest}");
        trials.push(trial(name("is_answered_no_and_goes_on"), move || is_answered(profile, off)));
        trials.push(trial(name("is_refused_by_other_measures_without_the_filter"), move || {
            is_refused_by_others(profile, off);
        }));
        trials.push(trial(name("can_do_everything_without_measures"), move || {
            can_do_everything(profile, off);
        }));
    }
    trials.push(trial("a_front_that_dials_reaches_its_nodes_port_alone".to_owned(), dials));
    trials.push(trial("the_front_opens_nothing_even_without_landlock".to_owned(), || {
        only(Profile::Front, &["landlock-files"], |act| {
            act.refused_by(Profile::Front).contains(&"seccomp") && !act.ends(Profile::Front)
        });
    }));
    trials
}

fn trial(name: String, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

pub fn skip(what: &str, why: &str) {
    eprintln!("!! SKIPPED: {what}: {why}");
}

fn is_ended(act: &Act, profile: Profile, off: &[&str]) {
    let stage = Stage::without(off);
    if !stage.has("seccomp") {
        return skip(&act.name(), "the kernel has no system call filters");
    }
    stage.guard.sign(KEYS[0], &block(1, 1)).signature();
    assert_eq!(act.attempt(&stage, profile, &listener()), Outcome::Gone, "{}", act.name());
    let (status, log) = stage.end_of(profile);
    assert_eq!(status.signal(), Some(BAD_CALL), "{}: {status}: {log}", act.name());
    assert!(!status.core_dumped(), "{}", act.name());
}

/// The acts that an error answers, with all measures.
fn is_answered(profile: Profile, off: &[&str]) {
    only(profile, off, |act| !act.ends(profile) && !act.refused_by(profile).is_empty());
}

/// What another measure than the filter refuses is refused without the filter.
fn is_refused_by_others(profile: Profile, off: &[&str]) {
    only(profile, &[off, &["seccomp"]].concat(), |act| {
        act.refused_by(profile).iter().any(|measure| *measure != "seccomp")
    });
}

/// In a guard without these measures an error answers all of these acts, and the guard goes on.
fn only(profile: Profile, off: &[&str], which: impl Fn(&Act) -> bool) {
    let stage = Stage::without(off);
    let listener = listener();
    let mut tried = 0;
    for act in ACTS.iter().filter(|act| which(act)) {
        let is_on = |measure: &&str| !off.contains(measure) && stage.has(measure);
        if !act.refused_by(profile).iter().any(is_on) {
            skip(act.act, "the kernel lacks the measure that refuses it");
            continue;
        }
        let outcome = act.attempt(&stage, profile, &listener);
        let Outcome::Refused(why) = outcome else { panic!("{}: {outcome:?}", act.act) };
        let known = why.starts_with("Permission denied") || why.starts_with("Operation not perm");
        assert!(known, "{}: {why}", act.act);
        tried += 1;
    }
    assert!(0 < tried, "nothing was tried");
    stage.guard.sign(KEYS[0], &block(1, 1)).signature();
    let (status, log) = stage.guard.stop();
    assert!(status.success(), "{log}");
}

fn can_do_everything(profile: Profile, off: &[&str]) {
    let stage = Stage::without(&[off, EVERYTHING].concat());
    let listener = listener();
    let is_root = rustix::process::geteuid().is_root();
    for act in ACTS {
        if act.needs_root && !is_root {
            skip(act.act, "without measures only root may do it everywhere");
            continue;
        }
        act.assert_done(&act.attempt(&stage, profile, &listener));
    }
}

/// Whoever breaks into a front that dials reaches the port of its node; the core reaches nothing.
fn dials() {
    let (node, other) = (listener(), listener());
    let stage = Stage::dialling(node.local_addr().unwrap());
    let connect = |profile, to: &TcpListener| {
        stage.attempt(profile, "connect", &to.local_addr().unwrap().to_string())
    };
    assert_eq!(connect(Profile::Front, &node), Outcome::Did(String::new()));
    if stage.has("landlock-tcp") {
        let outcome = connect(Profile::Front, &other);
        let Outcome::Refused(why) = outcome else { panic!("{outcome:?}") };
        assert!(why.starts_with("Permission denied"), "{why}");
    } else {
        skip("another port", "the kernel does not bind connections to ports");
    }
    if stage.has("seccomp") {
        assert_eq!(connect(Profile::Core, &node), Outcome::Gone);
    }
}
