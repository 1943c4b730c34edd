import { defineConfig } from 'vitest/config';

/** Suites that start processes, kill them, or watch the clock: they run one file after another. */
const SYSTEM = [
  'test/{system,http,order,kill,conformance,bounds,cli,credential,demo,faults,pod,operator/{kube,api,admission,asked,chart,reconcile}}/**/*.test.ts',
];
/** Suites on a real cluster (test/cluster/README.md): after all others, one file after another. */
const CLUSTER = ['test/cluster/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: [...SYSTEM, ...CLUSTER],
          testTimeout: 60_000,
          // Its modules name directories, which only bundlers resolve.
          server: { deps: { inline: ['dt-sql-parser'] } },
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
      {
        test: {
          name: 'cluster',
          include: CLUSTER,
          globalSetup: 'test/cluster/support/global-setup.ts',
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
