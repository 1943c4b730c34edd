/**
 * Owns a spool with its uploader and a directory store, as one recorder process has them, for tests.
 * Invariant: everything that it was told to be durable is remembered, so that `missing` can ask the store for it.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createClock, type Clock } from '@mcp-recorder/recording/format/time';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import type { CommitLimits } from '../../sidecar/spool/commit.ts';
import type { SpoolFiles } from '../../sidecar/spool/files.ts';
import { openSpool, type SpoolControl } from '../../sidecar/spool/open-spool.ts';
import type { LineTail, SealedObject, SpoolError } from '../../sidecar/spool/spool.ts';
import { createUploader, type Uploader } from '../../sidecar/upload.ts';

const nextUlid = createUlidFactory();

export interface ProcessOptions {
  directory: string;
  files: SpoolFiles;
  store: ObjectStore;
  limits?: Partial<CommitLimits> & { sizeLimit?: number };
  clock?: Clock;
  /** Default: `Spool`. */
  commit?: 'Spool' | 'ObjectStorage';
  allowTmpfs?: boolean;
  beforeSeal?: () => LineTail[];
  /** Objects stay in the spool. */
  withoutUpload?: boolean;
}

export interface SpoolProcess {
  spool: SpoolControl;
  stream: string;
  privateKey: KeyObject;
  /** What `onWritable` said, in order: `writable` or the reason. */
  states: string[];
  problems: string[];
  handedOver: SealedObject[];
  uploader: Uploader;
  /** Appends lines and resolves with the answer. */
  append(lines: LineTail[], closing?: boolean): Promise<SpoolError | null>;
}

/** A tail of a small line that is told apart by `name`. */
export function tail(name: string, padding = 0): LineTail {
  const gap = {
    cause: `${name} ${'x'.repeat(padding)}`,
    first_time: '2026-11-21T08:40:00.000000Z',
    last_time: '2026-11-21T08:40:00.000000Z',
    exchanges: 0,
    exact: true,
  };
  return `,"type":"gap","gap":${JSON.stringify(gap)}}`;
}

export const SMALL: CommitLimits & { sizeLimit: number } = {
  segmentBytes: 16 * 1024,
  reserveBytes: 4 * 1024,
  batchBytes: 8 * 1024,
  sealAfterMs: 60_000,
  sealsInFlight: 0,
  sizeLimit: 10 * 1024 * 1024,
};

/** The spool's tests look at the store themselves. */
export const UNWATCHED = { begin: () => ({ succeeded() {}, failed() {}, calledOff() {} }) };

export async function startProcess(options: ProcessOptions): Promise<SpoolProcess> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const stream = nextUlid();
  const states: string[] = [];
  const problems: string[] = [];
  const handedOver: SealedObject[] = [];
  const uploader = createUploader({
    store: options.store,
    watch: UNWATCHED,
    nowMs: () => performance.now(),
    read: (object) => spool.objectBytes(object),
    confirmed: (object) => spool.confirm(object),
    onFailure: (message) => problems.push(message),
  });
  const spool = await openSpool({
    directory: options.directory,
    stream,
    openFields: {
      cluster: 'local',
      namespace: 'local',
      server: 'test',
      pod: null,
      pod_uid: null,
      image: null,
      recorder: '0',
      config: 'sha256:0',
      commit: 'Spool',
      public_key: `ed25519:${publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`,
      session_key_id: 'k1',
    },
    privateKey,
    files: options.files,
    clock: options.clock ?? createClock(),
    commit: options.commit ?? 'Spool',
    limits: {
      ...SMALL,
      ...(options.commit === 'ObjectStorage' ? { sealsInFlight: 4 } : {}),
      ...options.limits,
    },
    allowTmpfs: options.allowTmpfs ?? true,
    onWritable: (state) => states.push(state.writable ? 'writable' : state.reason),
    handOver(object) {
      handedOver.push(object);
      if (options.withoutUpload !== true) uploader.add(object);
    },
    onProblem: (message) => problems.push(message),
    ...(options.beforeSeal === undefined ? {} : { beforeSeal: options.beforeSeal }),
  });
  return {
    spool,
    stream,
    privateKey,
    states,
    problems,
    handedOver,
    uploader,
    append: (lines, closing = false) => new Promise((resolve) => spool.append(lines, resolve, { closing })),
  };
}
