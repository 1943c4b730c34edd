/** What must be found, on the pure functions: a store is a list of objects, and `verdict` is what `verify` says of it. */
import { generateKeyPairSync } from 'node:crypto';
import { encodeHead, encodeTail } from '@mcp-recorder/recording/format/encode';
import { parseSegmentKey, type SegmentKey } from '@mcp-recorder/recording/format/keys';
import type { LineDraft, PreviousStream } from '@mcp-recorder/recording/format/line';
import type { FindingCode } from '@mcp-recorder/recording/proof/finding';
import { leafHash, rootOf } from '@mcp-recorder/recording/proof/merkle';
import { createSealedLine } from '@mcp-recorder/recording/proof/seal';
import { type CheckedSegment, verifySegment } from '@mcp-recorder/recording/proof/verify-segment';
import { createStreamsVerifier, type StreamsReport } from '@mcp-recorder/recording/proof/verify-streams';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { CLOSED, DEAD, goldenStore, OTHER_SERVER } from './golden-store.ts';
import { createStreamBuilder, type StreamOptions } from './stream-builder.ts';

interface StoredObject {
  key: string;
  bytes: Buffer;
}

const bytesOf = (lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(''));
const linesOf = ({ bytes }: StoredObject) => bytes.toString('utf8').split('\n').slice(0, -1);
const objectsOf = (segments: readonly { key: string; lines: string[] }[]): StoredObject[] =>
  segments.map(({ key, lines }) => ({ key, bytes: bytesOf(lines) }));
const placeOf = ({ key }: StoredObject) => parseSegmentKey(key) as SegmentKey;

/** Segments are checked once: most objects of most stores here are those that nobody changed. */
const known = new WeakMap<Buffer, Map<string, CheckedSegment>>();
function checked(bytes: Buffer, place: SegmentKey): CheckedSegment {
  const byPlace = known.get(bytes) ?? new Map<string, CheckedSegment>();
  const name = JSON.stringify(place);
  const segment = byPlace.get(name) ?? verifySegment(bytes, place);
  known.set(bytes, byPlace.set(name, segment));
  return segment;
}

function verdict(objects: readonly StoredObject[], options: { expectClosed?: boolean } = {}): StreamsReport {
  const verifier = createStreamsVerifier(options);
  for (const object of objects) {
    const place = parseSegmentKey(object.key);
    if (place === null) verifier.addForeign(object.key);
    else verifier.add(checked(object.bytes, place));
  }
  return verifier.report();
}

function codesOf(report: StreamsReport): FindingCode[] {
  return report.streams.flatMap((s) => s.findings.map((f) => f.code));
}

function streamOf(report: StreamsReport, stream: string) {
  const found = report.streams.find((s) => s.stream === stream);
  if (found === undefined) throw new Error(`no stream ${stream} in the report`);
  return found;
}

/** One stream dead and recovered, two closed ones: six segments. */
const golden = objectsOf(goldenStore());
const anySegment = fc.nat(golden.length - 1);
const replaceAt = (index: number, bytes: Buffer) =>
  golden.with(index, { ...(golden[index] as StoredObject), bytes });

/** Expects the change to be found in that segment, in every order of reading. */
function expectFound(objects: readonly StoredObject[], ...changed: number[]): void {
  for (const order of [objects, objects.toReversed()]) {
    const report = verdict(order);
    expect(report.explained).toBe(false);
    for (const index of changed) {
      const { stream, segment } = placeOf(golden[index] as StoredObject);
      const found = streamOf(report, stream);
      expect(found.state).toBe('tampered');
      expect(found.findings.some((f) => f.segment === segment)).toBe(true);
    }
  }
}

describe('a store that nobody changed', () => {
  it('is explained in any order of reading, and nothing of it is live', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(golden, { minLength: golden.length }), (objects) => {
        const report = verdict(objects, { expectClosed: true });
        expect(report.explained).toBe(true);
        expect(report.streams.map((s) => [s.stream, s.state])).toEqual([
          [DEAD, 'recovered'],
          [CLOSED, 'complete'],
          [OTHER_SERVER, 'complete'],
        ]);
      }),
      { numRuns: 20 },
    );
  });
});

