/**
 * Owns `mcp-recorder verify --exchange --proof`: the proof of one exchange, made from a store.
 * Invariant: what is written has been verified as its reader will verify it.
 */
import fs from 'node:fs/promises';
import { isUlid, ulidTimeMs } from '@mcp-recorder/recording/format/ulid';
import {
  type Bundle,
  BundleError,
  type BundleReport,
  createBundle,
  type DecodedSegment,
  verifyBundle,
} from '@mcp-recorder/recording/proof/bundle';
import { type ReadExchange, readExchange } from '@mcp-recorder/recording/read/exchange-reader';
import { SEGMENT_SLACK_MS } from '@mcp-recorder/recording/read/partitions';
import {
  listSegments,
  type ReadSegment,
  readSegments,
  readThese,
} from '@mcp-recorder/recording/read/store-reader';
import { secondOf } from '@mcp-recorder/recording/read/time-range';
import type { ObjectStore } from '@mcp-recorder/recording/store/object-store';
import { CommandFailure } from './failure.ts';
import { printableLine } from './printable.ts';
import { reportUnreadable } from './unreadable.ts';

const onUnreadable = reportUnreadable;

/**
 * Writes the proof of `exchange` to `file`, replacing what is there.
 * @returns the sentences of what it proves; with `ok` false nothing was written, and they say why
 * @throws CommandFailure when there is no such exchange or no proof can be made of it
 */
export async function writeProof(
  store: ObjectStore,
  exchange: string,
  file: string,
): Promise<{ ok: boolean; statements: string[] }> {
  const found = await readExchange(store, exchange, { onUnreadable });
  if (found === null)
    throw new CommandFailure(`No exchange ${printableLine(exchange)} in ${store.location}.`);
  const { bundle, report } = await proveExchange(store, found);
  const { ok, findings, statements } = report;
  if (!ok) return { ok, statements: findings.map(({ code, message }) => `FOUND ${code}: ${message}`) };
  await fs.writeFile(file, `${JSON.stringify(bundle)}\n`).catch((error: unknown) => {
    throw new CommandFailure(
      `Can't write the proof: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
  return { ok, statements };
}

/** The proof of an exchange, and what it proves. @throws CommandFailure when none can be made */
export async function proveExchange(
  store: ObjectStore,
  found: ReadExchange,
): Promise<{ bundle: Bundle; report: BundleReport }> {
  const bundle = await bundleOf(store, found);
  return { bundle, report: verifyBundle(bundle) };
}

async function bundleOf(store: ObjectStore, found: ReadExchange): Promise<Bundle> {
  const segments = await segmentsOf(store, found);
  for (;;) {
    try {
      return createBundle(segments, found.exchange);
    } catch (error) {
      if (!(error instanceof BundleError)) throw error;
      // A recovered segment is proven by the stream that sealed it, which may have been recovered in turn.
      const first = error.stream === null ? null : await firstSegment(store, error.stream);
      if (first === null) throw new CommandFailure(`No proof can be made: ${error.message}.`);
      segments.push(first);
    }
  }
}

/** The segments with a line of the exchange, or with a result of its operations. */
async function segmentsOf(store: ObjectStore, found: ReadExchange): Promise<DecodedSegment[]> {
  const { exchange, stream, segment, lines, resultsElsewhere } = found;
  const segments: DecodedSegment[] = [];
  let missing = lines.length + resultsElsewhere.length;
  for await (const read of readSegments(store, { stream, fromSecond: segment.place.second, onUnreadable })) {
    let here = 0;
    for (const { line } of read.lines(exchange)) {
      const belongs = 'exchange' in line && line.exchange === exchange;
      if (belongs || (line.type === 'result' && line.call_exchange === exchange)) here += 1;
    }
    if (here > 0) segments.push(decodedOf(read));
    missing -= here;
    if (missing <= 0) break;
  }
  return segments;
}

async function firstSegment(store: ObjectStore, stream: string): Promise<DecodedSegment | null> {
  // A recorder whose clock was set back names a stream ahead of its lines: then the whole store is searched.
  const began = isUlid(stream) ? secondOf(ulidTimeMs(stream) - SEGMENT_SLACK_MS) : '';
  for (const fromSecond of [began, '']) {
    for await (const read of readThese(store, firstOf(store, stream, fromSecond), { onUnreadable })) {
      return decodedOf(read);
    }
  }
  return null;
}

async function* firstOf(store: ObjectStore, stream: string, fromSecond: string) {
  for await (const segment of listSegments(store, { stream, fromSecond })) {
    if (segment.place.segment === 0) yield segment;
  }
}

function decodedOf({ segment, decoded }: ReadSegment): DecodedSegment {
  return { stream: segment.place.stream, segment: segment.place.segment, bytes: decoded };
}
