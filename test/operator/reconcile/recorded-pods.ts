/**
 * Owns pods that seem to run: admitted and injected by the real webhook, with an address of the loopback network where a stand-in for their
 * recorder answers with the pod's own token, as the API server issues it.
 */
import type { KubeClient } from '../../../operator/kube/client.ts';
import { isKubeError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { SERVER_LABEL } from '../../../operator/naming.ts';
import { CONFIG_MAPS, PODS } from '../../../operator/reconcile/kinds.ts';
import { configurationDigest } from '@mcp-recorder/sidecar/config/signature';
import { healthyLink, type StatusPort, startStatusPort } from '../../support/status-port.ts';
import { createPod } from './cluster.ts';
import { soon } from './stage.ts';

const TOKENS: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

export interface RecordedPod {
  name: string;
  uid: string;
  address: string;
  recorder: StatusPort;
  /** Answers as a healthy recorder does, with these differences. */
  answer(changes?: Parameters<typeof healthyLink>[0]): Promise<void>;
}

let addresses = 1;

/** A namespace where pods can be made: with the service account that they run as. */
export async function createServiceAccount(client: KubeClient, namespace: string): Promise<void> {
  const metadata = { namespace, name: 'default' };
  await client.create(TOKENS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
}

/** Makes a pod of a resource, lets it be injected, and lets it run. */
export async function runPod(
  client: KubeClient,
  at: { namespace: string; server: string; name: string; statusPort: number },
): Promise<RecordedPod> {
  const { namespace, server, name, statusPort } = at;
  const pod = await soon(() => admitPod(client, namespace, name, { app: server }));
  addresses += 1;
  const address = `127.0.1.${addresses}`;
  const recorder = await startStatusPort({ host: address, port: statusPort });
  const { uid = '' } = pod.metadata;
  const token = await tokenOf(client, namespace, { name, uid });

  const recorded: RecordedPod = {
    name,
    uid,
    address,
    recorder,
    async answer(changes = {}) {
      const configMap = await client.find(CONFIG_MAPS, { namespace, name: `${server}-mcp-recorder` });
      const digest = configurationDigest(namespace, server, configMap?.data ?? {});
      recorder.answer(healthyLink({ token, digest, ...changes }));
    },
  };
  await recorded.answer();
  const now = new Date().toISOString();
  const status = {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }],
  };
  await client.patch(PODS, { namespace, name }, { status }, { subresource: 'status' });
  return recorded;
}

/** Makes a pod; one that was made before the webhook is asked about it goes again. */
async function admitPod(client: KubeClient, namespace: string, name: string, labels: Record<string, string>) {
  try {
    const pod = await createPod(client, namespace, name, { labels });
    if (pod.metadata.labels?.[SERVER_LABEL] !== undefined) return pod;
    await client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0 });
    return false;
  } catch (error) {
    if (isKubeError(error, 'Forbidden', 'InternalError')) return false;
    throw error;
  }
}

/** A token as the kubelet puts it into the pod. */
async function tokenOf(
  client: KubeClient,
  namespace: string,
  pod: { name: string; uid: string },
): Promise<string> {
  const spec = {
    audiences: ['mcp-recorder-operator'],
    boundObjectRef: { kind: 'Pod', apiVersion: 'v1', ...pod },
  };
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { namespace, name: 'default' },
    spec,
  };
  const made = await client.create(TOKENS, request, { subresource: 'token' });
  return (made as KubeObject & { status: { token: string } }).status.token;
}
