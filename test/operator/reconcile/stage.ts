/**
 * Owns a stage for the operator: a real API server with what the chart installs, and operators as processes of their own, with the rights that
 * the chart gives them. Real controllers make the pods; what a node would do for them, the test does.
 * Invariant: the API server asks the operators' webhooks through their Service, verified as in a cluster.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import {
  type Exit,
  freePort,
  type RunningProcess,
  spawnProcess,
  startProcess,
} from '../../support/child-process.ts';
import { startControllerManager } from '../../support/controller-manager.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';
import { openServiceTunnel } from '../../support/service-tunnel.ts';
import { steadyPort } from '../../support/steady-port.ts';
import { field, NAMESPACE, only, render } from '../chart/helm.ts';
import { CRD_FILE } from './cluster.ts';
import { type Node, startNode } from './running-pods.ts';

export { NAMESPACE };

export interface OperatorOptions {
  /** Environment of the faulty process: when it kills itself, and its Lease's times. */
  env?: Record<string, string>;
  /** Wait only until it runs: it will not serve. */
  isDoomed?: boolean;
}

export interface OperatorProcess extends RunningProcess {
  /** The value of a metric, all its series together. @param labels that a series must have */
  metric(name: string, labels?: string): Promise<number>;
  /** `/readyz`, `/livez`. */
  health(what: string): Promise<{ status: number; reasons: string[] }>;
}

export interface Stage {
  plane: ControlPlane;
  client: KubeClient;
  /** Acts as the operator's service account, to pass what admission keeps for it. */
  asOperator: KubeClient;
  startOperator(options?: OperatorOptions): Promise<OperatorProcess>;
  /** Runs what the chart runs before an uninstall, to its end. */
  release(): Promise<{ exit: Exit; output: string }>;
  /** A namespace of its own, whose pods run. @returns its name, and its node */
  createNamespace(): Promise<{ namespace: string; node: Node }>;
  /** A server that takes connections, as one past its recorder would. */
  listen(host: string, port: number): Promise<{ close(): Promise<void> }>;
  stop(): Promise<void>;
}

const OPERATOR_NAME = `system:serviceaccount:${NAMESPACE}:mcp-recorder`;
/** What of the chart the operator needs beside itself. */
const INSTALLED: Record<string, Resource> = {
  ServiceAccount: { group: '', version: 'v1', plural: 'serviceaccounts', kind: '', namespaced: true },
  Service: { group: '', version: 'v1', plural: 'services', kind: '', namespaced: true },
  ...Object.fromEntries(
    ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'].map((kind) => [
      kind,
      {
        group: 'rbac.authorization.k8s.io',
        version: 'v1',
        plural: `${kind.toLowerCase()}s`,
        kind,
        namespaced: !kind.startsWith('Cluster'),
      },
    ]),
  ),
};

