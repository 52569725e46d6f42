// A client validates through the guard, through every fork that it knows: the chain finalizes.

import * as checks from "../src/checks.mjs";
import { BINARY, FORKS } from "../src/settings.mjs";

/** Finality of the minimal preset comes at slot 32 if nothing goes wrong. */
const LAST_SLOT = 48;

/** All that this client ever signs on a chain of these forks. */
const TYPES = [
  "BLOCK_V2",
  "ATTESTATION",
  "RANDAO_REVEAL",
  "AGGREGATION_SLOT",
  "AGGREGATE_AND_PROOF",
  "SYNC_COMMITTEE_MESSAGE",
  "SYNC_COMMITTEE_SELECTION_PROOF",
  "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
  "VALIDATOR_REGISTRATION",
];

export function setting() {
  return {
    binary: BINARY.guard(),
    forks: FORKS.eachInTurn,
    clients: 1,
    registersWithBuilder: true,
  };
}

export async function play({ chain }) {
  await chain.reachCheckpoints(LAST_SLOT, ({ finalized }) => finalized >= 1);
}

export function check(evidence) {
  return [
    ...checks.chainReached(evidence, { justified: 2, finalized: 1 }),
    ...checks.signaturesHold(evidence),
    ...checks.nothingSlashable(evidence),
    ...checks.answersAre(evidence, ({ status }) => status === 200),
    ...checks.typesGranted(evidence, TYPES),
    ...checks.leftInOrder(evidence),
    ...checks.historyCovers(evidence),
  ];
}
