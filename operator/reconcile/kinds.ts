/**
 * Owns the kinds of objects that the operator reads and writes: where the API serves them, and what they look like.
 * Invariant: the chart's roles allow what is done with these kinds, and nothing else is done.
 */
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from 'kubernetes-types/admissionregistration/v1';
import type { CustomResourceDefinition } from 'kubernetes-types/apiextensions/v1';
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from 'kubernetes-types/apps/v1';
import type { ConfigMap, Pod, Secret, Service } from 'kubernetes-types/core/v1';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1';
import type { ClusterRole } from 'kubernetes-types/rbac/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { KubeObject, Resource } from '../kube/resource.ts';

/** An object as the API server gives it: with its name, and with what says its kind. */
export type Stored<T> = T & KubeObject;

export const RECORDED_SERVERS = namespaced<RecordedMCPServer>(
  'mcp-recorder.dev',
  'v1alpha1',
  'recordedmcpservers',
  'RecordedMCPServer',
);
export const PODS = namespaced<Pod>('', 'v1', 'pods', 'Pod');
export const SERVICES = namespaced<Service>('', 'v1', 'services', 'Service');
export const CONFIG_MAPS = namespaced<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const SECRETS = namespaced<Secret>('', 'v1', 'secrets', 'Secret');
export const ENDPOINT_SLICES = namespaced<EndpointSlice>(
  'discovery.k8s.io',
  'v1',
  'endpointslices',
  'EndpointSlice',
);
export const NETWORK_POLICIES = namespaced<NetworkPolicy>(
  'networking.k8s.io',
  'v1',
  'networkpolicies',
  'NetworkPolicy',
);
export const DEPLOYMENTS = namespaced<Deployment>('apps', 'v1', 'deployments', 'Deployment');
export const STATEFUL_SETS = namespaced<StatefulSet>('apps', 'v1', 'statefulsets', 'StatefulSet');
export const DAEMON_SETS = namespaced<DaemonSet>('apps', 'v1', 'daemonsets', 'DaemonSet');
export const REPLICA_SETS = namespaced<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet');

export const DEFINITIONS = clusterWide<CustomResourceDefinition>(
  'apiextensions.k8s.io',
  'customresourcedefinitions',
  'CustomResourceDefinition',
);
export const MUTATING_WEBHOOKS = clusterWide<MutatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'mutatingwebhookconfigurations',
  'MutatingWebhookConfiguration',
);
export const VALIDATING_WEBHOOKS = clusterWide<ValidatingWebhookConfiguration>(
  'admissionregistration.k8s.io',
  'validatingwebhookconfigurations',
  'ValidatingWebhookConfiguration',
);
export const ADMISSION_POLICIES = clusterWide<ValidatingAdmissionPolicy>(
  'admissionregistration.k8s.io',
  'validatingadmissionpolicies',
  'ValidatingAdmissionPolicy',
);
export const ADMISSION_BINDINGS = clusterWide<ValidatingAdmissionPolicyBinding>(
  'admissionregistration.k8s.io',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
);
export const CLUSTER_ROLES = clusterWide<ClusterRole>(
  'rbac.authorization.k8s.io',
  'clusterroles',
  'ClusterRole',
);

function namespaced<T>(group: string, version: string, plural: string, kind: string): Resource<Stored<T>> {
  return { group, version, plural, kind, namespaced: true };
}

function clusterWide<T>(group: string, plural: string, kind: string): Resource<Stored<T>> {
  return { group, version: 'v1', plural, kind, namespaced: false };
}