describe('what is found in the lines of a segment', () => {
  it('any byte that is another', () => {
    fc.assert(
      fc.property(anySegment, fc.nat(), fc.integer({ min: 1, max: 255 }), (index, at, flip) => {
        const bytes = Buffer.from((golden[index] as StoredObject).bytes);
        const i = at % bytes.length;
        bytes[i] = (bytes[i] as number) ^ flip;
        expectFound(replaceAt(index, bytes), index);
      }),
      { numRuns: 600 },
    );
  });

  it('every byte of every seal', () => {
    golden.forEach((object, index) => {
      const start = object.bytes.lastIndexOf('\n', -2) + 1;
      for (let i = start; i < object.bytes.length; i += 1) {
        const bytes = Buffer.from(object.bytes);
        bytes[i] = (bytes[i] as number) ^ 1;
        const { stream } = placeOf(object);
        const report = verdict(replaceAt(index, bytes));
        expect(streamOf(report, stream).findings.length, `byte ${i} of ${stream}`).toBeGreaterThan(0);
      }
    });
  });

  it('any range of bytes that is gone, put in or repeated', () => {
    fc.assert(
      fc.property(
        anySegment,
        fc.nat(),
        fc.integer({ min: 1, max: 2000 }),
        fc.boolean(),
        (index, at, length, again) => {
          const { bytes } = golden[index] as StoredObject;
          const from = at % bytes.length;
          const to = Math.min(bytes.length, from + length);
          const parts = again
            ? [bytes.subarray(0, to), bytes.subarray(from)]
            : [bytes.subarray(0, from), bytes.subarray(to)];
          expectFound(replaceAt(index, Buffer.concat(parts)), index);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('every line that is removed or repeated, and every two that change places', () => {
    golden.forEach((object, index) => {
      const lines = linesOf(object);
      lines.forEach((line, i) => {
        expectFound(replaceAt(index, bytesOf(lines.toSpliced(i, 1))), index);
        expectFound(replaceAt(index, bytesOf(lines.toSpliced(i, 0, line))), index);
        expectFound(replaceAt(index, bytesOf([...lines, line])), index);
        for (let j = 0; j < i; j += 1) {
          expectFound(replaceAt(index, bytesOf(lines.with(i, lines[j] as string).with(j, line))), index);
        }
      });
    });
  });

  it('every cut, at a line and within one', () => {
    golden.forEach((object, index) => {
      const lines = linesOf(object);
      for (let n = 0; n < lines.length; n += 1)
        expectFound(replaceAt(index, bytesOf(lines.slice(0, n))), index);
      expectFound(replaceAt(index, object.bytes.subarray(0, -1)), index);
    });
    fc.assert(
      fc.property(anySegment, fc.nat(), (index, at) => {
        const { bytes } = golden[index] as StoredObject;
        expectFound(replaceAt(index, bytes.subarray(0, at % bytes.length)), index);
      }),
      { numRuns: 100 },
    );
  });

  it('another spelling of the same JSON, and a second signature under the checkpoint', () => {
    golden.forEach((object, index) => {
      const lines = linesOf(object);
      const seal = lines.at(-1) as string;
      for (const changed of [
        seal.replace('\\n', '\\u000a'),
        seal.replace(/\\n"}}$/, '\\n\u2014 somebody AAAAAAAA\\n"}}'),
        seal.replace('"seal":{', '"seal": {'),
        `${seal} `,
        seal.replace(/}}$/, ',"more":1}}'),
      ]) {
        expect(changed).not.toBe(seal);
        expectFound(replaceAt(index, bytesOf([...lines.slice(0, -1), changed])), index);
      }
    });
  });

  it('names the line where the line shows it', () => {
    const lines = linesOf(golden[2] as StoredObject);
    const removed = verdict(replaceAt(2, bytesOf(lines.toSpliced(3, 1))));
    const message = `stream ${CLOSED}, segment 0, line 3: seq is 4 where 3 must follow`;
    expect(streamOf(removed, CLOSED).findings).toContainEqual({
      code: 'sequence',
      stream: CLOSED,
      segment: 0,
      line: 3,
      message,
    });
    const longer = verdict(replaceAt(2, bytesOf([...lines, '{}'])));
    expect(streamOf(longer, CLOSED).findings).toContainEqual({
      code: 'seal',
      stream: CLOSED,
      segment: 0,
      line: lines.length,
      message: `stream ${CLOSED}, segment 0, line ${lines.length}: a line stands after the seal`,
    });
  });
});

describe('what is found among the segments of a closed stream', () => {
  it('every segment that is removed from within, and every segment of a stream that another names', () => {
    for (const index of [0, 1, 2, 3]) expectFound(golden.toSpliced(index, 1), index);
    expectFound(golden.slice(2), 0, 1);
  });

  it('every two that change places, and every one that stands in the place of another', () => {
    golden.forEach((a, i) =>
      golden.forEach((b, j) => {
        if (i === j) return;
        expectFound(golden.with(i, { ...a, bytes: b.bytes }), i);
        if (i < j)
          expectFound(golden.with(i, { ...a, bytes: b.bytes }).with(j, { ...b, bytes: a.bytes }), i, j);
      }),
    );
  });

  it('a segment that is stored again under another number, stream or partition', () => {
    golden.forEach((object) => {
      for (const [what, key] of [
        ['number', object.key.replace(/-\d{12}\./, '-000000000007.')],
        ['stream', object.key.replace(/-[0-9A-Z]{26}-/, '-01KAH3M8ZK4T9V2B6XN5R0WCEZ-')],
        ['server', object.key.replace(/server=[a-z]+/, 'server=another')],
        ['time', object.key.replace(/\/2026\d{4}T\d{6}Z/, '/20261121T235959Z')],
        ['name', object.key.replace('date=2026-11-21', 'date=2026-11-22')],
      ] as const) {
        const report = verdict([...golden, { ...object, key }]);
        expect(report.explained, what).toBe(false);
        expect(report.findings.length + codesOf(report).length, what).toBeGreaterThan(0);
      }
    });
  });

  it('a copy with other lines, while a copy with the same lines is the same segment', () => {
    golden.forEach((object, index) => {
      const copyKey = object.key.replace('.jsonl', '.r1.jsonl');
      expect(verdict([...golden, { ...object, key: copyKey }]).explained).toBe(true);
      const lines = linesOf(object);
      const other = bytesOf(
        lines.with(1, (lines[1] as string).replace(/"time":"[^"]+"/, '"time":"2026-11-21T08:40:00.000000Z"')),
      );
      expectFound([...golden, { key: copyKey, bytes: other }], index);
    });
  });
});

describe('what a wrong copy does not hide', () => {
  it('the word that the right one gives for another stream', () => {
    const key = (golden[2] as StoredObject).key.replace('.jsonl', '.r1.jsonl');
    for (const objects of [[...golden, { key, bytes: Buffer.from('{}\n') }]]) {
      for (const order of [objects, objects.toReversed()]) {
        const report = verdict(order, { expectClosed: true });
        expect(streamOf(report, CLOSED).state).toBe('tampered');
        expect(streamOf(report, DEAD).state).toBe('recovered');
      }
    }
  });
});

describe('what only a ledger could find', () => {
  it('a tail that is cut off is stated as a stream that lives, and is an error when closed ones are expected', () => {
    for (const [tail, last] of [
      [1, 1],
      [2, 0],
    ] as const) {
      const objects = [...golden.slice(0, 5 - tail), ...golden.slice(5)];
      const report = verdict(objects);
      expect(report.explained).toBe(true);
      const cut = streamOf(report, CLOSED);
      expect(cut.state).toBe('live');
      expect(cut.statement).toBe(`live since 2026-11-21T08:40:00.000000Z, last segment ${last}`);
      const strict = verdict(objects, { expectClosed: true });
      expect(strict.explained).toBe(false);
      expect(streamOf(strict, CLOSED).findings.map((f) => f.code)).toEqual(['not_closed']);
    }
  });

  it('a stream that is gone as a whole is not in the report', () => {
    const report = verdict(golden.slice(0, 5), { expectClosed: true });
    expect(report.explained).toBe(true);
    expect(report.streams.map((s) => s.stream)).toEqual([DEAD, CLOSED]);
  });

  it('a dead stream whose recovering stream is gone is stated as live', () => {
    const dead = streamOf(verdict(golden.slice(0, 2)), DEAD);
    expect(dead.state).toBe('live');
    expect(dead.statement).toBe(
      `live since 2026-11-21T08:39:00.000000Z, last segment 1; recovered by ${CLOSED}, of which the store has no segment 0`,
    );
    expect(verdict(golden.slice(0, 2), { expectClosed: true }).explained).toBe(false);
  });
});

const A = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const B = '01KAH3M8ZK4T9V2B6XN5R0WCEB';
const C = '01KAH3M8ZK4T9V2B6XN5R0WCEC';
const X = '01KAH3MBWD0G6R4Y1S8T2V5Z9C';
const START_MS = Date.UTC(2026, 10, 21, 8, 40);
const build = (stream: string, more: Partial<StreamOptions> = {}) =>
  createStreamBuilder({ stream, startMs: START_MS, ...more });
const call = toolCall({ exchange: X });

describe('recovery', () => {
  const dead = build(A);
  const first = dead.segment(call);
  const second = dead.segment(toolCall({ exchange: '01KAH3MBWD0G6R4Y1S8T2V5Z9D' }));
  const rootOfSegment = (segment: { root: Buffer }) => segment.root.toString('base64');
  const names = (segment: number, root: string | null): PreviousStream => ({
    stream: A,
    segment,
    root,
    how: root === null ? 'quarantined' : 'recovered',
  });
  const successor = (stream: string, ...previousStreams: PreviousStream[]) =>
    build(stream, { startMs: START_MS + 60_000, previousStreams }).segment([], { last: true });

  it('explains a stream whose process died after a seal', () => {
    const report = verdict(objectsOf([first, second, successor(B, names(1, rootOfSegment(second)))]));
    expect(report.explained).toBe(true);
    expect(streamOf(report, A).state).toBe('recovered');
  });

  it('may be named by several that died on the way, when they name the same root', () => {
    const b = successor(B, names(1, rootOfSegment(second)));
    const c = successor(C, names(1, rootOfSegment(second)));
    expect(verdict(objectsOf([first, second, b, c])).explained).toBe(true);
    const other = successor(C, names(1, rootOfSegment(first)));
    const report = verdict(objectsOf([first, second, b, other]));
    expect(streamOf(report, A)).toMatchObject({ state: 'tampered' });
    expect(codesOf(report)).toContain('recovery');
  });

  it('is contradicted by a segment after the one that was named, or by the lack of the one that was', () => {
    const early = verdict(objectsOf([first, second, successor(B, names(0, rootOfSegment(first)))]));
    expect(streamOf(early, A).state).toBe('tampered');
    expect(codesOf(early)).toContain('after_end');
    const late = verdict(objectsOf([first, successor(B, names(1, rootOfSegment(second)))]));
    expect(streamOf(late, A).state).toBe('tampered');
    expect(codesOf(late)).toContain('missing_segment');
  });

  it('is contradicted by another root, whether or not the segment is there', () => {
    const wrong = names(1, rootOfSegment(first));
    const report = verdict(objectsOf([first, second, successor(B, wrong)]));
    expect(codesOf(report)).toEqual(['recovery']);
    const two = verdict(
      objectsOf([first, successor(B, wrong), successor(C, names(1, rootOfSegment(second)))]),
    );
    expect(codesOf(two).toSorted()).toEqual(['missing_segment', 'recovery']);
  });

  it('is settled when the one that recovered died too and its successor closed', () => {
    const b = build(B, {
      startMs: START_MS + 60_000,
      previousStreams: [names(1, rootOfSegment(second))],
    }).segment([]);
    const bRoot = { stream: B, segment: 0, root: rootOfSegment(b), how: 'recovered' } as const;
    const c = successor(C, bRoot);
    expect(verdict(objectsOf([first, second, b, c])).explained).toBe(true);
    expect(streamOf(verdict(objectsOf([first, b, c])), A).state).toBe('tampered');
  });

  it('does not accuse anybody while the recovering process still lives', () => {
    const living = build(B, {
      startMs: START_MS + 60_000,
      previousStreams: [names(1, rootOfSegment(second))],
    }).segment([]);
    const report = verdict(objectsOf([first, living]));
    expect(streamOf(report, A).state).toBe('recovered');
    expect(report.explained).toBe(false);
    expect(codesOf(report)).toEqual(['missing_segment']);
    expect(streamOf(report, A).findings[0]?.message).toContain('still on its way, or removed');
  });

  it('states segments that could not be read as lost, also when later ones are there', () => {
    const third = dead.segment([]);
    const head = names(2, rootOfSegment(third));
    const within = verdict(objectsOf([first, third, successor(B, names(1, null), head)]));
    expect(within.explained).toBe(true);
    expect(streamOf(within, A)).toMatchObject({ state: 'lost', segments: 2 });
    expect(streamOf(within, A).statement).toContain(`segments 1 stated as unreadable by ${B}`);
    const atEnd = verdict(objectsOf([first, successor(B, names(1, null))]));
    expect(atEnd.explained).toBe(true);
    expect(streamOf(atEnd, A).state).toBe('lost');
    const unstated = verdict(objectsOf([first, third, successor(B, head)]));
    expect(streamOf(unstated, A).state).toBe('tampered');
  });

  it('counts a recovered seal only when the one that it names says so too, with its key', () => {
    const recoverer = build(B, { startMs: START_MS + 60_000 });
    const cut = build(C);
    const sealed = cut.segment(call, { recoveredBy: recoverer });
    const named = { stream: C, segment: 0, root: rootOfSegment(sealed), how: 'recovered' } as const;
    const right = build(B, {
      startMs: START_MS + 60_000,
      privateKey: recoverer.privateKey,
      previousStreams: [named],
    });
    expect(verdict(objectsOf([sealed, right.segment([], { last: true })])).explained).toBe(true);

    const silent = recoverer.segment([], { last: true });
    expect(codesOf(verdict(objectsOf([sealed, silent])))).toEqual(['recovery']);

    const otherKey = build(B, { startMs: START_MS + 60_000, previousStreams: [named] }).segment([], {
      last: true,
    });
    expect(codesOf(verdict(objectsOf([sealed, otherKey])))).toEqual(['signature']);
  });
});

describe('what a holder of the key can not pass off either', () => {
  /** Seals any lines with a key, as their recorder could have. */
  function seal(drafts: readonly { time: string; draft: LineDraft }[], more: { last?: boolean } = {}) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const opened = build(A, { privateKey }).segment([]);
    const head = encodeHead(A);
    const lines = [
      opened.lines[0] as string,
      ...drafts.map(({ time, draft }, i) => head(i + 1, time) + encodeTail(draft)),
    ];
    const root = rootOf(lines.map((line) => leafHash(Buffer.from(line))));
    const time = '2026-11-21T09:00:00.000000Z';
    const facts = {
      stream: A,
      seq: lines.length,
      time,
      segment: 0,
      firstSeq: 0,
      entries: lines.length,
      root,
    };
    const sealLine = createSealedLine({
      ...facts,
      previousRoot: null,
      last: more.last ?? true,
      how: 'shutdown',
      recoveredBy: null,
      privateKey,
    });
    return verdict([{ key: opened.key, bytes: bytesOf([...lines, sealLine]) }]);
  }
  const at = (time: string, draft: LineDraft) => ({ time, draft });
  const clock: LineDraft = {
    type: 'config',
    config: { kind: 'clock', before: null, after: null, signed_by: null },
  };
  const gap: LineDraft = {
    type: 'gap',
    gap: { cause: 'x', first_time: '', last_time: '', exchanges: 0, exact: true },
  };
  const T0 = '2026-11-21T08:40:00.000000Z';
  const T1 = '2026-11-21T08:40:01.000000Z';
  const T2 = '2026-11-21T08:40:02.000000Z';

  it('times that go back, unless a clock line says so', () => {
    expect(codesOf(seal([at(T2, gap), at(T1, gap)]))).toEqual(['time']);
    expect(codesOf(seal([at(T2, gap), at(T2, clock), at(T1, gap)]))).toEqual([]);
    expect(codesOf(seal([at(T2, clock), at(T2, gap), at(T1, gap)]))).toEqual(['time']);
  });

  it('an exchange with a hole, a repeated part, or lines after its end', () => {
    const [request, response, result, end] = call;
    const codes = (...drafts: LineDraft[]) => codesOf(seal(drafts.map((draft) => at(T0, draft))));
    expect(codes(request, response, result, end)).toEqual([]);
    expect(codes(request, response, result)).toEqual([]);
    expect(codes(request, result, end)).toContain('exchange');
    expect(codes(request, response, response, result, end)).toContain('exchange');
    expect(codes(request, response, end)).toContain('exchange');
    expect(codes(request, response, result, end, { ...result, part: 4 } as LineDraft)).toContain('exchange');
    expect(codes(response, result, end)).toContain('exchange');
    if (end.type !== 'end') throw new Error('a call ends with its end');
    expect(codes(request, response, result, { ...end, ended: { ...end.ended, parts: 9 } })).toEqual([
      'exchange',
    ]);
  });

  it('an exchange with a hole between two segments, unless lines are stated as lost there', () => {
    const [request, response, result, end] = call;
    const store = (how: 'size' | 'sync_failed', ...second: LineDraft[]) => {
      const stream = build(A);
      return verdict(objectsOf([stream.segment([request], { how }), stream.segment(second, { last: true })]));
    };
    expect(codesOf(store('size', response, result, end))).toEqual([]);
    expect(codesOf(store('size', result, end))).toEqual(['exchange']);
    expect(codesOf(store('size', request))).toEqual(['exchange']);
    expect(codesOf(store('sync_failed', result, end))).toEqual([]);
  });

  it('a chain with another key, another root before, or a jump in seq', () => {
    const stream = build(A);
    const first = stream.segment([]);
    const other = build(A);
    other.segment([]);
    expect(codesOf(verdict(objectsOf([first, other.segment([], { last: true })])))).toEqual(['open', 'open']);
    const longer = build(A, { privateKey: stream.privateKey });
    longer.segment(call);
    expect(codesOf(verdict(objectsOf([first, longer.segment([], { last: true })])))).toEqual([
      'open',
      'sequence',
    ]);
  });

  it('a segment after the last, or after one that another process sealed', () => {
    const closed = build(A);
    const two = [closed.segment([], { last: true }), closed.segment([], { last: true })];
    expect(codesOf(verdict(objectsOf(two)))).toEqual(['after_end']);
    const dead = build(A);
    const recoverer = build(B);
    const three = [dead.segment([], { recoveredBy: recoverer }), dead.segment([], { last: true })];
    expect(codesOf(verdict(objectsOf(three)))).toEqual(['after_end']);
  });

  it('a chain that moves to another place, or back in time', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const chain = (more: Partial<StreamOptions>) => {
      const [here, there] = [build(A, { privateKey }), build(A, { privateKey, ...more })];
      // Both begin with the same root when the first line is the same; so the root is told apart from the rest.
      const first = here.segment([]);
      there.segment([]);
      return codesOf(verdict(objectsOf([first, there.segment([], { last: true })])));
    };
    expect(chain({})).toEqual([]);
    expect(chain({ server: 'elsewhere' })).toEqual(['open', 'open']);
    expect(chain({ startMs: START_MS - 60_000 })).toEqual(['open', 'time']);
  });

  it('two versions of one segment, each sealed by the right key', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const one = build(A, { privateKey }).segment([], { last: true });
    const other = build(A, { privateKey }).segment(call, { last: true });
    const copy = { ...other, key: other.key.replace('.jsonl', '.r1.jsonl') };
    expect(codesOf(verdict(objectsOf([one, copy])))).toEqual(['copies_differ']);
  });

  it('a million wrong lines fill no report', () => {
    const garbage = Buffer.from('{}\n'.repeat(100_000));
    const report = verdict(golden.with(2, { ...(golden[2] as StoredObject), bytes: garbage }));
    expect(streamOf(report, CLOSED).findings.length).toBeLessThan(120);
    expect(streamOf(report, CLOSED).findings.some((f) => f.message.includes('left out'))).toBe(true);
  });

  it('a segment with a huge number costs nothing', () => {
    const object = golden[2] as StoredObject;
    const report = verdict([{ ...object, key: object.key.replace(/-\d{12}\./, '-999999999999.') }]);
    expect(report.explained).toBe(false);
    expect(streamOf(report, CLOSED).findings.length).toBeLessThan(1100);
  });
});
