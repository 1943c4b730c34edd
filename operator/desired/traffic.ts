/**
 * Owns the way of the calls to the recorder: which Services are told to lead there, or back, and when.
 * Invariant: a Service is told to lead to the recorder only when every pod behind it that can serve has one, and back only when the server's
 * port is open; so none ever leads to a port that its pods do not serve.
 */
import type { Observed } from './observed.ts';
import type { Plan } from './plan.ts';
import type { PodFacts } from './pods.ts';
import type { Ports } from './ports.ts';
import type { Refusal } from './floors.ts';
import { handMadeSlices, type ServiceFacts, servicesOf } from './services.ts';
import { listed } from './verdict.ts';

export interface TrafficPlan {
  services: Plan['services'];
  /** Services that still lead past the recorder (or, on removal, still to it). */
  waitingFor: string[];
  /** Some Service is led by us: proxies need a moment after each change. */
  led: boolean;
  blocked: Refusal[];
  notes: string[];
}

/** @param closed direct access is closed, or about to be, whatever the Services do: then a Service that leads there helps nobody */
export function leadToRecorder(
  observed: Observed,
  pods: readonly PodFacts[],
  ports: Ports,
  closed: boolean,
): TrafficPlan {
  const { resource, endpointSlices } = observed;
  const facts = servicesOf(observed, pods, ports);
  if (resource.spec.traffic.mode === 'Relocate') {
    const isRelocated = ({ recorderPort }: PodFacts) => recorderPort === ports.original;
    return leadBack(facts, ({ pods }) => pods.every((pod) => pod.terminating || isRelocated(pod)));
  }
  const plan: TrafficPlan = { services: [], waitingFor: [], led: false, blocked: [], notes: [] };
  for (const service of facts) {
    const { name, leadsToServer, annotated, strangers } = service;
    if (annotated === 'recorder') plan.led = true;
    if (service.pods.length === 0) continue;
    if (leadsToServer && strangers.length > 0 && annotated !== 'recorder') {
      plan.blocked.push({
        reason: 'ServiceLeadsElsewhere',
        cause: `Service ${name} also leads to ${listed(strangers)}.`,
      });
    } else if (leadsToServer && mayLead(service, ports, closed)) {
      plan.services.push({ name, target: 'recorder' });
      plan.led = true;
    }
    if (leadsToServer || service.passesBy) plan.waitingFor.push(name);
    plan.notes.push(...notesOn(service, observed));
  }
  const handMade = handMadeSlices(endpointSlices, pods, ports);
  if (handMade.length > 0) {
    plan.notes.push(
      `EndpointSlices made by hand lead to the server's port, which is closed: ${listed(handMade)}. Let them lead to the recorder's port ${ports.recorder}.`,
    );
  }
  return plan;
}

/** Ready pods behind it must serve the recorder's port. Where direct access is closed anyway, one such pod is reason enough. */
function mayLead({ pods }: ServiceFacts, { recorder }: Ports, closed: boolean): boolean {
  const serves = (pod: PodFacts) => pod.recorded && (pod.recorderPort ?? recorder) === recorder;
  if (closed) return pods.some((pod) => serves(pod) && pod.ready);
  const staying = pods.filter(({ terminating }) => !terminating);
  return staying.length > 0 && staying.every(serves);
}

/**
 * Tells Services that were led by us to lead to the server again, and takes the annotation away from those that do.
 * @param mayLeadBack whether the pods behind the Service can be reached on the port where it led before
 */
export function leadBack(
  facts: readonly ServiceFacts[],
  mayLeadBack: (service: ServiceFacts) => boolean,
): TrafficPlan {
  const plan: TrafficPlan = { services: [], waitingFor: [], led: false, blocked: [], notes: [] };
  for (const service of facts) {
    const { name, annotated, leadsToRecorder } = service;
    if (annotated === null) continue;
    plan.waitingFor.push(name);
    plan.led = true;
    if (!leadsToRecorder) plan.services.push({ name, target: null });
    else if (mayLeadBack(service)) plan.services.push({ name, target: 'server' });
  }
  return plan;
}

function notesOn({ name, headless, service, isForServer }: ServiceFacts, { resource }: Observed): string[] {
  const notes: string[] = [];
  const { type } = service.spec ?? {};
  if (headless && isForServer) {
    notes.push(
      `Service ${name} is headless: clients that come by the addresses of pods and the server's port are refused. They must use the recorder's port, or spec.traffic.mode: Relocate.`,
    );
  }
  if ((type === 'NodePort' || type === 'LoadBalancer') && (resource.spec.traffic.clients ?? []).length > 0) {
    notes.push(
      `Service ${name} is a ${type}: what comes through a node may have the node's address, and spec.traffic.clients must admit that.`,
    );
  }
  return notes;
}
