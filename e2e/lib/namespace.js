// A network namespace of its own, for programs that need an address which is not loopback: a test does not depend on
// what addresses the machine has, nor do its packets ever come near the machine's network.

import { execFileSync } from "node:child_process";

/** A network inside RFC 1918's 10/8; in a namespace it is in nobody's way. */
const HOST = "10.213.0.1";

let made = 0;

/** Network namespaces are root's to make, and so are the programs inside. @param {string[]} command */
function asRoot(command) {
  return process.getuid() === 0 ? command : ["sudo", "-n", ...command];
}

/** @param {string[]} command */
function run(...command) {
  const [program, ...args] = asRoot(command);
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/**
 * Makes one with one address. Call `remove` in any event.
 * @returns {{host: string, prefix: string[], remove: () => void}} `prefix` goes in front of a program that shall run
 *   inside it
 */
export function makeNamespace() {
  const name = `wtn-e2e-${process.pid}-${made++}`;
  const remove = () => {
    process.off("exit", remove);
    const strays = run("ip", "netns", "pids", name).split(/\s+/).filter(Boolean);
    if (strays.length) run("kill", "-s", "KILL", ...strays);
    run("ip", "netns", "delete", name);
  };
  run("ip", "netns", "add", name);
  process.on("exit", remove);
  run("ip", "-n", name, "link", "set", "lo", "up");
  // A pair with both ends inside: every kernel with containers has these, and not all have dummies.
  run("ip", "-n", name, "link", "add", "wtn0", "type", "veth", "peer", "name", "wtn1");
  run("ip", "-n", name, "address", "add", `${HOST}/24`, "dev", "wtn0");
  run("ip", "-n", name, "link", "set", "wtn1", "up");
  run("ip", "-n", name, "link", "set", "wtn0", "up");
  return { host: HOST, prefix: asRoot(["ip", "netns", "exec", name]), remove };
}
