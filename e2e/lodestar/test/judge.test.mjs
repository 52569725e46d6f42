// The judge must see every kind of slashable grant, and nothing where there is none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { slashableGrants, verifySignatures } from "../src/judge.mjs";

const KEY = "0x" + "aa".repeat(48);
const OTHER_KEY = "0x" + "bb".repeat(48);
const holds = () => true;

function granted(publicKey, body) {
  return { publicKey, body, status: 200, response: '{"signature":"0x00"}' };
}

function block(slot, signingRoot, publicKey = KEY) {
  const beacon_block = { version: "CAPELLA", block_header: { slot: String(slot) } };
  return granted(publicKey, { type: "BLOCK_V2", beacon_block, signingRoot });
}

function vote(source, target, signingRoot, publicKey = KEY) {
  const attestation = {
    source: { epoch: String(source) },
    target: { epoch: String(target) },
  };
  return granted(publicKey, { type: "ATTESTATION", attestation, signingRoot });
}

function findings(...records) {
  return slashableGrants(records);
}

test("two different blocks of one key for one slot are a double proposal", () => {
  assert.match(findings(block(5, "0x1"), block(5, "0x2"))[0], /double proposal .* slot 5/);
});

test("the whole block of an old fork is read as well", () => {
  const old = block(5, "0x2");
  old.body.beacon_block = { version: "PHASE0", block: { slot: "5" } };
  assert.equal(findings(block(5, "0x1"), old).length, 1);
});

test("the same block twice, another slot and another key are no double proposal", () => {
  const others = [block(5, "0x1"), block(6, "0x2"), block(5, "0x3", OTHER_KEY)];
  assert.deepEqual(findings(block(5, "0x1"), ...others), []);
});

test("a block that was refused is no double proposal", () => {
  assert.deepEqual(findings(block(5, "0x1"), { ...block(5, "0x2"), status: 412 }), []);
});

test("two different votes for one target are a double vote", () => {
  assert.match(findings(vote(1, 3, "0x1"), vote(2, 3, "0x2"))[0], /double vote .* 1→3, 2→3/);
});

test("a vote around an earlier one is a surround vote, in either order", () => {
  assert.match(findings(vote(2, 3, "0x1"), vote(1, 4, "0x2"))[0], /surround vote/);
  assert.match(findings(vote(1, 4, "0x2"), vote(2, 3, "0x1"))[0], /surround vote/);
});

test("every earlier vote is compared, not only the last", () => {
  assert.equal(findings(vote(1, 9, "0x1"), vote(9, 10, "0x2"), vote(2, 8, "0x3")).length, 1);
});

test("votes that share a source or follow each other are none", () => {
  const row = [vote(0, 0, "0x0"), vote(0, 1, "0x1"), vote(0, 2, "0x2"), vote(2, 3, "0x3")];
  assert.deepEqual(findings(...row, ...row, vote(0, 3, "0x4", OTHER_KEY)), []);
});

test("a signature that does not hold is told, and one without a root as well", () => {
  const { verified, wrong } = verifySignatures(
    [block(5, "0x1"), vote(0, 1, "0x2"), vote(0, 2, undefined)],
    (_, root) => root === "0x1",
  );
  assert.equal(verified, 3);
  assert.equal(wrong.length, 2);
});

test("both forms of answer are read", () => {
  const bare = { ...block(5, "0x1"), response: "0x01\n" };
  const seen = [];
  verifySignatures([bare, vote(0, 1, "0x2")], (_key, _root, signature) => seen.push(signature));
  assert.deepEqual(seen, ["0x01", "0x00"]);
});

test("of duties that cannot be slashed a share is verified", () => {
  const slots = Array.from({ length: 25 }, () =>
    granted(KEY, { type: "AGGREGATION_SLOT", signingRoot: "0x1" }),
  );
  assert.equal(verifySignatures(slots, holds).verified, 3);
});
