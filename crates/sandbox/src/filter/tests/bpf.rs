//! What the kernel does with filters: runs each over what it knows of a call, and takes the
//! strictest answer (seccomp(2)).
//!
//! Invariant: an instruction that the kernel would refuse, or that nothing here uses, is a panic,
//! and so is a program that does not end.

use seccompiler::BpfProgram;

/// What a filter sees of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Its number.
    pub(super) number: u32,
    /// How the kernel calls the architecture.
    pub(super) architecture: u32,
    /// Its arguments.
    pub(super) arguments: [u64; 6],
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    /// This error answers it.
    Answered(i32),
    /// The process ends.
    Ended,
}

impl Call {
    /// `struct seccomp_data`, little-endian on both machines.
    fn word(&self, offset: u32) -> u32 {
        let whole = |at: u32| self.arguments[usize::try_from(at / 8).unwrap()];
        match offset {
            0 => self.number,
            4 => self.architecture,
            // The address of the instruction: no filter may decide by it.
            8 | 12 => panic!("a filter looks at the instruction pointer"),
            _ => {
                assert!(offset.is_multiple_of(4) && offset < 64, "a load from {offset}");
                let argument = whole(offset - 16);
                let half = if offset.is_multiple_of(8) { argument } else { argument >> 32 };
                u32::try_from(half & 0xffff_ffff).unwrap()
            }
        }
    }
}

/// What the kernel decides with all of these in force.
pub(super) fn decide(programs: &[BpfProgram], call: &Call) -> Decision {
    // Of all answers the one whose action is least as a signed number counts.
    let answers = programs.iter().map(|program| run(program, call));
    let strictest = answers.min_by_key(|answer| (answer & 0xffff_0000).cast_signed()).unwrap();
    match strictest & 0xffff_0000 {
        0x7fff_0000 => Decision::Allowed,
        0x0005_0000 => Decision::Answered(i32::try_from(strictest & 0xffff).unwrap()),
        0x8000_0000 => Decision::Ended,
        other => panic!("an action that nobody asked for: {other:#x}"),
    }
}

fn run(program: &BpfProgram, call: &Call) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        // Jumps only go forward, so that this ends.
        let step = &program[at];
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { step.jt } else { step.jf });
        match step.code {
            0x20 => accumulator = call.word(step.k),
            0x54 => accumulator &= step.k,
            0x15 => jump(accumulator == step.k),
            0x25 => jump(accumulator > step.k),
            0x35 => jump(accumulator >= step.k),
            0x05 => at += usize::try_from(step.k).unwrap(),
            0x06 => return step.k,
            other => panic!("instruction {other:#x}"),
        }
    }
}
