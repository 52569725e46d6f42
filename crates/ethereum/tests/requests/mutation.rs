//! Whatever is changed in a request, its root changes or it is refused.
//!
//! The exceptions, all of them: `fork.epoch` and the fork version that it does not select do not
//! enter the root; a change of withdrawal credentials takes neither version; the slot of a sync
//! committee message only selects the version; letter case of hex.

use palisade_ethereum::{parse_batch, parse_request};
use proptest::prelude::*;
use serde_json::Value;

use crate::samples::{Sample, captures, network, parse, specification};

/// The place of a value inside a request.
type Path = Vec<String>;

fn samples() -> Vec<Sample> {
    specification().into_iter().chain(captures()).map(Sample::without_root).collect()
}

/// Web3Signer's request holds the slot to find the epoch; the chain's message is the root alone.
const SYNC_COMMITTEE_SLOT: &str = "sync_committee_message.slot";

/// The paths of all values that satisfy `wanted`.
fn paths(value: &Value, here: &Path, wanted: fn(&Value) -> bool, out: &mut Vec<Path>) {
    if wanted(value) {
        out.push(here.clone());
    }
    let below = |name: String| [here.clone(), vec![name]].concat();
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| paths(value, &below(name.clone()), wanted, out));
        }
        Value::Array(elements) => elements.iter().enumerate().for_each(|(index, value)| {
            paths(value, &below(index.to_string()), wanted, out);
        }),
        _ => {}
    }
}

fn leaves(body: &Value) -> Vec<Path> {
    let mut out = Vec::new();
    paths(body, &Vec::new(), |value| value.is_string() || value.is_boolean(), &mut out);
    out.retain(|path| {
        !path.join(".").starts_with("fork_info.fork.") && path.join(".") != SYNC_COMMITTEE_SLOT
    });
    out
}

fn at<'a>(body: &'a mut Value, path: &Path) -> &'a mut Value {
    body.pointer_mut(&format!("/{}", path.join("/"))).unwrap()
}

/// The same kind of value, with another content.
fn changed(value: &Value, place: usize, by: u8) -> Value {
    let text = match value {
        Value::Bool(given) => return Value::Bool(!given),
        Value::String(text) => text,
        other => panic!("not a leaf: {other}"),
    };
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| !digits.is_empty()) {
        let mut digits: Vec<char> = digits.to_lowercase().chars().collect();
        let place = place % digits.len();
        let old = digits[place].to_digit(16).unwrap();
        digits[place] = char::from_digit(old ^ u32::from(by % 15 + 1), 16).unwrap();
        return format!("0x{}", String::from_iter(digits)).into();
    }
    match text.parse::<u64>() {
        Ok(number) => number.wrapping_add(1 + u64::from(by)).to_string().into(),
        Err(_) => format!("{text}0").into(),
    }
}

fn assert_noticed(sample: &Sample, body: &Value, path: &Path) {
    let before = sample.parse().unwrap().intent.digest;
    if let Ok(after) = parse(body, &sample.network) {
        assert_ne!(after.intent.digest, before, "{}: {}", sample.name, path.join("."));
    }
}

#[test]
fn every_leaf_counts() {
    for sample in samples() {
        for path in leaves(&sample.body) {
            for place in [0, usize::MAX / 2, usize::MAX - 1] {
                let mut body = sample.body.clone();
                let leaf = at(&mut body, &path);
                *leaf = changed(leaf, place, 0);
                assert_noticed(&sample, &body, &path);
            }
        }
    }
}

#[test]
fn every_list_element_counts() {
    let mut lists = 0;
    for sample in samples() {
        let mut found = Vec::new();
        paths(&sample.body, &Vec::new(), Value::is_array, &mut found);
        for path in found {
            let mut body = sample.body.clone();
            if at(&mut body, &path).as_array_mut().unwrap().pop().is_some() {
                lists += 1;
                assert_noticed(&sample, &body, &path);
            }
        }
    }
    assert!(lists > 50, "only {lists} lists");
}

#[test]
fn the_fork_versions_count() {
    for sample in samples().iter().filter(|sample| sample.body["fork_info"].is_object()) {
        let mut body = sample.body.clone();
        body["fork_info"]["fork"]["previous_version"] = "0xdeadbeef".into();
        body["fork_info"]["fork"]["current_version"] = "0xdeadbeef".into();
        let digest = parse(&body, &sample.network).unwrap().intent.digest;
        let same = digest == sample.parse().unwrap().intent.digest;
        assert_eq!(same, sample.kind() == "BLS_TO_EXECUTION_CHANGE", "{}", sample.name);
    }
}

#[test]
fn no_field_can_be_left_out() {
    for sample in samples() {
        for path in leaves(&sample.body) {
            let (name, parent) = path.split_last().unwrap();
            let mut body = sample.body.clone();
            let parent =
                if parent.is_empty() { &mut body } else { at(&mut body, &parent.to_vec()) };
            if let Some(fields) = parent.as_object_mut() {
                fields.remove(name);
                // Without its version or committee bits an aggregate is another, older form.
                if name != "version" && name != "committee_bits" {
                    let error = parse(&body, &sample.network).unwrap_err();
                    assert_eq!(error.code(), "missing-field", "{}: {error}", sample.name);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_noticed(pick: usize, leaf: usize, place: usize, by: u8) {
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            let sample = &samples[pick % samples.len()];
            let leaves = leaves(&sample.body);
            let path = &leaves[leaf % leaves.len()];
            let mut body = sample.body.clone();
            let leaf = at(&mut body, path);
            *leaf = changed(leaf, place, by);
            assert_noticed(sample, &body, path);
        });
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse_request(&bytes, &network("mainnet")).is_err());
        prop_assert!(parse_batch(&bytes, &network("mainnet")).is_err());
    }

    #[test]
    fn damaged_requests_cause_no_panic(pick: usize, cut: usize, place: usize, byte: u8) {
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            let sample = &samples[pick % samples.len()];
            let mut bytes = sample.body.to_string().into_bytes();
            let length = bytes.len();
            bytes[place % length] = byte;
            bytes.truncate(cut % (2 * length));
            // Some damage is not noticed (the letter case of hex); none may cause a panic.
            match parse_request(&bytes, &network(&sample.network)) {
                Ok(request) => prop_assert_eq!(request.kind.code(), sample.kind()),
                Err(error) => prop_assert!(error.to_string().len() < 1200),
            }
            Ok(())
        })?;
    }
}
