// Two validator clients, the same keys: shared by the scenario `two` and its control.

import * as checks from "./checks.mjs";
import { isAttestation, isBlock } from "./requests.mjs";
import { FORKS } from "./settings.mjs";

/** The second complete epoch is over here, and the chain justifies. */
const LAST_SLOT = 26;
const SLOTS_WITH_A_LOSER = 10;

export function settingOfTwo(binary) {
  return { binary, forks: FORKS.merged, clients: 2 };
}

export async function playTwo({ chain }) {
  await chain.reach(LAST_SLOT);
}

export function checkOneOfTwo(evidence) {
  return [
    ...checks.chainReached(evidence, { justified: 1, finalized: 0 }),
    ...checks.nothingSlashable(evidence),
    ...checks.oneWinnerPerSlot(evidence),
    ...checks.losersInAtLeast(evidence, SLOTS_WITH_A_LOSER),
    ...checks.signaturesHold(evidence),
    ...checks.answersAre(evidence, isGrantedOrLost),
    ...checks.leftInOrder(evidence),
    ...(evidence.history ? checks.historyCovers(evidence) : []),
  ];
}

/** Only a duty that can be slashed may be refused. */
function isGrantedOrLost(record) {
  if (record.status === 200) return true;
  return record.status === 412 && (isBlock(record) || isAttestation(record));
}
