import { writeFile } from 'node:fs/promises';
import { createDirectoryStore } from '@mcp-recorder/recording/store/directory-store';
import { afterEach, describe, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../faults/fault-proxy.ts';
import { createStreamBuilder, store as put } from '../../recording/stream-builder.ts';
import { eventually } from '../../support/poll.ts';
import { exchangeOf, STREAM } from '../recorded.ts';
import { namesOf, type Rig, startRig, storedLines, type Tail } from './rig.ts';

type Built = ReturnType<ReturnType<typeof createStreamBuilder>['segment']>;

let rig: Rig;
let proxy: FaultProxy | null = null;
afterEach(async () => {
  await rig.remove();
  await proxy?.close();
  proxy = null;
});

const WITHIN = { withinMs: 20_000, everyMs: 50 };

/** All of the store, each line once, those of each stream in order. */
async function expectAll(tail: Tail, where = rig.store): Promise<void> {
  const stored = await storedLines(createDirectoryStore(where));
  await eventually(() => tail.lines().length >= stored.length, WITHIN).catch(() => {});
  expect(tail.lines().toSorted()).toEqual(stored);
  expect(inOrder(tail.lines())).toBe(true);
}

function inOrder(lines: readonly string[]): boolean {
  const last = new Map<string, number>();
  return lines.every((line) => {
    const { stream, seq } = JSON.parse(line) as { stream: string; seq: number };
    const before = last.get(stream) ?? -1;
    last.set(stream, seq);
    return seq > before;
  });
}

describe('mcp-recorder tail', () => {
  it('follows a store from new segments, each line once, and ends well on Ctrl-C', async () => {
    rig = await startRig();
    await rig.start();
    const tail = rig.tail(rig.store, '--raw', '--since', '1h');
    const text = rig.tail(rig.store, '--tool', 'echo');
    await eventually(() => /Following/.test(tail.stderr()) && /Following/.test(text.stderr()), WITHIN);
    await rig.call('first');
    await eventually(() => tail.lines().length > 0, { withinMs: 10_000 });
    await rig.call('\u001b[2Jsecond');
    await rig.recorder().stop('SIGTERM');
    await expectAll(tail);
    await eventually(() => text.lines().length === 4, WITHIN);
    expect(text.lines()[0]).toMatch(/^\d{4}-\d\d-\d\d [\d:.]{12} > echo {2}anonymous {2}tools\/call echo/);
    expect(text.lines()[1]).toMatch(/ < echo {2}anonymous {2}tools\/call echo {2}ok, [\d.]+ /);
    expect([await tail.end(), await text.end('SIGTERM')]).toEqual([0, 0]);
  });

  it('shows live what is not in the store yet, and nothing of before', async () => {
    rig = await startRig();
    await rig.start();
    await rig.call('before');
    const tail = rig.tail(
      '--live',
      `http://127.0.0.1:${rig.statusPort}`,
      '--token-file',
      rig.tokenFile,
      '--json',
    );
    await eventually(() => /Following/.test(tail.stderr()), WITHIN);
    // It is connected when a call is seen.
    await eventually(async () => {
      await rig.call('after');
      return tail.lines().length >= 2;
    }, WITHIN);
    const [started, ended] = tail.lines().map((line) => JSON.parse(line));
    expect(started).toMatchObject({
      v: 1,
      type: 'started',
      kind: 'request',
      server: 'echo',
      method: 'tools/call',
      target: 'echo',
      outcome: null,
    });
    expect(ended).toMatchObject({
      v: 1,
      type: 'row',
      seq: started.seq,
      result_exchange: started.exchange,
      operation: started.operation,
      outcome: 'ok',
    });
    expect(started.seq).toBeGreaterThanOrEqual(5);
    expect(await tail.end()).toBe(0);
  });

  it('loses and repeats nothing between live and store, when connections are cut and the recorder is killed and started again', async () => {
    rig = await startRig();
    proxy = await startFaultProxy(rig.statusPort);
    await rig.start();
    const tail = rig.tail(
      rig.store,
      '--live',
      proxy.origin,
      '--token-file',
      rig.tokenFile,
      '--raw',
      '--since',
      '1h',
    );
    await eventually(() => /Following/.test(tail.stderr()), WITHIN);
    for (let n = 0; n < 5; n += 1) await rig.call(`a${n}`);
    await eventually(() => tail.lines().length >= 20, { withinMs: 3_000 });
    await proxy.set({ kind: 'refuse' });
    for (let n = 0; n < 5; n += 1) await rig.call(`b${n}`);
    await eventually(() => /not followed live now/.test(tail.stderr()), WITHIN);
    await proxy.heal();
    await eventually(() => tail.lines().length >= 40, WITHIN);
    await proxy.set({ kind: 'black hole' });
    for (let n = 0; n < 5; n += 1) await rig.call(`c${n}`);
    await rig.recorder().stop('SIGKILL');
    await rig.start();
    await proxy.heal();
    for (let n = 0; n < 5; n += 1) await rig.call(`d${n}`);
    const killed = rig.call('half').catch(() => null);
    await rig.recorder().stop('SIGKILL');
    await killed;
    await rig.start();
    await rig.call('last');
    await rig.recorder().stop('SIGTERM');
    await expectAll(tail);
    expect(new Set(namesOf(tail.lines()).map((name) => name.slice(0, 26))).size).toBe(3);
    expect(tail.stderr()).toContain('is followed live again');
    expect(tail.stderr()).not.toContain('did not come');
    expect(await tail.end()).toBe(0);
  });

  it('says what is missing where nothing can fill a hole', async () => {
    rig = await startRig();
    proxy = await startFaultProxy(rig.statusPort);
    await rig.start();
    const tail = rig.tail('--live', proxy.origin, '--token-file', rig.tokenFile, '--raw');
    await eventually(async () => {
      await rig.call('seen');
      return tail.lines().length >= 4;
    }, WITHIN);
    await proxy.set({ kind: 'refuse' });
    await rig.call('x');
    // A segment is given up by the spool when the store has it and a newer one has begun.
    for (let n = 0; n < 20; n += 1) await rig.call('y'.repeat(1_000), 1_000);
    await eventually(
      async () => {
        await rig.call('z');
        const stored = await storedLines(createDirectoryStore(rig.store));
        return stored.some((line) => line.includes('"type":"seal"') && line.includes('"segment":1,'));
      },
      { withinMs: 30_000, everyMs: 500 },
    );
    await proxy.heal();
    await eventually(() => /Lines? \d+( to \d+)? of stream \w+ did not come\./.test(tail.stderr()), WITHIN);
  });

  it('shows what comes late under old keys, as after an outage of hours', async () => {
    rig = await startRig();
    const beganMs = Date.now() - 3 * 3_600_000;
    const builder = createStreamBuilder({ stream: STREAM, startMs: beganMs });
    const exchange = (n: number) =>
      exchangeOf({ exchange: `01KAH3MBWD0G6R4Y1S8T2V5Z${String(n).padStart(2, '0')}`, answer: `${n}` });
    const segments = [0, 1, 2].map((n) => builder.segment(exchange(n), { last: n === 2 }));
    const [first, second, third] = segments as [Built, Built, Built];
    const store = createDirectoryStore(rig.store);
    await put(store, first);
    const tail = rig.tail(rig.store, '--raw', '--since', '4h');
    await eventually(() => tail.lines().length === first.lines.length, WITHIN);
    await put(store, third);
    await put(store, second);
    await expectAll(tail);
  });

  it('is refused without the right token, and says what is wrong with what it was given', async () => {
    rig = await startRig();
    await rig.start();
    await rig.call('confidential');
    const url = `http://127.0.0.1:${rig.statusPort}`;
    const other = `${rig.directory}/other-token`;
    await writeFile(other, 'a'.repeat(43));
    const cases: [string[], string][] = [
      [['--live', url, '--token-file', other], 'does not take the token'],
      [['--live', url, '--token-file', `${rig.directory}/recorder.yaml`], 'holds no token'],
      [['--live', url, '--token-file', `${rig.directory}/none`], 'no such file'],
      [['--live', url], '--live needs --token-file'],
      [['--live', 'nowhere', '--token-file', rig.tokenFile], 'needs a URL'],
      [['--live', url, '--token-file', rig.tokenFile, '--raw', '--user', 'a'], '--raw prints all'],
      [[], 'Give a store, or --live'],
      [[`${rig.directory}/nothing`], 'there is no such directory'],
      [[rig.store, '--outcome', 'fine'], 'needs one of ok'],
    ];
    for (const [args, message] of cases) {
      const tail = rig.tail(...args);
      expect([await tail.exited, tail.stdout(), tail.stderr()]).toEqual([
        2,
        '',
        expect.stringContaining(message),
      ]);
    }
  });
});
