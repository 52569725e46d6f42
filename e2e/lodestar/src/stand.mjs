// The test stand: guard, recording proxy and chain of one scenario, built up and torn down.
// Nothing of it is shared between scenarios.

import path from "node:path";
import { Chain } from "./chain.mjs";
import { Children } from "./children.mjs";
import { Guard } from "./guard.mjs";
import { interopKeys } from "./lodestar.mjs";
import { freePort } from "./ports.mjs";
import { RecordingProxy } from "./recording-proxy.mjs";
import { CHAIN, LIMIT } from "./settings.mjs";

export class Stand {
  #directory;
  #children;

  /** `directory` is empty, and receives the guard's home and every log. */
  constructor(directory) {
    this.#directory = directory;
    this.#children = new Children(directory);
  }

  /** Starts all of it. `binary` is the guard's; for the rest see `Chain.start`. */
  async build({ binary, ...chainOptions }) {
    const keys = await interopKeys(CHAIN.validators);
    this.guard = await Guard.start(binary, this.#children, this.#directory, keys);
    this.proxy = await RecordingProxy.start({
      port: await freePort(),
      guardPort: this.guard.port,
      logFile: path.join(this.#directory, "requests.jsonl"),
    });
    const signer = this.proxy.address;
    this.chain = await Chain.start(this.#children, this.#directory, { ...chainOptions, signer });
  }

  /** Every signing request that passed between clients and guard. */
  get records() {
    return this.proxy.records;
  }

  /** Ends every process and closes the proxy. Safe to call at any time, and twice. */
  async tearDown() {
    await this.#children.endAll(LIMIT.clientStop);
    await this.proxy?.stop();
  }
}
