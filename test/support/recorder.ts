/**
 * Owns a recorder inside the test's own process, on free ports and in directories of its own, so that a test can hold back
 * or break the primitives of its disk and read what was recorded.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Line } from '@mcp-recorder/recording/format/line';
import { readSegments } from '@mcp-recorder/recording/read/store-reader';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { type DrainReport, type Recorder, startRecorder } from '@mcp-recorder/sidecar';
import { loadConfiguration } from '@mcp-recorder/sidecar/config/load';
import type { Configuration } from '@mcp-recorder/sidecar/config/schema';
import { pino } from 'pino';
import type { Policy } from '../../sidecar/policy.ts';
import type { HoldBounds } from '../../sidecar/proxy/hold.ts';
import { type Callback, nodeSpoolFiles, type SpoolFiles } from '../../sidecar/spool/files.ts';

/** The sections of a configuration that say who may call and what becomes of it. */
export type AccessSections = Partial<Pick<Configuration, 'labels' | 'auth' | 'rules' | 'masking'>> & {
  server?: Partial<Pick<Configuration['server'], 'credential' | 'callerToken'>>;
};

export interface TestRecorder {
  /** What it was started with. */
  configuration: Configuration;
  port: number;
  origin: string;
  statusOrigin: string;
  recorder: Recorder;
  directory: string;
  /** Drains, checks that `verify` finds nothing wrong, and gives every line of the store in order of `seq`. */
  finish(): Promise<Line[]>;
  drain(): Promise<DrainReport>;
  lines(): Promise<Line[]>;
  /** Removes the directories; drains first when that was not done. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TestRecorderOptions {
  upstream: string;
  files?: SpoolFiles;
  maxRequestBytes?: number;
  drainTimeoutMs?: number;
  directory?: string;
  /** As they stand in the configuration, with the defaults filled in. */
  rules?: Configuration['rules'];
  recording?: Partial<Pick<Configuration['recording'], 'commit' | 'onFailure' | 'maxUploadLagMs'>>;
  /** Default: nobody is identified, there are no rules, and nothing is masked. */
  access?: AccessSections;
  /** What decides about requests; without it everybody may call. */
  policy?: Policy;
  hold?: HoldBounds;
  /** Of what requests and held answers may take together. */
  memoryBytes?: number;
  /** What the recorder stores to, given the directory store. */
  wrapStore?: (real: ObjectStore) => ObjectStore;
}

/** Starts a recorder in front of `upstream` (an origin or URL). */
export async function startTestRecorder(options: TestRecorderOptions): Promise<TestRecorder> {
  const directory = options.directory ?? (await mkdtemp(path.join(tmpdir(), 'mcp-recorder-')));
  const configuration = loadConfiguration({
    flags: {
      upstream: options.upstream,
      store: path.join(directory, 'store'),
      spool: path.join(directory, 'spool'),
      listen: '127.0.0.1:0',
      name: 'test',
      anonymous: true,
    },
  });
  configuration.status.listen = { host: '127.0.0.1', port: 0 };
  if (options.memoryBytes !== undefined) configuration.limits.memoryBytes = options.memoryBytes;
  if (options.maxRequestBytes !== undefined)
    configuration.recording.maxRequestBytes = options.maxRequestBytes;
  configuration.drain.timeoutMs = options.drainTimeoutMs ?? 2_000;
  Object.assign(configuration.recording, options.recording);
  configuration.rules = options.rules ?? [];
  const { server, ...sections } = options.access ?? {};
  Object.assign(configuration, sections);
  Object.assign(configuration.server, server);
  const store = createDirectoryStore(path.join(directory, 'store'));
  const recorder = await startRecorder(configuration, {
    log: pino({ level: 'silent' }),
    ...(options.files === undefined ? {} : { files: options.files }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.hold === undefined ? {} : { hold: options.hold }),
    ...(options.wrapStore === undefined ? {} : { store: options.wrapStore(store) }),
  });

  async function lines(): Promise<Line[]> {
    const all: Line[] = [];
    const onUnreadable = (problem: { message: string }): void => {
      throw new Error(problem.message);
    };
    for await (const segment of readSegments(store, { onUnreadable })) {
      for (const { line } of segment.lines()) all.push(line);
    }
    return all.toSorted((a, b) => (a.stream === b.stream ? a.seq - b.seq : a.stream < b.stream ? -1 : 1));
  }

  return {
    configuration,
    port: recorder.listenAddress.port,
    origin: `http://127.0.0.1:${recorder.listenAddress.port}`,
    statusOrigin: `http://127.0.0.1:${recorder.statusAddress.port}`,
    recorder,
    directory,
    drain: () => recorder.drain(),
    lines,
    async finish() {
      await recorder.drain();
      const report = await verifyStore(store, { expectClosed: true });
      if (!report.explained) throw new Error(`verify: ${JSON.stringify(report, null, 1)}`);
      return lines();
    },
    async [Symbol.asyncDispose]() {
      await recorder.drain();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface HeldFiles {
  files: SpoolFiles;
  /** From now on syncs wait. */
  hold(): void;
  /** Syncs that wait now. */
  readonly waiting: number;
  /** Lets everything pass that waits, and what comes. */
  release(): void;
  /** From now on syncs fail with this error; null: they work again. */
  failSyncs(code: string | null): void;
}

/** The real file primitives, with an `fdatasync` that waits when the test says so. */
export function createHeldFiles(): HeldFiles {
  let held: (() => void)[] | null = null;
  let failure: string | null = null;
  const files: SpoolFiles = {
    ...nodeSpoolFiles,
    syncData(fd: number, done: Callback) {
      const sync = (): void => {
        if (failure === null) nodeSpoolFiles.syncData(fd, done);
        else setImmediate(done, Object.assign(new Error(`${failure}: fdatasync`), { code: failure }));
      };
      if (held === null) sync();
      else held.push(sync);
    },
  };
  return {
    files,
    hold() {
      held ??= [];
    },
    get waiting() {
      return held?.length ?? 0;
    },
    release() {
      const waiting = held ?? [];
      held = null;
      for (const sync of waiting) sync();
    },
    failSyncs(code) {
      failure = code;
    },
  };
}
