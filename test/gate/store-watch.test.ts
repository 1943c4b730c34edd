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
  const returns: boolean[] = [];
  const made = createStoreWatch({
    store: moody.store,
    maxUploadLagMs: () => maxUploadLagMs,
    nowMs: () => performance.now(),
    onProblem: ({ reason }) => problems.push(reason),
    onReturn: (hung) => returns.push(hung),
    onChange: () => {},
  });
  watch = made;
  return { memory, moody, problems, returns, watch: made };
}

describe('the watch on the store', () => {
  it('knows the store when it has taken something, and finds out what it does for objects', async () => {
    const { watch, problems } = setUp();
    expect(watch.facts).toBeNull();
    expect(watch.health(0)).toMatchObject({ unproven: true });
    await watch.firstAnswer;
    expect(watch.health(7)).toEqual({ troubleMs: 0, failing: false, lagMs: 7, unproven: false, cause: null });
    await eventually(() => watch.facts !== null, { withinMs: 2_000 });
    expect(watch.facts).toMatchObject({ immutability: 'Conditional' });
    expect(problems).toEqual([]);
  });

  it('does not wait for a slow probe', async () => {
    const { watch, moody } = setUp();
    await watch.firstAnswer;
    moody.be('held');
    await eventually(() => moody.asked >= 2, { withinMs: 2_000 });
    expect(watch.facts).toBeNull();
    expect(watch.health(0)).toMatchObject({ unproven: false, failing: false });
    moody.be('well');
    await eventually(() => watch.facts !== null, { withinMs: 2_000 });
  });

  it('looks again until one succeeds, and says meanwhile why not', async () => {
    const { watch, moody, problems, returns } = setUp();
    moody.be('down');
    await watch.firstAnswer;
    expect(watch.health(0)).toMatchObject({
      failing: true,
      unproven: true,
      cause: { reason: 'store_unreachable' },
    });
    moody.be('well');
    await eventually(() => !watch.health(0).unproven, { withinMs: 3_000 });
    expect(watch.health(0)).toMatchObject({ failing: false, troubleMs: 0 });
    expect(problems).toContain('store_unreachable');
    // It had answered, if only with a refusal: nothing hangs.
    expect(returns).toEqual([false]);
  });

  it('looks by itself while nothing is uploaded, with one object however often', async () => {
    const { watch, moody, memory } = setUp(900);
    await watch.firstAnswer;
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
    await watch.firstAnswer;
    moody.be('silent');
    const before = moody.asked;
    await eventually(() => moody.asked > before, { withinMs: 2_000 });
    await eventually(() => watch.health(0).troubleMs > 500, { withinMs: 2_000 });
    expect(watch.health(0)).toMatchObject({ failing: false, cause: { reason: 'store_timeout' } });
  });

  it('tells that the store is back when a look succeeds after others had no answer', async () => {
    const { watch, moody, returns } = setUp(900);
    await watch.firstAnswer;
    moody.be('silent');
    await eventually(() => watch.health(0).troubleMs > 300, { withinMs: 3_000 });
    moody.be('well');
    await eventually(() => returns.length > 0, { withinMs: 3_000 });
    expect(returns[0]).toBe(true);
    expect(watch.health(0).troubleMs).toBe(0);
  });

  it('has at most five looks on their way, however long the silence', async () => {
    const { watch, moody } = setUp(900);
    await watch.firstAnswer;
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
    await watch.firstAnswer;
    watch.begin().failed(DOWN);
    const after = watch.lastSuccessMs as number;
    await eventually(() => (watch.lastSuccessMs as number) > after, { withinMs: 3_000 });
    expect(watch.health(0)).toMatchObject({ failing: true, cause: { reason: 'store_unreachable' } });
    watch.begin().succeeded();
    expect(watch.health(0)).toMatchObject({ failing: false, troubleMs: 0, cause: null });
  });

  it('does not close the way for all because of one object that can not be stored, while looks succeed', async () => {
    const { watch } = setUp(900);
    await watch.firstAnswer;
    const poison = watch.begin();
    poison.failed(DOWN);
    const after = watch.lastSuccessMs as number;
    await eventually(() => (watch.lastSuccessMs as number) > after, { withinMs: 3_000 });
    watch.begin().failed(DOWN);
    expect(watch.health(0)).toMatchObject({ failing: true, troubleMs: 0 });
  });

  it('counts the trouble of a slow upload only from where others ceased to succeed', async () => {
    const { watch, moody } = setUp(30_000);
    await watch.firstAnswer;
    moody.be('down');
    const slow = watch.begin();
    const startMs = performance.now();
    await eventually(() => performance.now() - startMs > 300, { withinMs: 1_000 });
    watch.begin().succeeded();
    slow.failed(DOWN);
    expect(watch.health(0).troubleMs).toBeLessThan(200);
  });

  it('tells that the store is back when an upload succeeds before a look does', async () => {
    const { watch, moody, returns } = setUp(900);
    await watch.firstAnswer;
    moody.be('down');
    await eventually(() => watch.health(0).failing, { withinMs: 3_000 });
    watch.begin().succeeded();
    // The others that pause may go; none that is on its way is called off for it.
    expect(returns).toEqual([false]);
  });

  it('says nothing against the store for an upload that was called off', async () => {
    const { watch } = setUp();
    await watch.firstAnswer;
    watch.begin().calledOff();
    expect(watch.health(0)).toMatchObject({ failing: false, troubleMs: 0 });
  });

  it('ends at once, with looks on their way', async () => {
    const { watch, moody } = setUp(900);
    await watch.firstAnswer;
    moody.be('silent');
    await eventually(() => watch.health(0).troubleMs > 0, { withinMs: 2_000 });
    await watch.close();
    const { asked } = moody;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(moody.asked).toBe(asked);
  });
});
