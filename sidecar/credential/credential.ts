/**
 * Owns the question which credential a request takes to the server.
 * Invariant: it is asked for at each request, so that what was rotated is used from then on; it never stands in a message or a line.
 */

export type CredentialAnswer =
  /** Name and value of the header to set; every header of that name that the caller sent is taken away. */
  | { ok: true; name: string; value: string }
  /** `problem`: for logs and status; it holds no secret. */
  | { ok: false; problem: string };

export interface UpstreamCredential {
  /** Answers at once when it has a value that is still good. Never rejects. */
  current(): CredentialAnswer | Promise<CredentialAnswer>;
  /** Why the last try failed; null when it did not. */
  readonly problem: string | null;
  /** The server answered 401 to a request that took it: what can be had anew will be, but not again and again. */
  refused(): void;
  close(): void;
}
