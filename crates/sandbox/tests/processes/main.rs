//! Real processes under real measures: what a guard needs works, other kernels and other users are
//! found out, and no other process reads a secret. That what is forbidden fails is shown in the
//! real guard, by `forbidden` among the tests of `palisade-cli`.
//!
//! The binary runs itself again in a role: a process that takes the measures of a profile and then
//! does one thing. Where the kernel lacks a measure, the tests that need it are skipped aloud.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod role;
mod secrets;
mod tracer;
mod users;
mod work;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Some(code) = palisade_sandbox::answer_if_asked() {
        return code;
    }
    if let Some(code) = role::play() {
        return code;
    }
    let tests: [(&str, fn()); 19] = [
        ("whole_serves_files_threads_and_connections", work::whole),
        ("front_serves_connections_and_opens_nothing_of_the_home", work::front),
        ("core_serves_files_and_an_inherited_socket", work::core),
        ("a_front_that_dials_reaches_its_port_and_no_other", work::dialling_front),
        ("a_secret_is_in_no_page_that_another_process_reads", secrets::unreadable),
        ("locked_memory_that_runs_out_is_an_error_where_it_is_demanded", secrets::runs_out),
        ("bytes_beside_secret_pages_fault", secrets::guard_pages),
        ("a_user_who_is_not_root_has_all_measures", users::nobody),
        ("a_kernel_without_landlock_and_secret_memory_is_found_out", users::old_kernel),
        ("a_kernel_without_seccomp_is_found_out", users::no_seccomp),
        ("a_program_that_its_user_may_not_read_starts_clean_too", users::unreadable_program),
        ("a_rule_that_the_kernel_refuses_is_named", users::refused_rule),
        ("a_clean_start_drops_variables_and_descriptors", users::clean_start),
        ("a_clean_start_can_be_of_one_of_both", users::half_clean_start),
        ("a_starter_that_claims_a_clean_start_is_not_believed", users::claimed_clean_start),
        ("a_tracer_that_came_first_is_found_at_both_looks", tracer::found),
        ("a_tracer_may_stay_where_that_is_allowed", tracer::allowed),
        ("a_shielded_process_is_left_dumpable_where_that_is_allowed", tracer::dumpable),
        ("the_second_thread_is_too_late", users::second_thread),
    ];
    let tests = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), tests.collect()).exit_code()
}
