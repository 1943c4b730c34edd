/**
 * Owns every path within the spool directory, and how a name found there is read back.
 *
 *     <spool>/lock                               held by the one process that owns the directory
 *     <spool>/spare-<n>                          pre-allocated segment files, to be used again
 *     <spool>/session-bindings                   which caller opened which session (session-bindings.ts)
 *     <spool>/live-token                         who knows it may read the recording as it is made (../live/live.ts)
 *     <spool>/<stream>/<segment>.spool           a segment as it is written: header and frames (frame.ts)
 *     <spool>/<stream>/<segment>.jsonl.zst       a sealed segment: the object, whole and on disk
 *     <spool>/<stream>/<segment>.resealed        the object of a segment that a dead process left open, not yet named by an `open` line
 *     <spool>/quarantine/<stream>/<name>         what could not be read
 *
 * Invariant: a segment's number has 12 digits, so that names sort as numbers do.
 */
import path from 'node:path';
import { isUlid } from '@mcp-recorder/recording/format/ulid';

export type SegmentFileKind = 'spool' | 'jsonl.zst' | 'resealed';

export interface SegmentFileName {
  segment: number;
  kind: SegmentFileKind;
}

export function lockPath(directory: string): string {
  return path.join(directory, 'lock');
}

export function sessionBindingsPath(directory: string): string {
  return path.join(directory, 'session-bindings');
}

export function liveTokenPath(directory: string): string {
  return path.join(directory, 'live-token');
}

export function sparePath(directory: string, number: number): string {
  return path.join(directory, `spare-${number}`);
}

export function isSpareName(name: string): boolean {
  return /^spare-\d+$/.test(name);
}

/** Left by a crash within `writeWhole`; never of any use. */
export function isTemporaryName(name: string): boolean {
  return name.endsWith('.tmp');
}

export function streamPath(directory: string, stream: string): string {
  return path.join(directory, stream);
}

export function isStreamName(name: string): boolean {
  return isUlid(name);
}

export function segmentPath(
  directory: string,
  stream: string,
  segment: number,
  kind: SegmentFileKind,
): string {
  return path.join(directory, stream, `${String(segment).padStart(12, '0')}.${kind}`);
}

/** What a name in a stream's folder says, or null when it is none of ours. */
export function parseSegmentName(name: string): SegmentFileName | null {
  const found = /^(?<segment>\d{12})\.(?<kind>spool|jsonl\.zst|resealed)$/.exec(name)?.groups;
  if (found === undefined) return null;
  return { segment: Number(found['segment']), kind: found['kind'] as SegmentFileKind };
}

export function quarantinePath(directory: string): string {
  return path.join(directory, 'quarantine');
}

export function quarantinedPath(directory: string, stream: string, name: string): string {
  return path.join(directory, 'quarantine', stream, name);
}
