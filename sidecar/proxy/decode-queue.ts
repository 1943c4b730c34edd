/**
 * Owns the order in which the pieces of a coded body are decoded, one after the other.
 * Invariant: what each piece decodes to is told before the next is begun; after a failure pieces are told undecoded, with the failure.
 */
import {
  type Coding,
  createStreamDecoder,
  type DecodeFailure,
  type StreamDecoder,
} from './content-coding.ts';

export interface DecodeListener {
  /** @param failure null, or why neither these bytes nor any after them can be decoded (`decoded` is then what came before it) */
  decoded(bytes: Buffer, decoded: Buffer, failure: DecodeFailure | null): void;
  /** All pieces were told. @param whole false: the coded format goes on beyond them */
  ended(whole: boolean): void;
}

export class DecodeQueue {
  readonly #decoder: StreamDecoder | null;
  #listener: DecodeListener;
  #failure: DecodeFailure | null;
  #waiting: Buffer[] = [];
  #decoding = false;
  #endReached = false;
  #closed = false;

  constructor(coding: Coding | 'unknown', listener: DecodeListener) {
    this.#decoder = coding === 'unknown' ? null : createStreamDecoder(coding);
    this.#failure = coding === 'unknown' ? 'not_decodable' : null;
    this.#listener = listener;
  }

  push(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#next();
  }

  end(): void {
    this.#endReached = true;
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#listener = NOBODY;
    this.#waiting = [];
    this.#decoder?.close();
  }

  #next(): void {
    while (!this.#decoding && !this.#closed) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) {
        if (!this.#endReached) return;
        this.#closed = true;
        if (this.#decoder === null) this.#listener.ended(false);
        else this.#decoder.end((whole) => this.#listener.ended(whole));
        return;
      }
      if (this.#failure === null) this.#decode(bytes);
      else this.#listener.decoded(bytes, NO_BYTES, this.#failure);
    }
  }

  #decode(bytes: Buffer): void {
    this.#decoding = true;
    this.#decoder?.push(bytes, (decoded, failure) => {
      this.#decoding = false;
      this.#failure = failure;
      this.#listener.decoded(bytes, decoded, failure);
      this.#next();
    });
  }
}

const NO_BYTES = Buffer.alloc(0);
const NOBODY: DecodeListener = { decoded() {}, ended() {} };
