/**
 * Owns one attempt to reach a server past its recorder, as any other pod might try it.
 * Invariant: only `connected` proves anything about the way in; trouble on our own side is never taken for a way that is closed.
 */
import net from 'node:net';
import type { Look } from '../desired/observed.ts';

export type DialOutcome = Look['dial'];

/** An open port of the same cluster answers within milliseconds; a longer wait tells nothing more. */
const TIMEOUT_MS = 1_000;

/** What the network said. Any other error is this process's own (no descriptor left, no address), and says nothing about the pod. */
const OUTCOMES: Readonly<Record<string, DialOutcome>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
};

/**
 * Opens a TCP connection and ends it at once; nothing is sent. Never rejects.
 * @param timeoutMs after which a silent network counts as `timeout`
 */
export function dial(host: string, port: number, timeoutMs = TIMEOUT_MS): Promise<DialOutcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const settle = (outcome: DialOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => settle('timeout'), timeoutMs);
    socket.once('connect', () => settle('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(OUTCOMES[error.code ?? ''] ?? 'not-tried'));
  });
}
