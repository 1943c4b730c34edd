/**
 * Owns what becomes of the server's port: its names go to the recorder, and what used them in the pod uses the number.
 * Invariant: afterwards no container but the recorder gives a name to the server's port, so that a Service that targets the name leads to
 * the recorder; probes and hooks reach what they reached before.
 */
import type {
  Container,
  ContainerPort,
  LifecycleHandler,
  Pod,
  PodSpec,
  Probe,
} from 'kubernetes-types/core/v1';
import type { Changes } from './changes.ts';
import type { Flag } from './flags.ts';

export interface MovedNames {
  /** In the order in which the containers declare them. */
  names: string[];
  flags: Flag[];
}

/** Ordinary containers and native sidecars: those that run beside the server. */
export function runningContainers({ containers, initContainers = [] }: PodSpec): Container[] {
  return [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')];
}

/**
 * Takes the names of the server's port from all containers.
 * @param relocated the server gives up the port itself too
 */
export function moveNames(spec: PodSpec, port: number, relocated: boolean, changes: Changes): MovedNames {
  const moved: MovedNames = { names: [], flags: [] };
  for (const container of runningContainers(spec)) {
    const names = namesOf(container, port);
    moved.names.push(...names);
    const ports = container.ports ?? [];
    const kept = relocated
      ? ports.filter((declared) => !isServerPort(declared, port))
      : ports.map((declared) => (isServerPort(declared, port) ? withoutName(declared) : declared));
    if (names.length > 0 || kept.length < ports.length) {
      changes.setField(container, 'ports', kept.length === 0 ? undefined : kept);
    }
    if (rewriteHandlers(container, names, port, changes)) moved.flags.push('probesRewritten');
    if (relocated && usesPort(container, port)) moved.flags.push('probesThroughRecorder');
  }
  return { names: [...new Set(moved.names)], flags: [...new Set(moved.flags)] };
}

/** A name of the server's port that stands for another port too: after the move a Service would lead there. */
export function ambiguousName(pod: Pod, port: number): string | null {
  const containers = pod.spec === undefined ? [] : runningContainers(pod.spec);
  const names = containers.flatMap((container) => namesOf(container, port));
  const others = containers
    .flatMap((container) => container.ports ?? [])
    .filter((declared) => !isServerPort(declared, port));
  return names.find((name) => others.some((other) => other.name === name)) ?? null;
}

export function isServerPort({ containerPort, protocol }: ContainerPort, port: number): boolean {
  return containerPort === port && (protocol ?? 'TCP') === 'TCP';
}

function namesOf(container: Container, port: number): string[] {
  return (container.ports ?? [])
    .filter((declared) => isServerPort(declared, port))
    .flatMap(({ name }) => (name === undefined ? [] : [name]));
}

function withoutName(port: ContainerPort): ContainerPort {
  const { name: _, ...rest } = port;
  return rest;
}

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
type Handler = Probe | LifecycleHandler;

/** The kubelet looks a name up in the container's own ports only, so others' probes by the same name are not concerned. */
function rewriteHandlers(
  container: Container,
  names: readonly string[],
  port: number,
  changes: Changes,
): boolean {
  let rewritten = false;
  for (const field of PROBES) {
    const probe = container[field];
    const changed = probe && withNumber(probe, names, port);
    if (!changed) continue;
    changes.setField(container, field, changed);
    rewritten = true;
  }
  const { postStart, preStop } = container.lifecycle ?? {};
  const start = postStart && withNumber(postStart, names, port);
  const stop = preStop && withNumber(preStop, names, port);
  if (start || stop) {
    changes.setField(container, 'lifecycle', {
      ...container.lifecycle,
      ...(start ? { postStart: start } : {}),
      ...(stop ? { preStop: stop } : {}),
    });
    rewritten = true;
  }
  return rewritten;
}

/** The handler with the number in place of the name; null when it does not use one of the names. */
function withNumber<T extends Handler>(handler: T, names: readonly string[], port: number): T | null {
  const { httpGet, tcpSocket } = handler;
  const named = (given: number | string | undefined) => typeof given === 'string' && names.includes(given);
  if (httpGet && named(httpGet.port)) return { ...handler, httpGet: { ...httpGet, port } };
  if (tcpSocket && named(tcpSocket.port)) return { ...handler, tcpSocket: { ...tcpSocket, port } };
  return null;
}

/** Whether the kubelet asks the server's port on behalf of this container; its names have become numbers by now. */
function usesPort(container: Container, port: number): boolean {
  const { postStart, preStop } = container.lifecycle ?? {};
  const handlers: (Handler | undefined)[] = [...PROBES.map((field) => container[field]), postStart, preStop];
  return handlers.some((handler) => handler?.httpGet?.port === port || handler?.tcpSocket?.port === port);
}

/** Probes by gRPC can't be carried: the recorder speaks HTTP/1.1. */
export function hasGrpcProbe(container: Container, port: number): boolean {
  return PROBES.some((field) => container[field]?.grpc?.port === port);
}
