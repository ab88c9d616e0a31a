// The built binary: a server on ports of its own choice, and the client verbs.

import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync } from "node:fs";
import { after } from "node:test";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { inTime } from "./until.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LOGS = `${ROOT}e2e/.logs/`;
const TAIL_LINES = 15;
const START_MS = 10_000;
/** The design's bar: a server with viewers is gone this soon after a signal. */
export const STOP_MS = 2_000;

/** Where the binary is: WTN_BIN, or what cargo built last for development, or for release. */
export function binary() {
  const found = [process.env.WTN_BIN, `${ROOT}target/debug/wtn`, `${ROOT}target/release/wtn`].find(
    (path) => path && existsSync(path),
  );
  if (!found) throw new Error("there is no wtn binary: run `cargo build --package wtn`, or set WTN_BIN");
  return found;
}

/** What still runs. A test that fails leaves programs behind, and a test file does not end before its children. */
const children = new Set();
const killStrays = () => children.forEach((child) => child.kill("SIGKILL"));
after(killStrays);
process.on("exit", killStrays);

/**
 * Starts a program and keeps its output, in memory and under `e2e/.logs/`.
 * @param {string} name of the log file
 * @param {string} program
 * @param {string[]} args
 * @param {{prefix?: string[]}} [options] `prefix` runs the program, such as a namespace's
 */
export function start(name, program, args, { prefix = [] } = {}) {
  mkdirSync(LOGS, { recursive: true });
  const file = createWriteStream(`${LOGS}${name}.log`);
  // Keys that a server makes stay here, and not in the home of whoever runs the tests.
  const env = { ...process.env, XDG_DATA_HOME: `${LOGS}data` };
  const [first, ...rest] = [...prefix, program, ...args];
  const child = spawn(first, rest, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const lines = { stdout: [], stderr: [], all: [] };
  const listeners = new Set();
  for (const stream of ["stdout", "stderr"]) {
    createInterface({ input: child[stream] }).on("line", (line) => {
      lines[stream].push(line);
      lines.all.push(line);
      file.write(`${line}\n`);
      listeners.forEach((listener) => listener(line));
    });
  }
  const exited = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      children.delete(child);
      file.end();
      resolve({ code, signal, stdout: lines.stdout.join("\n"), stderr: lines.stderr.join("\n") });
    });
  });
  exited.catch(() => {});
  const tail = () => lines.all.slice(-TAIL_LINES).join("\n");

  return {
    child,
    exited,
    lines: lines.all,
    tail,
    /**
     * Resolves with the first truthy answer of `look`, asked for every line that was and will be printed.
     * @template T
     * @param {string} what
     * @param {(line: string) => T | undefined | null | false} look
     * @param {number} within
     * @returns {Promise<T>}
     */
    async line(what, look, within) {
      let stopListening = () => {};
      const found = new Promise((resolve, reject) => {
        const listener = (line) => {
          const value = look(line);
          if (value) resolve(value);
        };
        listeners.add(listener);
        stopListening = () => listeners.delete(listener);
        lines.all.forEach(listener);
        exited.then(
          ({ code, signal }) => reject(new Error(`${name} ended (${code ?? signal}) before ${what}:\n${tail()}`)),
          reject,
        );
      });
      try {
        return await inTime(`${name}: ${what}`, found, within);
      } catch (error) {
        error.message += `\n${tail()}`;
        throw error;
      } finally {
        stopListening();
      }
    },
    /** Sends a signal and waits for the end. @param {NodeJS.Signals} signal @param {number} within */
    async end(signal = "SIGTERM", within = 10_000) {
      // Behind sudo it is root's, who alone may send it signals; sudo passes them on.
      if (first === "sudo") spawnSync("sudo", ["-n", "kill", "-s", signal.replace("SIG", ""), String(child.pid)]);
      else child.kill(signal);
      return await inTime(`${name} ends on ${signal}`, exited, within);
    },
  };
}

/**
 * Starts `wtn serve`.
 * @param {string} name of the log file
 * @param {{http?: string, media?: string, args?: string[], prefix?: string[]}} [options] without `args`, anybody may
 *   publish
 */
export async function serve(name, options = {}) {
  const { http = "127.0.0.1:0", media = "127.0.0.1:0", args = ["--open"], prefix } = options;
  const all = ["serve", "--http", http, "--media", media, "--log-format", "json", ...args];
  const run = start(name, binary(), all, { prefix });
  return server(name, run, await run.line("says where it listens", listening, START_MS));
}

/** Starts `wtn demo`, and reads its address where a person does. @param {string} name of the log file */
export async function demo(name) {
  const run = start(name, binary(), ["demo", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"]);
  const watch = await run.line("says where to watch", (line) => line.match(/Watch\s+http:\/\/(\S+)\/watch\//), START_MS);
  return server(name, run, { http: watch[1] });
}

/**
 * @param {string} name
 * @param {ReturnType<typeof start>} run
 * @param {{http: string, media?: string}} bound
 */
function server(name, run, bound) {
  return {
    ...run,
    ...bound,
    origin: `http://${bound.http}`,
    whip: (stream) => `http://${bound.http}/whip/${stream}`,
    whep: (stream) => `http://${bound.http}/whep/${stream}`,
    watch: (stream) => `http://${bound.http}/watch/${stream}`,
    streams: async () => (await fetch(`http://${bound.http}/api/v1/streams`)).json(),
    /** Ends it as its operator would, and fails if it is slow, unwell, or has anything to complain of. */
    async stop(signal = "SIGTERM") {
      const { code } = await run.end(signal, STOP_MS);
      const complaints = run.lines.filter((line) => /\bERROR\b|panicked/.test(line));
      if (code !== 0 || complaints.length) {
        throw new Error(`${name} ended with ${code}; complaints: ${complaints.join("\n")}\n${run.tail()}`);
      }
    },
  };
}

/** @param {string} line */
function listening(line) {
  if (!line.startsWith("{")) return null;
  const { http, media } = JSON.parse(line);
  return http && media ? { http, media } : null;
}

/**
 * Publishes wtn's own test picture and sound until ended.
 * @param {string} name of the log file
 * @param {string} whip
 * @param {string} codec
 */
export function publishTest(name, whip, codec) {
  return start(name, binary(), ["publish", "test", "--loop", "--to", whip, "--codec", codec.toLowerCase()]);
}

/**
 * Plays for a few seconds and returns wtn's own report; fails unless what it expects has arrived.
 * @param {string} name of the log file
 * @param {string} whep
 * @param {string} expected as in `h264+opus`
 * @param {{seconds?: number, prefix?: string[]}} [options]
 */
export async function play(name, whep, expected, { seconds = 5, prefix } = {}) {
  const args = ["play", whep, "--expect", expected, "--for", `${seconds}s`, "--json"];
  const run = start(name, binary(), args, { prefix });
  const { code, stdout } = await inTime(`${name} ends`, run.exited, 30_000);
  if (code !== 0) throw new Error(`wtn play ended with ${code}:\n${run.tail()}`);
  return JSON.parse(stdout);
}
