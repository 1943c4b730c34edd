/** Owns the work of a thread that may use little memory: a million segments are listed, or judged. */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { createStreamsVerifier } from '@mcp-recorder/recording/proof/verify-streams';
import type { CheckedSegment } from '@mcp-recorder/recording/proof/verify-segment';
import { listSegments } from '@mcp-recorder/recording/read/store-reader';
import { createVastStore } from './vast-store.ts';

const MILLION = 1_000_000;
const MISSING = 500_000;

async function count(items: AsyncIterable<unknown>): Promise<number> {
  let number = 0;
  for await (const _ of items) number += 1;
  return number;
}

/** Every thousandth segment comes late, and the half-millionth not at all. */
function judge(): unknown {
  const streams = createStreamsVerifier();
  const late: number[] = [];
  for (let n = 0; n < MILLION; n += 1) {
    if (n === MISSING) continue;
    if (n % 1_000 === 7) late.push(n);
    else streams.add(segmentAt(n));
  }
  for (const n of late) streams.add(segmentAt(n));
  const before = streams.report();
  streams.add(segmentAt(MISSING));
  return { before, after: streams.report() };
}

function rootOf(n: number): string {
  return hash('sha256', `root ${n}`, 'base64');
}

function segmentAt(n: number): CheckedSegment {
  const time = '2026-11-21T08:40:00.000000Z';
  return {
    stream: '01KAH3M8ZK4T9V2B6XN5R0WCEA',
    segment: n,
    copy: 0,
    digest: hash('sha256', `lines ${n}`, 'hex'),
    lines: 10,
    firstTime: time,
    lastTime: time,
    opened: {
      firstSeq: n * 10,
      previousRoot: n === 0 ? null : rootOf(n - 1),
      previousStreams: [],
      publicKey: 'ed25519:key',
      place: 'c/n/s',
    },
    sealed: { seq: n * 10 + 9, root: rootOf(n), last: n === MILLION - 1, how: 'age' },
    sealToCheck: null,
    exchanges: [],
    findings: [],
  };
}

const work: Record<string, () => unknown> = {
  list: () => count(listSegments(createVastStore(new Uint8Array(100)))),
  judge: () => judge(),
};

parentPort?.postMessage(await work[String(workerData)]?.(), []);
