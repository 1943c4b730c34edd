/**
 * Owns the frame of every suite on a cluster: the cluster is there before its first test, a failed test leaves a dump, its namespaces go
 * with it.
 * Invariant: without a cluster a suite says why and is skipped; in CI, and where a command would bring one, it fails.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, inject, type TestContext } from 'vitest';
import { writeDump } from './dump.ts';
import { namespacesMade, removeNamespaces } from './namespaces.ts';
import { useCluster } from './which-cluster.ts';

/** Time for a rig to come up, also while another one of this machine is still up (milliseconds). */
const UP_MS = 35 * 60_000;
/** Dumps of one suite: the first failures tell, the later ones follow from them. */
const DUMPS = 3;

export interface ClusterTraits {
  /** The cluster is the rig: its node can be reached behind Kubernetes' back (`node-faults.ts`). */
  isRig: boolean;
}

/** As `describe`, for tests that need a cluster. */
export function onCluster(name: string, tests: (traits: ClusterTraits) => void): void {
  const cluster = inject('cluster');
  const traits = { isRig: cluster.kind !== 'given' };
  if (cluster.kind === 'none' && !cluster.isFault && !process.env['CI']) {
    describe.skip(`${name}: skipped. ${cluster.why}`, () => tests(traits));
    return;
  }
  describe(name, () => {
    let dumps = 0;
    let begun = 0;
    const dump = async (title: string) => {
      dumps += 1;
      if (dumps > DUMPS) return;
      const { overview, file } = await writeDump(title, namespacesMade());
      console.error(`${overview}\nDescriptions and logs of the pods: ${file}`);
    };
    beforeAll(() => useCluster(cluster), UP_MS);
    beforeEach(() => {
      begun += 1;
    });
    afterEach(async ({ task }: TestContext) => {
      if (task.result?.state === 'fail') await dump(`${name}: ${task.name}`);
    }, 120_000);
    // The first to be registered is the last to run.
    afterAll(async () => {
      if (cluster.kind === 'none') return;
      if (begun === 0) await dump(`${name}: before its first test`);
      await removeNamespaces();
    }, 120_000);
    tests(traits);
  });
}
