//! That what was measured was protection: the journal holds, and every record has moved to the last
//! attestation that was asked for.

use std::collections::HashMap;

use serde_json::Value;

use crate::attestations::Duties;
use crate::home::Home;

/// Panics when one record does not stand where it must. The guard must have stopped.
pub(crate) fn check(home: &Home, duties: &Duties) {
    home.run(&["journal", "verify"]);
    let exported: Value = serde_json::from_slice(&home.run(&["history", "export"])).unwrap();
    let targets: HashMap<&str, u64> = exported["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["pubkey"].as_str().unwrap(), last_target(key)))
        .collect();
    let mut checked = 0;
    for (key, target) in duties.last_targets() {
        assert_eq!(targets.get(key), Some(&target), "the record of {key}");
        checked += 1;
    }
    eprintln!("the journal holds; {checked} records stand at their last attestation");
}

fn last_target(key: &Value) -> u64 {
    let attestations = key["signed_attestations"].as_array().unwrap().iter();
    let targets = attestations.map(|one| one["target_epoch"].as_str().unwrap().parse().unwrap());
    targets.max().unwrap_or(0)
}
