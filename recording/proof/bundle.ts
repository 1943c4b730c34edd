/**
 * Owns the proof of one exchange for somebody who has no access to the store: its lines, and for each that it was sealed.
 * Invariant: a bundle that verifies holds every line of an exchange whose `end` it holds, byte for byte as it was sealed.
 */
import { z } from 'zod';
import type { Call, Line } from '../format/line.ts';
import { lineSchema, openSchema, sealSchema } from '../format/line-schema.ts';
import type { Finding, FindingCode } from './finding.ts';
import { createProver, leafHash, verifyInclusion } from './merkle.ts';
import { parsePublicKey } from './note.ts';
import { checkSeal, type SealClaim } from './seal.ts';

const FORMAT = 'mcp-recorder-proof-v1';

const bundleSchema = z.object({
  format: z.literal(FORMAT),
  exchange: z.string(),
  /** Every segment with a line of the exchange; then, for recovered ones, the first segment of who recovered them. */
  segments: z.array(
    z.object({
      stream: z.string(),
      segment: z.int().nonnegative(),
      /** Lines by index, the first is `open`; `proof`: base64 hashes from the sibling up. */
      lines: z.array(
        z.object({ index: z.int().nonnegative(), line: z.string(), proof: z.array(z.string()) }),
      ),
      seal: z.string(),
    }),
  ),
});

export type Bundle = z.infer<typeof bundleSchema>;
type BundleSegment = Bundle['segments'][number];

/** A segment that was read from the store. */
export interface DecodedSegment {
  stream: string;
  segment: number;
  /** All lines, as decoded from the object. */
  bytes: Buffer;
}

/** Why no bundle can be made; `stream`: whose segment 0 is needed too, if that is why. */
export class BundleError extends Error {
  readonly stream: string | null;

  constructor(message: string, stream: string | null = null) {
    super(message);
    this.name = 'BundleError';
    this.stream = stream;
  }
}

/**
 * Collects the lines of an exchange, and the results of its operations, with their proofs.
 * @param segments those that may hold such lines, and segment 0 of the streams that recovered them
 * @throws BundleError when the exchange is not in them, or when the first segment of a recovering stream is not
 */
export function createBundle(segments: readonly DecodedSegment[], exchange: string): Bundle {
  const wanted = segments
    .map((segment) => collect(segment, (line) => belongs(line, exchange)))
    .filter((s) => s.lines.length > 1);
  if (wanted.length === 0)
    throw new BundleError(`no line of exchange ${exchange} is in the segments that were read`);
  const bundled = [...wanted];
  for (const { seal } of bundled) {
    const by = sealSchema.safeParse(parseJson(seal)).data?.seal.recovered_by ?? null;
    if (by === null || bundled.some((s) => s.stream === by && s.segment === 0)) continue;
    const first = segments.find((s) => s.stream === by && s.segment === 0);
    if (first === undefined) {
      throw new BundleError(
        `the exchange was recovered by stream ${by}, whose segment 0 is needed as well`,
        by,
      );
    }
    // Found by this same loop, in case that it was recovered in turn.
    bundled.push(collect(first, () => false));
  }
  return { format: FORMAT, exchange, segments: bundled };
}

/** Whether the line is of the exchange or ends one of its operations. */
function belongs(
  line: Partial<Record<'type' | 'exchange' | 'call_exchange', unknown>>,
  exchange: string,
): boolean {
  return line.exchange === exchange || (line.type === 'result' && line.call_exchange === exchange);
}

