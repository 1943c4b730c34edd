/**
 * Owns content codings (RFC 9110 8.4): what can be decoded, whole bodies and streams, within a ratio.
 * Invariant: the encoded bytes are never changed; decoding serves the record only, and its memory is bounded.
 */
import zlib from 'node:zlib';

export type Coding = 'gzip' | 'br' | 'zstd';

/** Decoded bytes beyond this are held to the ratio (bytes). */
const FREE_DECODED_BYTES = 8 * 1024 * 1024;
/** Decoded bytes for each encoded one: far above text, far below a bomb. */
const MAX_RATIO = 100;

/** The coding a Content-Encoding header names: null for none, `unknown` for one (or a list) that is not decoded here. */
export function readCoding(header: string | null): Coding | 'unknown' | null {
  switch (header?.trim().toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return null;
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'br':
      return 'br';
    case 'zstd':
      return 'zstd';
    default:
      return 'unknown';
  }
}

function createTransform(coding: Coding): zlib.Gunzip | zlib.BrotliDecompress | zlib.ZstdDecompress {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip({ flush: zlib.constants.Z_SYNC_FLUSH });
    case 'br':
      return zlib.createBrotliDecompress();
    case 'zstd':
      return zlib.createZstdDecompress();
  }
}

export type DecodeFailure = 'not_decodable' | 'ratio_limit';

export interface StreamDecoder {
  /** Feeds encoded bytes; `done` gets what they decode to (may be empty), or why nothing more can be decoded. One at a time. */
  push(bytes: Buffer, done: (decoded: Buffer, failure: DecodeFailure | null) => void): void;
  /** Nothing more comes: `done` gets whether the coded format ended there. After a failure it does not. */
  end(done: (whole: boolean) => void): void;
  close(): void;
}

/** A decoder whose output for each input is known before the next input is given. */
export function createStreamDecoder(coding: Coding): StreamDecoder {
  const transform = createTransform(coding);
  let decoded: Buffer[] = [];
  let decodedBytes = 0;
  let encodedBytes = 0;
  let failure: DecodeFailure | null = null;
  let finished = false;
  let waiting: ((decoded: Buffer, failure: DecodeFailure | null) => void) | null = null;

  function answer(): void {
    const done = waiting;
    if (done === null) return;
    waiting = null;
    const bytes = decoded.length === 1 ? (decoded[0] as Buffer) : Buffer.concat(decoded);
    decoded = [];
    done(bytes, failure);
  }

  transform.on('data', (bytes: Buffer) => {
    decodedBytes += bytes.length;
    if (decodedBytes > FREE_DECODED_BYTES && decodedBytes > encodedBytes * MAX_RATIO) {
      failure = 'ratio_limit';
      decoded = [];
      transform.destroy();
      answer();
      return;
    }
    decoded.push(bytes);
  });
  transform.on('end', () => {
    finished = true;
  });
  transform.on('error', () => {
    failure ??= 'not_decodable';
    answer();
  });

  return {
    push(bytes, done) {
      encodedBytes += bytes.length;
      waiting = done;
      if (finished) failure = 'not_decodable';
      if (failure !== null) {
        answer();
        return;
      }
      transform.write(bytes, () => {
        // The output of this write has been pushed; a tick lets the last of it be emitted.
        setImmediate(() => {
          // Decoders stop at the end of their format and say nothing of what follows it.
          if (transform.bytesWritten < encodedBytes) failure ??= 'not_decodable';
          answer();
        });
      });
    },
    end(done) {
      let told = false;
      const tell = (whole: boolean): void => {
        if (told) return;
        told = true;
        done(whole);
      };
      if (failure !== null || transform.destroyed) {
        tell(false);
        return;
      }
      transform.once('end', () => tell(failure === null));
      transform.once('error', () => tell(false));
      transform.end();
    },
    close() {
      waiting = null;
      transform.destroy();
    },
  };
}

/** Decodes a whole request body; more than `maxBytes` decoded is `too_large`. */
export function decodeWhole(
  bytes: Buffer,
  coding: Coding,
  maxBytes: number,
  done: (result: { decoded: Buffer } | { failure: 'bad_coding' | 'body_too_large' }) => void,
): void {
  const finish = (error: Error | null, result: Decoded): void => {
    if (error !== null) {
      const { code } = error as NodeJS.ErrnoException;
      done({ failure: code === 'ERR_BUFFER_TOO_LARGE' ? 'body_too_large' : 'bad_coding' });
    } else if (result.engine.bytesWritten < bytes.length) {
      // What follows the end of the coded body would reach the server unrecorded.
      done({ failure: 'bad_coding' });
    } else {
      done({ decoded: result.buffer });
    }
  };
  const options = { maxOutputLength: maxBytes, info: true };
  const callback = finish as unknown as zlib.CompressCallback;
  switch (coding) {
    case 'gzip':
      zlib.gunzip(bytes, options, callback);
      break;
    case 'br':
      zlib.brotliDecompress(bytes, options, callback);
      break;
    case 'zstd':
      zlib.zstdDecompress(bytes, options, callback);
      break;
  }
}

/** What zlib gives with `info: true`. */
interface Decoded {
  buffer: Buffer;
  engine: { bytesWritten: number };
}
