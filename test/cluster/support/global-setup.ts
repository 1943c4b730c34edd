/**
 * Owns the cluster of a whole test run: decides which it is before the first suite, takes the rig down after the last.
 * The rig comes up with the first suite that needs it, so that none stands idle beside the suites before.
 */
import type { TestProject } from 'vitest/node';
import { takeRigDown } from './rig.ts';
import { type Cluster, decideCluster } from './which-cluster.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    cluster: Cluster;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await decideCluster(process.pid);
  project.provide('cluster', cluster);
  if (cluster.kind === 'none') process.stderr.write(`The tests on a cluster do not run. ${cluster.why}\n`);
  return async () => {
    if (cluster.kind === 'rig' && cluster.ownerPid !== null) await takeRigDown(cluster.ownerPid);
  };
}
