/**
 * Owns what goes on at a recorder when a fault comes: nothing, calls, or streams, at a pace that leaves the machine room for several.
 */
import type { CallShape } from '../support/ledger-traffic.ts';

export const SCENES = ['idle', 'unary', 'sse'] as const;
export type SceneName = (typeof SCENES)[number];

export interface Scene {
  name: SceneName;
  what: string;
  clients: number;
  shape(client: number, call: number): CallShape;
}

/** A refused client comes again so soon (ms): sooner than `Retry-After` asks, since it must see the gate open. */
export const RETRY_MS = 200;

const SCENE_TABLE: Record<SceneName, Scene> = {
  idle: {
    name: 'idle',
    what: 'nobody calls',
    clients: 0,
    shape: () => ({ answer: 'json', events: 0, textBytes: 100, requestBytes: 50, pauseMs: 0 }),
  },
  unary: {
    name: 'unary',
    what: '16 clients, each one call after the other; every 40th answer has 100 KB',
    clients: 16,
    shape: (client, call) => ({
      answer: 'json',
      events: 0,
      textBytes: (client * 5 + call) % 40 === 4 ? 100_000 : 400,
      requestBytes: (client * 5 + call) % 40 === 2 ? 80_000 : 50,
      pauseMs: 60,
    }),
  },
  sse: {
    name: 'sse',
    what: '64 clients, each one stream of 10 events in 2 s after the other',
    clients: 64,
    shape: () => ({ answer: 'sse', events: 10, textBytes: 200, requestBytes: 50, pauseMs: 200 }),
  },
};

export const sceneOf = (name: SceneName): Scene => SCENE_TABLE[name];
