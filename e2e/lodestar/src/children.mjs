// Child processes: started with their output in a file, watched, and always ended.
// Invariant: after `endAll` no process started here is left.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { within } from "./wait.mjs";

export class Children {
  #directory;
  #running = new Set();

  /** `directory` receives one `NAME.log` per child. */
  constructor(directory) {
    this.#directory = directory;
    process.on("exit", () => this.killAll());
  }

  /** Starts a program. A second one of the same name appends to the same log. */
  start(name, program, parameters, environment = {}) {
    const log = fs.openSync(path.join(this.#directory, `${name}.log`), "a");
    const handle = spawn(program, parameters.map(String), {
      cwd: this.#directory,
      stdio: ["ignore", log, log],
      env: { ...plainEnvironment(this.#directory), ...environment },
    });
    fs.closeSync(log);
    const child = { name, handle, mayEnd: false, end: undefined };
    child.ended = new Promise((resolve) => {
      const settle = (end) => {
        child.end ??= end;
        this.#running.delete(child);
        resolve(child.end);
      };
      handle.once("exit", (code, signal) => settle({ code, signal }));
      handle.once("error", (error) => settle({ code: null, signal: null, error: error.message }));
    });
    this.#running.add(child);
    this.#watch(child);
    return child;
  }

  /** Throws if a child has ended that nobody asked to end. */
  assertAlive() {
    if (this.unexpected) throw new Error(this.unexpected);
  }

  /** Asks a child to end, kills it if it does not in time; says how it ended. */
  async end(child, { signal = "SIGTERM", seconds }) {
    child.mayEnd = true;
    if (!child.end) child.handle.kill(signal);
    const end = await within(seconds, child.ended);
    if (end) return end;
    child.handle.kill("SIGKILL");
    return { ...(await child.ended), late: true };
  }

  /** Ends whatever still runs. */
  async endAll(seconds) {
    await Promise.all([...this.#running].map((child) => this.end(child, { seconds })));
  }

  /** The last resort, for when this process itself is about to end. */
  killAll() {
    for (const child of this.#running) child.handle.kill("SIGKILL");
  }

  #watch(child) {
    child.ended.then((end) => {
      if (child.mayEnd) return;
      this.unexpected ??= `${child.name} ended by itself: ${JSON.stringify(end)}`;
    });
  }
}

/** Nothing of the caller's surroundings but what a program needs to run. */
function plainEnvironment(home) {
  const { PATH, TMPDIR, RUST_LOG, RUST_BACKTRACE } = process.env;
  const environment = { PATH, TMPDIR, RUST_LOG, RUST_BACKTRACE, HOME: home };
  for (const name of Object.keys(environment)) {
    if (environment[name] === undefined) delete environment[name];
  }
  return environment;
}
