/** Waiting ends as soon as it may, and says why when it may not. */
import { expect, test } from 'vitest';
import { eventually } from './poll.ts';

test('asks again until the answer is there', async () => {
  let asked = 0;
  const answer = await eventually(() => (asked++ < 3 ? false : 'here'), { withinMs: 1_000, everyMs: 1 });
  expect([answer, asked]).toEqual(['here', 4]);
});

test('takes falsy answers other than false for answers', async () => {
  expect(await eventually(() => 0, { withinMs: 10 })).toBe(0);
});

test('gives the last failure when time is up', async () => {
  const attempt = () => Promise.reject(new Error('still 7 of 8'));
  await expect(eventually(attempt, { withinMs: 10, everyMs: 1 })).rejects.toThrow(
    'within 10 ms: still 7 of 8',
  );
});
