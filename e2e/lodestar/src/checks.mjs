// Checks: each looks at the evidence of a scenario and returns what is wrong with it, as a
// list of `{rule, text}`; an empty list means that the rule holds.
//
// Evidence: `{records, outcome, signatures, slashable, stopped, journal, history}`, put
// together in `evidence.mjs`.

import {
  groupBy,
  isAttestation,
  isBlock,
  isGranted,
  rootOf,
  slotOf,
  votesOf,
} from "./requests.mjs";

export const NOTHING_SLASHABLE = "nothing-slashable";

const LISTED = 5;
const SHOWN_CHARACTERS = 120;

/** Signatures were granted, and each one looked at holds for the root that was asked for. */
export function signaturesHold({ signatures }) {
  const { verified, wrong } = signatures;
  if (verified === 0) return [failure("signatures-hold", "no signature was granted")];
  return listed("signatures-hold", "wrong signature", wrong);
}

/** No two granted signatures conflict. */
export function nothingSlashable({ slashable }) {
  return listed(NOTHING_SLASHABLE, "slashable", slashable);
}

/** The chain went on, and its checkpoints got at least this far. */
export function chainReached({ outcome }, { justified, finalized }) {
  const { blocks, justified: isJustified, finalized: isFinalized } = outcome;
  return [
    ...(blocks > 0 ? [] : [failure("chain", "no block")]),
    ...(isJustified >= justified ? [] : [failure("chain", `justified only ${isJustified}`)]),
    ...(isFinalized >= finalized ? [] : [failure("chain", `finalized only ${isFinalized}`)]),
  ];
}

/** No slot was missed but those for which `mayMiss` says so. */
export function onlyMissed({ outcome }, mayMiss) {
  const wrong = outcome.missed.filter((slot) => !mayMiss(slot));
  return listed("missed-slots", "missed slot", wrong);
}

/** Each request was answered with a status that `isFine` accepts. */
export function answersAre({ records }, isFine) {
  const wrong = records.filter((record) => !isFine(record)).map(described);
  return listed("answers", "unexpected answer", wrong);
}

/** Each of these types was granted at least once. */
export function typesGranted({ records }, types) {
  const granted = new Set(records.filter(isGranted).map((record) => record.body.type));
  const absent = types.filter((type) => !granted.has(type));
  return listed("types-granted", "never granted", absent);
}

/** Among different blocks for one slot exactly one was granted and all others got 412. */
export function oneWinnerPerSlot({ records }) {
  const slots = groupBy(records.filter(isBlock), slotOf);
  const wrong = [...slots].filter(([, requests]) => winners(requests) !== 1);
  const told = wrong.map(([slot, requests]) => `slot ${slot}: ${winners(requests)}`);
  return listed("one-winner", "winners at", told);
}

/** In at least this many slots a second block was refused with 412. */
export function losersInAtLeast({ records }, count) {
  const losers = records.filter((record) => isBlock(record) && record.status === 412);
  const slots = new Set(losers.map(slotOf)).size;
  if (slots >= count) return [];
  return [failure("losers", `a second block got 412 in ${slots} slots, wanted ${count}`)];
}

/** The guard stopped cleanly, and its journal verifies. */
export function leftInOrder({ stopped, journal }) {
  return [
    ...(stopped ? [failure("stop", stopped)] : []),
    ...(journal?.failure ? [failure("journal", journal.failure)] : []),
  ];
}

/** The exported history forbids every duty that was granted, and names the right chain. */
export function historyCovers({ records, history }) {
  if (history.failure) return [failure("history", history.failure)];
  const granted = records.filter(isGranted);
  const keys = new Map(history.data.map((entry) => [entry.pubkey.toLowerCase(), entry]));
  const uncovered = granted.filter((record) => !covers(keys.get(record.publicKey), record));
  return [
    ...listed("history", "not covered by the export", uncovered.map(described)),
    ...sameChain(history, granted),
  ];
}

function covers(entry, record) {
  if (isBlock(record)) {
    return entry?.signed_blocks.some((block) => Number(block.slot) >= slotOf(record));
  }
  if (isAttestation(record)) {
    const { target } = votesOf(record);
    return entry?.signed_attestations.some((vote) => Number(vote.target_epoch) >= target);
  }
  return true;
}

function sameChain(history, granted) {
  const root = granted.find(isAttestation)?.body.fork_info.genesis_validators_root;
  const exported = history.metadata.genesis_validators_root;
  if (root?.toLowerCase() === exported?.toLowerCase()) return [];
  return [failure("history", `genesis validators root ${exported}, the chain's is ${root}`)];
}

function winners(requests) {
  return new Set(requests.filter(isGranted).map(rootOf)).size;
}

function described(record) {
  const answer = record.status ?? `none (${record.failure})`;
  const response = (record.response ?? "").slice(0, SHOWN_CHARACTERS);
  return `${record.at} ${record.body.type}: ${answer} ${response}`;
}

/** What is wrong by a rule, in words. */
export function failure(rule, text) {
  return { rule, text };
}

/** One failure for a list of findings, of which it tells the first few; none if it is empty. */
export function listed(rule, what, findings) {
  if (findings.length === 0) return [];
  const shown = findings.slice(0, LISTED).join("; ");
  const rest = findings.length > LISTED ? `; and ${findings.length - LISTED} more` : "";
  return [failure(rule, `${what}: ${shown}${rest}`)];
}
