//! EIP-3076 histories: what is taken from them, what is refused, and what is written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::io::{self, Read};

use palisade_ethereum::PublicKey;
use palisade_ethereum::interchange::{InterchangeError, read, write};
use palisade_protect::{
    Attestation, Digest, Duty, Epoch, EthereumRecord, Intent, Proposal, Record, Slot, StopLine,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const CHAIN: Digest = Digest([0x11; 32]);

fn key(number: u8) -> PublicKey {
    PublicKey([number; 48])
}

fn record(slot: Option<u64>, vote: Option<(u64, u64)>) -> EthereumRecord {
    EthereumRecord {
        proposal: slot.map(|slot| Proposal { slot: Slot(slot), root: None }),
        attestation: vote.map(|(source, target)| Attestation {
            source: Epoch(source),
            target: Epoch(target),
            root: None,
        }),
        stop_line: StopLine::default(),
    }
}

fn blocks(slots: &[u64]) -> Value {
    slots.iter().map(|slot| json!({ "slot": slot.to_string() })).collect()
}

fn votes(votes: &[(u64, u64)]) -> Value {
    let vote = |(source, target): &(u64, u64)| {
        let (source, target) = (source.to_string(), target.to_string());
        json!({ "source_epoch": source, "target_epoch": target })
    };
    votes.iter().map(vote).collect()
}

fn history(key: PublicKey, blocks: Value, votes: Value) -> Value {
    json!({ "pubkey": key, "signed_blocks": blocks, "signed_attestations": votes })
}

fn document(data: Value) -> Value {
    let metadata = json!({
        "interchange_format_version": "5",
        "genesis_validators_root": CHAIN.to_string(),
    });
    json!({ "metadata": metadata, "data": data })
}

type Records = BTreeMap<PublicKey, EthereumRecord>;

fn import(document: &Value) -> Result<Records, InterchangeError> {
    read(document.to_string().as_bytes(), &CHAIN)
}

fn refused(document: &Value) -> InterchangeError {
    import(document).unwrap_err()
}

#[test]
fn each_key_gets_its_highest_messages_without_roots() {
    let mut seen = blocks(&[5, 9, 7]);
    seen[1]["signing_root"] = json!(Digest([9; 32]).to_string());
    seen[0]["signing_root"] = Value::Null;
    let data = json!([
        history(key(1), seen, votes(&[(2, 3), (1, 8), (4, 5)])),
        history(key(2), blocks(&[]), votes(&[(0, 0)])),
        history(key(3), blocks(&[0]), votes(&[])),
        history(key(4), blocks(&[]), votes(&[])),
    ]);
    let expected = Records::from([
        (key(1), record(Some(9), Some((4, 8)))),
        (key(2), record(None, Some((0, 0)))),
        (key(3), record(Some(0), None)),
        (key(4), record(None, None)),
    ]);
    assert_eq!(import(&document(data)).unwrap(), expected);
}

#[test]
fn a_key_given_twice_is_merged() {
    let data = json!([
        history(key(1), blocks(&[5]), votes(&[(3, 4)])),
        history(key(2), blocks(&[1]), votes(&[])),
        history(key(1), blocks(&[4]), votes(&[(1, 9)])),
    ]);
    let records = import(&document(data)).unwrap();
    assert_eq!(records[&key(1)], record(Some(5), Some((3, 9))));
    assert_eq!(records.len(), 2);
}

#[test]
fn slashable_messages_inside_a_file_leave_a_record_that_forbids_them_all() {
    let slashable = [(2, 3), (1, 5), (4, 4), (9, 7), (2, 3)];
    let data = json!([history(key(1), blocks(&[7, 7, 3]), votes(&slashable))]);
    let records = import(&document(data)).unwrap();
    let record = Record::Ethereum(records[&key(1)]);
    let digest = Digest([1; 32]);
    let intents = slashable
        .map(|(source, target)| Duty::Attestation { source: Epoch(source), target: Epoch(target) })
        .into_iter()
        .chain([3, 7].map(|slot| Duty::Proposal { slot: Slot(slot) }));
    for duty in intents {
        assert!(palisade_protect::decide(&record, &Intent { duty, digest }).is_err(), "{duty:?}");
    }
}

#[test]
fn fields_may_come_in_any_order() {
    let text = format!(
        "{{\"data\":[{{\"signed_attestations\":[{{\"target_epoch\":\"2\",\"source_epoch\":\"1\"}}],\
         \"signed_blocks\":[],\"pubkey\":\"{}\"}}],\"metadata\":{{\"genesis_validators_root\":\
         \"{CHAIN}\",\"interchange_format_version\":\"5\"}}}}",
        key(1)
    );
    let records = read(text.as_bytes(), &CHAIN).unwrap();
    assert_eq!(records, Records::from([(key(1), record(None, Some((1, 2))))]));
}

#[test]
fn another_version_is_refused_whole() {
    for version in ["4", "6", "", "5.0", "05", &"9".repeat(1000)] {
        let mut file = document(json!([history(key(1), blocks(&[1]), votes(&[]))]));
        file["metadata"]["interchange_format_version"] = json!(version);
        let error = refused(&file);
        assert_eq!(error.code(), "wrong-version", "{error}");
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn another_chain_is_refused_whole() {
    let mut file = document(json!([]));
    file["metadata"]["genesis_validators_root"] = json!(Digest([0x22; 32]).to_string());
    let error = refused(&file);
    assert_eq!(error.code(), "wrong-genesis-validators-root");
    assert!(error.to_string().contains("0x2222") && error.to_string().contains("0x1111"));
}

#[test]
fn what_is_not_of_the_format_is_refused() {
    let good = document(json!([history(key(1), blocks(&[1]), votes(&[(1, 2)]))]));
    assert!(import(&good).is_ok());
    let wrong = [
        ("/metadata", json!(null)),
        ("/metadata/interchange_format_version", json!(5)),
        ("/metadata/interchange_format_version", json!(null)),
        ("/metadata/genesis_validators_root", json!("0x11")),
        ("/data", json!({})),
        ("/data/0/pubkey", json!("0x1234")),
        ("/data/0/pubkey", json!(1)),
        ("/data/0/signed_blocks", json!(null)),
        ("/data/0/signed_blocks/0/slot", json!(1)),
        ("/data/0/signed_blocks/0/slot", json!("-1")),
        ("/data/0/signed_blocks/0/slot", json!("+1")),
        ("/data/0/signed_blocks/0/slot", json!("01")),
        ("/data/0/signed_blocks/0/slot", json!("18446744073709551616")),
        ("/data/0/signed_blocks/0/slot", json!("0x1")),
        ("/data/0/signed_blocks/0/signing_root", json!("0x12")),
        ("/data/0/signed_attestations/0/source_epoch", json!("")),
        ("/data/0/signed_attestations/0/target_epoch", json!(null)),
        ("/data/0/signed_attestations/0", json!([])),
    ];
    for (path, value) in wrong {
        let mut file = good.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        match file.pointer_mut(parent).unwrap() {
            Value::Array(elements) => elements[name.parse::<usize>().unwrap()] = value.clone(),
            other => other[name] = value.clone(),
        }
        assert_eq!(refused(&file).code(), "malformed", "{path} {value}");
    }
}

#[test]
fn no_field_may_be_missing_unknown_or_given_twice() {
    let good = document(json!([history(key(1), blocks(&[1]), votes(&[(1, 2)]))]));
    for parent in ["", "/metadata", "/data/0", "/data/0/signed_blocks/0"] {
        let mut file = good.clone();
        file.pointer_mut(parent).unwrap()["signed_block"] = json!([]);
        assert_eq!(refused(&file).code(), "malformed", "unknown in {parent}");
        let fields = good.pointer(parent).unwrap().as_object().unwrap();
        for name in fields.keys() {
            let mut file = good.clone();
            file.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            assert_eq!(refused(&file).code(), "malformed", "{parent} without {name}");
            let text = good.to_string();
            let field = format!("\"{name}\":{}", fields[name]);
            let twice = text.replacen(&field, &format!("{field},{field}"), 1);
            assert_ne!(twice, text);
            let error = read(twice.as_bytes(), &CHAIN).unwrap_err();
            assert!(error.to_string().contains("duplicate field"), "{name}: {error}");
        }
    }
}

#[test]
fn a_file_cut_off_anywhere_yields_nothing() {
    let data = json!([history(key(1), blocks(&[1]), votes(&[(1, 2)]))]);
    let text = document(data).to_string();
    for length in 0..text.len() {
        let error = read(&text.as_bytes()[..length], &CHAIN).unwrap_err();
        assert_eq!(error.code(), "malformed", "{length}");
    }
    let error = read(format!("{text} x").as_bytes(), &CHAIN).unwrap_err();
    assert_eq!(error.code(), "malformed");
}

#[test]
fn an_error_says_where() {
    let text = "{\"metadata\":{},\n\"data\":[]}";
    match read(text.as_bytes(), &CHAIN).unwrap_err() {
        InterchangeError::Malformed { line: 1, column, why } => {
            assert!(column > 0 && why.contains("interchange_format_version"), "{why}");
        }
        other => panic!("{other}"),
    }
}

/// Repeats a piece of text without end.
struct Endless(&'static [u8], usize);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.0[self.1 % self.0.len()];
            self.1 += 1;
        }
        Ok(buffer.len())
    }
}

#[test]
fn endless_values_and_endless_nesting_stop_early() {
    for piece in [b"\"aaaa" as &[u8], b"[", b"{\"data\":", b"\\\"\\\"\"", b"1"] {
        let piece: &'static [u8] = piece.to_vec().leak();
        let start: &[u8] = if piece[0] == b'"' { b"{\"metadata\":\"" } else { b"{\"data\":" };
        let code = read(start.chain(Endless(&piece[usize::from(piece[0] == b'"')..], 0)), &CHAIN)
            .unwrap_err()
            .code();
        assert!(["beyond-limits", "malformed"].contains(&code), "{code}");
    }
    let nested = b"{\"data\":".chain(Endless(b"[", 0));
    assert!(read(nested, &CHAIN).is_err());
    let long = b"{\"metadata\":{\"interchange_format_version\":\"".chain(Endless(b"5", 0));
    assert_eq!(read(long, &CHAIN).unwrap_err().code(), "beyond-limits");
}

#[test]
fn a_source_that_fails_is_not_a_bad_file() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "no"))
        }
    }
    let error = read(b"{\"data\":[".chain(Failing), &CHAIN).unwrap_err();
    assert_eq!(error.code(), "io");
}

