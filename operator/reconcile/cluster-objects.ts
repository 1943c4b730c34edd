/**
 * Owns the operator's objects that belong to no namespace, webhook configurations and admission policies, as one item of work.
 * Invariants: the resource's definition is there before policies that take resources as parameters, and they go when it goes: without it
 * they would refuse every pod of the cluster. The webhook is asked before the policies demand what it adds. All are owned by the chart's
 * ClusterRole, so that they never outlive an uninstall.
 */
import type { Logger } from 'pino';
import { admissionPolicies } from '../desired/admission-policies.ts';
import { resourceWebhook } from '../desired/resource-webhook.ts';
import { webhookConfigurations } from '../desired/webhook-configurations.ts';
import type { Identity } from '../identity.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoring } from '../kube/kube-error.ts';
import type { Reflector } from '../kube/reflector.ts';
import { type KubeObject, keyOf, type OwnerReference, type Resource } from '../kube/resource.ts';
import { clusterNames } from '../naming.ts';
import type { Settings } from '../settings.ts';
import type { AdmissionState } from './admission-state.ts';
import { type ClusterCopies, DEFINITION } from './cluster-copies.ts';
import type { ServerCopy } from './copies.ts';
import { ADMISSION_POLICIES, CLUSTER_ROLES } from './kinds.ts';
import type { Written } from './written.ts';

export interface ClusterObjectParts {
  client: KubeClient;
  settings: Settings;
  servers: ServerCopy;
  copies: ClusterCopies;
  written: Written;
  admission: AdmissionState;
  identity(): Identity | null;
  /** Admission of a resource's pods has become another: it is to be decided anew when that has been followed. */
  changed(key: string): void;
  log: Logger;
}

export interface ClusterObjects {
  /**
   * @param signal after which nothing more is written
   * @throws KubeError; the queue tries again
   */
  reconcile(signal: AbortSignal): Promise<null>;
  /** The bundle of authorities in all webhook configurations, PEM; null: there are none, or they differ. */
  publishedAuthorities(): string | null;
}

/** The chart's ClusterRole, as the owner of what must go with it. @throws when there is none */
export async function chartOwner(client: KubeClient, fullname: string): Promise<OwnerReference> {
  const name = clusterNames(fullname).clusterRole;
  const role = await client.find(CLUSTER_ROLES, { namespace: null, name });
  if (role?.metadata.uid !== undefined) {
    return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', name, uid: role.metadata.uid };
  }
  throw new Error(
    `the ClusterRole ${name} of the chart is not there, and what the operator creates has to be owned by it: install the chart, or correct fullname in the settings`,
  );
}

export function createClusterObjects(parts: ClusterObjectParts): ClusterObjects {
  const { client, settings, copies, written, admission, log } = parts;

  /** Whether policies may take resources as parameters now. */
  function isDefined(): boolean {
    const definition = copies.definitions.get(null, DEFINITION);
    const { conditions } = definition?.status ?? {};
    const isEstablished = conditions?.some(({ type, status }) => type === 'Established' && status === 'True');
    const isEmpty = parts.servers.health().synced && parts.servers.size === 0;
    const isLeaving = definition?.metadata.deletionTimestamp !== undefined && isEmpty;
    return isEstablished === true && !isLeaving;
  }

  async function apply<T extends KubeObject>(
    copy: Reflector<T>,
    object: KubeObject,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const id = `${object.kind} ${object.metadata.name}`;
    const live = copy.get(null, object.metadata.name);
    if (written.stands(id, object, live)) return;
    const applied = await client.apply(copy.resource as Resource, object);
    written.note(id, object, live, applied.metadata.resourceVersion);
  }

  /** Removes what is ours and not wanted. Other installations have other names. */
  async function prune(
    copy: Reflector<KubeObject>,
    wanted: readonly KubeObject[],
    signal: AbortSignal,
  ): Promise<void> {
    const names = new Set(wanted.map(({ metadata }) => metadata.name));
    for (const { kind, metadata } of copy.list()) {
      const { name, uid } = metadata;
      if (names.has(name) || !isOurs(name, settings.fullname)) continue;
      signal.throwIfAborted();
      written.forget(`${kind} ${name}`);
      await ignoring(
        client.delete(copy.resource, { namespace: null, name }, { uid }),
        'NotFound',
        'Conflict',
      );
      log.info({ kind, name }, 'removed what is no longer wanted');
    }
  }

  async function removeAll(signal: AbortSignal): Promise<void> {
    admission.broken();
    // A binding without its policy does nothing; a policy without its binding neither.
    await prune(copies.bindings, [], signal);
    await prune(copies.policies, [], signal);
    await prune(copies.webhooks, [], signal);
    await prune(copies.resourceWebhooks, [], signal);
  }

  return {
    async reconcile(signal) {
      if (!isDefined()) {
        await removeAll(signal);
        return null;
      }
      // Of resources that are not known yet the entries would be taken away.
      if (!parts.servers.health().synced) return null;
      const identity = parts.identity();
      // Its arrival calls for this item again.
      if (identity === null) return null;
      const owner = await chartOwner(client, settings.fullname);
      const role = { name: owner.name, uid: owner.uid };
      const servers = parts.servers.list();
      const { authorities } = identity;
      const webhooks = webhookConfigurations(servers, settings, authorities, role) as KubeObject[];
      // In this order an entry that moves to an earlier object is there before it leaves the later one.
      for (const webhook of webhooks) await apply(copies.webhooks, webhook, signal);
      await prune(copies.webhooks, webhooks, signal);
      const checked = resourceWebhook(settings, authorities, role) as KubeObject;
      await apply(copies.resourceWebhooks, checked, signal);
      await prune(copies.resourceWebhooks, [checked], signal);
      const admitted = servers.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      for (const key of admission.stands(new Set(admitted.map(keyOf)))) parts.changed(key);
      const policies = admissionPolicies(settings, role) as KubeObject[];
      for (const policy of policies) {
        if (policy.kind === ADMISSION_POLICIES.kind) await apply(copies.policies, policy, signal);
        else await apply(copies.bindings, policy, signal);
      }
      await prune(copies.bindings, policies, signal);
      await prune(copies.policies, policies, signal);
      return null;
    },
    publishedAuthorities() {
      const bundles = [...copies.webhooks.list(), ...copies.resourceWebhooks.list()]
        .filter(({ metadata }) => isOurs(metadata.name, settings.fullname))
        .flatMap(({ webhooks }) => (webhooks ?? []).map(({ clientConfig }) => clientConfig.caBundle ?? ''));
      const [first] = bundles;
      if (first === undefined || bundles.some((bundle) => bundle !== first)) return null;
      return Buffer.from(first, 'base64').toString('utf8');
    },
  };
}

/** Whether an object's name is one that this installation gives; another's may begin with the same words. */
export function isOurs(name: string, fullname: string): boolean {
  const { podWebhooks, ...others } = clusterNames(fullname);
  const first = podWebhooks(0).slice(0, -1);
  const isPodWebhook = name.startsWith(first) && /^\d+$/.test(name.slice(first.length));
  return isPodWebhook || Object.values(others).includes(name);
}
