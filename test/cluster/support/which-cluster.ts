/**
 * Owns which cluster the suites talk to: the rig of this machine, or the one that KUBECONFIG names.
 * Invariant: it is decided once, for the whole run; a given cluster is never brought up, taken down or looked into beside its API.
 */
import path from 'node:path';
import { type CommandOptions, type CommandResult, runCommand } from './run-command.ts';
import { bringRigUp, rigHindrance, rigOutdated, rigScript, rigState } from './rig.ts';

export type Cluster =
  /** `ownerPid` = whose rig it is; null = it was up before this run and stays. */
  | { kind: 'rig'; ownerPid: number | null }
  | { kind: 'given' }
  /** Whole sentences; `isFault` = what is missing can be had on this machine. */
  | { kind: 'none'; why: string; isFault: boolean };

/** @param ownerPid the process for which a rig would be brought up */
export async function decideCluster(ownerPid: number): Promise<Cluster> {
  const kubeconfig = process.env['KUBECONFIG'];
  // `npm run cluster -- CMD` names the rig's own: CMD is a run on a rig that somebody else brought up.
  if (kubeconfig === path.join(rigState(), 'kc/admin')) return { kind: 'rig', ownerPid: null };
  if (kubeconfig) return { kind: 'given' };
  const hindrance = await rigHindrance();
  if (hindrance !== null) {
    const instead = 'Give a cluster by KUBECONFIG instead (test/cluster/README.md).';
    return {
      kind: 'none',
      why: `This machine can't run the cluster rig. ${hindrance} ${instead}`,
      isFault: false,
    };
  }
  const outdated = await rigOutdated();
  if (outdated !== null) {
    const remedy = '`npm run cluster:build` builds it (15 to 30 minutes the first time on a machine).';
    return { kind: 'none', why: `The cluster rig is not ready: ${outdated}. ${remedy}`, isFault: true };
  }
  return { kind: 'rig', ownerPid };
}

let chosen: Cluster | null = null;

/**
 * Makes a cluster the one that everything here talks to; the rig is brought up if need be.
 * @throws when there is none
 */
export async function useCluster(cluster: Cluster): Promise<void> {
  if (cluster.kind === 'none') throw new Error(cluster.why);
  if (cluster.kind === 'rig' && cluster.ownerPid !== null) await bringRigUp(cluster.ownerPid);
  chosen = cluster;
}

/** Whether it is the rig: its node, its components and its images are at hand. */
export function isRig(): boolean {
  if (chosen === null)
    throw new Error('no cluster is in use yet: call useCluster, or put the suite into onCluster');
  return chosen.kind === 'rig';
}

/** The words that begin a command which can reach the cluster: pods and Services too on the rig, the API alone elsewhere. */
export function entry(): string[] {
  return isRig() ? [rigScript('in-rig')] : [];
}

/**
 * Runs a command of this machine where it can reach the cluster; KUBECONFIG is set. On the rig it has the rig's network and no other.
 * @throws as runCommand does
 */
export function runInRig(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand([...entry(), ...command], options);
}
