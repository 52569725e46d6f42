//! The shared interchange tests (eth2-slashing-protection-tests v5.3.0), by `should_succeed`.
//!
//! Decides: every import and every attempt of the 38 files ends exactly as the files say for the
//! minimal strategy, through the real import, the real merge and `authorise`.
//!
//! The files lie beside the repository, in `../shared/data/eip3076`; without them this test says
//! that it was skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use palisade_ethereum::{PublicKey, interchange};
use palisade_protect::journal::Event;
use palisade_protect::{
    Changes, Denied, Digest, Duty, Epoch, Intent, KeyId, Ledger, Record, Slot, Stance, Subject,
    authorise,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const FILES: usize = 38;
const STEPS: usize = 49;
const BLOCKS: usize = 71;
const ATTESTATIONS: usize = 79;

#[derive(Deserialize)]
struct File {
    name: String,
    genesis_validators_root: Root,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    should_succeed: bool,
    contains_slashable_data: bool,
    /// As it stands in the file: the import reads bytes.
    interchange: Box<RawValue>,
    blocks: Vec<Block>,
    attestations: Vec<Attestation>,
}

#[derive(Deserialize)]
struct Block {
    pubkey: PublicKey,
    slot: String,
    #[serde(default)]
    signing_root: Root,
    should_succeed: bool,
}

#[derive(Deserialize)]
struct Attestation {
    pubkey: PublicKey,
    source_epoch: String,
    target_epoch: String,
    #[serde(default)]
    signing_root: Root,
    should_succeed: bool,
}

/// `0x` and 64 hex digits; zero where the file names none.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Root(Digest);

impl Default for Root {
    fn default() -> Self {
        Self(Digest([0; 32]))
    }
}

impl TryFrom<String> for Root {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes)?;
        Ok(Self(Digest(bytes)))
    }
}

/// One thing to sign, and whether the file says that it may be.
struct Attempt {
    key: KeyId,
    intent: Intent,
    should_succeed: bool,
}

impl From<&Block> for Attempt {
    fn from(block: &Block) -> Self {
        let duty = Duty::Proposal { slot: Slot(block.slot.parse().unwrap()) };
        Self {
            key: key_id(&block.pubkey),
            intent: Intent { duty, digest: block.signing_root.0 },
            should_succeed: block.should_succeed,
        }
    }
}

impl From<&Attestation> for Attempt {
    fn from(vote: &Attestation) -> Self {
        let duty = Duty::Attestation {
            source: Epoch(vote.source_epoch.parse().unwrap()),
            target: Epoch(vote.target_epoch.parse().unwrap()),
        };
        Self {
            key: key_id(&vote.pubkey),
            intent: Intent { duty, digest: vote.signing_root.0 },
            should_succeed: vote.should_succeed,
        }
    }
}

/// Enough to tell the suite's keys apart; the ledger wants no more.
fn key_id(key: &PublicKey) -> KeyId {
    KeyId(*key.0.first_chunk().unwrap())
}

#[derive(Default)]
struct MemoryLedger(BTreeMap<KeyId, Record>);

impl MemoryLedger {
    /// Takes a history over; a key that is not in it starts fresh, as the suite expects.
    fn import(&mut self, step: &Step, genesis: &Digest) -> Result<(), String> {
        let bytes = step.interchange.get().as_bytes();
        let records = interchange::read(bytes, genesis).map_err(|error| error.to_string())?;
        for (key, record) in records {
            let known = self.0.entry(key_id(&key)).or_insert_with(Record::fresh_ethereum);
            *known = known.merge_stricter(Record::Ethereum(record)).unwrap();
        }
        Ok(())
    }
}

impl Ledger for MemoryLedger {
    type Error = std::convert::Infallible;

    fn load(&mut self, key: &KeyId) -> Result<Option<Record>, Self::Error> {
        Ok(Some(*self.0.entry(*key).or_insert_with(Record::fresh_ethereum)))
    }

