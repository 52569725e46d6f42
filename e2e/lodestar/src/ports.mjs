// Free TCP ports on 127.0.0.1, chosen at run time.
// Taken from below the range that the kernel hands to outgoing connections, so that a port
// found free here is still free when the program that gets it binds a moment later.

import net from "node:net";

const LOWEST = 20_000;
const COUNT = 12_000;
const ATTEMPTS = 200;
const given = new Set();

/** A port that nothing listens on, different from all given before. */
export async function freePort() {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * COUNT);
    if (!given.has(port) && (await canListen(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error(`no free port on 127.0.0.1 in ${ATTEMPTS} attempts`);
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
