// Twins: what the guard granted before, asked again as it was and asked again altered.
// This is how a test sees from outside that the guard remembers: an altered twin of its last
// duty conflicts with nothing but that memory.

import {
  groupBy,
  isAttestation,
  isBlock,
  isGranted,
  signatureOf,
  slotOf,
  votesOf,
} from "./requests.mjs";
import { LIMIT } from "./settings.mjs";

const OTHER_ROOT = "0x" + "5a".repeat(32);

/**
 * For each key's last granted block and last granted vote: an altered twin must be refused with
 * 412, and the same again must be signed with the same signature. Ask while no client can
 * reach the guard, so that these are still the last. Returns `{asked, failures}`.
 */
export async function askTwins(guardAddress, records) {
  const last = lastDuties(records.filter(isGranted));
  const failures = [];
  for (const record of last) {
    const twin = await ask(guardAddress, record, alteredBody(record));
    if (twin.status !== 412) failures.push(`twin of ${told(record)}: ${twin.status}, not 412`);
    const repeat = await ask(guardAddress, record, record.body);
    if (isSameAnswer(repeat, record) || mayHaveMovedOn(record, records)) continue;
    failures.push(`repeat of ${told(record)}: ${repeat.status} ${repeat.response}`);
  }
  return { asked: last.length, failures };
}

/** Each key's granted block with the highest slot, and vote with the highest target. */
export function lastDuties(granted) {
  return [
    ...highest(granted.filter(isBlock), slotOf),
    ...highest(granted.filter(isAttestation), (record) => votesOf(record).target),
  ];
}

function highest(records, position) {
  const keys = groupBy(records, (record) => record.publicKey);
  return [...keys.values()].map((ofOneKey) =>
    ofOneKey.reduce((best, record) => (position(record) > position(best) ? record : best)),
  );
}

function isSameAnswer(repeat, record) {
  return repeat.status === 200 && signatureOf(repeat) === signatureOf(record);
}

// A later duty of this key that got no answer may have been made durable all the same.
function mayHaveMovedOn(record, records) {
  return records.some(
    ({ status, publicKey, body }) =>
      status === undefined && publicKey === record.publicKey && body.type === record.body.type,
  );
}

function told(record) {
  return `${record.body.type} of ${record.publicKey.slice(0, 12)}`;
}

/** The same place, another message. Without the root: the guard computes it by itself. */
function alteredBody(record) {
  const body = structuredClone(record.body);
  delete body.signingRoot;
  delete body.signing_root;
  if (isAttestation(record)) body.attestation.beacon_block_root = OTHER_ROOT;
  else (body.beacon_block.block_header ?? body.beacon_block.block).state_root = OTHER_ROOT;
  return body;
}

async function ask(guardAddress, record, body) {
  const response = await fetch(guardAddress + record.path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(LIMIT.request * 1000),
  });
  return { status: response.status, response: await response.text() };
}
