/**
 * Owns our copies of the operator's objects that belong to no namespace, and of the resource's definition.
 * Invariant: of the definition only its state is kept; the schema is the most of it, and of no use here.
 */
import type {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from 'kubernetes-types/admissionregistration/v1';
import type { CustomResourceDefinition } from 'kubernetes-types/apiextensions/v1';
import type { Logger } from 'pino';
import type { KubeClient } from '../kube/client.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../naming.ts';
import {
  ADMISSION_BINDINGS,
  ADMISSION_POLICIES,
  DEFINITIONS,
  MUTATING_WEBHOOKS,
  RECORDED_SERVERS,
  type Stored,
  VALIDATING_WEBHOOKS,
} from './kinds.ts';

export interface ClusterCopies {
  definitions: Reflector<Stored<CustomResourceDefinition>>;
  webhooks: Reflector<Stored<MutatingWebhookConfiguration>>;
  resourceWebhooks: Reflector<Stored<ValidatingWebhookConfiguration>>;
  policies: Reflector<Stored<ValidatingAdmissionPolicy>>;
  bindings: Reflector<Stored<ValidatingAdmissionPolicyBinding>>;
}

/** Name of the resource's definition. */
export const DEFINITION = `${RECORDED_SERVERS.plural}.${RECORDED_SERVERS.group}`;

export function followClusterObjects(client: KubeClient, log: Logger): ClusterCopies {
  const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
  const shared = { client, namespaces: [], log };
  return {
    definitions: createReflector({
      ...shared,
      resource: DEFINITIONS,
      fieldSelector: `metadata.name=${DEFINITION}`,
      trim: stateOf,
    }),
    webhooks: createReflector({ ...shared, resource: MUTATING_WEBHOOKS, labelSelector }),
    resourceWebhooks: createReflector({ ...shared, resource: VALIDATING_WEBHOOKS, labelSelector }),
    policies: createReflector({ ...shared, resource: ADMISSION_POLICIES, labelSelector }),
    bindings: createReflector({ ...shared, resource: ADMISSION_BINDINGS, labelSelector }),
  };
}

function stateOf(definition: Stored<CustomResourceDefinition>): Stored<CustomResourceDefinition> {
  const { apiVersion, kind, metadata, status } = definition;
  const { name, uid, resourceVersion, deletionTimestamp } = metadata;
  const kept = { name, uid, resourceVersion, deletionTimestamp };
  return { apiVersion, kind, metadata: kept, status } as Stored<CustomResourceDefinition>;
}
