import { canaryKey } from '@mcp-recorder/recording/format/keys';
import { afterEach, describe, expect, it } from 'vitest';
import { createStoreWatch, idleLookMs, type StoreWatch } from '../../sidecar/store-watch.ts';
import { createMemoryStore } from '../spool/memory-store.ts';
import { createMoodyStore, DOWN } from '../support/moody-store.ts';
import { eventually } from '../support/poll.ts';

let watch: StoreWatch | null = null;
afterEach(() => watch?.close());

function setUp(maxUploadLagMs = 3_000) {
  const memory = createMemoryStore();
  const moody = createMoodyStore(memory);
  const problems: string[] = [];
  const returns: number[] = [];
  const made = createStoreWatch({
    store: moody.store,
    maxUploadLagMs,
    nowMs: () => performance.now(),
    onProblem: ({ reason }) => problems.push(reason),
    onReturn: (sinceMs) => returns.push(sinceMs),
    onChange: () => {},
  });
  watch = made;
  return { memory, moody, problems, returns, watch: made };
}

describe('the watch on the store', () => {
  it('begins with a probe and keeps what it found', async () => {
    const { watch, problems } = setUp();
    expect(watch.facts).toBeNull();
    expect(watch.health(0)).toMatchObject({ unproven: true });
    await watch.proven;
    expect(watch.facts).toMatchObject({ immutability: 'Conditional' });
    expect(watch.health(7)).toEqual({ troubleMs: 0, failing: false, lagMs: 7, unproven: false, cause: null });
    expect(problems).toEqual([]);
  });

  it('probes again until it succeeds, and says meanwhile why not', async () => {
    const { watch, moody, problems } = setUp();
    moody.be('down');
    await watch.proven;
    expect(watch.health(0)).toMatchObject({
      failing: true,
      unproven: true,
      cause: { reason: 'store_unreachable' },
    });
    moody.be('well');
    await eventually(() => watch.facts !== null, { withinMs: 3_000 });
    expect(watch.health(0)).toMatchObject({ failing: false, unproven: false, troubleMs: 0 });
    expect(problems).toContain('store_unreachable');
  });

  it('looks by itself while nothing is uploaded, with one object however often', async () => {
    const { watch, moody, memory } = setUp(900);
    await watch.proven;
    const before = moody.asked;
    await eventually(() => moody.asked >= before + 3, { withinMs: 5_000 });
    expect([...memory.objects.keys()]).toEqual([canaryKey()]);
    expect(idleLookMs(900)).toBe(1_000);
    expect(idleLookMs(15_000)).toBe(5_000);
    expect(idleLookMs(30_000)).toBe(10_000);
    expect(idleLookMs(3_600_000)).toBe(10_000);
  });

  it('counts silence from the start of the look that has no answer, before it is given up', async () => {
    const { watch, moody } = setUp(900);
    await watch.proven;
    moody.be('silent');
    const before = moody.asked;
    await eventually(() => moody.asked > before, { withinMs: 2_000 });
    await eventually(() => watch.health(0).troubleMs > 500, { withinMs: 2_000 });
    expect(watch.health(0)).toMatchObject({ failing: false, cause: { reason: 'store_timeout' } });
  });

  it('tells that the store is back when a look succeeds after others had no answer', async () => {
    const { watch, moody, returns } = setUp(900);
    await watch.proven;
    moody.be('silent');
    await eventually(() => watch.health(0).troubleMs > 300, { withinMs: 3_000 });
    const backMs = performance.now();
    moody.be('well');
    await eventually(() => returns.length > 0, { withinMs: 3_000 });
    expect(returns[0]).toBeGreaterThanOrEqual(backMs);
    expect(watch.health(0).troubleMs).toBe(0);
  });

  it('has at most five looks on their way, however long the silence', async () => {
    const { watch, moody } = setUp(900);
    await watch.proven;
    moody.be('silent');
    const before = moody.asked;
    await eventually(() => moody.asked === before + 5, { withinMs: 8_000 });
    // The sixth begins only when the first is given up.
    const startMs = performance.now();
    await eventually(() => watch.health(0).failing, { withinMs: 6_000 });
    expect(moody.asked).toBeLessThanOrEqual(before + 6 + (performance.now() - startMs) / 1_000);
  }, 20_000);

  it('takes an upload that failed for trouble until an upload succeeds, whatever the looks say', async () => {
    const { watch } = setUp(900);
    await watch.proven;
    watch.begin().failed(DOWN);
    const after = watch.lastSuccessMs as number;
    await eventually(() => (watch.lastSuccessMs as number) > after, { withinMs: 3_000 });
    expect(watch.health(0)).toMatchObject({ failing: true, cause: { reason: 'store_unreachable' } });
    watch.begin().succeeded();
    expect(watch.health(0)).toMatchObject({ failing: false, troubleMs: 0, cause: null });
  });

  it('tells that the store is back when an upload succeeds before a look does', async () => {
    const { watch, moody, problems, returns } = setUp(900);
    await watch.proven;
    moody.be('down');
    await eventually(() => problems.length > 0, { withinMs: 3_000 });
    watch.begin().succeeded();
    // The others that pause may go; none that is on its way is called off for it.
    expect(returns).toEqual([Number.NEGATIVE_INFINITY]);
  });

  it('says nothing against the store for an upload that was called off', async () => {
    const { watch } = setUp();
    await watch.proven;
    watch.begin().calledOff();
    expect(watch.health(0)).toMatchObject({ failing: false, troubleMs: 0 });
  });

  it('ends at once, with looks on their way', async () => {
    const { watch, moody } = setUp(900);
    await watch.proven;
    moody.be('silent');
    await eventually(() => watch.health(0).troubleMs > 0, { withinMs: 2_000 });
    await watch.close();
    const { asked } = moody;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(moody.asked).toBe(asked);
  });
});
