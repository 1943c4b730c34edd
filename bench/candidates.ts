/**
 * Owns the list of what is compared, and how each is started before the same back end.
 * Invariant: every candidate is one process tree pinned to the proxy's core with everything that it does.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Minio } from '../test/support/minio.ts';
import { startPassThrough } from './nginx.ts';
import { startPinned } from './processes.ts';

export const CANDIDATES = ['direct', 'nginx', 'fastify', 'recorder-off', 'recorder'] as const;
/** The recorder with an S3 store: `recorder-s3` with `commit: Spool`, `recorder-s3-commit` with `commit: ObjectStorage`. */
export const STORE_CANDIDATES = ['recorder-s3', 'recorder-s3-commit'] as const;
export type CandidateName =
  | (typeof CANDIDATES)[number]
  | (typeof STORE_CANDIDATES)[number]
  /** The recorder with the sections of `Place.access` in its configuration. */
  | 'recorder-access';

export interface Candidate {
  name: CandidateName;
  /** Where the load generator connects. */
  port: number;
  /** Null for `direct`: no process stands between. */
  pid: number | null;
  /** Ends it as users do, and waits. */
  stop(): Promise<void>;
}

export interface Place {
  core: number;
  /** Directory of the run, on the disk that is measured. */
  directory: string;
  upstreamPort: number;
  /** For the candidates with an S3 store. */
  minio?: Minio;
  /** Sections of the configuration, for the candidate `recorder-access`. */
  access?: object;
}

/** `nodeOptions`: for the candidates that run on Node, such as `--cpu-prof`. */
export async function startCandidate(
  name: CandidateName,
  place: Place,
  nodeOptions: readonly string[] = [],
): Promise<Candidate> {
  const upstream = `http://127.0.0.1:${place.upstreamPort}`;
  if (name === 'direct') return { name, port: place.upstreamPort, pid: null, stop: async () => {} };
  if (name === 'nginx') {
    const { port, pid, stop } = await startPassThrough(place.core, place.directory, place.upstreamPort);
    return { name, port, pid, stop };
  }
  const { pid, ready, stop } = startPinned(place.core, [
    process.execPath,
    ...nodeOptions,
    ...commandOf(name, upstream, place),
  ]);
  return { name, port: Number(await ready), pid, stop };
}

function commandOf(name: CandidateName, upstream: string, place: Place): string[] {
  if (name === 'fastify') return [script('fastify'), upstream];
  const own = path.join(place.directory, name);
  const recording =
    name === 'recorder' ? 'on' : name === 'recorder-off' ? 'off' : writeConfiguration(name, own, place);
  return [script('recorder'), upstream, own, recording];
}

/** The configuration file of a recorder that stores to the bucket `plain` of the run's MinIO, or of one with other sections. */
function writeConfiguration(name: CandidateName, directory: string, { minio, access }: Place): string {
  fs.mkdirSync(directory, { recursive: true });
  const file = path.join(directory, 'recorder.yaml');
  const status = { listen: '127.0.0.1:0' };
  if (name === 'recorder-access') {
    const storage = { directory: path.join(directory, 'store') };
    // While others have their turn it stands still, and nothing of it reaches the store.
    const recording = { maxUploadLag: '10m' };
    fs.writeFileSync(file, JSON.stringify({ ...access, storage, recording, status }));
    return file;
  }
  if (minio === undefined) throw new Error(`${name} needs a MinIO`);
  const { bucket, region, endpoint, pathStyle, credentialFiles } = minio.options('plain', '');
  const { accessKeyId, secretAccessKey } = credentialFiles ?? {};
  const s3 = {
    bucket,
    prefix: name,
    region,
    endpoint,
    pathStyle,
    credentialFiles: { accessKeyId, secretAccessKey },
  };
  const commit = name === 'recorder-s3-commit' ? 'ObjectStorage' : 'Spool';
  // JSON is YAML.
  fs.writeFileSync(
    file,
    JSON.stringify({ storage: { s3 }, recording: { commit }, status, auth: { mode: 'Anonymous' } }),
  );
  return file;
}

function script(name: string): string {
  return fileURLToPath(new URL(`./proxies/${name}.ts`, import.meta.url));
}
