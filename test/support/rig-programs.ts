/**
 * Owns where the tests find the programs of Kubernetes and helm, which the cluster's build makes.
 */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The path of a program, whether it is there or not: `kubectl`, `helm`. */
function placeOf(name: string): string {
  const cache = process.env['XDG_CACHE_HOME'] || path.join(os.homedir(), '.cache');
  return path.join(process.env['RIG_CACHE'] || path.join(cache, 'rig'), 'bin', name);
}

export function hasRigProgram(name: string): boolean {
  return existsSync(placeOf(name));
}

/** @throws when it was not built on this machine */
export function rigProgram(name: string): string {
  const file = placeOf(name);
  if (existsSync(file)) return file;
  throw new Error(`this test needs ${name}, and ${file} is not there: run npm run cluster:build`);
}
