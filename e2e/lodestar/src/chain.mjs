// A running chain: mock engine, one beacon node, and validator clients that hold no keys
// and ask an external signer instead. All real programs, all on 127.0.0.1.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BeaconApi } from "./beacon-api.mjs";
import { ENVIRONMENT, PROGRAM } from "./lodestar.mjs";
import { freePort } from "./ports.mjs";
import { CHAIN, FORKS, LIMIT } from "./settings.mjs";
import { waitFor } from "./wait.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

export class Chain {
  #children;
  #directory;
  #forks;
  #genesisTime;

  /**
   * Starts the node and, once it answers, the clients.
   * `forks` is one of `FORKS`; `clients` is how many validator clients share the keys;
   * `signer` is the address that they ask; `registersWithBuilder` lets them also sign builder
   * registrations.
   */
  static async start(children, directory, { forks, clients, signer, registersWithBuilder }) {
    const chain = new Chain(children, directory, forks);
    await chain.#startNode();
    for (let client = 0; client < clients; client++) {
      chain.#startClient(client, signer, registersWithBuilder ? ["--builder"] : []);
    }
    return chain;
  }

  constructor(children, directory, forks) {
    this.#children = children;
    this.#directory = directory;
    this.#forks = forks;
    this.#genesisTime = Math.floor(Date.now() / 1000) + CHAIN.secondsBeforeGenesis;
  }

  /** The slot that the clock shows; negative before genesis. */
  get slot() {
    return Math.floor((Date.now() / 1000 - this.#genesisTime) / CHAIN.secondsPerSlot);
  }

  /** Waits until the clock has reached this slot. */
  async reach(slot) {
    await this.wait(`slot ${slot}`, this.#secondsTo(slot), () => this.slot >= slot);
  }

  /** Waits until the checkpoints satisfy `test`, or `lastSlot` has come without that. */
  async reachCheckpoints(lastSlot, test) {
    const seconds = this.#secondsTo(lastSlot);
    await this.wait(`slot ${lastSlot}`, seconds, async () => {
      return this.slot >= lastSlot || test(await this.api.checkpoints());
    });
  }

  /** `waitFor` that ends at once when one of the programs dies. */
  wait(what, seconds, probe) {
    return waitFor(what, seconds, probe, () => this.#children.assertAlive());
  }

  /** What became of it: checkpoints, and which of the completed slots have a block. */
  async outcome() {
    const lastSlot = this.slot - 1;
    const slotsWithBlock = await this.api.slotsWithBlock(lastSlot);
    const missed = [];
    for (let slot = 1; slot <= lastSlot; slot++) {
      if (!slotsWithBlock.includes(slot)) missed.push(slot);
    }
    return { lastSlot, blocks: slotsWithBlock.length, missed, ...(await this.api.checkpoints()) };
  }

  // With a slot to spare: the clock gets there in any case.
  #secondsTo(slot) {
    return Math.max(0, slot - this.slot + 1) * CHAIN.secondsPerSlot;
  }

  async #startNode() {
    const [apiPort, peerPort, enginePort] = [await freePort(), await freePort(), await freePort()];
    this.api = new BeaconApi(apiPort);
    if (this.#forks === FORKS.merged) this.#startEngine(enginePort);
    this.#startBeaconNode(apiPort, peerPort, enginePort);
    await this.wait("the beacon node", LIMIT.nodeReady, () => this.api.isUp());
  }

  #startEngine(port) {
    const epochSeconds = CHAIN.slotsPerEpoch * CHAIN.secondsPerSlot;
    const capellaTime = this.#genesisTime + this.#forks.CAPELLA * epochSeconds;
    const program = path.join(here, "engine.mjs");
    this.#startNodeProgram("engine", [program, port, CHAIN.genesisBlockHash, capellaTime]);
  }

  // On a chain that never merges no engine listens on its port, and none is asked for payloads.
  #startBeaconNode(apiPort, peerPort, enginePort) {
    const jwt = path.join(this.#directory, "jwt.hex");
    fs.writeFileSync(jwt, "ab".repeat(32));
    this.#startNodeProgram("beacon", [
      ...[PROGRAM, "dev", "--dataDir", path.join(this.#directory, "beacon")],
      ...["--genesisValidators", CHAIN.validators, "--genesisTime", this.#genesisTime],
      ...["--genesisEth1Hash", CHAIN.genesisBlockHash],
      ...this.#chainParameters(),
      ...["--discv5", "false", "--mdns", "false"],
      ...["--listenAddress", "127.0.0.1", "--port", peerPort],
      ...["--rest.address", "127.0.0.1", "--rest.port", apiPort, "--rest.namespace", "*"],
      ...["--execution.urls", `http://127.0.0.1:${enginePort}`, "--jwt-secret", jwt],
      ...["--suggestedFeeRecipient", CHAIN.feeRecipient],
    ]);
  }

  // Each client has its own graffiti: else the node would hand both the same block, and
  // signing the same block twice is no conflict.
  #startClient(number, signer, extra) {
    this.#startNodeProgram(`validator${number}`, [
      ...[PROGRAM, "validator", "--network", "dev"],
      ...["--dataDir", path.join(this.#directory, `validator${number}`)],
      ...this.#chainParameters(),
      ...["--beaconNodes", this.api.address],
      ...["--externalSigner.url", signer, "--externalSigner.fetch"],
      ...["--graffiti", `client ${number}`],
      ...["--suggestedFeeRecipient", CHAIN.feeRecipient],
      ...extra,
    ]);
  }

  #chainParameters() {
    const forks = Object.entries(this.#forks);
    return [
      ...["--params.SECONDS_PER_SLOT", CHAIN.secondsPerSlot],
      ...["--params.TERMINAL_TOTAL_DIFFICULTY", 0],
      ...forks.flatMap(([fork, epoch]) => [`--params.${fork}_FORK_EPOCH`, epoch]),
    ];
  }

  #startNodeProgram(name, parameters) {
    this.#children.start(name, process.execPath, parameters, ENVIRONMENT);
  }
}
