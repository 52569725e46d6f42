// What the chain says about itself, read from the beacon node's HTTP API.

import { LIMIT } from "./settings.mjs";

export class BeaconApi {
  #base;

  constructor(port) {
    this.#base = `http://127.0.0.1:${port}`;
  }

  get address() {
    return this.#base;
  }

  async isUp() {
    return (await this.#read("/eth/v1/beacon/genesis")) !== undefined;
  }

  /** `{justified, finalized}` epochs of the head's state. */
  async checkpoints() {
    const data = await this.#read("/eth/v1/beacon/states/head/finality_checkpoints");
    return {
      justified: Number(data.current_justified.epoch),
      finalized: Number(data.finalized.epoch),
    };
  }

  /** Of the slots `1..=last`, those with a block in the canonical chain. */
  async slotsWithBlock(last) {
    const slots = [];
    for (let slot = 1; slot <= last; slot++) {
      if (await this.#read(`/eth/v2/beacon/blocks/${slot}`)) slots.push(slot);
    }
    return slots;
  }

  /** The `data` of the answer; `undefined` where the node has no such thing. */
  async #read(path) {
    const signal = AbortSignal.timeout(LIMIT.request * 1000);
    const response = await fetch(this.#base + path, { signal });
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`beacon node: ${response.status} for ${path}`);
    return (await response.json()).data;
  }
}
