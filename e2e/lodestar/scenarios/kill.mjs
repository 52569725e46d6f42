// The guard is killed while requests are on their way, stays away for some slots, and starts
// again on the same home: only the outage costs slots, and it still knows what it signed.

import { once } from "node:events";
import * as checks from "../src/checks.mjs";
import { ATTESTATION } from "../src/requests.mjs";
import { BINARY, FORKS, LIMIT, START_SLOTS } from "../src/settings.mjs";
import { askTwins } from "../src/twins.mjs";

const KILL_SLOT = 9;
const OUTAGE_SLOTS = 3;
/** The epoch after the outage is complete here, and justifies; from then on all is normal. */
const LAST_SLOT = 26;

export function setting() {
  return { binary: BINARY.guard(), forks: FORKS.merged, clients: 1 };
}

export async function play(stand) {
  await stand.chain.reach(KILL_SLOT);
  await nextAttestation(stand.proxy);
  const killed = { slot: stand.chain.slot, at: new Date().toISOString() };
  await stand.guard.kill();
  await stand.chain.reach(killed.slot + OUTAGE_SLOTS);
  const twins = await comeBack(stand);
  const back = { slot: stand.chain.slot, at: new Date().toISOString() };
  await stand.chain.reach(LAST_SLOT);
  return { killed, back, twins, told: told(killed, back, twins) };
}

export function check(evidence) {
  const { killed, back, twins } = evidence;
  return [
    ...checks.chainReached(evidence, { justified: 1, finalized: 0 }),
    ...checks.onlyMissed(evidence, (slot) => slot <= START_SLOTS || isInOutage(evidence, slot)),
    ...wasOutage(evidence),
    ...checks.signaturesHold(evidence),
    ...checks.nothingSlashable(evidence),
    // Without an answer, or with the last one that the guard's network process gives when the
    // process that signs was killed.
    ...checks.answersAre(evidence, ({ status, at }) =>
      status === undefined || status === 503 ? killed.at <= at && at <= back.at : status === 200,
    ),
    ...checks.listed("memory", "after the restart", twins.failures),
    ...(twins.asked > 0 ? [] : [checks.failure("memory", "nothing to ask twins of")]),
    ...checks.leftInOrder(evidence),
    ...checks.historyCovers(evidence),
  ];
}

/** The moment at which an attestation has gone to the guard and is not answered yet. */
async function nextAttestation(proxy) {
  const signal = AbortSignal.timeout(LIMIT.request * 1000);
  for (;;) {
    const [type] = await once(proxy, "forwarded", { signal });
    if (type === ATTESTATION) return;
  }
}

// The clients come back only after the twins: until then each key's last duty is the one
// from before the kill.
async function comeBack({ guard, proxy }) {
  proxy.cut();
  await guard.startAgain();
  const twins = await askTwins(guard.address, proxy.records);
  proxy.join();
  return twins;
}

/** A duty of the slot in which the guard came back, or of the next, may have begun too early. */
function isInOutage({ killed, back }, slot) {
  return killed.slot <= slot && slot <= back.slot + 1;
}

function wasOutage(evidence) {
  if (evidence.outcome.missed.some((slot) => isInOutage(evidence, slot))) return [];
  return [checks.failure("outage", "no slot was missed: the kill has shown nothing")];
}

function told(killed, back, twins) {
  return [
    `killed in slot ${killed.slot}, back in slot ${back.slot}`,
    `${twins.asked} twins of earlier duties asked after the restart`,
  ];
}
