/**
 * Owns the list of what is compared, and how each is started before the same back end.
 * Invariant: every candidate is one process tree pinned to the proxy's core with everything that it does.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPassThrough } from './nginx.ts';
import { startPinned } from './processes.ts';

export const CANDIDATES = ['direct', 'nginx', 'fastify', 'recorder-off', 'recorder'] as const;
export type CandidateName = (typeof CANDIDATES)[number];

export interface Candidate {
  name: CandidateName;
  /** Where the load generator connects. */
  port: number;
  /** Null for `direct`: no process stands between. */
  pid: number | null;
}

export interface Place {
  core: number;
  /** Directory of the run, on the disk that is measured. */
  directory: string;
  upstreamPort: number;
}

/** `nodeOptions`: for the candidates that run on Node, such as `--cpu-prof`. */
export async function startCandidate(
  name: CandidateName,
  place: Place,
  nodeOptions: readonly string[] = [],
): Promise<Candidate> {
  const upstream = `http://127.0.0.1:${place.upstreamPort}`;
  if (name === 'direct') return { name, port: place.upstreamPort, pid: null };
  if (name === 'nginx') {
    const { port, pid } = await startPassThrough(place.core, place.directory, place.upstreamPort);
    return { name, port, pid };
  }
  const command =
    name === 'fastify'
      ? [script('fastify'), upstream]
      : [script('recorder'), upstream, path.join(place.directory, name), name === 'recorder' ? 'on' : 'off'];
  const { pid, ready } = startPinned(place.core, [process.execPath, ...nodeOptions, ...command]);
  return { name, port: Number(await ready), pid };
}

function script(name: string): string {
  return fileURLToPath(new URL(`./proxies/${name}.ts`, import.meta.url));
}
