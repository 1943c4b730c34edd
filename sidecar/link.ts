/**
 * Owns the answer to the operator: in which pod this is (proven by a token), how the recorder is, which configuration it has, and what goes
 * on around it.
 * Invariant: the token is given to nobody but the operator, and is never kept: the kubelet renews it.
 */
import { readFile } from 'node:fs/promises';
import type { Reload } from './pod-parts.ts';
import { readServerSockets } from './sockets.ts';

export interface LinkParts {
  /** Holds the projected token of the pod's service account. */
  tokenFile: string;
  /** Where the server listens, in this network namespace. */
  serverPort: number;
  reload(): Reload;
}

/** What `/link` answers. */
export interface LinkAnswer {
  /** Null when its file can't be read. */
  token: string | null;
  /** As `/status` says it. */
  status: { configuration: string };
  configuration: { digest: string; restart_needed: readonly string[]; refused: string | null };
  server: { port: number; listens: 'any' | 'loopback' | 'none'; foreign_connections: string[] };
}

/**
 * Answers the operator.
 * @throws Error when the kernel does not tell of its sockets
 */
export async function answerLink<Status extends { configuration: string }>(
  parts: LinkParts,
  status: Status,
): Promise<LinkAnswer & { status: Status }> {
  const [token, sockets] = await Promise.all([
    readFile(parts.tokenFile, 'utf8').catch(() => null),
    readServerSockets(parts.serverPort),
  ]);
  const { restartNeeded, refused } = parts.reload();
  return {
    token: token?.trim() ?? null,
    status,
    configuration: { digest: status.configuration, restart_needed: restartNeeded, refused },
    server: {
      port: parts.serverPort,
      listens: sockets.listens,
      foreign_connections: sockets.foreignConnections,
    },
  };
}
