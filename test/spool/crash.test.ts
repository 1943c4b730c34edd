import { expect, test } from 'vitest';
import type { Fault, Survival } from './crash-disk.ts';
import { createWorld, type Life, live, SOUND, settle, type World } from './crash-scenario.ts';

/** What a process finds when it starts: nothing, or what one left that was killed, or lost its power. */
const BEGINNINGS = {
  'a new spool': async () => createWorld(),
  'a spool that a killed process left': () => leftOver('killed'),
  'a spool that a process left at a power loss': () => leftOver('torn'),
  'a spool that a process left that was killed between a write and its sync': () =>
    leftOver('killed', { kind: 'dies', of: 'syncData', at: 4 }),
};

async function leftOver(survival: Survival, fault: Fault = { kind: 'none' }): Promise<World> {
  const world = createWorld();
  await live(world, { fault, waves: 3, abandons: true });
  world.disk.lose(survival, randomFrom(1));
  return world;
}

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Outcome {
  what: string;
  verdict: unknown;
}

/** Runs `attempt` for 1, 2, 3 ... until it says that the scenario has no such step, some at a time; the bad outcomes. */
async function everyStep(
  attempt: (at: number) => Promise<Outcome | null>,
): Promise<{ steps: number; bad: Outcome[] }> {
  const bad: Outcome[] = [];
  let next = 1;
  let steps = Number.POSITIVE_INFINITY;
  async function work(): Promise<void> {
    for (let at = next++; at <= steps; at = next++) {
      const outcome = await attempt(at);
      if (outcome === null) steps = Math.min(steps, at - 1);
      else if (outcome.verdict !== null) bad.push(outcome);
    }
  }
  await Promise.all(Array.from({ length: 24 }, work));
  return { steps, bad };
}

async function attemptWith(
  begin: () => Promise<World>,
  fault: Fault & { at: number },
  survival: Survival,
  more: Pick<Life, 'pauses' | 'commit'> = {},
): Promise<Outcome | null> {
  const world = await begin();
  const life: Life = { fault, waves: 3, ...more };
  const { trace, uploaded, problems } = await live(world, life);
  if (trace.length < fault.at) return null;
  const { report, ...verdict } = await settle(world, survival, randomFrom(fault.at));
  const good = JSON.stringify(verdict) === JSON.stringify(SOUND);
  const what = `${fault.kind} at ${fault.at} (${trace[fault.at - 1]}), then ${survival}, uploaded ${uploaded}: ${problems.join('; ')}`;
  return { what, verdict: good ? null : { ...verdict, report: verdict.explained ? '' : report } };
}

for (const [name, begin] of Object.entries(BEGINNINGS)) {
  for (const survival of ['killed', 'only what was synced', 'torn'] as const) {
    for (const kind of ['dies', 'dies half way'] as const) {
      test(`keeps all that was durable when it ${kind} at any step on ${name}, and what survives is: ${survival}`, async () => {
        const { steps, bad } = await everyStep((at) => attemptWith(begin, { kind, at }, survival));
        expect(bad).toEqual([]);
        expect(steps).toBeGreaterThan(60);
      });
    }
  }
  for (const code of ['EIO', 'ENOSPC'] as const) {
    for (const times of [1, 4]) {
      test(`keeps all that was durable when ${times} steps from any on fail with ${code} on ${name}`, async () => {
        const fault = { kind: 'fails', code, times } as const;
        const { steps, bad } = await everyStep((at) =>
          attemptWith(begin, { ...fault, at }, 'only what was synced'),
        );
        expect(bad).toEqual([]);
        expect(steps).toBeGreaterThan(60);
      }, 120_000);
    }
  }
}

for (const [name, begin] of Object.entries(BEGINNINGS).slice(0, 2)) {
  for (const survival of ['killed', 'torn'] as const) {
    test(`keeps all that the store had confirmed, with commit ObjectStorage, when it dies at any step on ${name}, and what survives is: ${survival}`, async () => {
      const { steps, bad } = await everyStep((at) =>
        attemptWith(begin, { kind: 'dies', at }, survival, { commit: 'ObjectStorage' }),
      );
      expect(bad).toEqual([]);
      expect(steps).toBeGreaterThan(60);
    });
  }
  test(`keeps all that the store had confirmed, with commit ObjectStorage, when four steps from any on fail on ${name}`, async () => {
    const fault = { kind: 'fails', code: 'EIO', times: 4 } as const;
    const { steps, bad } = await everyStep((at) =>
      attemptWith(begin, { ...fault, at }, 'only what was synced', { commit: 'ObjectStorage' }),
    );
    expect(bad).toEqual([]);
    expect(steps).toBeGreaterThan(60);
  }, 120_000);
}

for (const survival of ['killed', 'only what was synced'] as const) {
  test(`names how far an idle stream got when it dies at any step, and what survives is: ${survival}`, async () => {
    const attempt = (at: number) =>
      attemptWith(async () => createWorld(), { kind: 'dies', at }, survival, { pauses: true });
    const { steps, bad } = await everyStep(attempt);
    expect(bad).toEqual([]);
    expect(steps).toBeGreaterThan(60);
  });
}

test('keeps all that was durable through ten lives that end anywhere, in any way', async () => {
  const survivals: Survival[] = ['killed', 'only what was synced', 'torn'];
  const bad: unknown[] = [];
  await Promise.all(
    Array.from({ length: 150 }, async (_, seed) => {
      const random = randomFrom(1000 + seed);
      const world = createWorld();
      const story: string[] = [];
      for (let lives = 0; lives < 10; lives += 1) {
        const at = 1 + Math.floor(random() * 200);
        const kind = random() < 0.5 ? 'dies' : 'dies half way';
        const failing = 1 + Math.floor(random() * 400);
        const life: Omit<Life, 'fault'> = {
          waves: 1 + Math.floor(random() * 5),
          pauses: random() < 0.3,
          commit: random() < 0.4 ? 'ObjectStorage' : 'Spool',
        };
        const { trace } = await live(world, { ...life, fault: { kind, at, failing } });
        const survival = survivals[Math.floor(random() * 3)] as Survival;
        world.disk.lose(survival, random);
        story.push(
          `fails at ${failing} (${trace[failing - 1]}), ${kind} at ${at} (${trace[at - 1]}), then ${survival}`,
        );
      }
      const { report, ...verdict } = await settle(world, 'torn', random);
      if (JSON.stringify(verdict) !== JSON.stringify(SOUND)) bad.push({ seed, story, verdict, report });
    }),
  );
  expect(bad).toEqual([]);
}, 120_000);
