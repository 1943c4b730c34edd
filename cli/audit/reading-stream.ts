/**
 * Owns the stream in which one run of a command is logged: lines, sealed segments and their objects, in the format of all recordings.
 * Invariant: `put` resolves when its lines are durable in the store; the segments of one run verify as one stream.
 */
import { generateKeyPairSync, hash } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { encodeHead, encodeTail } from '@mcp-recorder/recording/format/encode';
import { segmentKey } from '@mcp-recorder/recording/format/keys';
import type { LineDraft } from '@mcp-recorder/recording/format/line';
import { createClock } from '@mcp-recorder/recording/format/time';
import { createUlidFactory } from '@mcp-recorder/recording/format/ulid';
import { createTree, leafHash } from '@mcp-recorder/recording/proof/merkle';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import packageFile from '../package.json' with { type: 'json' };

/** Where readings lie in a store. No namespace of Kubernetes has a dot in its name, so that no recorded server is taken for it. */
export const READINGS = { cluster: 'local', namespace: 'mcp-recorder.readers', server: 'cli' } as const;

export interface ReadingStream {
  /** Ids for exchanges of it. */
  nextId(): string;
  /** Stores the lines as one segment. @param last the stream ends with it @throws StoreError */
  put(drafts: readonly LineDraft[], last: boolean): Promise<void>;
}

export function createReadingStream(store: ObjectStore): ReadingStream {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const nextId = createUlidFactory();
  const stream = nextId();
  const clock = createClock();
  let lastTime = '';
  /** A clock that is set back holds the last time: a run of a command is too short for a line on it. */
  const nextTime = (): string => {
    const { time } = clock.next();
    lastTime = time > lastTime ? time : lastTime;
    return lastTime;
  };
  const head = encodeHead(stream);
  let seq = 0;
  let segment = 0;
  let previousRoot: Buffer | null = null;

  return {
    nextId,
    async put(drafts, last) {
      const firstSeq = seq;
      const tree = createTree();
      const lines: string[] = [];
      let time = nextTime();
      const openedAt = time;
      const opened: LineDraft = {
        type: 'open',
        open: {
          segment,
          previous_root: previousRoot?.toString('base64') ?? null,
          previous_streams: [],
          ...READINGS,
          pod: null,
          pod_uid: null,
          image: null,
          recorder: packageFile.version,
          config: 'none',
          // What is shown waits for the store, not for a disk of this machine.
          commit: 'ObjectStorage',
          public_key: formatPublicKey(publicKey),
          session_key_id: 'none',
        },
      };
      for (const draft of [opened, ...drafts]) {
        const line = head(seq, time) + encodeTail(draft);
        tree.append(leafHash(Buffer.from(line)));
        lines.push(line);
        seq += 1;
        time = nextTime();
      }
      const root = tree.root();
      const facts = { stream, seq, time, segment, firstSeq, entries: tree.size, root, previousRoot };
      const how = last ? 'shutdown' : 'batch';
      lines.push(createSealedLine({ ...facts, last, how, recoveredBy: null, privateKey }));
      seq += 1;
      const bytes = zstdCompressSync(`${lines.join('\n')}\n`, {
        params: { [constants.ZSTD_c_checksumFlag]: 1 },
      });
      const key = segmentKey({ ...READINGS, time: openedAt, stream, segment });
      await store.putIfAbsent(key, bytes, hash('sha256', bytes, 'hex'));
      previousRoot = root;
      segment += 1;
    },
  };
}
