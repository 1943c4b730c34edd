/**
 * Owns what the tests of the operator's effects put into a real API server: resources, pods, Services, and plans about them.
 */
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import type { Plan } from '../../../operator/desired/plan.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject } from '../../../operator/kube/resource.ts';
import {
  DEPLOYMENTS,
  PODS,
  RECORDED_SERVERS,
  SERVICES,
  type Stored,
} from '../../../operator/reconcile/kinds.ts';

export const CRD_FILE = 'crds/recordedmcpservers.yaml';

export function createServer(
  client: KubeClient,
  namespace: string,
  name: string,
  spec: object = {},
): Promise<Stored<RecordedMCPServer>> {
  const least = { storage: { store: 'default' }, auth: { mode: 'Anonymous' } };
  const whole = { selector: { matchLabels: { app: name } }, ...least, ...spec };
  const object = {
    apiVersion: 'mcp-recorder.dev/v1alpha1',
    kind: 'RecordedMCPServer',
    metadata: { namespace, name },
    spec: whole,
  };
  return client.create(RECORDED_SERVERS, object);
}

/** A pod of a server that listens on 8080; nothing runs it, so its status is what a test sets. */
export function createPod(
  client: KubeClient,
  namespace: string,
  name: string,
  metadata: Partial<KubeObject['metadata']> = {},
) {
  const ports = [{ name: 'mcp', containerPort: 8080 }];
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, ...metadata },
    spec: {
      serviceAccountName: 'default',
      containers: [{ name: 'server', image: 'example.com/server:1', ports }],
    },
  };
  return client.create(PODS, object);
}

export function createService(client: KubeClient, namespace: string, name: string, selector: object) {
  const ports = [{ port: 80, targetPort: 8080, protocol: 'TCP' }];
  const object = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { selector, ports },
  };
  return client.create(SERVICES, object, { fieldManager: 'owner' });
}

export function createDeployment(client: KubeClient, namespace: string, name: string, replicas = 2) {
  const labels = { app: name };
  const containers = [{ name: 'server', image: 'example.com/server:1', ports: [{ containerPort: 8080 }] }];
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { serviceAccountName: 'default', containers } },
    },
  };
  return client.apply(DEPLOYMENTS, object, { fieldManager: 'owner' });
}

/** A plan that asks for nothing. */
export function emptyPlan(changes: Partial<Plan> = {}): Plan {
  return {
    admission: true,
    configMap: null,
    networkPolicy: null,
    services: [],
    restart: [],
    touch: [],
    evict: [],
    status: { phase: 'Pending' },
    finalizer: true,
    events: [],
    memory: { servicesRightSinceMs: null, closedSinceMs: null, peers: {} },
    againMs: 15_000,
    ...changes,
  };
}
