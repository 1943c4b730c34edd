/**
 * Owns a real API server that asks the real webhook: by address instead of through a Service, because there is no network for one.
 * Invariant: what a test registers is what the operator would, but for that address.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Pod } from 'kubernetes-types/core/v1';
import { pino } from 'pino';
import type { RecordedMCPServer } from '../../../operator/api/recorded-mcp-server.ts';
import { resourceWebhook } from '../../../operator/desired/resource-webhook.ts';
import { webhookConfigurations } from '../../../operator/desired/webhook-configurations.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import { VALIDATING_WEBHOOKS } from '../../../operator/reconcile/kinds.ts';
import { createAuthority, issueCertificate } from '../../../operator/webhook/issue-certificate.ts';
import type { Answer, Verdict } from '../../../operator/webhook/admission.ts';
import { judgePod, type JudgeParts } from '../../../operator/webhook/judge.ts';
import { createWebhookServer, type WebhookServer } from '../../../operator/webhook/server.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';
import { rigProgram } from '../../support/rig-programs.ts';
import { settings } from '../webhook/scene.ts';

export const RESOURCES: Resource<RecordedMCPServer & KubeObject> = {
  group: 'mcp-recorder.dev',
  version: 'v1alpha1',
  plural: 'recordedmcpservers',
  kind: 'RecordedMCPServer',
  namespaced: true,
};
export const PODS: Resource<Pod & KubeObject> = core('pods', 'Pod');
export const CONFIGURATIONS: Resource = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  namespaced: false,
};
const CLUSTER_ROLES: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};
const ACCOUNTS: Resource = core('serviceaccounts', 'ServiceAccount');
const CRD = path.join(import.meta.dirname, '../../../crds/recordedmcpservers.yaml');

export function core<T extends KubeObject>(plural: string, kind: string): Resource<T> {
  return { group: '', version: 'v1', plural, kind, namespaced: true };
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface AdmissionScene {
  api: KubeClient;
  plane: ControlPlane;
  /** With the service accounts of the tests' pods. */
  createNamespace(name: string): Promise<void>;
  /** What the webhook would make of a pod, unasked. */
  judge(pod: Pod): Promise<Verdict>;
  /** What the webhook answered, in order. */
  answers: { kind: string; outcome: Answer['outcome'] }[];
  /** Runs kubectl with all rights. @param input YAML or JSON for `-f -` */
  kubectl(args: string, input?: string | object): Promise<Ran>;
  /** Makes a resource, and waits until the API server asks about its pods. */
  record(resource: RecordedMCPServer, phase?: string): Promise<void>;
  /** The webhook dies and comes back, at another port; the configuration is written anew when it is back. */
  stopWebhook(): Promise<void>;
  startWebhook(): Promise<void>;
  stop(): Promise<void>;
}

export async function startAdmission(): Promise<AdmissionScene> {
  const plane = await startControlPlane({ serviceAccounts: true });
  await plane.installCrds(CRD);
  const api = plane.client();
  const role = await api.apply(CLUSTER_ROLES, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'mcp-recorder' },
  });
  const times = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000) };
  const authority = await createAuthority(times);
  const certificate = await issueCertificate(authority, {
    ...times,
    commonName: 'localhost',
    dnsNames: ['localhost'],
    use: 'server',
  });
  const answers: AdmissionScene['answers'] = [];
  let server: WebhookServer | null = null;

  const parts: JudgeParts = {
    lookup: {
      resourcesOf: (namespace) => api.list(RESOURCES, { namespace }),
      podsOf: (namespace) => api.list(PODS, { namespace }),
    },
    settings,
    configKeys: () => ['ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
    sessionKey: () => 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  };

  async function startWebhook(): Promise<void> {
    server = await createWebhookServer({
      host: '127.0.0.1',
      port: 0,
      certificate,
      parts,
      log: pino({ level: 'silent' }),
      onAnswer: ({ kind, outcome }) => void answers.push({ kind, outcome }),
    });
    await register();
  }

  async function register(): Promise<void> {
    const resources = await api.list(RESOURCES);
    const { name, uid = '' } = role.metadata;
    const { certificate: authorities } = authority;
    const asked = [
      ...webhookConfigurations(resources, settings, authorities, { name, uid }),
      resourceWebhook(settings, authorities, { name, uid }),
    ];
    for (const object of asked) {
      for (const { clientConfig } of object.webhooks ?? []) {
        clientConfig.url = `https://localhost:${server?.port}${clientConfig.service?.path}`;
        delete clientConfig.service;
      }
      const isChecking = object.kind === 'ValidatingWebhookConfiguration';
      await api.apply(isChecking ? VALIDATING_WEBHOOKS : CONFIGURATIONS, object as KubeObject);
    }
  }

  async function createNamespace(name: string): Promise<void> {
    await plane.createNamespace(name);
    for (const account of ['default', 'github-mcp']) {
      await api.create(ACCOUNTS, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: account, namespace: name },
      });
    }
  }

  const scene: AdmissionScene = {
    createNamespace,
    judge: (pod) =>
      judgePod(
        { uid: 'x', operation: 'CREATE', namespace: pod.metadata?.namespace ?? '', object: pod },
        parts,
      ),
    api,
    plane,
    answers,
    kubectl: (args, input) => run(plane.kubeconfig, args, input),
    async record(resource, phase) {
      const { status: _, ...object } = resource;
      const { uid: __, creationTimestamp: ___, ...metadata } = object.metadata;
      const named = { ...object, metadata } as KubeObject;
      await api.apply(RESOURCES, named);
      if (phase !== undefined)
        await api.applyStatus(RESOURCES, { ...withoutSpec(named), status: { phase } } as KubeObject);
      await register();
      await eventually(
        () => expectAsked(scene, metadata.namespace ?? '', resource.spec.selector.matchLabels ?? {}),
        {
          withinMs: 10_000,
          everyMs: 50,
        },
      );
      answers.length = 0;
    },
    async stopWebhook() {
      await server?.close(0);
      server = null;
    },
    startWebhook,
    async stop() {
      await server?.close(0);
      await plane.stop();
    },
  };
  await createNamespace('tools');
  await startWebhook();
  return scene;
}

/** A status is applied without what others own. */
function withoutSpec({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  return { apiVersion, kind, metadata };
}

/** A pod with these labels would get the recorder, or be refused by it. */
async function expectAsked({ kubectl }: AdmissionScene, namespace: string, labels: object): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'asked', namespace, labels },
    // With a port by number, which every resource of the tests can do with.
    spec: { containers: [{ name: 'server', image: 'x', ports: [{ containerPort: 8080 }] }] },
  };
  const { stdout, stderr } = await kubectl('create --dry-run=server -o json -f -', pod);
  const asked =
    stdout.includes('mcp-recorder.dev/server') || stderr.includes('denied the request: RecordedMCPServer');
  if (!asked) throw new Error(`the webhook is not asked yet: ${stderr}`);
}

async function run(kubeconfig: string, args: string, input?: string | object): Promise<Ran> {
  const child = spawn(rigProgram('kubectl'), ['--kubeconfig', kubeconfig, ...args.split(' ')]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => (stdout += String(bytes)));
  child.stderr.on('data', (bytes) => (stderr += String(bytes)));
  child.stdin.end(typeof input === 'object' ? JSON.stringify(input) : (input ?? ''));
  const code = await new Promise<number>((resolve) => child.once('close', (exit) => resolve(exit ?? -1)));
  return { code, stdout, stderr };
}
