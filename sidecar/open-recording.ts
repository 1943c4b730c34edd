/**
 * Owns the joining of spool, uploader and store: where lines go from the moment they are appended.
 * Invariant: the stream's private key is made here and never leaves the memory of this process.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { Clock } from '@mcp-recorder/recording/format/time';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { createS3Store } from '@mcp-recorder/recording/store/s3-store';
import type { Logger } from 'pino';
import type { Configuration, Storage } from './config/schema.ts';
import type { Denials } from './denials.ts';
import type { Gate } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { Report } from './report.ts';
import { loadSessionKey } from './session-key.ts';
import type { CommitLimits } from './spool/commit.ts';
import { nodeSpoolFiles, type SpoolFiles } from './spool/files.ts';
import { openSpool } from './spool/open-spool.ts';
import type { Spool } from './spool/spool.ts';
import { createUploader } from './upload.ts';
import { VERSION } from './version.ts';

/** Parts that a test or a benchmark replaces; without them the recorder runs on the real ones. */
export interface RecorderParts {
  files?: SpoolFiles;
  store?: ObjectStore;
  /** Sizes and ages of segments; a crash test makes them small, so that all that happens to a segment happens often. */
  limits?: Partial<CommitLimits>;
  /** In place of spool and store, so that nothing is recorded: for measuring what recording costs. */
  spool?: Spool;
  log?: Logger;
}

export interface Recording {
  spool: Spool;
  sessionKey: Buffer;
  /** Stops uploading. The spool has been drained. */
  close(): Promise<void>;
}

interface Surroundings {
  stream: string;
  clock: Clock;
  gate: Gate;
  metrics: Metrics;
  denials: Denials;
  report: Report;
}

/**
 * Opens the recording of one stream and, when lines can be written, the gate.
 * @throws SpoolDirectoryError; Error when the session key is damaged
 */
export async function openRecording(
  configuration: Configuration,
  parts: RecorderParts,
  { stream, clock, gate, metrics, denials, report }: Surroundings,
): Promise<Recording> {
  if (parts.spool !== undefined) {
    gate.open();
    return { spool: parts.spool, sessionKey: Buffer.alloc(32), close: async () => {} };
  }
  const files = parts.files ?? nodeSpoolFiles;
  const store = parts.store ?? openStore(configuration.storage);
  const { directory, sizeLimitBytes, allowTmpfs } = configuration.recording.spool;
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await files.makeDirectory(directory);
  const session = await loadSessionKey(directory, files);
  const uploader = createUploader({
    store,
    read: (object) => spool.objectBytes(object),
    confirmed(object) {
      metrics.segmentUploaded();
      report.uploaded(object.key);
      spool.confirm(object);
    },
    onFailure(message, hint) {
      metrics.uploadFailed();
      report.failed(message, hint);
    },
  });
  const spool = await openSpool({
    directory,
    stream,
    openFields: {
      cluster: configuration.cluster,
      namespace: configuration.namespace,
      server: configuration.name,
      pod: null,
      pod_uid: null,
      image: null,
      recorder: VERSION,
      config: configuration.digest,
      commit: configuration.recording.commit,
      public_key: `ed25519:${publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`,
      session_key_id: session.id,
    },
    privateKey,
    files,
    clock,
    limits: { ...parts.limits, sizeLimit: sizeLimitBytes },
    allowTmpfs,
    onWritable(state) {
      if (state.writable) gate.open();
      else gate.close(state.reason, state.message);
    },
    beforeSeal() {
      const tails = denials.take();
      denials.segmentEnded();
      return tails;
    },
    handOver(object) {
      metrics.segmentSealed();
      if (object.how === 'recovered') metrics.streamRecovered();
      uploader.add(object);
    },
    onSync: (durationUs) => metrics.synced(durationUs / 1000),
    onProblem: (message) =>
      report.failed(message, 'Look at the disk under the spool directory; the recorder goes on trying.'),
  });
  // `onWritable` has said so by now when it can't be written.
  if (gate.current.state === 'Closed' && gate.current.reason === 'starting') gate.open();
  return { spool, sessionKey: session.key, close: async () => uploader.close() };
}

function openStore(storage: Storage): ObjectStore {
  return storage.kind === 's3' ? createS3Store(storage.s3) : createDirectoryStore(storage.directory);
}
