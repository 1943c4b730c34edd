/** What can't be read is told and hides nothing else; what changes in the store changes what is answered. */
import fs from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toolCall } from '../recording/drafts.ts';
import { type BuiltSegment, createStreamBuilder } from '../recording/stream-builder.ts';
import { createScene, rowsOf, type Scene, START_MS, STREAM, targetsOf } from './scene.ts';

let scene: Scene;
let ids: string[];
let segments: [BuiltSegment, BuiltSegment, BuiltSegment];
const TOOLS = ['alpha', 'beta', 'gamma'];
beforeEach(async () => {
  scene = await createScene();
  const builder = createStreamBuilder({ stream: STREAM, startMs: START_MS });
  ids = TOOLS.map(() => scene.newId());
  segments = TOOLS.map((tool, n) => {
    builder.wait(60_000);
    return builder.segment(toolCall({ exchange: ids[n] ?? '', tool }));
  }) as typeof segments;
  await scene.put(...segments);
});
afterEach(() => scene.close());

/** The segment with one of its lines changed. */
function changed({ lines }: BuiltSegment, containing: string, change: (line: string) => string): string[] {
  return lines.map((line) => (line.includes(containing) ? change(line) : line));
}

describe('what can not be read', () => {
  it.each([
    ['cut off', async (file: string) => fs.truncate(file, (await fs.stat(file)).size - 9)],
    ['empty', (file: string) => fs.truncate(file)],
    ['no frame', (file: string) => fs.writeFile(file, 'half')],
  ])('is told each time of an object that is %s, and the others are read', async (_what, spoil) => {
    await spoil(scene.fileOf(segments[1]));
    for (let time = 0; time < 2; time += 1) {
      const reader = scene.open();
      expect(await targetsOf(reader)).toEqual(['alpha', 'gamma']);
      expect(scene.told()).toEqual([
        expect.stringMatching(`^The object ${segments[1].key} is damaged: .*\\.$`),
      ]);
      expect(await targetsOf(reader, { users: ['nobody'] })).toEqual([]);
      expect(scene.told()).toEqual([]);
    }
  });

  it.each([
    ['no JSON', (line: string) => line.slice(0, -5), 'is no JSON.'],
    [
      'of another shape',
      (line: string) => line.replace('"calls"', '"calls":7,"x"'),
      'is no line of version 1.',
    ],
    [
      'of a newer version',
      (line: string) => line.replace('"v":1', '"v":2'),
      'was written by a newer version of mcp-recorder (format 2; this one reads format 1).',
    ],
  ])('is told each time of a line that is %s, from the index too', async (_what, spoil, why) => {
    await scene.overwrite(segments[1], changed(segments[1], '"type":"request"', spoil));
    for (let time = 0; time < 2; time += 1) {
      const found = await rowsOf(scene.open());
      // Its result is there.
      expect(found.map(({ call, result }) => [call?.target, result?.target])).toEqual([
        ['alpha', 'alpha'],
        [undefined, 'beta'],
        ['gamma', 'gamma'],
      ]);
      expect(scene.told()).toEqual([`Line 1 of ${segments[1].key} ${why}`]);
      expect(scene.segmentsRead()).toBe(time === 0 ? 3 : 0);
    }
  });

  it('is told only where it was asked for', async () => {
    await fs.truncate(scene.fileOf(segments[1]));
    const reader = scene.open();
    await rowsOf(reader, { servers: ['jira'] });
    await rowsOf(reader, { between: { since: '2026-11-22T00:00:00.000000Z', until: null } });
    expect(scene.told()).toEqual([]);
  });
});

describe('a store that changes', () => {
  it('is followed when an object has another size', async () => {
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    await scene.overwrite(
      segments[1],
      changed(segments[1], 'beta', (line) => line.replaceAll('beta', 'delta-delta')),
    );
    expect(await targetsOf(scene.open())).toEqual(['alpha', 'delta-delta', 'gamma']);
  });

  it('is followed when an object of the same size is read for another reason', async () => {
    const reader = scene.open();
    expect(await targetsOf(reader)).toEqual(TOOLS);
    const { size } = await fs.stat(scene.fileOf(segments[1]));
    for (const name of ['bote', 'beto', 'ebat', 'zeta', 'teba']) {
      await scene.overwrite(
        segments[1],
        changed(segments[1], 'beta', (line) => line.replaceAll('beta', name)),
      );
      if ((await fs.stat(scene.fileOf(segments[1]))).size !== size) continue;
      expect(await targetsOf(reader)).toEqual(TOOLS);
      const [read] = await Array.fromAsync(
        reader.readExchanges([{ stream: STREAM, exchange: ids[1] ?? '' }]),
      );
      expect(JSON.stringify(read?.lines)).toContain(name);
      expect(scene.told()).toEqual([
        `The object ${segments[1].key} is not what it was when it was read before; it was read anew.`,
      ]);
      expect(await targetsOf(reader)).toEqual(['alpha', name, 'gamma']);
      return;
    }
    expect.fail('none of the names gives an object of the same size');
  });

  it.each(['newest', 'oldest'] as const)('is followed when an object is gone (%s first)', async (order) => {
    const reader = scene.open();
    expect(await targetsOf(reader)).toEqual(TOOLS);
    await fs.rm(scene.fileOf(segments[2]));
    const left = order === 'newest' ? ['beta', 'alpha'] : ['alpha', 'beta'];
    expect(await targetsOf(reader, {}, { order, limit: 5 })).toEqual(left);
    await scene.put(segments[2]);
    expect(await targetsOf(reader)).toEqual(TOOLS);
  });

  it('counts a segment that was stored twice once, whichever copy is left', async () => {
    const copy = { ...segments[1], key: segments[1].key.replace('.jsonl', '.r1.jsonl') };
    await scene.put(copy);
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    await fs.rm(scene.fileOf(segments[1]));
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    await scene.put(segments[1]);
    await fs.rm(scene.fileOf(copy));
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
    await fs.rm(scene.fileOf(segments[1]));
    expect(await targetsOf(scene.open())).toEqual(['alpha', 'gamma']);
  });

  it('is answered as far as it is known when reading is stopped', async () => {
    const stop = new AbortController();
    const reader = scene.open({ signal: stop.signal, onProgress: () => stop.abort() });
    expect(await targetsOf(reader)).toEqual(['alpha']);
    expect(await targetsOf(reader)).toEqual(['alpha']);
    expect(await targetsOf(scene.open())).toEqual(TOOLS);
  });
});