function collect(
  { stream, segment, bytes }: DecodedSegment,
  wanted: (line: object) => boolean,
): BundleSegment {
  const lines = bytes.toString('utf8').split('\n').slice(0, -1);
  const seal = lines.pop() ?? '';
  const prove = createProver(lines.map((line) => leafHash(Buffer.from(line))));
  const chosen = lines.flatMap((line, index) => {
    const parsed = index === 0 ? null : parseJson(line);
    const chosenHere = index === 0 || (typeof parsed === 'object' && parsed !== null && wanted(parsed));
    return chosenHere ? [{ index, line, proof: prove(index).map((hash) => hash.toString('base64')) }] : [];
  });
  return { stream, segment, lines: chosen, seal };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface BundleReport {
  ok: boolean;
  findings: Finding[];
  /** What is proven, and what is not, in sentences for people. */
  statements: string[];
}

/**
 * Checks a bundle without the store.
 * @param bundle parsed JSON of any origin
 * @param key the public key or keys (`ed25519:...`) that must have sealed it; without one only self-consistency is shown
 */
export function verifyBundle(bundle: unknown, key: string | readonly string[] = []): BundleReport {
  const keys = typeof key === 'string' ? [key] : key;
  const findings: Finding[] = [];
  const statements: string[] = [];
  const find = (code: FindingCode, stream: string | null, segment: number | null, message: string) => {
    findings.push({ code, stream, segment, line: null, message });
  };
  const parsed = bundleSchema.safeParse(bundle);
  if (!parsed.success) {
    find('not_lines', null, null, `this is no proof of the form ${FORMAT}`);
    return { ok: false, findings, statements };
  }
  const { exchange, segments } = parsed.data;
  const lines = segments.flatMap((segment) => {
    const at = `stream ${segment.stream}, segment ${segment.segment}`;
    const checked = checkBundleSegment(segment, segments);
    for (const { code, what } of checked.findings)
      find(code, segment.stream, segment.segment, `${at}: ${what}`);
    const own = checked.lines.filter((line) => belongs(line, exchange));
    if (own.length > 0 && checked.signer !== null) {
      if (keys.includes(checked.signer)) {
        statements.push(`${at} is sealed by the given key ${checked.signer}`);
      } else if (keys.length > 0) {
        find(
          'signature',
          segment.stream,
          segment.segment,
          `${at} is sealed by ${checked.signer}, not by the given key`,
        );
      } else {
        statements.push(`${at} is sealed by ${checked.signer}; whose key that is was not checked`);
      }
      if (checked.recoveredBy !== null)
        statements.push(`${at} was recovered by stream ${checked.recoveredBy}`);
    }
    return own;
  });
  checkWhole(exchange, lines, find, statements);
  if (keys.length === 0) {
    statements.push('no key was given: this shows that the proof is consistent in itself, not who made it');
  }
  return { ok: findings.length === 0, findings, statements };
}

interface CheckedBundleSegment {
  lines: Line[];
  /** Public key that the seal holds with; null when it does not. */
  signer: string | null;
  recoveredBy: string | null;
  findings: { code: FindingCode; what: string }[];
}

function checkBundleSegment(segment: BundleSegment, all: readonly BundleSegment[]): CheckedBundleSegment {
  const findings: CheckedBundleSegment['findings'] = [];
  const lines: Line[] = [];
  const failed = (code: FindingCode, what: string): CheckedBundleSegment => {
    findings.push({ code, what });
    return { lines, signer: null, recoveredBy: null, findings };
  };
  const seal = sealSchema.safeParse(parseJson(segment.seal)).data;
  if (seal === undefined) return failed('seal', 'its seal is no seal line');
  const { entries, first_seq, recovered_by } = seal.seal;
  const root = Buffer.from(seal.seal.root, 'base64');
  if (seal.stream !== segment.stream || seal.seal.segment !== segment.segment) {
    return failed('seal', 'its seal is that of another segment');
  }
  for (const { index, line, proof } of segment.lines) {
    const path = proof.map((hash) => Buffer.from(hash, 'base64'));
    if (!verifyInclusion(leafHash(Buffer.from(line)), index, entries, path, root)) {
      findings.push({ code: 'root', what: `line ${index} is not what was sealed` });
      continue;
    }
    const known = lineSchema.safeParse(parseJson(line));
    if (!known.success || known.data.stream !== segment.stream || known.data.seq !== first_seq + index) {
      findings.push({ code: 'head', what: `line ${index} is no line of this segment` });
      continue;
    }
    lines.push(known.data);
  }
  const opened = openOf(segment);
  const signerOpen =
    recovered_by === null ? opened : openOf(all.find((s) => s.stream === recovered_by && s.segment === 0));
  if (opened === null || signerOpen === null)
    return failed('open', 'the open line that names its key is missing');
  const named = signerOpen.open.previous_streams.some(
    (p) => p.stream === segment.stream && p.segment === segment.segment && p.root === seal.seal.root,
  );
  if (recovered_by !== null && !named) return failed('recovery', `stream ${recovered_by} does not name it`);
  const publicKey = parsePublicKey(signerOpen.open.public_key);
  const claim: SealClaim = {
    stream: seal.stream,
    seq: seal.seq,
    time: seal.time,
    segment: seal.seal.segment,
    firstSeq: first_seq,
    entries,
    root: seal.seal.root,
    previousRoot: seal.seal.previous_root,
    last: seal.seal.last,
    how: seal.seal.how,
    recoveredBy: recovered_by,
    checkpoint: seal.seal.checkpoint,
  };
  const wrong =
    publicKey === null ? 'its public key is none' : checkSeal(Buffer.from(segment.seal), claim, publicKey);
  if (wrong !== null) return failed('signature', `the seal does not hold: ${wrong}`);
  return { lines, signer: signerOpen.open.public_key, recoveredBy: recovered_by, findings };
}

function openOf(segment: BundleSegment | undefined) {
  const first = segment?.lines.find((l) => l.index === 0);
  return first === undefined ? null : (openSchema.safeParse(parseJson(first.line)).data ?? null);
}

/** Checks that the exchange has all its parts, and names the operations whose results are not here. */
function checkWhole(
  exchange: string,
  lines: readonly Line[],
  find: (code: FindingCode, stream: string | null, segment: number | null, message: string) => void,
  statements: string[],
): void {
  const stream = lines[0]?.stream ?? null;
  if (lines.some((l) => l.stream !== stream))
    find('exchange', stream, null, 'the lines are of more than one stream');
  const parts = lines
    .flatMap((l) =>
      'exchange' in l && l.exchange === exchange && l.part !== null ? [{ ...l, part: l.part }] : [],
    )
    .sort((a, b) => a.part - b.part);
  const hole = parts.findIndex((l, i) => l.part !== i);
  if (parts.length === 0 || hole >= 0) {
    find(
      'exchange',
      stream,
      null,
      `part ${Math.max(hole, 0)} of exchange ${exchange} is missing or repeated`,
    );
  }
  const end = parts.find((l) => l.type === 'end');
  if (end?.type === 'end' && (end.ended.parts !== parts.length || end.part !== parts.length - 1)) {
    find(
      'exchange',
      stream,
      null,
      `exchange ${exchange} ended with ${end.ended.parts} parts, ${parts.length} are here`,
    );
  }
  statements.push(
    end === undefined
      ? `exchange ${exchange} is open-ended, at least ${parts.length} parts`
      : `exchange ${exchange} is whole, ${parts.length} parts`,
  );
  const results = new Set(lines.flatMap((l) => (l.type === 'result' ? [l.operation] : [])));
  const calls = parts.flatMap((l): Call[] => ('calls' in l ? (l.calls ?? []) : []));
  for (const { operation, kind, method } of calls) {
    if (kind === 'request' && !results.has(operation)) {
      statements.push(`the result of operation ${operation} (${method}), if there is one, is not included`);
    }
  }
}
