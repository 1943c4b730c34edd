/**
 * Owns the Events that people see at a resource (`kubectl describe`).
 * Invariants: emitting never fails and never waits, and a lost Event is logged, no more; one that repeats is one object with a count; what is
 * remembered and what is on its way is bounded.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import { type Clock, microTime, systemClock } from './clock.ts';
import { isKubeError } from './kube-error.ts';
import type { KubeObject, ObjectName, Resource } from './resource.ts';

export interface EventFacts {
  type: 'Normal' | 'Warning';
  /** Why, one word in camel case: `RolloutBlocked`. */
  reason: string;
  /** What we did or did not do, one word in camel case: `Enforce`. */
  action: string;
  /** For people, whole sentences; cut at 1024 bytes. The same words are the same Event. */
  note: string;
}

export interface EventEmitter {
  /** @param regarding the resource that it appears at */
  emit(regarding: Readonly<KubeObject>, facts: EventFacts): void;
  /** Writes the counts that wait, and resolves when nothing is on its way any more. */
  close(): Promise<void>;
}

export interface EventOptions {
  client: KubeClient;
  /** `mcp-recorder.dev/operator`. */
  controller: string;
  /** The pod's name. */
  instance: string;
  log: Logger;
  clock?: Clock;
}

const EVENTS: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};
/** The count of a repeated Event is written at most so often (ms). */
const WRITE_EVERY_MS = 60_000;
/** After such a time without a repetition the next one is a new Event (ms). */
const FORGET_MS = 6 * 60_000;
const MOST_REMEMBERED = 1_000;
/** On their way at once; more are lost. */
const MOST_WAITING = 100;
const LONGEST_NOTE = 1024;
const LONGEST_WORD = 128;

interface Remembered {
  facts: EventFacts;
  regarding: Readonly<KubeObject>;
  /** Null: not written yet, or lost. */
  at: ObjectName | null;
  count: number;
  lastMs: number;
  /** MicroTime of the last one. */
  lastTime: string;
  cancelWrite: (() => void) | null;
}

export function createEvents(options: EventOptions): EventEmitter {
  const { client, controller, instance, log, clock = systemClock } = options;
  /** The one that was repeated last is the last. */
  const remembered = new Map<string, Remembered>();
  let tail: Promise<void> = Promise.resolve();
  let waiting = 0;

  /** One write after the other; whatever fails is logged. */
  function enqueue(entry: Remembered, write: () => Promise<void>): void {
    const { reason } = entry.facts;
    const { name } = entry.regarding.metadata;
    const lost = (why: string) => log.warn({ reason, name }, `an Event is lost: ${why}`);
    if (waiting >= MOST_WAITING) {
      lost(`${waiting} others wait for the API server`);
      return;
    }
    waiting += 1;
    tail = tail
      .then(write)
      .catch((error: unknown) => lost(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        waiting -= 1;
      });
  }

  async function create(entry: Remembered): Promise<void> {
    const { facts, regarding } = entry;
    const { name, namespace, uid, resourceVersion } = regarding.metadata;
    const at = {
      namespace: namespace ?? 'default',
      name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}`,
    };
    await client.create(EVENTS, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: at,
      eventTime: entry.lastTime,
      reportingController: controller,
      reportingInstance: instance.slice(0, LONGEST_WORD),
      type: facts.type,
      reason: facts.reason.slice(0, LONGEST_WORD),
      action: facts.action.slice(0, LONGEST_WORD),
      note: cutText(facts.note, LONGEST_NOTE),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        namespace,
        name,
        uid,
        resourceVersion,
      },
    } as KubeObject);
    entry.at = at;
  }

  async function writeCount(entry: Remembered): Promise<void> {
    if (entry.at === null) return await create(entry);
    const series = { count: entry.count, lastObservedTime: entry.lastTime };
    try {
      await client.patch(EVENTS, entry.at, { series });
    } catch (error) {
      // The API server deletes Events after an hour.
      if (!isKubeError(error, 'NotFound')) throw error;
      entry.count = 1;
      await create(entry);
    }
  }

  function scheduleCount(entry: Remembered): void {
    entry.cancelWrite ??= clock.after(WRITE_EVERY_MS, () => {
      entry.cancelWrite = null;
      enqueue(entry, () => writeCount(entry));
    });
  }

  function remember(key: string, entry: Remembered): void {
    remembered.delete(key);
    remembered.set(key, entry);
    const [oldest] = remembered;
    if (remembered.size <= MOST_REMEMBERED || oldest === undefined) return;
    remembered.delete(oldest[0]);
    flush(oldest[1]);
  }

  function flush(entry: Remembered): void {
    if (entry.cancelWrite === null) return;
    entry.cancelWrite();
    entry.cancelWrite = null;
    enqueue(entry, () => writeCount(entry));
  }

  return {
    emit(regarding, facts) {
      const { uid, name, namespace } = regarding.metadata;
      const key = JSON.stringify([
        uid ?? `${namespace}/${name}`,
        facts.type,
        facts.reason,
        facts.action,
        facts.note,
      ]);
      const known = remembered.get(key);
      const lastMs = clock.nowMs();
      const lastTime = microTime(clock);
      if (known !== undefined && lastMs - known.lastMs < FORGET_MS) {
        Object.assign(known, { count: known.count + 1, lastMs, lastTime });
        remember(key, known);
        scheduleCount(known);
        return;
      }
      const entry = { facts, regarding, at: null, count: 1, lastMs, lastTime, cancelWrite: null };
      remember(key, entry);
      enqueue(entry, () => create(entry));
    },
    async close() {
      for (const entry of remembered.values()) flush(entry);
      await tail;
    },
  };
}

/** At most so many bytes of UTF-8, ending with a whole character. */
function cutText(text: string, bytes: number): string {
  const whole = Buffer.from(text);
  if (whole.length <= bytes) return text;
  let end = bytes - 3;
  while (((whole[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${whole.subarray(0, end).toString('utf8')}...`;
}
