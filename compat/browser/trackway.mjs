// Starts the trackway server of TRACKWAY_BIN in a folder of its own on a free port, and calls its REST routes.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { access, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 20_000;
const STOP_MS = 30_000;

/** The value of a variable that `cargo xtask test browser` sets. */
function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set. Run the tests with: cargo xtask test browser`);
  return value;
}

/** The folder of the built front-end in the environment that holds MLflow 3.17. */
export async function stockUi() {
  const environment = path.dirname(path.dirname(setting("TRACKWAY_PYTHON_MLFLOW_3_17")));
  for (const python of await readdir(path.join(environment, "lib"))) {
    const build = path.join(environment, "lib", python, "site-packages/mlflow/server/js/build");
    const found = await access(path.join(build, "index.html")).then(() => true, () => false);
    if (found) return build;
  }
  throw new Error(`${environment} holds no MLflow with a built front-end.`);
}

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

/**
 * Starts a server with these flags, all of whose routes stand behind `prefix`. `stop()` ends it, fails unless it ends
 * well, and removes its folder.
 */
export async function start({ flags = [], prefix = "" } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), "trackway-browser-"));
  const port = await freePort();
  const log = path.join(folder, "server.log");
  const args = ["server", "--host", "127.0.0.1", "--port", String(port), ...flags];
  if (prefix) args.push("--static-prefix", prefix);
  const server = spawn(setting("TRACKWAY_BIN"), args, {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const written = createWriteStream(log);
  server.stdout.pipe(written, { end: false });
  server.stderr.pipe(written, { end: false });
  const ended = once(server, "exit");
  const failed = async (what) => new Error(`${what}\n${await readFile(log, "utf8")}`);

  const url = `http://127.0.0.1:${port}${prefix}`;
  for (const began = Date.now(); ; await sleep(20)) {
    if (await fetch(`${url}/health`).then((answer) => answer.ok, () => false)) break;
    if (server.exitCode !== null) throw await failed(`The server ended with code ${server.exitCode} at its start.`);
    if (Date.now() - began > START_MS) {
      server.kill("SIGKILL");
      throw await failed(`The server did not answer within ${START_MS} ms.`);
    }
  }
  return {
    url,
    folder,
    api: (method, route, body) => call(url, method, route, body),
    async stop() {
      server.kill("SIGTERM");
      const late = setTimeout(() => server.kill("SIGKILL"), STOP_MS);
      const [code, signal] = await ended;
      clearTimeout(late);
      if (code !== 0) throw await failed(`The server ended with ${signal ?? `code ${code}`} after SIGTERM.`);
      await rm(folder, { recursive: true });
    },
  };
}

/** Calls a route under /api/2.0/mlflow, or one that begins with a slash, with JSON or with text. */
async function call(url, method, route, body) {
  const at = route.startsWith("/") ? route : `/api/2.0/mlflow/${route}`;
  const json = typeof body === "object";
  const answer = await fetch(url + at, {
    method,
    headers: body === undefined ? {} : { "Content-Type": json ? "application/json" : "text/plain" },
    body: json ? JSON.stringify(body) : body,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : {};
}
