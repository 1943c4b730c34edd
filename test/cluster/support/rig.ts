/**
 * Owns the rig as the suites use it: asked whether this machine can run it and whether it is built, brought up, entered, taken down.
 * Invariant: a rig that a test run brought up goes with that run's process, however that ends.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runCommand } from './run-command.ts';

const SCRIPTS = path.join(import.meta.dirname, '../rig');
/** The rig takes itself down after this, whatever happens: longer than the whole suite, shorter than CI (seconds). */
const LIMIT_S = 3600;
/** How long another rig of this machine may still be up before ours (seconds). */
const WAIT_S = 1800;

export function rigScript(name: string): string {
  return path.join(SCRIPTS, name);
}

/** Where the rig's state is: as its scripts have it. */
export function rigState(): string {
  return process.env['RIG'] || '/tmp/rig';
}

/** Where programs and images are that were built: as the rig's scripts have it. */
export function rigCache(): string {
  const caches = process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  return process.env['RIG_CACHE'] || path.join(caches, 'rig');
}

/** Why this machine can't run the rig, whole sentences; null = it can. */
export async function rigHindrance(): Promise<string | null> {
  const { stdout, code } = await runCommand(['bash', rigScript('preflight')], { mayFail: true });
  return code === 0 ? null : stdout.trim().replaceAll('\n', ' ');
}

/** What is missing or outdated of what the rig needs; null = nothing. */
export async function rigOutdated(): Promise<string | null> {
  const { stderr, code } = await runCommand(['bash', rigScript('build'), '--check'], { mayFail: true });
  return code === 0 ? null : stderr.trim();
}

/** Whether the rig that is up, if any, belongs to this process. */
export function isRigOf(ownerPid: number): boolean {
  try {
    return fs.readFileSync(path.join(rigState(), 'owner'), 'utf8').trim() === String(ownerPid);
  } catch {
    return false;
  }
}

/**
 * Brings the rig up for a test run, unless it is up for it already. Waits while another one is up on this machine.
 * @param ownerPid the process of the run: the rig goes when it goes
 * @throws with the stage that was not reached, and where the logs are
 */
export async function bringRigUp(ownerPid: number): Promise<void> {
  if (isRigOf(ownerPid)) return;
  await runCommand(['bash', rigScript('up')], {
    env: { RIG_OWNER: String(ownerPid), RIG_LIMIT: String(LIMIT_S), RIG_WAIT: String(WAIT_S) },
    timeoutMs: (WAIT_S + 120) * 1000,
  });
}

/** Takes the rig of a test run down; without effect when there is none, or another's. */
export async function takeRigDown(ownerPid: number): Promise<void> {
  if (isRigOf(ownerPid)) await runCommand(['bash', rigScript('down')]);
}
