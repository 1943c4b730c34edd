import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { type ObjectStore, StoreError } from '@mcp-recorder/recording/store/object-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from './drafts.ts';
import { type BuiltSegment, createStreamBuilder, objectOf, store } from './stream-builder.ts';

const FIRST = '01KAH3M8ZK4T9V2B6XN5R0WCEA';
const SECOND = '01KAH3M8ZK4T9V2B6XN5R0WCEB';
const EXCHANGES = ['01KAH3MBWD0G6R4Y1S8T2V5Z9C', '01KAH3MBWD0G6R4Y1S8T2V5Z9D', '01KAH3MBWD0G6R4Y1S8T2V5Z9E'];
const START_MS = Date.UTC(2026, 10, 21, 8, 40);

function closedStream(stream = FIRST): BuiltSegment[] {
  const builder = createStreamBuilder({ stream, startMs: START_MS });
  return EXCHANGES.map((exchange, n) =>
    builder.segment(toolCall({ exchange }), { last: n === EXCHANGES.length - 1 }),
  );
}

describe('verifying a store', () => {
  let root: string;
  let target: ObjectStore;
  beforeEach(async () => {
    root = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-verify-'));
    target = createDirectoryStore(root);
  });
  afterEach(() => fs.rm(root, { recursive: true }));

  const fileOf = ({ key }: BuiltSegment) => path.join(root, key);
  async function codes(options = {}): Promise<string[]> {
    const report = await verifyStore(target, options);
    const findings = [...report.findings, ...report.streams.flatMap((stream) => stream.findings)];
    expect(report.explained).toBe(findings.length === 0);
    return [...new Set(findings.map((finding) => finding.code))].toSorted();
  }

  it('calls a closed stream complete, and tells what it read', async () => {
    const segments = closedStream();
    await store(target, ...segments);
    const progress: unknown[] = [];
    const report = await verifyStore(target, {
      expectClosed: true,
      onProgress: (seen) => progress.push(seen.objects),
    });
    expect(report).toMatchObject({ explained: true, findings: [] });
    expect(report.streams).toMatchObject([
      {
        stream: FIRST,
        state: 'complete',
        attested: false,
        segments: 3,
        lines: 18,
        place: 'local/local/github',
      },
    ]);
    expect(progress).toEqual([1, 2, 3]);
  });

  it('explains the golden fixtures', async () => {
    const fixtures = createDirectoryStore(path.join(import.meta.dirname, '../fixtures/store'));
    const report = await verifyStore(fixtures, { expectClosed: true });
    expect(report).toMatchObject({ explained: true });
    expect(report.streams.map(({ state }) => state).toSorted()).toEqual([
      'complete',
      'complete',
      'recovered',
    ]);
  });

  it('finds many streams of many servers, whatever lies first', async () => {
    const other = createStreamBuilder({ stream: SECOND, startMs: START_MS, server: 'a' });
    await store(target, ...closedStream(), other.segment([], { last: true }));
    const report = await verifyStore(target);
    expect(report.streams.map(({ stream, state }) => [stream, state])).toEqual([
      [FIRST, 'complete'],
      [SECOND, 'complete'],
    ]);
  });

  it('says of an unclosed stream that it lives, which is an error only when closed streams are expected', async () => {
    await store(target, ...closedStream().slice(0, 2));
    const report = await verifyStore(target);
    expect(report.streams[0]?.statement).toBe('live since 2026-11-21T08:40:00.000000Z, last segment 1');
    expect(report.explained).toBe(true);
    expect(await codes({ expectClosed: true })).toEqual(['not_closed']);
  });

  it('explains a stream whose process died by the one that recovered it', async () => {
    const dead = createStreamBuilder({ stream: FIRST, startMs: START_MS });
    const first = dead.segment(toolCall({ exchange: EXCHANGES[0] as string }));
    const cut = toolCall({ exchange: EXCHANGES[1] as string }).slice(0, 2);
    const recovering: Parameters<typeof createStreamBuilder>[0] = {
      stream: SECOND,
      startMs: START_MS + 9_000,
    };
    // The recovering stream names the root of what it seals, so that the roots are known before its own first line.
    const key = createStreamBuilder(recovering);
    const tail = dead.segment(cut, { recoveredBy: key });
    const next = createStreamBuilder({
      ...recovering,
      privateKey: key.privateKey,
      previousStreams: [{ stream: FIRST, segment: 1, root: tail.root.toString('base64'), how: 'recovered' }],
    });
    await store(target, first, tail, next.segment([], { last: true }));
    const report = await verifyStore(target, { expectClosed: true });
    expect(report.streams.map(({ state }) => state)).toEqual(['recovered', 'complete']);
    expect(report.explained).toBe(true);
  });

  it.each([0, 1])('misses segment %d of a closed stream', async (removed) => {
    const segments = closedStream();
    await store(target, ...segments.toSpliced(removed, 1));
    expect(await codes()).toContain('missing_segment');
  });

  it('names the stream, the segment and the line of a change', async () => {
    const segments = closedStream();
    const changed = segments[1] as BuiltSegment;
    changed.lines[2] = (changed.lines[2] as string).replace('"seq":8', '"seq":7');
    await store(target, ...segments);
    const report = await verifyStore(target);
    expect(report.explained).toBe(false);
    const found = report.streams[0]?.findings.map(({ code, segment, line }) => [code, segment, line]);
    expect(found).toContainEqual(['sequence', 1, 2]);
    expect(found).toContainEqual(['root', 1, null]);
  });

  it.each([
    [
      'a changed body',
      (lines: string[]) => lines.with(1, (lines[1] as string).replace('echo', 'eche')),
      'root',
    ],
    ['a removed line', (lines: string[]) => lines.toSpliced(1, 1), 'root'],
    ['a repeated line', (lines: string[]) => lines.toSpliced(1, 0, lines[1] as string), 'root'],
    ['two lines swapped', (lines: string[]) => [lines[0], lines[2], lines[1], ...lines.slice(3)], 'root'],
    ['a cut tail', (lines: string[]) => lines.slice(0, -2), 'seal'],
    ['a line after the seal', (lines: string[]) => [...lines, lines[1]], 'seal'],
    ['no lines', () => [], 'not_lines'],
  ] as const)('finds %s', async (_, change, code) => {
    const segments = closedStream();
    const changed = segments[1] as BuiltSegment;
    changed.lines = change(changed.lines) as string[];
    await store(target, ...segments);
    expect(await codes()).toContain(code);
  });

  it('finds segments that changed places', async () => {
    const [a, b, c] = closedStream() as [BuiltSegment, BuiltSegment, BuiltSegment];
    await store(target, { ...a, lines: b.lines }, { ...b, lines: a.lines }, c);
    expect(await codes()).toContain('open');
  });

  it('finds an object that was cut off, and one with bytes after its frame', async () => {
    const segments = closedStream();
    await store(target, ...segments);
    const whole = objectOf((segments[1] as BuiltSegment).lines);
    await fs.writeFile(fileOf(segments[1] as BuiltSegment), whole.subarray(0, -9));
    expect(await codes()).toEqual(['damaged']);
    await fs.writeFile(fileOf(segments[1] as BuiltSegment), Buffer.concat([whole, Buffer.from('x')]));
    expect(await codes()).toEqual(['damaged']);
    await fs.writeFile(fileOf(segments[1] as BuiltSegment), whole);
    expect(await codes()).toEqual([]);
  });

  it('takes a second copy for the same segment when it is equal, and for tampering when it is not', async () => {
    const segments = closedStream();
    const [first] = segments as [BuiltSegment];
    const copyKey = first.key.replace('.jsonl', '.r1.jsonl');
    await store(target, ...segments, { ...first, key: copyKey });
    expect(await codes()).toEqual([]);
    await fs.rm(path.join(root, copyKey));
    await store(target, { ...first, key: copyKey, lines: first.lines.with(1, '{}') });
    expect(await codes()).toContain('copies_differ');
  });

  it('names an object that lies among the segments and is none', async () => {
    await store(target, ...closedStream());
    await fs.writeFile(path.join(root, 'v1/segments/cluster=local/notes.txt'), 'x');
    const report = await verifyStore(target);
    expect(report.findings).toMatchObject([
      { code: 'foreign_object', message: expect.stringContaining('v1/segments/cluster=local/notes.txt') },
    ]);
    expect(report.explained).toBe(false);
  });

  it('names segments that were moved elsewhere in the store, whatever lies before their key', async () => {
    const [first, second, last] = closedStream() as [BuiltSegment, BuiltSegment, BuiltSegment];
    const moved = `v1/segments/backup/${second.key}`;
    await store(target, first, last, { ...second, key: moved });
    const hidden = `v1/segments/.x/${second.key}`;
    const report = await verifyStore({
      ...target,
      async *history(prefix, options) {
        // No directory store lists it; a bucket does.
        yield { key: hidden, versions: [{ version: null, kind: 'object', size: 1, time: null }] };
        yield* target.history(prefix, options);
      },
    });
    expect(report.findings.map(({ code }) => code)).toEqual(['foreign_object', 'foreign_object']);
    expect(report.findings.map(({ message }) => message).join('\n')).toContain(moved);
    expect(report.streams[0]?.findings).toMatchObject([{ code: 'missing_segment', segment: 1 }]);
  });

  it('calls damaged what the store lists and will not give, and goes on', async () => {
    const segments = closedStream();
    await store(target, ...segments);
    const refusing: ObjectStore = {
      ...target,
      async get(key, ...more) {
        if (key === segments[1]?.key) throw new StoreError('invalid', 'get', key, 'Can not be read so.');
        return await target.get(key, ...more);
      },
    };
    const report = await verifyStore(refusing);
    expect(report.streams[0]?.findings).toMatchObject([
      { code: 'damaged', segment: 1, message: expect.stringContaining('the store does not give it') },
    ]);
  });

  it('fetches nothing that is larger than any segment, be it there twice', async () => {
    const segments = closedStream();
    await store(target, ...segments);
    const size = 64 * 2 ** 20 + 1;
    const report = await verifyStore({
      ...target,
      async *history(...asked) {
        for await (const object of target.history(...asked)) {
          const versions = ['1', '2'].map((version) => ({
            version,
            kind: 'object' as const,
            size,
            time: null,
          }));
          yield object.key === segments[1]?.key ? { ...object, versions } : object;
        }
      },
      async get(key, ...more) {
        expect(key).not.toBe(segments[1]?.key);
        return await target.get(key, ...more);
      },
    });
    expect(report.streams[0]?.findings).toMatchObject([
      { code: 'overwritten', message: expect.stringContaining('could not be compared') },
      { code: 'damaged', message: expect.stringContaining('more than any segment') },
    ]);
  });

  it('finds objects that arrive while it reads', async () => {
    const segments = closedStream();
    const [first, late, last] = segments as [BuiltSegment, BuiltSegment, BuiltSegment];
    await store(target, first, last);
    let arrived = false;
    const report = await verifyStore({
      ...target,
      async get(key, signal) {
        if (!arrived) await store(target, late);
        arrived = true;
        return await target.get(key, signal);
      },
    });
    expect(report.explained).toBe(true);
  });

  it('throws when the store can not be read, rather than say anything of the recordings', async () => {
    await expect(verifyStore(createDirectoryStore(path.join(root, 'absent')))).rejects.toMatchObject({
      name: 'StoreError',
      code: 'not_found',
    });
    await store(target, ...closedStream());
    const broken: ObjectStore = {
      ...target,
      get: () => Promise.reject(new Error('connection reset')),
    };
    await expect(verifyStore(broken)).rejects.toThrow('connection reset');
  });

  it('stops for an aborted signal', async () => {
    await store(target, ...closedStream());
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(verifyStore(target, { signal })).rejects.toThrow('enough');
  });
});
