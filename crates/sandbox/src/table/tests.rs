//! Machines that this one is not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

/// A user of its own on a new kernel.
fn good() -> Facts {
    let findings = Measure::ALL.into_iter().map(|measure| (measure, Finding::Works)).collect();
    Facts { user: 1000, home_owner: Some(1000), findings, ..Facts::default() }
}

fn without(measures: &[Measure]) -> Facts {
    let mut facts = good();
    for measure in measures {
        facts.findings.insert(*measure, Finding::Fails("the kernel is old".to_owned()));
    }
    facts
}

fn root(home_owner: Option<u32>) -> Facts {
    let facts = without(&[Measure::NotRoot, Measure::PtraceRefused]);
    Facts { user: 0, home_owner, ..facts }
}

fn state(table: &Table, measure: Measure) -> State {
    table.measures.iter().find(|row| row.measure == measure).unwrap().state
}

fn missing(facts: &Facts, allowed: &[Measure]) -> Vec<Measure> {
    judge(facts, allowed).missing().map(|row| row.measure).collect()
}

#[test]
fn a_good_machine_has_every_measure_once_and_in_order() {
    let table = judge(&good(), &[]);
    let measures: Vec<Measure> = table.measures.iter().map(|row| row.measure).collect();
    assert_eq!(measures, Measure::ALL);
    assert!(table.measures.iter().all(|row| row.state == State::On && row.remedy.is_none()));
}

#[test]
fn a_guard_that_dials_needs_landlock_for_tcp_or_its_name() {
    let facts = Facts { dials: true, ..without(&[Measure::LandlockTcp]) };
    assert_eq!(missing(&facts, &[]), [Measure::LandlockTcp]);
    assert_eq!(missing(&facts, &[Measure::LandlockTcp]), []);
    assert_eq!(missing(&Facts { dials: false, ..facts }, &[]), []);
    let table = judge(&Facts { dials: true, ..good() }, &[]);
    for measure in [Measure::LandlockTcp, Measure::Seccomp] {
        let row = table.measures.iter().find(|row| row.measure == measure).unwrap();
        assert!(row.state == State::On && row.reason.contains("but the front's"), "{row:?}");
    }
}

#[test]
fn a_kernel_without_landlock_is_named_and_starts_only_when_that_is_allowed() {
    let facts = without(&[Measure::LandlockFiles, Measure::LandlockTcp, Measure::LandlockScope]);
    assert_eq!(missing(&facts, &[]), [Measure::LandlockFiles]);
    let table = judge(&facts, &[]);
    assert_eq!(state(&table, Measure::LandlockTcp), State::OffAllowed);
    assert_eq!(state(&table, Measure::LandlockScope), State::OffAllowed);
    let row = table.missing().next().unwrap();
    assert_eq!(row.reason, "the kernel is old");
    assert!(row.remedy.as_ref().unwrap().contains("Linux 5.19"), "{row:?}");
    assert_eq!(missing(&facts, &[Measure::LandlockFiles]), []);
    // Another name does not help.
    assert_eq!(
        missing(&facts, &[Measure::Seccomp]),
        [Measure::LandlockFiles, Measure::LandlockTcp]
    );
}

#[test]
fn a_kernel_with_landlock_before_tcp_starts_because_of_seccomp() {
    let facts = without(&[Measure::LandlockTcp, Measure::LandlockScope]);
    assert_eq!(missing(&facts, &[]), []);
}

#[test]
fn a_kernel_without_seccomp_takes_with_it_what_stood_on_it() {
    let facts = without(&[Measure::Seccomp]);
    assert_eq!(missing(&facts, &[]), [Measure::Seccomp]);
    let facts = without(&[Measure::Seccomp, Measure::LandlockTcp, Measure::WriteXorExecute]);
    let all = [Measure::LandlockTcp, Measure::Seccomp, Measure::WriteXorExecute];
    assert_eq!(missing(&facts, &[]), all);
    assert_eq!(
        missing(&facts, &[Measure::Seccomp]),
        [Measure::LandlockTcp, Measure::WriteXorExecute]
    );
    assert_eq!(missing(&facts, &all), []);
}

