// The installed Lodestar client: the one place that knows where its parts lie.
// Loaded by path, since the installation is outside of the source tree.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { INSTALLATION } from "./settings.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const polyfill = path.join(here, "promise-with-resolvers.cjs");

/** The client's command line program. */
export const PROGRAM = inPackage("@chainsafe/lodestar", "lib/index.js");

/** What every process that loads parts of the client needs around it. */
export const ENVIRONMENT = {
  E2E_DIR: INSTALLATION,
  LODESTAR_PRESET: "minimal",
  NODE_OPTIONS: `--require "${polyfill}" --max-old-space-size=2048`,
};

/** BLS12-381 signatures as the client computes them: (public key, root, signature) hold? */
export async function signatureVerifier() {
  const bls = await load("@chainsafe/bls", "lib/index.js");
  return (publicKey, root, signature) => {
    try {
      const key = bls.default.PublicKey.fromBytes(bytes(publicKey));
      return bls.default.Signature.fromBytes(bytes(signature)).verify(key, bytes(root));
    } catch {
      return false; // not a point of the curve, or not hex at all
    }
  };
}

/**
 * The well-known keys of an interoperability test chain, as the client derives them.
 * Everyone knows these secrets: they are worth nothing outside of a test.
 */
export async function interopKeys(count) {
  const interop = await load("@lodestar/state-transition", "lib/util/interop.js");
  return interop.interopSecretKeys(count).map((key) => ({
    secret: hex(key.toBytes()),
    publicKey: "0x" + hex(key.toPublicKey().toBytes()),
  }));
}

/** The client's own stand-in for an execution engine. */
export async function mockEngine(options) {
  const mock = await load("@lodestar/beacon-node", "lib/execution/engine/mock.js");
  return new mock.ExecutionEngineMockBackend(options);
}

function load(name, file) {
  return import(pathToFileURL(inPackage(name, file)).href);
}

function inPackage(name, file) {
  const found = path.join(INSTALLATION, "node_modules", name, file);
  if (!fs.existsSync(found)) throw new Error(`${found} is missing: run e2e/lodestar/run setup`);
  return found;
}

function bytes(text) {
  return Uint8Array.from(Buffer.from(text.replace(/^0x/, ""), "hex"));
}

function hex(data) {
  return Buffer.from(data).toString("hex");
}
