/**
 * Owns where calls stand that have no room on the line of their body.
 * Invariant: whatever ids, methods and targets say, no line passes its bound because of its calls, and each call stands on
 * one line.
 */
import { encodeChunkTail } from '@mcp-recorder/recording/format/encode';
import type { Call, Sender } from '@mcp-recorder/recording/format/line';
import type { LineTail } from '../spool/spool.ts';

/** JSON text of calls that may stand beside a body: half of what bodies leave of their line (bytes). */
const BESIDE_BODY_BYTES = 8 * 1024;
/** JSON text of calls on a line of their own (bytes). */
const ALONE_BYTES = 512 * 1024;
/** A call's JSON text without what peers choose (bytes). */
const FIXED_BYTES = 256;

/** JSON text takes at most six bytes for a byte. */
function bytesAtMost({ rpc_id, method, target }: Call): number {
  return FIXED_BYTES + 6 * ((rpc_id?.length ?? 0) + method.length + (target?.length ?? 0));
}

/** True when the calls need lines of their own. */
export function areCrowded(calls: readonly Call[]): boolean {
  let bytes = 0;
  for (const call of calls) bytes += bytesAtMost(call);
  return bytes > BESIDE_BODY_BYTES;
}

/** `chunk` lines without body that hold the calls, as many on each as have room. */
export function encodeCrowdedCalls(
  exchange: string,
  nextPart: () => number,
  sender: Sender,
  calls: readonly Call[],
): LineTail[] {
  const tails: LineTail[] = [];
  let group: Call[] = [];
  let bytes = 0;
  const finishGroup = (): void => {
    const chunk = { exchange, part: nextPart(), sender, body_offset: 0, body: '', wire_bytes: 0 };
    tails.push(encodeChunkTail({ ...chunk, body_encoding: 'utf8', calls: group }));
    group = [];
    bytes = 0;
  };
  for (const call of calls) {
    group.push(call);
    bytes += bytesAtMost(call);
    if (bytes > ALONE_BYTES) finishGroup();
  }
  if (group.length > 0) finishGroup();
  return tails;
}
