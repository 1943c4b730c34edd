/**
 * Owns the controllers of a control plane for tests: a real kube-controller-manager, with those that make pods, slices and accounts, and those
 * that take away what belongs to nothing.
 */
import { type RunningProcess, startProcess } from './child-process.ts';
import type { ControlPlane } from './control-plane.ts';
import { rigProgram } from './rig-programs.ts';
import { steadyPort } from './steady-port.ts';

const CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'endpointslice-controller',
  'serviceaccount-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'disruption-controller',
];

export async function startControllerManager(plane: ControlPlane): Promise<RunningProcess> {
  return startProcess({
    program: rigProgram('kube-controller-manager'),
    args: [
      `--kubeconfig=${plane.kubeconfig}`,
      `--authentication-kubeconfig=${plane.kubeconfig}`,
      `--authorization-kubeconfig=${plane.kubeconfig}`,
      `--controllers=${CONTROLLERS.join(',')}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${await steadyPort()}`,
      '--kube-api-qps=300',
      '--kube-api-burst=500',
    ],
    ready: /Started controller|Starting.*garbage/i,
    readyWithinMs: 30_000,
  });
}
