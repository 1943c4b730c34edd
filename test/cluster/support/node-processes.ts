/**
 * Owns what a suite does to processes on the rig's node: containers' and the cluster's own, found by what their environment or pid file says.
 * Invariant: only processes of the rig's own pid namespace are seen, so nothing else on the machine can be hit.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { rigScript, rigState } from './rig.ts';
import { runCommand } from './run-command.ts';

/** Pids, in the rig, of processes whose environment has this entry, as `POD_UID=…`. */
async function pidsWith(entry: string): Promise<number[]> {
  const script = `for e in /proc/[0-9]*/environ; do if tr '\\0' '\\n' <"$e" 2>/dev/null | grep -qxF '${entry}'; then p=\${e#/proc/}; echo "\${p%/environ}"; fi; done`;
  const { stdout } = await onNode(['sh', '-c', script]);
  return stdout.trim().split('\n').filter(Boolean).map(Number);
}

/** Sends a signal to every process with this entry in its environment. @throws when there is none */
export async function signalProcesses(entry: string, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  const pids = await pidsWith(entry);
  if (pids.length === 0) throw new Error(`no process on the node has ${entry} in its environment`);
  await onNode(['kill', `-${signal}`, ...pids.map(String)]);
}

/** Sends a signal to a component of the rig: `kube-apiserver`, `kubelet`, `calico`. One that is killed is started again. */
export async function signalComponent(name: string, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  const pid = readFileSync(path.join(rigState(), 'run', `${name}.pid`), 'utf8').trim();
  await onNode(['kill', `-${signal}`, pid]);
}

function onNode(command: readonly string[]) {
  return runCommand(['bash', rigScript('in-rig'), '--all', ...command]);
}
