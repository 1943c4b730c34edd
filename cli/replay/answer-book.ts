/**
 * Owns which recorded answer a call gets: that of the same call, and of several the next one.
 * Invariant: two calls are the same when method and parameters are, whatever their ids, order of names and `_meta`.
 */
import type { Message } from '@mcp-recorder/recording/read/messages';
import type { RecordedCall } from './recorded-calls.ts';

/** What a client's call is answered with. */
export type Found =
  | { isKnown: true; isNearest: boolean; recorded: RecordedCall }
  | { isKnown: false; isMethodKnown: boolean; message: string };

export interface AnswerBook {
  /** The answer that is next for this call. Counts by itself: the last one is given again and again. */
  find(call: Message): Found;
  /** The same answers from their beginning. */
  again(): AnswerBook;
}

/** Methods whose parameters tell who asks, not what for. */
const WHOEVER_ASKS = new Set(['initialize', 'server/discover', 'ping']);

export function createAnswerBook(calls: readonly RecordedCall[], lenient: boolean): AnswerBook {
  const same = Map.groupBy(calls, ({ message }) => keyOf(message));
  const near = Map.groupBy(calls, ({ message }) => nearKeyOf(message));
  const methods = new Set(calls.map(({ message }) => String(message.method)));
  const given = new Map<string, number>();

  function next(key: string, from: readonly RecordedCall[]): RecordedCall {
    const count = given.get(key) ?? 0;
    given.set(key, count + 1);
    return from[Math.min(count, from.length - 1)] as RecordedCall;
  }

  return {
    find(call) {
      const key = keyOf(call);
      const exact = same.get(key);
      if (exact !== undefined) return { isKnown: true, isNearest: false, recorded: next(key, exact) };
      const nearKey = nearKeyOf(call);
      const nearest = near.get(nearKey);
      if (lenient && nearest !== undefined) {
        return { isKnown: true, isNearest: true, recorded: next(`near ${nearKey}`, nearest) };
      }
      const method = String(call.method);
      if (!methods.has(method)) {
        const known = [...methods].slice(0, 20).join(', ');
        return {
          isKnown: false,
          isMethodKnown: false,
          message: `The recording has no ${method}; it has ${known}.`,
        };
      }
      const what = describeCall(call);
      return {
        isKnown: false,
        isMethodKnown: true,
        message:
          nearest === undefined
            ? `The recording has no ${what}; of ${method} it has ${targetsOf(calls, method)}.`
            : `The recording has ${what} with other arguments only (${nearest.length}); --lenient answers with the nearest.`,
      };
    },
    again: () => createAnswerBook(calls, lenient),
  };
}

/** What is recorded, for people: `tools/call echo x3`. */
export function kindsOf(calls: readonly RecordedCall[]): string[] {
  const counts = Map.groupBy(calls, ({ message }) => describeCall(message));
  return [...counts].map(([what, of]) => (of.length === 1 ? what : `${what} x${of.length}`));
}

/** `tools/call echo` */
export function describeCall({ method, params }: Message): string {
  const target = params?.['name'] ?? params?.['uri'];
  return typeof target === 'string' ? `${String(method)} ${target}` : String(method);
}

function targetsOf(calls: readonly RecordedCall[], method: string): string {
  const targets = new Set(
    calls.filter(({ message }) => message.method === method).map(({ message }) => describeCall(message)),
  );
  return [...targets].slice(0, 20).join(', ');
}

function keyOf({ method, params = {} }: Message): string {
  if (WHOEVER_ASKS.has(String(method))) return String(method);
  const { _meta: _left, ...asked } = params;
  try {
    return `${String(method)} ${canonical(asked)}`;
  } catch {
    // Nested too deeply to be compared: like no other.
    return `${String(method)} ?`;
  }
}

function nearKeyOf(message: Message): string {
  return describeCall(message);
}

/** JSON with its names in one order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
