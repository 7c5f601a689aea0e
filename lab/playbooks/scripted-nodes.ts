import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How a scripted node responds to Ansible's ssh. */
export interface NodeScript {
  /** The answer by module, e.g. `cluster_observe`: a text, usually JSON. */
  readonly answers?: Readonly<Record<string, string>>;
  /** The errors of ssh, one per attempt; the last one is repeated. Empty: it connects. */
  readonly refusals?: readonly string[];
  /** The module during which the connection is lost, the first time that it runs. */
  readonly cut?: string;
  /** What ssh says then. */
  readonly cutWith?: string;
  /** What its progress file contains; without it, there is no such file. */
  readonly progress?: string;
  /** Logins succeed, but no program ever ends. */
  readonly hangs?: boolean;
}

/** Nodes whose root controls their answers: one `ssh` plays them all. */
export interface ScriptedNodes {
  /** A PATH with that `ssh` first. */
  readonly path: string;
  /** The number of calls to a node. */
  count(name: string): number;
  /** What was last sent to a node to run a module, with plain-text arguments; empty if nothing was sent. */
  readSent(name: string, module: string): string;
}

/**
 * Makes an `ssh` that answers Ansible from a script instead of connecting.
 *
 * @param folder the folder for it
 * @param nodes by name; `node-1` has the HostKeyAlias `i-0000000000000001`
 */
export function scriptNodes(
  folder: string,
  nodes: Readonly<Record<string, NodeScript>>,
): ScriptedNodes {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(folder, 'nodes.json'), JSON.stringify(nodes));
  writeFileSync(join(bin, 'ssh'), SSH.replaceAll('@FOLDER@', folder));
  chmodSync(join(bin, 'ssh'), 0o755);
  return {
    path: `${bin}:${process.env.PATH}`,
    count(name) {
      const file = join(folder, `${name}.calls`);
      return existsSync(file) ? readFileSync(file, 'utf8').length : 0;
    },
    readSent(name, module) {
      const file = join(folder, `${name}.${module}`);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    },
  };
}

/** The system's Python, with which Ansible runs as well. */
const PYTHON = '/usr/bin/python3';

const SSH = `#!${PYTHON}
import json, os, re, sys, time

line = " ".join(sys.argv[1:])
if "-O" in sys.argv:
    sys.exit(0)
name = "node-" + re.search(r"HostKeyAlias=i-0*(\\d+)", line).group(1)
with open("@FOLDER@/nodes.json") as file:
    script = json.load(file)[name]
with open("@FOLDER@/" + name + ".calls", "a") as file:
    file.write(".")
attempt = os.path.getsize("@FOLDER@/" + name + ".calls") - 1
refusals = script.get("refusals", [])
words = refusals[min(attempt, len(refusals) - 1)] if refusals else ""
if words:
    sys.stderr.write(words + "\\n")
    sys.exit(255)
success = re.search(r"BECOME-SUCCESS-[a-z]+", line)
if success:
    print(success.group(0), flush=True)
if "cat /run/postgres-cluster/progress.json" in line:
    print(script.get("progress", ""), flush=True)
    sys.exit(0 if "progress" in script else 1)
if "python3" in line:
    if script.get("hangs"):
        time.sleep(600)
    sent = sys.stdin.read()
    module = re.search(r"\\b(cluster_(?:host|observe|postgres|proof|record))\\b", sent).group(1)
    path = "@FOLDER@/" + name + "." + module
    if script.get("cut") == module and not os.path.exists(path):
        open(path, "w").close()
        sys.stderr.write(script.get("cutWith", "Connection reset by peer") + "\\n")
        sys.exit(255)
    with open(path, "w") as file:
        file.write(sent)
    print(script.get("answers", {}).get(module, '{"changed": false}'), flush=True)
`;
