/** A change of the configuration in a stream that lives on: which digest stands on which `open` line, and when segments end. */
import { verifyStore } from '@mcp-recorder/recording/read/verify-store';
import { encodeTail } from '@mcp-recorder/recording/format/encode';
import { expect, test } from 'vitest';
import type { SpoolError } from '../../sidecar/spool/spool.ts';
import { eventually } from '../support/poll.ts';
import { createCrashDisk } from './crash-disk.ts';
import { createHeldFiles } from './held-files.ts';
import { createMemoryStore } from './memory-store.ts';
import { type ProcessOptions, startProcess, tail } from './spool-process.ts';
import { storedLines } from './stored-lines.ts';

async function begin(limits: NonNullable<ProcessOptions['limits']> = {}) {
  const held = createHeldFiles(createCrashDisk().start({ kind: 'none' }).files);
  const store = createMemoryStore();
  const running = await startProcess({ directory: '/spool', files: held.files, store, limits });
  function change(before: string, after: string): Promise<SpoolError | null> {
    const line = encodeTail({
      type: 'config',
      config: { kind: 'configuration', before, after, signed_by: null },
    });
    return new Promise((answer) => running.spool.append([line], answer, { closing: true, digest: after }));
  }
  return { held, store, change, ...running };
}

/** What the stream says of its configuration, in order: digests of `open` lines, and changes. */
async function story(store: ReturnType<typeof createMemoryStore>): Promise<string[]> {
  const lines = await storedLines(store);
  return lines.flatMap((line) => {
    if (line.type === 'open') return [`open ${line.open.config}`];
    return line.type === 'config' ? [`${line.config.before} to ${line.config.after}`] : [];
  });
}

test('segments are opened with the digest of the last change before them', async () => {
  const { spool, store, append, change } = await begin();
  const fill = () => append(Array.from({ length: 30 }, (_, i) => tail(`n${i}`, 500)));
  expect(await change('sha256:0', 'sha256:1')).toBeNull();
  await fill();
  await change('sha256:1', 'sha256:2');
  await change('sha256:2', 'sha256:3');
  await fill();
  await spool.drain(AbortSignal.timeout(5000));
  expect(await story(store)).toEqual([
    'open sha256:0',
    'sha256:0 to sha256:1',
    'open sha256:1',
    'sha256:1 to sha256:2',
    'sha256:2 to sha256:3',
    'open sha256:3',
  ]);
  expect(await verifyStore(store, { expectClosed: true })).toMatchObject({ explained: true });
});

test('a change whose line was lost with its sync is none until its line is written again', async () => {
  const { spool, store, append, change, held } = await begin();
  await change('sha256:0', 'sha256:1');
  held.failNext('syncData', 'EIO');
  const both = [change('sha256:1', 'sha256:2'), change('sha256:2', 'sha256:3')];
  expect((await Promise.all(both)).map((error) => error?.code)).toEqual(['sync_failed', 'sync_failed']);
  await eventually(async () => (await append([tail('goes on')])) === null, { withinMs: 5_000 });
  await change('sha256:1', 'sha256:2');
  await spool.drain(AbortSignal.timeout(5000));
  expect(await story(store)).toEqual([
    'open sha256:0',
    'sha256:0 to sha256:1',
    'open sha256:1',
    'sha256:1 to sha256:2',
  ]);
});

test('a segment that is open is sealed at the age that is set meanwhile', async () => {
  const { spool, append, handedOver } = await begin({ sealAfterMs: 60_000 });
  await append([tail('a')]);
  spool.setSealAfter(10);
  await eventually(() => handedOver.length === 1, { withinMs: 2_000 });
  await append([tail('b')]);
  await eventually(() => handedOver.length === 2, { withinMs: 2_000 });
  expect(handedOver.map(({ how }) => how)).toEqual(['age', 'age']);
});

test('a longer age counts for the open segment too', async () => {
  const longer = await begin({ sealAfterMs: 100 });
  const later = await begin({ sealAfterMs: 200 });
  await longer.append([tail('a')]);
  longer.spool.setSealAfter(60_000);
  await later.append([tail('a')]);
  await eventually(() => later.handedOver.length === 1, { withinMs: 2_000 });
  expect(longer.handedOver).toEqual([]);
});
