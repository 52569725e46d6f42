// Settings: the shape of the test chain and every time limit, in one place.
// All limits are generous: they end a hang, they never decide between pass and fail.

import path from "node:path";

/** The chain: Ethereum's minimal preset, sped up. */
export const CHAIN = {
  validators: 16,
  slotsPerEpoch: 8,
  secondsPerSlot: 2,
  /** Time for the node and its clients to start before slot 0. */
  secondsBeforeGenesis: 14,
  genesisBlockHash: "0x" + "0b".repeat(32),
  feeRecipient: "0x" + "aa".repeat(20),
};

/** Epochs at which each fork begins; a fork at 0 is there from genesis. */
export const FORKS = {
  /** Every fork that this client knows, one per epoch: each form of block is signed. */
  eachInTurn: { ALTAIR: 1, BELLATRIX: 2, CAPELLA: 3 },
  /** Merged from genesis: blocks carry execution payloads from slot 1. */
  merged: { ALTAIR: 0, BELLATRIX: 0, CAPELLA: 2 },
};

/** Limits in seconds. */
export const LIMIT = {
  command: 60,
  guardReady: 30,
  guardStop: 20,
  nodeReady: 60,
  clientStop: 4,
  request: 15,
  /** One whole scenario, start to end; beyond it the runner kills it. */
  scenario: 240,
};

/** Slots in which a client that is still starting may miss its duty. */
export const START_SLOTS = 2;

/** Where Lodestar is installed and where runs keep their logs; set by `run`. */
export const INSTALLATION = required("E2E_DIR");
export const RUNS = path.join(INSTALLATION, "runs");

/** Paths of the guard's binaries; set by `run`. */
export const BINARY = {
  guard: () => required("PALISADE_BIN"),
  withoutProtection: () => required("PALISADE_UNPROTECTED_BIN"),
};

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start this through e2e/lodestar/run`);
  return path.resolve(value);
}
