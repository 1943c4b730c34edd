/**
 * Owns the scene of the admission tests: a real API server with our policies, without webhook and operator; pods that nobody runs.
 * Invariant: every policy is in force before a test asks what passes.
 */
import path from 'node:path';
import { admissionPolicies } from '../../../operator/desired/admission-policies.ts';
import type { KubeClient } from '../../../operator/kube/client.ts';
import { KubeError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject, Resource } from '../../../operator/kube/resource.ts';
import type { Settings } from '../../../operator/settings.ts';
import { type ControlPlane, startControlPlane } from '../../support/control-plane.ts';
import { eventually } from '../../support/poll.ts';

export const IMAGE = 'registry.example.com/tools/mcp-recorder-sidecar:0.1.0';
/** What the policies look at, of the operator's settings. */
export const SETTINGS = {
  fullname: 'recorder',
  namespace: 'mcp-recorder',
  serviceAccount: 'recorder',
  watchNamespaces: [] as string[],
  sidecar: { image: IMAGE },
  restrictConnect: true,
} as Settings;

export const RECORDER = { name: 'mcp-recorder', image: IMAGE, restartPolicy: 'Always' };
export const MARKED = { 'mcp-recorder.dev/server': 'github' };
/** Labels that the resource `github` of the namespace `tools` selects. */
export const SELECTED = { app: 'github' };

export type Kind = Resource<KubeObject & Record<string, unknown>>;
export const kind = (
  group: string,
  plural: string,
  name: string,
  namespaced = true,
  version = 'v1',
): Kind => ({
  group,
  version,
  plural,
  kind: name,
  namespaced,
});
export const PODS = kind('', 'pods', 'Pod');
export const CONFIG_MAPS = kind('', 'configmaps', 'ConfigMap');
export const NETWORK_POLICIES = kind('networking.k8s.io', 'networkpolicies', 'NetworkPolicy');
export const RBAC = 'rbac.authorization.k8s.io';
export const CLUSTER_ROLES = kind(RBAC, 'clusterroles', 'ClusterRole', false);
export const RESOURCES = kind(
  'mcp-recorder.dev',
  'recordedmcpservers',
  'RecordedMCPServer',
  true,
  'v1alpha1',
);
export const POLICY_KINDS: Record<string, Kind> = {
  ValidatingAdmissionPolicy: kind(
    'admissionregistration.k8s.io',
    'validatingadmissionpolicies',
    'ValidatingAdmissionPolicy',
    false,
  ),
  ValidatingAdmissionPolicyBinding: kind(
    'admissionregistration.k8s.io',
    'validatingadmissionpolicybindings',
    'ValidatingAdmissionPolicyBinding',
    false,
  ),
};

/** What the policies say, word for word. */
export const INJECTED =
  'recorder-injected: RecordedMCPServer github selects this pod, so it must carry the recorder. The webhook of the operator in namespace mcp-recorder adds it, and this pod came without; see whether the operator runs';
export const MARKER_CREATE =
  "recorder-marker: the label mcp-recorder.dev/server marks pods that carry the recorder, and this one does not. Leave the label out; the operator's webhook sets it";
export const MARKER_UPDATE =
  'recorder-marker: the label mcp-recorder.dev/server closes the ways around the recorder, and no pod gets or loses it in its life. Delete the pod, or its RecordedMCPServer';
export const MARKER_IMAGE =
  "recorder-marker: the image of a running recorder can't be changed. Restart the pod's workload: new pods get the image of the operator's settings";
export const SELECTION =
  'recorder-selection: these labels take a running pod into the selection of RecordedMCPServer github or out of it. A pod gets its recorder when it is created: change the labels in the template of its workload';
export const OWNED =
  'recorder-owned: the operator of mcp-recorder keeps this object for a RecordedMCPServer, and nobody else changes it. Change or delete the RecordedMCPServer';
export const KEPT =
  'recorder-kept: a RecordedMCPServer is deleted with its owners, so its ownerReferences are set by who may delete it. Leave them as they are';
export const CONNECT =
  'exec, attach, port-forward, proxies and ephemeral containers lead around the recorder of RecordedMCPServer NAME. Who must use them in this namespace needs the verb bypass on it';

export function object(of: Kind, namespace: string | null, name: string, rest: object = {}): KubeObject {
  const { metadata = {}, ...content } = rest as { metadata?: object };
  return {
    apiVersion: of.group === '' ? of.version : `${of.group}/${of.version}`,
    kind: of.kind,
    metadata: { name, ...(namespace === null ? {} : { namespace }), ...metadata },
    ...content,
  };
}

