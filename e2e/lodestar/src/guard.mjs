// The guard under test: the real binary with a fresh home, driven as an operator would.

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { freePort } from "./ports.mjs";
import { LIMIT } from "./settings.mjs";
import { waitFor } from "./wait.mjs";

const execute = promisify(execFile);

export class Guard {
  #binary;
  #children;
  #directory;
  #home;
  #process;

  /** Makes a home for these keys in `directory`, and starts the guard on it. */
  static async start(binary, children, directory, keys) {
    const guard = new Guard(binary, children, directory);
    guard.port = await freePort();
    guard.metricsPort = await freePort();
    await guard.#makeHome(keys);
    await guard.startAgain();
    return guard;
  }

  constructor(binary, children, directory) {
    this.#binary = binary;
    this.#children = children;
    this.#directory = directory;
    this.#home = path.join(directory, "home");
  }

  get address() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the guard on the home that it has, and waits until it says that it is ready. */
  async startAgain() {
    this.#process = this.#children.start("guard", this.#binary, [
      ...["--home", this.#home, "run"],
      ...["--listen", `127.0.0.1:${this.port}`],
      ...["--metrics", `127.0.0.1:${this.metricsPort}`],
    ]);
    await waitFor("the guard's /readyz", LIMIT.guardReady, () => this.#isReady(), () =>
      this.#children.assertAlive(),
    );
  }

  /** SIGKILL: no farewell, as in a power cut of the process. */
  async kill() {
    const end = await this.#children.end(this.#process, {
      signal: "SIGKILL",
      seconds: LIMIT.guardStop,
    });
    if (end.signal !== "SIGKILL") throw new Error(`the guard was not killed: ${told(end)}`);
  }

  /** SIGTERM. Returns a sentence if the guard did not stop cleanly with exit code 0. */
  async stop() {
    const end = await this.#children.end(this.#process, { seconds: LIMIT.guardStop });
    if (end.late) return `the guard ran on ${LIMIT.guardStop} s after SIGTERM and was killed`;
    return end.code === 0 ? undefined : `the guard ended with ${told(end)} after SIGTERM`;
  }

  /** What `journal verify` of the stopped home prints. Throws if it does not hold. */
  verifyJournal() {
    return this.#command("journal", "verify");
  }

  /** The EIP-3076 history of all keys. */
  async exportHistory() {
    const file = path.join(this.#directory, "history.json");
    await this.#command("history", "export", "--output", file);
    return JSON.parse(fs.readFileSync(file, "utf8"));
  }

  async #makeHome(keys) {
    const secrets = path.join(this.#directory, "secrets.txt");
    fs.writeFileSync(secrets, keys.map((key) => `${key.secret}\n`).join(""), { mode: 0o600 });
    await this.#command(
      ...["init", "--network", "minimal", "--genesis-validators-root", "learn"],
    );
    await this.#command(
      ...["keys", "import-raw", "--chain", "ethereum", "--type", "bls", "--fresh", secrets],
    );
    fs.rmSync(secrets);
    await this.#assertHolds(keys);
  }

  // The shape of the list is the guard's own matter; that each key is in it is not.
  async #assertHolds(keys) {
    const list = (await this.#command("keys", "list", "--json")).toLowerCase();
    JSON.parse(list);
    const absent = keys.filter((key) => !list.includes(key.publicKey.slice(2)));
    if (absent.length > 0) {
      throw new Error(`imported, but not in keys list: ${absent.map((key) => key.publicKey)}`);
    }
  }

  async #isReady() {
    const signal = AbortSignal.timeout(LIMIT.request * 1000);
    const response = await fetch(`http://127.0.0.1:${this.metricsPort}/readyz`, { signal });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return true;
  }

  async #command(...parameters) {
    try {
      const options = { timeout: LIMIT.command * 1000, killSignal: "SIGKILL" };
      const all = ["--home", this.#home, ...parameters];
      return (await execute(this.#binary, all, options)).stdout;
    } catch (error) {
      const command = `palisade ${parameters.join(" ")}`;
      throw new Error(`${command}: exit ${error.code}: ${error.stderr || error.message}`);
    }
  }
}

function told(end) {
  return end.error ?? (end.signal ? `signal ${end.signal}` : `exit code ${end.code}`);
}
