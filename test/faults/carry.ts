/**
 * Owns one direction of a connection through a faulty link: each piece passes, waits, is slowed, is lost or is the last, as the fault
 * says that is in force when its turn comes.
 * Invariant: bytes that pass keep their order, also when the fault changes while some are delayed.
 */
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { LinkFault } from './link-fault.ts';

/** What all connections of a proxy share. */
export interface Link {
  readonly fault: LinkFault;
  /** Resolves when another fault is in force. */
  changed(): Promise<void>;
  /** Told each time that the fault touches a piece. */
  struck(): void;
  /** Waits until so many bytes may pass in this direction. */
  take(way: Way, bytes: number, bytesPerSecond: number): Promise<void>;
}

export type Way = 'request' | 'answer';

/** Bytes that may be delayed at once in one direction: beyond them the sender waits. */
const DELAYED_BYTES = 64 * 1024 * 1024;
/** A throttled piece is passed in so many slices a second. */
const SLICES = 20;

/**
 * Carries everything that `from` sends to `to`; resolves when `from` has ended, or either is gone.
 * @param cut called when the fault ends the connection
 */
export async function carry(from: Socket, to: Socket, way: Way, link: Link, cut: () => void): Promise<void> {
  let force = link.fault;
  /** Bytes that passed since this fault is in force. */
  let passed = 0;
  /** Settles when everything that is delayed has been written. */
  let delayed = Promise.resolve();
  let delayedBytes = 0;

  const write = (piece: Buffer) =>
    new Promise<void>((resolve) => {
      passed += piece.length;
      if (to.destroyed) resolve();
      else to.write(piece, () => resolve());
    });

  async function later(piece: Buffer, ms: number): Promise<void> {
    const due = pause(ms);
    delayedBytes += piece.length;
    const earlier = delayed;
    delayed = (async () => {
      await due;
      await earlier;
      await write(piece);
      delayedBytes -= piece.length;
    })();
    if (delayedBytes > DELAYED_BYTES) await delayed;
  }

  async function slowly(piece: Buffer, bytesPerSecond: number): Promise<void> {
    const slice = Math.max(1, Math.floor(bytesPerSecond / SLICES));
    for (let at = 0; at < piece.length && !to.destroyed; at += slice) {
      const bytes = piece.subarray(at, at + slice);
      if (link.fault.kind === 'throttle') await link.take(way, bytes.length, bytesPerSecond);
      await write(bytes);
    }
  }

  async function upTo(piece: Buffer, afterBytes: number): Promise<void> {
    const last = piece.subarray(0, Math.max(0, afterBytes - passed));
    if (last.length > 0) await write(last);
    if (last.length === piece.length) return;
    link.struck();
    cut();
  }

  async function pass(piece: Buffer): Promise<void> {
    while (!to.destroyed) {
      const { fault } = link;
      if (fault !== force) passed = 0;
      force = fault;
      if (fault.kind === 'black hole') {
        link.struck();
        await link.changed();
        continue;
      }
      if (fault.kind === 'swallow') return link.struck();
      if (fault.kind === 'delay') {
        link.struck();
        return later(piece, fault.ms);
      }
      await delayed;
      if (fault.kind === 'throttle') {
        link.struck();
        return slowly(piece, fault.bytesPerSecond);
      }
      const cuts = fault.kind === `cut ${way}`;
      return cuts ? upTo(piece, (fault as { afterBytes: number }).afterBytes) : write(piece);
    }
  }

  for await (const piece of from) await pass(piece as Buffer);
  await delayed;
  to.end();
}
