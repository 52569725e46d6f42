// The report of one scenario: a line of facts, and after a failure all that helps to find it.

import fs from "node:fs";
import path from "node:path";
import { isGranted } from "./requests.mjs";

const LOG_LINES = 30;

export function reportPass(name, seconds, evidence) {
  console.log(`PASS ${name} in ${seconds} s: ${facts(evidence)}`);
}

export function reportFailure(name, seconds, evidence, failures, directory) {
  const lines = [
    `FAIL ${name} after ${seconds} s${evidence ? `: ${facts(evidence)}` : ""}`,
    ...failures.map(({ rule, text }) => `  ${rule}: ${text}`),
    `  logs of all programs: ${directory}`,
    `  last lines of guard.log:`,
    ...lastLines(path.join(directory, "guard.log")).map((line) => `    ${line}`),
  ];
  console.log(lines.join("\n"));
}

function facts({ records, outcome, signatures, slashable, told = [] }) {
  const { lastSlot, blocks, missed, justified, finalized } = outcome;
  const refused = records.filter((record) => record.status === 412).length;
  return [
    `${blocks} blocks in ${lastSlot} slots`,
    `missed ${missed.length === 0 ? "none" : missed.join(" ")}`,
    `justified ${justified}, finalized ${finalized}`,
    `${records.length} requests, ${refused} refused with 412`,
    `${signatures.verified} signatures verified, ${signatures.wrong.length} wrong`,
    `${slashable.length} slashable grants`,
    `latency p50 ${latency(records, 0.5)} ms, p99 ${latency(records, 0.99)} ms`,
    ...told,
  ].join("; ");
}

function latency(records, share) {
  const sorted = records
    .filter(isGranted)
    .map((record) => record.milliseconds)
    .sort((one, other) => one - other);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? "-";
}

function lastLines(file) {
  if (!fs.existsSync(file)) return ["(none: it never started)"];
  return fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_LINES);
}
