import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type WatchEvent, watchEvents } from '../../../operator/kube/watch-events.ts';

const CALL = 'watch pods';

async function* pieces(...chunks: (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function eventsOf(...chunks: (string | Buffer)[]): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of watchEvents(CALL, pieces(...chunks))) events.push(event);
  return events;
}

function line(type: string, name: string): string {
  return `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;
}

describe('the events of a watch', () => {
  it('are the same however the bytes are cut', async () => {
    const names = ['größer', 'a', '日本', 'c'];
    const bytes = Buffer.from(names.map((name) => line('ADDED', name)).join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        const events = await eventsOf(...chunks);
        expect(events.map(({ object }) => object.metadata.name)).toEqual(names);
      }),
    );
  });

  it('leave out what a broken connection cut off', async () => {
    expect(await eventsOf(line('ADDED', 'a'), line('ADDED', 'b').slice(0, -5))).toHaveLength(1);
  });

  it('throw the error that the server reports in them', async () => {
    const error = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    const text = `${JSON.stringify({ type: 'ERROR', object: error })}\n`;
    await expect(eventsOf(line('ADDED', 'a'), text)).rejects.toMatchObject({
      status: 410,
      reason: 'Expired',
      message: 'watch pods: 410 Expired: too old resource version',
    });
  });

  it.each([
    ['not JSON', 'hello\n'],
    ['no object', '{"type":"ADDED"}\n'],
    ['an unknown type', '{"type":"RENAMED","object":{}}\n'],
    ['a list', '[1]\n'],
    ['null', 'null\n'],
  ])('refuse %s', async (_, text) => {
    await expect(eventsOf(text)).rejects.toMatchObject({ name: 'KubeError', reason: 'Unreadable' });
  });

  it('refuse a line without end', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) yield Buffer.alloc(1024 * 1024, 0x61);
    }
    await expect(watchEvents(CALL, endless()).next()).rejects.toMatchObject({ reason: 'Unreadable' });
  });
});
