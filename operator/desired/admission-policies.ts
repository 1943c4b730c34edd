/**
 * Owns the ValidatingAdmissionPolicies and their bindings: what the API server itself refuses, also when no webhook runs.
 * Invariants: all are owned by the chart's ClusterRole, and none outlives it. A policy with resources as parameters never matches the
 * operator's namespace or kube-system: while the kind of its parameters is not served (a CRD was deleted), it denies everything that it
 * matches, and then the operator must be able to come back and take it away.
 */
import type {
  NamedRuleWithOperations,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from 'kubernetes-types/admissionregistration/v1';
import type { LabelSelector } from 'kubernetes-types/meta/v1';
import { clusterNames, MANAGED_BY, MANAGED_BY_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import {
  connectRules,
  injectedRules,
  keptRules,
  markerRules,
  ownedRules,
  type Rules,
  selectionRules,
} from './admission-rules.ts';

const API = 'admissionregistration.k8s.io/v1';
const PARAM_KIND = { apiVersion: 'mcp-recorder.dev/v1alpha1', kind: 'RecordedMCPServer' };
/** Each resource of the request's namespace may object; where there is none, nobody does. */
const EACH_RESOURCE = { selector: {}, parameterNotFoundAction: 'Allow' };

interface Policy {
  name: string;
  /** What it looks at. */
  on: NamedRuleWithOperations[];
  rules: Rules;
  /** It is asked once for each resource of the namespace. */
  perResource: boolean;
}

/**
 * The policies, each followed by its binding.
 * @param clusterRole the chart's ClusterRole, which owns them
 */
export function admissionPolicies(
  settings: Settings,
  clusterRole: { name: string; uid: string },
): (ValidatingAdmissionPolicy | ValidatingAdmissionPolicyBinding)[] {
  return policiesOf(settings).flatMap((policy) => {
    const metadata = {
      name: policy.name,
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      ownerReferences: [{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', ...clusterRole }],
    };
    return [
      {
        apiVersion: API,
        kind: 'ValidatingAdmissionPolicy',
        metadata,
        spec: {
          failurePolicy: 'Fail',
          ...(policy.perResource ? { paramKind: PARAM_KIND } : {}),
          matchConstraints: {
            resourceRules: policy.on,
            namespaceSelector: namespaces(settings, policy.perResource),
          },
          ...policy.rules,
        },
      },
      {
        apiVersion: API,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata,
        spec: {
          policyName: policy.name,
          validationActions: ['Deny'],
          ...(policy.perResource ? { paramRef: EACH_RESOURCE } : {}),
        },
      },
    ];
  });
}

function policiesOf(settings: Settings): Policy[] {
  const names = clusterNames(settings.fullname);
  const owned = ['UPDATE', 'DELETE'];
  const ways = ['pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy'];
  const always: Policy[] = [
    {
      name: names.injectedPolicy,
      on: [on('', ['CREATE'], ['pods'])],
      rules: injectedRules(settings),
      perResource: true,
    },
    {
      name: names.markerPolicy,
      // With its status a pod's labels can be written too.
      on: [on('', ['CREATE', 'UPDATE'], ['pods']), on('', ['UPDATE'], ['pods/status'])],
      rules: markerRules(settings),
      perResource: false,
    },
    {
      name: names.selectionPolicy,
      on: [on('', ['UPDATE'], ['pods'])],
      rules: selectionRules(),
      perResource: true,
    },
    {
      name: names.ownedPolicy,
      on: [on('', owned, ['configmaps']), on('networking.k8s.io', owned, ['networkpolicies'])],
      rules: ownedRules(settings),
      perResource: false,
    },
    {
      name: names.keptPolicy,
      on: [on('mcp-recorder.dev', ['CREATE', 'UPDATE'], ['recordedmcpservers'], 'v1alpha1')],
      rules: keptRules(),
      perResource: false,
    },
  ];
  if (!settings.restrictConnect) return always;
  const connect = {
    name: names.connectPolicy,
    on: [on('', ['CONNECT'], ways), on('', ['UPDATE'], ['pods/ephemeralcontainers'])],
    rules: connectRules(),
    perResource: true,
  };
  return [...always, connect];
}

/** The package of types does not know `resources`. */
function on(
  apiGroup: string,
  operations: string[],
  resources: string[],
  version = 'v1',
): NamedRuleWithOperations {
  const rule = { apiGroups: [apiGroup], apiVersions: [version], operations, resources };
  return rule;
}

/** The namespaces that the operator looks after, without those that must live whatever becomes of the CRD. */
function namespaces({ watchNamespaces, namespace }: Settings, perResource: boolean): LabelSelector {
  const key = 'kubernetes.io/metadata.name';
  return {
    matchExpressions: [
      ...(watchNamespaces.length === 0 ? [] : [{ key, operator: 'In', values: watchNamespaces }]),
      ...(perResource ? [{ key, operator: 'NotIn', values: [namespace, 'kube-system'] }] : []),
    ],
  };
}
