// The judge: reads what the signer was asked and what it granted, and nothing else.
// It trusts neither the signer's records nor the chain (which has no slasher): two granted
// signatures that Ethereum would slash for are found by comparing all of them.
// The conditions are those of the consensus specification, `is_slashable_attestation_data`
// and `process_proposer_slashing`. Roots stand for messages: different root, different message.

import {
  groupBy,
  isAttestation,
  isBlock,
  isGranted,
  rootOf,
  signatureOf,
  slotOf,
  votesOf,
} from "./requests.mjs";

/** Every signature of these is verified; of the others, one in `SAMPLE`. */
const ALWAYS_VERIFIED = new Set(["BLOCK_V2", "ATTESTATION", "RANDAO_REVEAL"]);
const SAMPLE = 10;

/** Sentences, one for each pair of granted signatures that would be slashed. */
export function slashableGrants(records) {
  const granted = records.filter(isGranted);
  return [
    ...doubleProposals(granted.filter(isBlock)),
    ...slashableVotes(granted.filter(isAttestation)),
  ];
}

/**
 * `{verified, wrong}`: how many granted signatures were verified against the root that the
 * client asked for, and a sentence for each that does not hold.
 */
export function verifySignatures(records, verify) {
  const granted = records.filter(isGranted);
  const always = granted.filter((record) => ALWAYS_VERIFIED.has(record.body.type));
  const others = granted.filter((record) => !ALWAYS_VERIFIED.has(record.body.type));
  const chosen = [...always, ...others.filter((_, index) => index % SAMPLE === 0)];
  const wrong = chosen
    .filter((record) => !verify(record.publicKey, rootOf(record), signatureOf(record)))
    .map((record) => `${record.body.type} of ${shortKey(record)}, root ${rootOf(record)}`);
  return { verified: chosen.length, wrong };
}

function doubleProposals(blocks) {
  const places = groupBy(blocks, (record) => `${record.publicKey} ${slotOf(record)}`);
  return [...places.values()]
    .filter((sameSlot) => new Set(sameSlot.map(rootOf)).size > 1)
    .map(([first]) => `double proposal by ${shortKey(first)} at slot ${slotOf(first)}`);
}

function slashableVotes(attestations) {
  const keys = groupBy(attestations, (record) => record.publicKey);
  return [...keys.values()].flatMap((ofOneKey) => conflictsAmong(distinct(ofOneKey)));
}

function distinct(attestations) {
  return [...new Map(attestations.map((record) => [rootOf(record), record])).values()];
}

function conflictsAmong(attestations) {
  const sentences = [];
  attestations.forEach((later, index) => {
    for (const earlier of attestations.slice(0, index)) {
      const kind = conflict(votesOf(earlier), votesOf(later));
      if (kind) sentences.push(`${kind} by ${shortKey(later)}: ${votes(earlier)}, ${votes(later)}`);
    }
  });
  return sentences;
}

function conflict(one, other) {
  if (one.target === other.target) return "double vote";
  if (surrounds(one, other) || surrounds(other, one)) return "surround vote";
  return undefined;
}

function surrounds(outer, inner) {
  return outer.source < inner.source && inner.target < outer.target;
}

function votes(record) {
  const { source, target } = votesOf(record);
  return `${source}→${target}`;
}

function shortKey(record) {
  return record.publicKey.slice(0, 12);
}