    fn stance(&mut self, _key: &KeyId, _subject: &Subject) -> Result<Stance, Self::Error> {
        Ok(Stance::NONE)
    }

    fn persist(&mut self, changes: &Changes, _events: Vec<Event>) -> Result<(), Self::Error> {
        self.0.extend(&changes.records);
        Ok(())
    }

    fn defer(&mut self, _event: Event) {}
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    files: usize,
    steps: usize,
    blocks: usize,
    attestations: usize,
    permitted: usize,
    imports_refused: usize,
}

/// Plays one file from an empty ledger; whatever differs from it is returned in words.
fn play(file: &File, counts: &mut Counts) -> Vec<String> {
    let mut ledger = MemoryLedger::default();
    let mut differences = Vec::new();
    for (number, step) in file.steps.iter().enumerate() {
        let at = format!("{} step {number}", file.name);
        let imported = ledger.import(step, &file.genesis_validators_root.0);
        // A repairing import takes slashable data in and must then hold every check below.
        if imported.is_ok() != step.should_succeed {
            let slashable = step.contains_slashable_data;
            differences.push(format!("{at}: import {imported:?} (slashable data: {slashable})"));
        }
        counts.imports_refused += usize::from(imported.is_err());
        let blocks = step.blocks.iter().map(Attempt::from);
        for attempt in blocks.chain(step.attestations.iter().map(Attempt::from)) {
            let answer = authorise(&mut ledger, &[(attempt.key, attempt.intent)]).remove(0);
            counts.permitted += usize::from(answer.is_ok());
            if answer.is_ok() != attempt.should_succeed {
                differences.push(format!("{at}: {:?}: {answer:?}", attempt.intent));
            }
            assert!(!matches!(answer, Err(Denied::UnknownKey(_))), "{at}");
        }
        counts.steps += 1;
        counts.blocks += step.blocks.len();
        counts.attestations += step.attestations.len();
    }
    counts.files += 1;
    differences
}

/// The vectors' files, or `None` where they are not at hand.
fn vector_files() -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/eip3076");
    let entries = fs::read_dir(folder).ok()?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    Some(paths)
}

#[test]
fn every_vector_ends_as_its_file_says() {
    let Some(paths) = vector_files() else {
        eprintln!("SKIPPED: ../shared/data/eip3076 is absent; no interchange vector was run");
        return;
    };
    let mut counts = Counts::default();
    let mut differences = Vec::new();
    for path in paths {
        let file: File = serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        differences.extend(play(&file, &mut counts));
    }
    println!("{counts:?}");
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    let Counts { files, steps, blocks, attestations, .. } = counts;
    assert_eq!((files, steps, blocks, attestations), (FILES, STEPS, BLOCKS, ATTESTATIONS));
}

fn inline(should_succeed: &str) -> File {
    let key = format!("0x{}", "ab".repeat(48));
    let root = format!("0x{}", "00".repeat(32));
    let metadata =
        format!(r#"{{"interchange_format_version": "5", "genesis_validators_root": "{root}"}}"#);
    let data = format!(
        r#"[{{"pubkey": "{key}", "signed_blocks": [{{"slot": "7"}}], "signed_attestations": []}}]"#
    );
    let text = format!(
        r#"{{"name": "inline", "genesis_validators_root": "{root}", "steps": [{{
            "should_succeed": true, "contains_slashable_data": false,
            "interchange": {{"metadata": {metadata}, "data": {data}}},
            "blocks": [{{"pubkey": "{key}", "slot": "7", "should_succeed": {should_succeed}}}],
            "attestations": []}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// The runner above must be able to see a difference.
#[test]
fn the_runner_notices_a_false_expectation() {
    assert!(play(&inline("false"), &mut Counts::default()).is_empty());
    let differences = play(&inline("true"), &mut Counts::default());
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].contains("DoubleProposal"), "{differences:?}");
}
