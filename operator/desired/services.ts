/**
 * Owns what each Service is to the pods of one resource: where it leads, and how it is told to lead elsewhere.
 * Invariant: only annotations are asked for; the webhook changes the port, so that the Service's owner stays its owner.
 */
import type { EndpointSlice } from 'kubernetes-types/discovery/v1';
import type { Service, ServicePort } from 'kubernetes-types/core/v1';
import { TARGET_ANNOTATION } from '../naming.ts';
import type { Observed } from './observed.ts';
import type { PodFacts } from './pods.ts';
import type { Ports } from './ports.ts';
import { exposesServer } from './shapes.ts';
import { overlaps, serviceSelects } from './selectors.ts';
import { portsNamed } from './named-ports.ts';

/** Whose slices the control plane makes from a Service's selector. */
const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

export interface ServiceFacts {
  name: string;
  service: Service;
  /** Of the resource, and selected by it. */
  pods: PodFacts[];
  /** `recorder`, `server`, something that is no value of ours, or null. */
  annotated: string | null;
  /** It has a numeric target port that is the server's. */
  leadsToServer: boolean;
  /** It has a numeric target port that is the recorder's. */
  leadsToRecorder: boolean;
  headless: boolean;
  /** Some port of it, by number or by name, is the server's or the recorder's. */
  isForServer: boolean;
  /** The cluster's own proxies would send calls past the recorder of a recorded pod. */
  passesBy: boolean;
  /** Names of ready pods behind it that are not the resource's. */
  strangers: string[];
}

/** The Services that lead to these pods, or led there while there were some, by name. */
export function servicesOf(
  { resource, settings, services, endpointSlices }: Observed,
  pods: readonly PodFacts[],
  ports: Ports,
): ServiceFacts[] {
  const ledBefore = ({ annotated, service }: ServiceFacts) =>
    annotated !== null && pods.length === 0 && overlaps(service.spec?.selector, resource.spec.selector, []);
  // Also where pods of another mode, or from before a change of the settings, have theirs.
  const recorders = new Set([
    settings.sidecar.ports.recorder,
    ...pods.map(({ recorderPort }) => recorderPort ?? ports.recorder),
  ]);
  recorders.delete(ports.original);
  return services
    .filter(({ spec }) => spec?.type !== 'ExternalName')
    .map((service) => factsOf(service, endpointSlices, pods, ports, recorders))
    .filter((facts) => facts.pods.length > 0 || ledBefore(facts))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function factsOf(
  service: Service,
  slices: readonly EndpointSlice[],
  pods: readonly PodFacts[],
  ports: Ports,
  recorders: ReadonlySet<number>,
): ServiceFacts {
  const name = service.metadata?.name ?? '';
  const numeric = (service.spec?.ports ?? []).map(numericTarget);
  const own = slices.filter((slice) => serviceOf(slice) === name);
  const selected = pods.filter(({ labels }) => serviceSelects(service.spec?.selector, labels));
  return {
    name,
    service,
    pods: selected,
    annotated: service.metadata?.annotations?.[TARGET_ANNOTATION] ?? null,
    leadsToServer: numeric.includes(ports.original),
    leadsToRecorder: numeric.some((port) => port !== null && recorders.has(port)),
    headless: service.spec?.clusterIP === 'None',
    isForServer:
      numeric.some((port) => port === ports.original || port === ports.recorder) ||
      namedTargets(service).some((target) =>
        selected.some(({ pod }) =>
          portsNamed(target, pod).some((port) => port === ports.original || port === ports.recorder),
        ),
      ),
    passesBy: own.some((slice) => leadsPast(slice, selected, ports)),
    strangers: strangersIn(own, pods),
  };
}

/** The target port of a TCP port where it is a number; a port without one leads to the pods' port of the same number. */
function numericTarget({ port, targetPort, protocol = 'TCP' }: ServicePort): number | null {
  if (protocol !== 'TCP') return null;
  if (targetPort === undefined) return port;
  const number = Number(targetPort);
  return Number.isInteger(number) && number > 0 ? number : null;
}

function namedTargets({ spec }: Service): string[] {
  return (spec?.ports ?? [])
    .map(({ targetPort }) => targetPort)
    .filter((target) => typeof target === 'string');
}

function serviceOf({ metadata }: EndpointSlice): string | null {
  return metadata?.labels?.['kubernetes.io/service-name'] ?? null;
}

/** Whether a slice sends calls to the server's own port of a recorded pod. */
function leadsPast(slice: EndpointSlice, pods: readonly PodFacts[], ports: Ports): boolean {
  if (!hasPort(slice, ports.original)) return false;
  const exposed = new Set(
    pods.filter((pod) => pod.recorded && exposesServer(pod, ports)).map(({ uid }) => uid),
  );
  return slice.endpoints.some(
    ({ targetRef, conditions }) => conditions?.ready !== false && exposed.has(targetRef?.uid ?? ''),
  );
}

function hasPort({ ports = [] }: EndpointSlice, wanted: number): boolean {
  return ports.some(({ port, protocol = 'TCP' }) => protocol === 'TCP' && port === wanted);
}

function strangersIn(slices: readonly EndpointSlice[], pods: readonly PodFacts[]): string[] {
  const known = new Set(pods.map(({ uid }) => uid));
  const names = slices
    .flatMap(({ endpoints }) => endpoints)
    .filter(({ targetRef, conditions }) => conditions?.ready !== false && targetRef?.kind === 'Pod')
    .filter(({ targetRef }) => !known.has(targetRef?.uid ?? ''))
    .map(({ targetRef }) => targetRef?.name ?? '');
  return [...new Set(names)].sort();
}

/** Names of hand-made slices that lead to the server's own port of recorded pods: nobody corrects those but their maker. */
export function handMadeSlices(
  slices: readonly EndpointSlice[],
  pods: readonly PodFacts[],
  ports: Ports,
): string[] {
  const exposed = pods.filter((pod) => pod.recorded && exposesServer(pod, ports));
  const addresses = new Set(
    exposed.flatMap(({ pod }) => [pod.status?.podIP, ...(pod.status?.podIPs ?? []).map(({ ip }) => ip)]),
  );
  return slices
    .filter(
      ({ metadata }) => metadata?.labels?.['endpointslice.kubernetes.io/managed-by'] !== SLICE_CONTROLLER,
    )
    .filter((slice) => hasPort(slice, ports.original))
    .filter(({ endpoints }) =>
      endpoints.some(({ addresses: at }) => at.some((address) => addresses.has(address))),
    )
    .map(({ metadata }) => metadata?.name ?? '')
    .sort();
}
