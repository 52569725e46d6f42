// A program: plays one scenario and says on stdout how it went; exit code 0 if it passed.
// The runner starts it in a process group of its own, with a channel; if the runner dies, the
// channel closes and this process ends everything that it started.
//
// Parameter: NAME, a file of `scenarios/`

import fs from "node:fs";
import path from "node:path";
import { gatherEvidence } from "./evidence.mjs";
import { reportFailure, reportPass } from "./report.mjs";
import { RUNS } from "./settings.mjs";
import { Stand } from "./stand.mjs";

const name = process.argv[2];
const scenario = await import(`../scenarios/${name}.mjs`);
const directory = path.join(RUNS, name);
fs.rmSync(directory, { recursive: true, force: true });
fs.mkdirSync(directory, { recursive: true });

const stand = new Stand(directory);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => abandon(130));
process.on("disconnect", () => abandon(1));

const started = performance.now();
const passed = await play();
process.exit(passed ? 0 : 1);

async function play() {
  const seconds = () => Math.round((performance.now() - started) / 1000);
  let evidence;
  try {
    evidence = await gatherEvidence(scenario, stand);
    const failures = scenario.check(evidence);
    if (failures.length === 0) {
      reportPass(name, seconds(), evidence);
      return true;
    }
    reportFailure(name, seconds(), evidence, failures, directory);
  } catch (error) {
    fs.writeFileSync(path.join(directory, "error.log"), `${error.stack}\n`);
    const failures = [{ rule: "run", text: error.message }];
    reportFailure(name, seconds(), evidence, failures, directory);
  }
  await stand.tearDown();
  return false;
}

async function abandon(code) {
  await stand.tearDown();
  process.exit(code);
}
