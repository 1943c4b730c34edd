/**
 * Owns what a node would do for the pods of a test: each gets an address of the loopback network and becomes ready; where the webhook put a
 * recorder into it, a stand-in answers on its status port, with the pod's own token as the API server issues it, and with the digest of the
 * configuration that stands.
 */
import { configurationDigest } from '@mcp-recorder/sidecar/config/signature';
import type { Pod } from 'kubernetes-types/core/v1';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { SERVER_LABEL } from '../../../operator/naming.ts';
import { CONFIG_MAPS, PODS, type Stored } from '../../../operator/reconcile/kinds.ts';
import { healthyLink, type StatusPort, startStatusPort } from '../../support/status-port.ts';

export interface RunningPod {
  name: string;
  uid: string;
  address: string;
  /** The resource that its recorder is of; null without a recorder. */
  server: string | null;
  /** How its recorder differs from a healthy one. */
  changes: Parameters<typeof healthyLink>[0];
}

export interface Node {
  /** Pods of the namespace that run. */
  running(): RunningPod[];
  stop(): Promise<void>;
}

const ACCOUNTS: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
const EVERY_MS = 50;
let addresses = 0;

/** Runs the pods of a namespace, as they come. */
export function startNode(client: KubeClient, namespace: string, statusPort: number): Node {
  const known = new Map<string, { pod: RunningPod; recorder: StatusPort | null }>();
  let stopped = false;

  async function look(): Promise<void> {
    const pods = await client.list(PODS, { namespace });
    const uids = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const pod of pods) if (!known.has(pod.metadata.uid ?? '')) await run(pod);
    for (const [uid, { recorder }] of known) {
      if (uids.has(uid)) continue;
      known.delete(uid);
      await recorder?.close();
    }
  }

  async function run(pod: Stored<Pod>): Promise<void> {
    const { name, uid = '', labels = {} } = pod.metadata;
    addresses += 1;
    const address = `127.1.${Math.floor(addresses / 250)}.${(addresses % 250) + 1}`;
    const running: RunningPod = { name, uid, address, server: labels[SERVER_LABEL] ?? null, changes: {} };
    const recorder = running.server === null ? null : await startRecorder(running);
    known.set(uid, { pod: running, recorder });
    const now = new Date().toISOString();
    const status = {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }],
    };
    await client.patch(PODS, { namespace, name }, { status }, { subresource: 'status' });
  }

  async function startRecorder(pod: RunningPod): Promise<StatusPort> {
    const recorder = await startStatusPort({ host: pod.address, port: statusPort });
    const token = await tokenOf(client, namespace, pod);
    const at = { namespace, name: `${pod.server}-mcp-recorder` };
    recorder.answer((_, response) => {
      void (async () => {
        const configMap = await client.find(CONFIG_MAPS, at).catch(() => null);
        const digest = configurationDigest(namespace, pod.server ?? '', configMap?.data ?? {});
        response.end(JSON.stringify(healthyLink({ token, digest, ...pod.changes })));
      })();
    });
    return recorder;
  }

  async function work(): Promise<void> {
    while (!stopped) {
      // What fails (an API server that was killed, a pod that went meanwhile) is tried again.
      await look().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    for (const { recorder } of known.values()) await recorder?.close();
  }
  const working = work();
  return {
    running: () => [...known.values()].map(({ pod }) => pod),
    async stop() {
      stopped = true;
      await working;
    },
  };
}

/** A token as the kubelet puts it into the pod. */
async function tokenOf(client: KubeClient, namespace: string, { name, uid }: RunningPod): Promise<string> {
  const spec = {
    audiences: ['mcp-recorder-operator'],
    boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
  };
  const metadata = { namespace, name: 'default' };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata, spec };
  const made = await client.create(ACCOUNTS, request, { subresource: 'token' });
  return (made as KubeObject & { status: { token: string } }).status.token;
}
