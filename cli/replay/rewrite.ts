/**
 * Owns what must differ between a recorded answer and the one that is given: ids and progress tokens belong to the call.
 */
import type { Message } from '@mcp-recorder/recording/read/messages';
import type { RecordedCall } from './recorded-calls.ts';

/** Rewrites what came for a recorded call for another one. */
export interface Rewrite {
  /** A message of the server; requests get an id of their own. */
  message(recorded: Message): Message;
  answer(recorded: Message): Message;
}

let serverRequests = 0;

export function rewriteFor({ message: recordedCall }: RecordedCall, call: Message): Rewrite {
  const recordedToken = tokenOf(recordedCall);
  const token = tokenOf(call);
  return {
    message(recorded) {
      let { params } = recorded;
      if (recorded.method === 'notifications/progress' && params?.['progressToken'] === recordedToken) {
        params = { ...params, progressToken: token };
      }
      if (subscriptionOf(params) !== undefined && subscriptionOf(params) === recordedCall.id) {
        const meta = { ...(params?.['_meta'] as object), [SUBSCRIPTION]: call.id };
        params = { ...params, _meta: meta };
      }
      const isRequest = recorded.method !== undefined && recorded.id !== undefined;
      if (isRequest) serverRequests += 1;
      return {
        ...recorded,
        ...(params === undefined ? {} : { params }),
        // Two recorded exchanges may use the same id at once.
        ...(isRequest ? { id: `replay-${serverRequests}` } : {}),
      };
    },
    answer: (recorded) => ({ ...recorded, id: call.id }),
  };
}

/** In what is told to who listens (2026-07-28): the id of the request that listens. */
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

function subscriptionOf(params: Message['params']): unknown {
  const meta = params?.['_meta'];
  return typeof meta === 'object' && meta !== null ? Reflect.get(meta, SUBSCRIPTION) : undefined;
}

function tokenOf({ params }: Message): unknown {
  const meta = params?.['_meta'];
  return typeof meta === 'object' && meta !== null ? Reflect.get(meta, 'progressToken') : undefined;
}