/// Makes a history of many rows while it is read.
struct Rows {
    next: u64,
    end: u64,
    ready: Vec<u8>,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() && self.next < self.end {
            let (slot, comma) = (self.next, if self.next == 0 { "" } else { "," });
            self.ready = format!("{comma}{{\"slot\":\"{slot}\"}}\n").into_bytes();
            self.next += 1;
        }
        let count = self.ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_hundred_thousand_rows_are_read_as_they_come() {
    let start = format!(
        "{{\"metadata\":{{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\
         \"{CHAIN}\"}},\"data\":[{{\"pubkey\":\"{}\",\"signed_attestations\":[],\
         \"signed_blocks\":[",
        key(1)
    );
    let rows = Rows { next: 0, end: 100_000, ready: Vec::new() };
    let source = start.as_bytes().chain(rows).chain(b"]}]}" as &[u8]);
    let records = read(source, &CHAIN).unwrap();
    assert_eq!(records, Records::from([(key(1), record(Some(99_999), None))]));
}

#[test]
fn ten_thousand_keys_are_written_and_read_back() {
    let all: Records = (0..10_000_u64)
        .map(|number| {
            let mut bytes = [0; 48];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            (PublicKey(bytes), record(Some(number), Some((number, number + 1))))
        })
        .collect();
    let mut file = Vec::new();
    write(&mut file, &CHAIN, all.iter().map(|(key, record)| (*key, *record))).unwrap();
    assert_eq!(read(file.as_slice(), &CHAIN).unwrap(), all);
}

#[test]
fn what_is_written_has_the_form_of_the_specification() {
    let known = EthereumRecord {
        proposal: Some(Proposal { slot: Slot(7), root: Some(Digest([0xaa; 32])) }),
        attestation: Some(Attestation { source: Epoch(1), target: Epoch(2), root: None }),
        ..EthereumRecord::default()
    };
    let mut file = Vec::new();
    write(&mut file, &CHAIN, [(key(1), known), (key(2), EthereumRecord::default())]).unwrap();
    let written: Value = serde_json::from_slice(&file).unwrap();
    let mut block = blocks(&[7]);
    block[0]["signing_root"] = json!(Digest([0xaa; 32]).to_string());
    let expected = document(json!([
        history(key(1), block, votes(&[(1, 2)])),
        history(key(2), blocks(&[]), votes(&[])),
    ]));
    assert_eq!(written, expected);
}

#[test]
fn no_keys_are_a_history_too() {
    let mut file = Vec::new();
    write(&mut file, &CHAIN, []).unwrap();
    assert!(read(file.as_slice(), &CHAIN).unwrap().is_empty());
}

#[test]
fn a_full_disk_is_reported() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for room in 0..300 {
        assert!(write(Full(room), &CHAIN, [(key(1), record(Some(1), Some((1, 2))))]).is_err());
    }
}

proptest! {
    #[test]
    fn every_record_survives_the_way_out_and_in(
        records in proptest::collection::btree_map(
            any::<u8>(),
            (any::<Option<u64>>(), any::<Option<(u64, u64)>>()),
            0..20,
        )
    ) {
        let all: Records = records
            .into_iter()
            .map(|(number, (slot, vote))| (key(number), record(slot, vote)))
            .collect();
        let mut file = Vec::new();
        write(&mut file, &CHAIN, all.clone()).unwrap();
        prop_assert_eq!(read(file.as_slice(), &CHAIN).unwrap(), all);
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(bytes.as_slice(), &CHAIN).is_err());
    }
}
