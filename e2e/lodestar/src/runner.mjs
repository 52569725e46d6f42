// A program: plays scenarios, some at a time, each in a process group of its own, and counts.
// Exit code 0 only if all passed. Invariant: when it ends, every process group that it started
// is empty.
//
// Parameters: NAME... (files of `scenarios/`)
// Environment: E2E_JOBS, how many scenarios play at a time

import { spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { LIMIT } from "./settings.mjs";
import { within } from "./wait.mjs";

const SCENARIOS_AT_A_TIME = 2;
const FAREWELL_SECONDS = 10;

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), "scenario-process.mjs");
const waiting = process.argv.slice(2);
const playing = new Set();
const result = { passed: 0, failed: 0 };

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, abandon);
process.on("exit", () => playing.forEach(killGroup));

const wanted = waiting.length;
await Promise.all(Array.from({ length: jobs() }, playNext));
console.log(`${result.passed} passed, ${result.failed} failed`);
process.exit(wanted > 0 && result.passed === wanted ? 0 : 1);

function jobs() {
  const count = Number(process.env.E2E_JOBS ?? SCENARIOS_AT_A_TIME);
  if (Number.isInteger(count) && count > 0) return count;
  console.error(`E2E_JOBS must be a whole number above 0, not ${process.env.E2E_JOBS}`);
  process.exit(2);
}

async function playNext() {
  for (let name = waiting.shift(); name; name = waiting.shift()) {
    const passed = await play(name);
    result[passed ? "passed" : "failed"] += 1;
  }
}

async function play(name) {
  const child = spawn(process.execPath, [program, name], {
    detached: true, // a process group of its own
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  playing.add(child);
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve({ code })));
  const end = await within(LIMIT.scenario, ended);
  if (!end) console.log(`FAIL ${name}: still running after ${LIMIT.scenario} s, killed`);
  const left = end ? isGroupAlive(child) : false;
  if (left) console.log(`FAIL ${name}: left processes behind, killed`);
  killGroup(child);
  playing.delete(child);
  return end?.code === 0 && !left;
}

function isGroupAlive(child) {
  try {
    process.kill(-child.pid, 0);
    return true;
  } catch {
    return false;
  }
}

function killGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nobody left in it: as it should be.
  }
}

/** Asked to stop: lets the scenarios end their programs, then ends what is left. */
async function abandon() {
  console.error("stopped before the end");
  waiting.length = 0;
  const ends = [...playing].map((child) => new Promise((done) => child.once("exit", done)));
  playing.forEach((child) => child.kill("SIGTERM"));
  await within(FAREWELL_SECONDS, Promise.all(ends));
  process.exit(130);
}
