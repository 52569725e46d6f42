// Reading a recorded signing request: which duty it asks for, and how it was answered.
//
// A record is what the recording proxy keeps of one exchange:
// `{at, milliseconds, publicKey, body, status, response}`; `status` is undefined if the
// signer gave no answer.

/** The duties of which a second, different one for the same place is slashable. */
export const BLOCK = "BLOCK_V2";
export const ATTESTATION = "ATTESTATION";

export const isBlock = (record) => record.body?.type === BLOCK;
export const isAttestation = (record) => record.body?.type === ATTESTATION;
export const isGranted = (record) => record.status === 200;

/** The slot of a block request. Old forks send the whole block, later ones its header. */
export function slotOf(record) {
  const { block_header: header, block } = record.body.beacon_block;
  return Number((header ?? block).slot);
}

/** `{source, target}` epochs of an attestation request. */
export function votesOf(record) {
  const { source, target } = record.body.attestation;
  return { source: Number(source.epoch), target: Number(target.epoch) };
}

/** The root that the client says it wants signed. */
export function rootOf(record) {
  return record.body.signingRoot ?? record.body.signing_root;
}

/** The signature of a granted request, in either of the forms that the API knows. */
export function signatureOf(record) {
  const text = record.response.trim();
  if (!text.startsWith("{")) return text;
  try {
    return JSON.parse(text).signature ?? "";
  } catch {
    return "";
  }
}

/** Records by the value that `key` gives for them. */
export function groupBy(records, key) {
  const groups = new Map();
  for (const record of records) {
    const group = groups.get(key(record));
    if (group) group.push(record);
    else groups.set(key(record), [record]);
  }
  return groups;
}
