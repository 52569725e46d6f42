// Waiting: every wait in this test has a limit and says what it waited for.

import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 200;

/**
 * Calls `probe` until it returns something true, and returns that.
 * A probe that throws counts as "not yet"; its last error is told if time runs out.
 * `stillSensible` is called first each time, and what it throws ends the wait at once.
 */
export async function waitFor(what, seconds, probe, stillSensible = () => {}) {
  const deadline = performance.now() + seconds * 1000;
  let reason = "";
  while (performance.now() < deadline) {
    stillSensible();
    try {
      const result = await probe();
      if (result) return result;
      reason = "";
    } catch (error) {
      reason = `; last answer: ${error.message}`;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`waited ${seconds} s in vain for ${what}${reason}`);
}

/** The promise's result, or `undefined` if it has not settled in time. */
export async function within(seconds, promise) {
  const giveUp = new AbortController();
  const timer = sleep(seconds * 1000, undefined, { signal: giveUp.signal }).catch(() => {});
  try {
    return await Promise.race([promise, timer]);
  } finally {
    giveUp.abort();
  }
}
