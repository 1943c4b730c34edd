/**
 * Owns what can be wrong between a recorder and whom it talks to, as plain values, and the words of an S3 store that refuses.
 * The words are those of AWS (Amazon S3 API reference, "Error responses"), so that a client can't tell them from the real ones.
 */

/** One way in which a connection fails; in force for all connections of a proxy until another one is. */
export type LinkFault =
  | { kind: 'none' }
  /** Nobody listens; what is open is reset. */
  | { kind: 'refuse' }
  /** Connections are accepted, and not a byte passes either way. What is under way passes after healing, as after a cut cable. */
  | { kind: 'black hole' }
  /** The other side reads everything and does and says nothing. What was sent meanwhile is lost; such connections are reset by healing. */
  | { kind: 'swallow' }
  /** Every piece takes so much longer, each way. */
  | { kind: 'delay'; ms: number }
  /** All connections together, each way. */
  | { kind: 'throttle'; bytesPerSecond: number }
  /** Reset once so many bytes of a connection's requests have passed: the other side has half of one. */
  | { kind: 'cut request'; afterBytes: number }
  /** Reset once so many bytes of a connection's answers have passed: the other side has done what it was asked to. */
  | { kind: 'cut answer'; afterBytes: number }
  /** Every request is read whole and answered in the other side's place. */
  | { kind: 'answer'; answer: StoreAnswer };

export interface StoreAnswer {
  status: number;
  /** The S3 error code. */
  code: string;
  message: string;
}

export const STORE_ANSWERS = {
  internalError: {
    status: 500,
    code: 'InternalError',
    message: 'We encountered an internal error. Please try again.',
  },
  slowDown: { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' },
  accessDenied: { status: 403, code: 'AccessDenied', message: 'Access Denied' },
  expiredToken: { status: 400, code: 'ExpiredToken', message: 'The provided token has expired.' },
  preconditionFailed: {
    status: 412,
    code: 'PreconditionFailed',
    message: 'At least one of the pre-conditions you specified did not hold',
  },
} as const satisfies Record<string, StoreAnswer>;

/** The body of such an answer. */
export function errorXml({ code, message }: StoreAnswer, resource: string, requestId: string): string {
  const escaped = resource.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`);
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>` +
    `<Resource>${escaped}</Resource><RequestId>${requestId}</RequestId></Error>`
  );
}