/** A resource of ours. */
export const resource = (
  name: string,
  selector: object,
  { namespace = 'tools', ...rest }: { namespace?: string; metadata?: object } = {},
) =>
  object(RESOURCES, namespace, name, {
    spec: { selector, storage: { store: 'default' }, auth: { mode: 'Anonymous' } },
    ...rest,
  });

/** What a policy said to an attempt, after the policy's name; null when it was let pass. */
export async function refusal(attempt: Promise<unknown>): Promise<string | null> {
  try {
    await attempt;
    return null;
  } catch (error) {
    const said = /ValidatingAdmissionPolicy '([\w-]+)'.*? denied request: (.*)/s.exec(
      error instanceof KubeError ? error.message : '',
    );
    if (said === null) throw error;
    return `${said[1]}: ${said[2]?.replace(/\. The operator's role must allow it.*$/s, '')}`;
  }
}

/** How long what was applied may take to come into force. */
export const SOON = { withinMs: 20_000, everyMs: 50 };

export const refusedSoon = (attempt: () => Promise<unknown>, words: string) =>
  eventually(async () => (await refusal(attempt())) === words, SOON);

export interface Scene {
  cluster: ControlPlane;
  admin: KubeClient;
  /** The ClusterRole that owns the policies. */
  role: { name: string; uid: string };
  /** Creates a pod; the answer is its name. @param options.recorder its container; null: none */
  createPod(options?: {
    labels?: Record<string, string>;
    recorder?: object | null;
    namespace?: string;
  }): Promise<string>;
  /** Changes labels of a pod; null takes one away. */
  relabel(name: string, labels: Record<string, string | null>, namespace?: string): Promise<unknown>;
  /** A name that no object has yet. */
  newName(): string;
  install(settings: Settings): Promise<void>;
  uninstall(settings: Settings): Promise<void>;
  stop(): Promise<void>;
}

/** Namespaces `tools`, with the resource `github`, `others` and the operator's; the policies of SETTINGS are in force. */
export async function startScene(): Promise<Scene> {
  const cluster = await startControlPlane();
  try {
    return await prepare(cluster);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function prepare(cluster: ControlPlane): Promise<Scene> {
  await cluster.installCrds(path.join(import.meta.dirname, '../../../crds/recordedmcpservers.yaml'));
  for (const name of ['tools', 'others', SETTINGS.namespace]) await cluster.createNamespace(name);
  const admin = cluster.client();
  const { metadata } = await admin.create(
    CLUSTER_ROLES,
    object(CLUSTER_ROLES, null, SETTINGS.fullname, { rules: [] }),
  );
  const role = { name: SETTINGS.fullname, uid: metadata.uid ?? '' };
  let made = 0;
  const scene: Scene = {
    cluster,
    admin,
    role,
    newName: () => `object-${made++}`,
    async createPod({ labels = {}, recorder = null, namespace = 'tools' } = {}) {
      const name = scene.newName();
      const spec = {
        containers: [{ name: 'server', image: 'server:1' }],
        ...(recorder === null ? {} : { initContainers: [recorder] }),
      };
      await admin.create(PODS, object(PODS, namespace, name, { metadata: { labels }, spec }));
      return name;
    },
    relabel: (name, labels, namespace = 'tools') =>
      admin.patch(PODS, { namespace, name }, { metadata: { labels } }),
    async install(settings) {
      for (const policy of admissionPolicies(settings, role) as KubeObject[]) {
        await admin.apply(POLICY_KINDS[policy.kind] as Kind, policy);
      }
    },
    async uninstall(settings) {
      for (const { kind: of, metadata: policy } of admissionPolicies(settings, role) as KubeObject[]) {
        await admin.delete(POLICY_KINDS[of] as Kind, { namespace: null, name: policy.name });
      }
    },
    stop: () => cluster.stop(),
  };
  await admin.create(RESOURCES, resource('github', { matchLabels: SELECTED }));
  await scene.install(SETTINGS);
  await inForce(scene);
  return scene;
}

async function inForce({ admin, createPod, relabel }: Scene): Promise<void> {
  const bare = await createPod();
  await refusedSoon(() => createPod({ labels: SELECTED }), INJECTED);
  await refusedSoon(() => createPod({ labels: MARKED }), MARKER_CREATE);
  await refusedSoon(() => relabel(bare, SELECTED), SELECTION);
  const labels = { 'app.kubernetes.io/managed-by': 'mcp-recorder', 'mcp-recorder.dev/resource': 'github' };
  const canary = { namespace: 'tools', name: 'canary' };
  await admin.create(CONFIG_MAPS, object(CONFIG_MAPS, 'tools', 'canary', { metadata: { labels } }));
  await refusedSoon(() => admin.patch(CONFIG_MAPS, canary, { data: { x: 'y' } }), OWNED);
}
