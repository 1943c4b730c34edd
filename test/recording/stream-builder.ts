/**
 * Owns streams made for tests: real lines, real seals, real objects, at times and with keys that the test chooses.
 * Invariant: what it stores verifies, unless the test changes something.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { encodeHead, encodeTail } from '@mcp-recorder/recording/format/encode';
import { segmentKey } from '@mcp-recorder/recording/format/keys';
import type { LineDraft, PreviousStream, Principal, SealHow } from '@mcp-recorder/recording/format/line';
import { formatMicros } from '@mcp-recorder/recording/format/time';
import { createTree, leafHash } from '@mcp-recorder/recording/proof/merkle';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';

export const ANONYMOUS: Principal = {
  how: 'anonymous',
  issuer: null,
  subject: null,
  name: null,
  client_id: null,
  groups: [],
};

export interface BuiltSegment {
  key: string;
  stream: string;
  segment: number;
  /** Lines without line feeds, seal included. */
  lines: string[];
  root: Buffer;
}

export interface StreamBuilder {
  readonly stream: string;
  readonly privateKey: KeyObject;
  /** Lets this much time pass before the next line (milliseconds). */
  wait(ms: number): void;
  /** The next segment with these lines between its `open` and its seal. */
  segment(drafts: readonly LineDraft[], seal?: SealOptions): BuiltSegment;
}

export interface SealOptions {
  last?: boolean;
  how?: SealHow;
  /** Sealed by another process, as after a crash. */
  recoveredBy?: Pick<StreamBuilder, 'stream' | 'privateKey'>;
}

export interface StreamOptions {
  stream: string;
  /** Time of the first line; each further line is a millisecond later. */
  startMs: number;
  server?: string;
  namespace?: string;
  previousStreams?: PreviousStream[];
  /** A new key unless given. */
  privateKey?: KeyObject;
}

export function createStreamBuilder(options: StreamOptions): StreamBuilder {
  const { stream, startMs, server = 'github', namespace = 'local', previousStreams = [] } = options;
  const place = { cluster: 'local', namespace, server };
  const privateKey = options.privateKey ?? generateKeyPairSync('ed25519').privateKey;
  const head = encodeHead(stream);
  let seq = 0;
  let segment = 0;
  let previousRoot: Buffer | null = null;
  let waitedMs = 0;
  const time = () => formatMicros((startMs + waitedMs + seq) * 1_000);

  return {
    stream,
    privateKey,
    wait(ms) {
      waitedMs += ms;
    },
    segment(drafts, { last = false, how = last ? 'shutdown' : 'age', recoveredBy } = {}) {
      const firstSeq = seq;
      const firstTime = time();
      const open: LineDraft = {
        type: 'open',
        open: {
          segment,
          previous_root: previousRoot === null ? null : previousRoot.toString('base64'),
          previous_streams: segment === 0 ? previousStreams : [],
          ...place,
          pod: null,
          pod_uid: null,
          image: null,
          recorder: '0.1.0',
          config: 'sha256:00',
          commit: 'Spool',
          public_key: formatPublicKey(createPublicKey(privateKey)),
          session_key_id: 'k1',
        },
      };
      const tree = createTree();
      const lines = [open, ...drafts].map((draft) => {
        const line = head(seq, time()) + encodeTail(draft);
        tree.append(leafHash(Buffer.from(line)));
        seq += 1;
        return line;
      });
      const root = tree.root();
      lines.push(
        createSealedLine({
          stream,
          seq,
          time: time(),
          segment,
          firstSeq,
          entries: lines.length,
          root,
          previousRoot,
          last,
          how: recoveredBy === undefined ? how : 'recovered',
          recoveredBy: recoveredBy?.stream ?? null,
          privateKey: recoveredBy?.privateKey ?? privateKey,
        }),
      );
      const built = {
        key: segmentKey({ ...place, time: firstTime, stream, segment }),
        stream,
        segment,
        lines,
        root,
      };
      seq += 1;
      segment += 1;
      previousRoot = root;
      return built;
    },
  };
}

/** The object of these lines, as a recorder would store it. */
export function objectOf(lines: readonly string[]): Buffer {
  const decoded = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  return zstdCompressSync(decoded, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

export async function store(target: ObjectStore, ...segments: readonly BuiltSegment[]): Promise<void> {
  for (const { key, lines } of segments) {
    const object = objectOf(lines);
    await target.putIfAbsent(key, object, createHash('sha256').update(object).digest('hex'));
  }
}
