import { defineConfig } from 'vitest/config';

/** Suites that start processes, kill them, or watch the clock: they run one file after another. */
const SYSTEM = ['test/{system,http,order,kill,conformance,bounds,cli,demo,faults,pod}/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: SYSTEM,
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'system',
          include: SYSTEM,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
