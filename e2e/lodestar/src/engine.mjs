// A program: the client's mock execution engine, served over HTTP as JSON-RPC.
// The client can start it by itself, but then with an empty genesis hash, which a chain that
// is merged from its first block refuses; so it is served here with the right one.
//
// Parameters: PORT GENESIS_BLOCK_HASH CAPELLA_TIME (Unix seconds of the fork's first slot)

import http from "node:http";
import { mockEngine } from "./lodestar.mjs";

const [port, genesisBlockHash, capellaTime] = process.argv.slice(2);

// The backend takes a payload to be Capella's when its timestamp is *above* this one.
const capellaForkTimestamp = Number(capellaTime) - 1;
const backend = await mockEngine({ genesisBlockHash, capellaForkTimestamp });

function answer({ id, method, params }) {
  try {
    return { jsonrpc: "2.0", id, result: call(method, params) };
  } catch (error) {
    return { jsonrpc: "2.0", id, error: { code: -32000, message: error.message } };
  }
}

function call(method, params) {
  if (method === "engine_exchangeCapabilities") return [];
  const handler = backend.handlers[method];
  if (!handler) throw new Error(`the mock engine has no ${method}`);
  const result = handler(...params);
  if (method !== "engine_getPayloadV2") return result;
  return { executionPayload: result.executionPayload ?? result, blockValue: "0x0" };
}

async function serve(request, response) {
  let text = "";
  for await (const part of request) text += part;
  const calls = JSON.parse(text);
  const result = Array.isArray(calls) ? calls.map(answer) : answer(calls);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(result));
}

http
  .createServer((request, response) => {
    serve(request, response).catch((error) => response.writeHead(400).end(error.message));
  })
  .listen(Number(port), "127.0.0.1");