#[test]
fn memory_that_cannot_be_locked_is_excused_by_secret_pages_only() {
    let facts = without(&[Measure::MemoryLocked]);
    assert_eq!(missing(&facts, &[]), []);
    let facts = without(&[Measure::MemoryLocked, Measure::SecretMemory]);
    assert_eq!(missing(&facts, &[]), [Measure::MemoryLocked, Measure::SecretMemory]);
}

#[test]
fn a_fallback_is_on_and_says_that_it_is_one() {
    let mut facts = good();
    facts.findings.insert(Measure::SecretMemory, Finding::WorksAs("locked pages".to_owned()));
    let table = judge(&facts, &[]);
    let row = table.measures.iter().find(|row| row.measure == Measure::SecretMemory).unwrap();
    assert_eq!((row.state, row.reason.as_str()), (State::On, "locked pages"));
    assert!(row.remedy.is_some());
}

#[test]
fn root_is_allowed_on_a_home_of_its_own_when_no_service_manager_started_it() {
    for home_owner in [Some(0), None] {
        let table = judge(&root(home_owner), &[]);
        assert_eq!(table.missing().count(), 0);
        assert_eq!(state(&table, Measure::NotRoot), State::OffAllowed);
        assert_eq!(state(&table, Measure::PtraceRefused), State::OffAllowed);
    }
    let both = [Measure::NotRoot, Measure::PtraceRefused];
    assert_eq!(missing(&root(Some(1000)), &[]), both);
    let service = Facts { is_service: true, ..root(Some(0)) };
    assert_eq!(missing(&service, &[]), both);
    assert_eq!(missing(&service, &[Measure::NotRoot]), []);
}

#[test]
fn a_user_whom_ptrace_is_not_refused_is_not_excused_as_root_is() {
    assert_eq!(missing(&without(&[Measure::PtraceRefused]), &[]), [Measure::PtraceRefused]);
}

#[test]
fn a_clock_of_1970_is_missing() {
    assert_eq!(missing(&without(&[Measure::ClockSane]), &[]), [Measure::ClockSane]);
}

#[test]
fn what_was_not_tried_is_not_on() {
    let facts = Facts { user: 1000, ..Facts::default() };
    let table = judge(&facts, &[]);
    assert!(table.measures.iter().all(|row| row.state != State::On));
    assert!(table.missing().any(|row| row.reason == "it could not be tried"));
}

#[test]
fn a_named_measure_is_left_off_although_it_works() {
    let table = judge(&good(), &[Measure::Seccomp]);
    assert_eq!(state(&table, Measure::Seccomp), State::OffAllowed);
    assert!(!table.is_on(Measure::Seccomp));
    // Who is not root does not become root by that.
    assert_eq!(state(&judge(&good(), &[Measure::NotRoot]), Measure::NotRoot), State::On);
}

#[test]
fn each_measure_is_excused_by_its_own_name_alone() {
    for measure in Measure::ALL {
        assert_eq!(missing(&without(&[measure]), &[measure]), [], "{measure}");
    }
}

#[test]
fn lines_stand_under_each_other_and_name_what_to_do() {
    let lines = judge(&without(&[Measure::Seccomp]), &[]).lines();
    let line = lines.iter().position(|line| line.starts_with("seccomp ")).unwrap();
    assert_eq!(lines.get(line).unwrap(), "seccomp             MISSING       the kernel is old");
    assert!(lines.get(line + 1).unwrap().contains("to mend it: use a kernel with CONFIG_SECCOMP"));
}

#[test]
fn names_are_told_back_and_unknown_ones_listed() {
    for measure in Measure::ALL {
        assert_eq!(measure.name().parse(), Ok(measure));
    }
    let error = "selinux".parse::<Measure>().unwrap_err().to_string();
    assert!(error.contains("\"selinux\"") && error.contains("landlock-files"), "{error}");
}
