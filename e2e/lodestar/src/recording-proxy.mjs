// A proxy between the validator clients and the guard. It passes everything on unchanged,
// remembers it for the judge, and can be cut, as a network between the two can be.
// Each request goes over a connection of its own, as this client's requests do.

import { EventEmitter } from "node:events";
import fs from "node:fs";
import http from "node:http";
import { LIMIT } from "./settings.mjs";

const SIGN_PATH = /^\/api\/v1\/eth2\/sign\/(0x[0-9a-f]{96})$/i;

/** Emits `forwarded` with the request's type when a signing request is on its way. */
export class RecordingProxy extends EventEmitter {
  #guardPort;
  #log;
  #records = [];
  #server;
  #cut = false;

  /** Listens on `port`; every exchange is also written to `logFile`, one JSON per line. */
  static async start({ port, guardPort, logFile }) {
    const proxy = new RecordingProxy(guardPort, logFile);
    await new Promise((resolve, reject) => {
      proxy.#server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    proxy.address = `http://127.0.0.1:${port}`;
    return proxy;
  }

  constructor(guardPort, logFile) {
    super();
    this.#guardPort = guardPort;
    this.#log = fs.createWriteStream(logFile);
    this.#server = http.createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** All signing requests so far. */
  get records() {
    return [...this.#records];
  }

  /** From now on nothing reaches the guard. */
  cut() {
    this.#cut = true;
  }

  /** Ends the cut. */
  join() {
    this.#cut = false;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await new Promise((resolve) => this.#log.end(resolve));
  }

  async #serve(request, response) {
    const body = await wholeBody(request);
    const started = performance.now();
    let answer;
    try {
      answer = this.#cut ? { failure: "cut" } : await this.#forward(request, body);
    } catch (error) {
      answer = { failure: error.code ?? error.message };
    }
    this.#record(request, body, answer, performance.now() - started);
    if (answer.failure) return void response.destroy();
    response.writeHead(answer.status, { "content-type": answer.contentType ?? "text/plain" });
    response.end(answer.body);
  }

  #forward(request, body) {
    return new Promise((resolve, reject) => {
      const onwards = http.request(
        {
          host: "127.0.0.1",
          port: this.#guardPort,
          method: request.method,
          path: request.url,
          headers: { ...request.headers, host: `127.0.0.1:${this.#guardPort}` },
          agent: false,
          timeout: LIMIT.request * 1000,
        },
        (reply) => wholeAnswer(reply).then(resolve, reject),
      );
      onwards.once("timeout", () => onwards.destroy(new Error("no answer in time")));
      onwards.once("error", reject);
      onwards.end(body, () => this.emit("forwarded", typeOf(body)));
    });
  }

  #record(request, body, answer, milliseconds) {
    const publicKey = SIGN_PATH.exec(request.url)?.[1].toLowerCase();
    const record = {
      at: new Date().toISOString(),
      milliseconds: Math.round(milliseconds * 10) / 10,
      publicKey,
      path: request.url,
      body: parsed(body) ?? body.toString(),
      status: answer.status,
      failure: answer.failure,
      response: answer.body?.toString(),
    };
    if (publicKey) this.#records.push(record);
    this.#log.write(JSON.stringify(record) + "\n");
  }
}

async function wholeBody(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function wholeAnswer(reply) {
  const body = await wholeBody(reply);
  return { status: reply.statusCode, contentType: reply.headers["content-type"], body };
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function typeOf(body) {
  return parsed(body)?.type;
}