/** @param values of the chart */
export async function openStage(values: object = {}): Promise<Stage> {
  /** What ends the parts, the newest first. */
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    return await open(values, ends, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function open(
  values: object,
  ends: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<Stage> {
  const tunnel = await openServiceTunnel();
  ends.push(() => tunnel.close());
  const plane = await startControlPlane({ apiServerArgs: tunnel.apiServerArgs });
  ends.push(() => plane.stop());
  const controllers = await startControllerManager(plane);
  ends.push(() => controllers.stop('SIGKILL'));
  const folder = await mkdtemp(path.join(tmpdir(), 'operator-'));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  const operators = new Set<RunningProcess>();
  const nodes: Node[] = [];
  ends.push(async () => {
    await Promise.all([...operators].map((operator) => operator.stop('SIGKILL')));
    await Promise.all(nodes.map((node) => node.stop()));
  });
  // Where the recorders of all pods are asked: each pod has an address of its own, and each stage a port.
  const statusPort = await steadyPort();
  let namespaces = 0;
  const client = plane.client();
  await plane.installCrds(CRD_FILE);
  await plane.createNamespace(NAMESPACE);
  const manifests = await render({
    stores: { default: { s3: { bucket: 'recordings', region: 'eu-central-1' } } },
    sidecar: { ports: { recorder: 9080, status: statusPort } },
    ...values,
  });
  await install(client, manifests);
  const kubeconfig = await plane.kubeconfigFor(OPERATOR_NAME, {
    groups: ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`, 'system:authenticated'],
  });
  const rendered = parse(field(only(manifests, 'ConfigMap'), 'data', 'settings.yaml')) as { webhook: object };

  async function forgetWhenEnded(process: RunningProcess, webhookPort: number): Promise<void> {
    await process.exited;
    operators.delete(process);
    tunnel.backends.delete(webhookPort);
  }

  /** A port that was free may be taken by a connection of somebody's own before the process has it: then with others. */
  async function startOperator(options: OperatorOptions = {}): Promise<OperatorProcess> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await startOnFreePorts(options);
      } catch (error) {
        if (tries === 3 || !String(error).includes('EADDRINUSE')) throw error;
      }
    }
  }

  async function startOnFreePorts({ env = {}, isDoomed = false }: OperatorOptions): Promise<OperatorProcess> {
    const [webhookPort, statusAt] = [await freePort(), await freePort()];
    const settings = path.join(folder, `settings-${webhookPort}.yaml`);
    const webhook = { ...rendered.webhook, port: webhookPort };
    await writeFile(settings, JSON.stringify({ ...rendered, webhook, status: { port: statusAt } }));
    tunnel.backends.add(webhookPort);
    const main =
      Object.keys(env).length === 0 ? 'operator/main.ts' : 'test/operator/reconcile/faulty-process.ts';
    const process = await startProcess({
      args: [main, 'run', '--settings', settings],
      env: { KUBECONFIG: kubeconfig, ...env },
      ready: isDoomed ? /this process leads/ : /the webhook answers/,
      readyWithinMs: 30_000,
    });
    operators.add(process);
    void forgetWhenEnded(process, webhookPort);
    const ask = (where: string) => fetch(`http://127.0.0.1:${statusAt}${where}`);
    return {
      ...process,
      async metric(name, labels = '') {
        const lines = (await (await ask('/metrics')).text()).split('\n');
        return lines
          .filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(labels))
          .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
      },
      async health(what) {
        const answer = await ask(what);
        return { status: answer.status, ...((await answer.json()) as { reasons: string[] }) };
      },
    };
  }

  return {
    plane,
    client,
    asOperator: plane.client(kubeconfig),
    startOperator,
    async release() {
      const settings = path.join(folder, 'settings.yaml');
      await writeFile(settings, JSON.stringify(rendered));
      const args = ['operator/main.ts', 'release', '--settings', settings];
      const process = spawnProcess({ args, env: { KUBECONFIG: kubeconfig }, ready: /released/ });
      process.ready.catch(() => {});
      return { exit: await process.exited, output: process.output() };
    },
    async createNamespace() {
      namespaces += 1;
      const namespace = `case-${namespaces}`;
      await plane.createNamespace(namespace);
      const node = startNode(client, namespace, statusPort);
      nodes.push(node);
      return { namespace, node };
    },
    async listen(host, port) {
      const server = createServer((socket) => socket.on('error', () => {}));
      await new Promise<void>((bound) => server.listen(port, host, bound));
      return { close: () => new Promise((closed) => server.close(() => closed())) };
    },
    stop,
  };
}

async function install(client: KubeClient, manifests: readonly KubeObject[]): Promise<void> {
  for (const manifest of manifests) {
    const kind = INSTALLED[manifest.kind];
    if (kind !== undefined) await client.apply(kind, manifest, { fieldManager: 'helm' });
  }
}

/** Waits until a question about the cluster is answered with yes. */
export function soon<T>(ask: () => Promise<T>, withinMs = 20_000): Promise<Exclude<T, false>> {
  return eventually(ask, { withinMs, everyMs: 100 });
}
