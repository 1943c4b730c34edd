/**
 * Owns the server that clients connect to: which requests become exchanges, and how it comes to rest.
 * Invariant: whatever arrives is recorded as an exchange, counted as denied, or gets an answer that anybody may have; after a drain no
 * exchange is left open.
 */
import type http from 'node:http';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../config/address.ts';
import { listenOn } from '../listen.ts';
import type { ProxyContext } from './context.ts';
import type { RefusalReason } from '../exchange/refusals.ts';
import { countRefusal, refuse, refuseConnection } from './refuse.ts';
import { RequestHandling } from './request-handling.ts';

// An import would load more, and keep it (docs/adr/0006-memory-of-a-sidecar.md).
const { createServer } = process.getBuiltinModule('node:http');

/** Request heads beyond this get 431: tokens with many groups fit, floods do not (bytes). */
const MAX_HEADER_BYTES = 64 * 1024;
/** Longer than what clients and load balancers keep idle connections, so that they, not we, close first (ms). */
const KEEP_ALIVE_MS = 75_000;
/** How long a drain waits, when it has cut what was left, for ends that disk or store do not take at present (ms). */
export const ENDS_MS = 2_000;
/** How often a drain looks whether only idle streams are left (ms). */
const DRAIN_LOOK_MS = 50;

export interface Listener {
  readonly address: Address;
  /** Requests under way. */
  readonly active: number;
  /** Those of them whose response is an open event stream. */
  readonly streams: number;
  /** Cuts what goes on unrecorded: `streams`, whose clients come back and are recorded then, or all of it. */
  cutUnrecorded(which: 'streams' | 'all'): void;
  /**
   * Takes no new connections; lets calls finish until `late` is aborted; then cuts what is left (streams that answer no
   * call at once). Resolves when nothing is under way, or nothing but ends that can't be recorded now: the spool settles those.
   */
  drain(late: AbortSignal): Promise<void>;
}

/** Starts to listen. @throws Error of the system when the address can't be bound */
export async function createListener(context: ProxyContext, listen: Address): Promise<Listener> {
  // An array in which the last takes the place of one that goes. A Map that ever changes leaves tables behind that point to
  // their successors; one that grew old keeps all exchanges after it alive until the next full collection.
  const underWay: RequestHandling[] = [];
  /** Connections on which something came that is no HTTP. */
  const broken = new WeakSet<Duplex>();
  let settled: (() => void) | null = null;
  /** The time that a drain gives has passed. */
  let late = false;

  function handle(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    expectsContinue: boolean,
  ): void {
    const handling = new RequestHandling(context, request, response, over);
    handling.index = underWay.length;
    underWay.push(handling);
    if (late) refuse(context, request, response, 'draining');
    else handling.start(expectsContinue);
  }

  function over({ index }: RequestHandling): void {
    const last = underWay.pop() as RequestHandling;
    if (last.index !== index) {
      underWay[index] = last;
      last.index = index;
    }
    settle();
  }

  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    // Its absence is refused with the other faults of a head, so that it is counted (request-handling.ts).
    requireHostHeader: false,
  });
  server.on('request', (request, response) => handle(request, response, false));
  server.on('checkContinue', (request, response) => handle(request, response, true));
  server.on('checkExpectation', (request, response) => refuse(context, request, response, 'expectation'));
  server.on('connect', (_request, socket: net.Socket) => {
    // Node has let go of this socket: its errors are ours now, and one that nobody hears ends the process.
    socket.on('error', () => socket.destroy());
    refuseRest(socket, 'method_not_allowed');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // A connection that was opened ahead of need and never used has asked for nothing, and is told nothing.
    if (['ECONNRESET', 'EPIPE', 'ERR_HTTP_REQUEST_TIMEOUT'].includes(error.code ?? '')) {
      socket.destroy();
      return;
    }
    // What follows on a connection that was refused is part of what was refused.
    if (broken.has(socket)) return;
    broken.add(socket);
    const reason = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'malformed_http';
    refuseRest(socket as net.Socket, reason);
  });

  /** Refuses what came on a connection behind the requests that are under way on it, if any. */
  function refuseRest(socket: net.Socket, reason: RefusalReason): void {
    const [response, ...more] = underWay
      .map((entry) => entry.response)
      .filter(({ req, closed }) => req.socket === socket && !closed);
    const address = socket.remoteAddress ?? 'unknown';
    if (response === undefined) {
      refuseConnection(context, socket, address, reason);
    } else if (more.length === 0 && !response.req.complete && !response.headersSent) {
      // The body that is being read is broken; nobody has answered its request yet.
      refuse(context, response.req, response, reason);
    } else if (more.length === 0 && !response.req.complete) {
      // The rest of a body that was refused: counted then.
      socket.destroy();
    } else {
      // An answer of an earlier request on this connection may be under way: words of ours must not get into it.
      countRefusal(context, reason, address);
      socket.destroy();
    }
  }

  const address = await listenOn(server, listen);

  /** During a drain: cuts streams that answer nothing, once they are all that is left. */
  function settle(): void {
    if (settled === null) return;
    if (underWay.length === 0) settled();
    else if (underWay.every(({ recorder }) => recorder?.isIdleStream === true)) cutAll();
  }

  function cutAll(): void {
    for (const { response, recorder } of underWay.slice()) {
      if (recorder === null) response.destroy();
      else recorder.cut();
    }
  }

  return {
    address,
    get active() {
      return underWay.length;
    },
    get streams() {
      let streams = 0;
      for (const { recorder } of underWay) if (recorder?.streams === true) streams++;
      return streams;
    },
    cutUnrecorded(which) {
      for (const { recorder } of underWay.slice()) {
        if (recorder?.unrecorded === true && (which === 'all' || recorder.streams)) recorder.cut();
      }
    },
    async drain(lateSignal) {
      context.draining = true;
      server.close();
      server.closeIdleConnections();
      await new Promise<void>((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const onLate = (): void => {
          late = true;
          timer = setTimeout(() => settled?.(), ENDS_MS);
          cutAll();
        };
        // A stream falls idle without telling.
        const looking = setInterval(settle, DRAIN_LOOK_MS);
        settled = () => {
          settled = null;
          clearTimeout(timer);
          clearInterval(looking);
          lateSignal.removeEventListener('abort', onLate);
          resolve();
        };
        if (lateSignal.aborted) onLate();
        else lateSignal.addEventListener('abort', onLate);
        settle();
      });
      server.closeAllConnections();
    },
  };
}
