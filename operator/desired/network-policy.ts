/**
 * Owns the NetworkPolicy of one resource: who reaches which port of its pods.
 * Invariant: it selects every recorded pod, and admits no port on which a server can be reached past its recorder, until the resource is
 * being deleted.
 */
import type {
  NetworkPolicy,
  NetworkPolicyIngressRule,
  NetworkPolicySpec,
} from 'kubernetes-types/networking/v1';
import type { LabelSelector } from 'kubernetes-types/meta/v1';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { SERVER_LABEL } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { canonicalJson } from './canonical-json.ts';
import { ownedMetadata } from './owned.ts';

export interface Openings {
  /** Ports of recorders, for `spec.traffic.clients`. */
  recorder: readonly number[];
  /** Ports of recorders that the operator and monitoring ask. */
  status: number;
  /** For everyone. */
  others: readonly { port: number; protocol: string }[];
  /** Select also pods that have no recorder yet: nobody reaches those at all. */
  closesUnrecorded: boolean;
}

export function networkPolicyOf(
  resource: RecordedMCPServer,
  settings: Settings,
  { recorder, status, others, closesUnrecorded }: Openings,
): NetworkPolicy {
  const { clients = [] } = resource.spec.traffic;
  const rules: NetworkPolicyIngressRule[] = [];
  if (recorder.length > 0) {
    rules.push({
      ...(clients.length === 0 ? {} : { from: clients }),
      ports: recorder.map((port) => tcp(port)),
    });
  }
  rules.push({ from: statusReaders(settings), ports: [tcp(status)] });
  if (others.length > 0) rules.push({ ports: others.map(({ port, protocol }) => ({ protocol, port })) });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: ownedMetadata(resource),
    spec: {
      podSelector: closesUnrecorded ? resource.spec.selector : marked(resource),
      policyTypes: ['Ingress'],
      ingress: rules,
      // Owned, so that what another manager puts here goes again: applying a policy leaves the fields that it does not name.
      egress: [],
    },
  };
}

/** The policy that stands, with what it says as it is: while it is not known what it should say. */
export function keptPolicy(resource: RecordedMCPServer, { spec }: NetworkPolicy): NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: ownedMetadata(resource),
    ...(spec === undefined ? {} : { spec }),
  };
}

function marked({ metadata }: RecordedMCPServer): LabelSelector {
  return { matchLabels: { [SERVER_LABEL]: metadata.name ?? '' } };
}

function statusReaders({ namespace, monitoring }: Settings): NonNullable<NetworkPolicyIngressRule['from']> {
  const operator = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } };
  if (monitoring === null) return [operator];
  const { namespaceSelector, podSelector } = monitoring;
  return [operator, { namespaceSelector, ...(podSelector === undefined ? {} : { podSelector }) }];
}

function tcp(port: number): { protocol: string; port: number } {
  return { protocol: 'TCP', port };
}

/** Whether two policies say the same, one of them as the API server gives it back: with its defaults, without what is empty. */
export function saysTheSame(wanted: NetworkPolicy, standing: NetworkPolicy): boolean {
  return canonicalJson(normal(wanted.spec)) === canonicalJson(normal(standing.spec));
}

function normal(spec: NetworkPolicySpec | undefined): unknown {
  const { podSelector = {}, ingress = [], egress = [], policyTypes } = spec ?? {};
  const rules = (given: NetworkPolicyIngressRule[]) =>
    given.map(({ from = [], ports = [] }) => ({
      from,
      ports: ports.map(({ protocol = 'TCP', ...rest }) => ({ protocol, ...rest })),
    }));
  return withoutEmptyParts({
    podSelector,
    ingress: rules(ingress),
    egress,
    policyTypes: (policyTypes ?? (egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'])).toSorted(),
  });
}

/** Empty lists and mappings within selectors left out, as they mean the same. */
function withoutEmptyParts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyParts);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key, part]) => !(SELECTOR_PARTS.has(key) && isEmpty(part)));
  return Object.fromEntries(entries.map(([key, part]) => [key, withoutEmptyParts(part)]));
}

/** Left out or empty, these mean the same; an empty `podSelector` or `namespaceSelector` of a peer does not. */
const SELECTOR_PARTS = new Set(['matchLabels', 'matchExpressions', 'values', 'except']);

function isEmpty(value: unknown): boolean {
  return value == null || (typeof value === 'object' && Object.keys(value).length === 0);
}
