/**
 * Owns the text of a watch: lines of JSON, each an event.
 * Invariants: an event is given whole or not at all; what the server reports as an error is thrown as one; a line is bounded.
 */
import { errorOfStatus, KubeError } from './kube-error.ts';
import type { KubeObject } from './resource.ts';

export interface WatchEvent<T extends KubeObject = KubeObject> {
  /** BOOKMARK: nothing changed; its object holds only the resource version that the watch has come to. */
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: T;
}

/** An object has at most 1.5 MB in etcd, as JSON some times that. */
const LONGEST_LINE = 32 * 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The events in the bytes, in order. An unfinished line at the end is dropped: the connection broke within it.
 * @param call for messages
 * @throws KubeError for an event of type ERROR (an expired resource version has status 410), and for what is no event
 */
export async function* watchEvents<T extends KubeObject>(
  call: string,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<WatchEvent<T>> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      const rest = chunk.subarray(from, end < 0 ? undefined : end);
      begun.push(rest);
      length += rest.length;
      if (length > LONGEST_LINE) {
        throw new KubeError({ call, status: null, reason: 'Unreadable', message: 'an event without end' });
      }
      if (end < 0) break;
      const line = Buffer.concat(begun).toString('utf8');
      begun = [];
      length = 0;
      from = end + 1;
      if (line.trim() !== '') yield parseEvent<T>(call, line);
    }
  }
}

function parseEvent<T extends KubeObject>(call: string, line: string): WatchEvent<T> {
  const unreadable = (message: string, cause?: unknown) =>
    new KubeError({ call, status: null, reason: 'Unreadable', message, cause });
  let event: { type?: unknown; object?: unknown } | null;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw unreadable('a line that is not JSON', error);
  }
  const { type, object } = event ?? {};
  if (typeof object !== 'object' || object === null) throw unreadable('an event without an object');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type, object: object as T };
    case 'ERROR':
      throw errorOfStatus(call, object as Record<string, unknown>);
    default:
      throw unreadable('an event of unknown type');
  }
}
