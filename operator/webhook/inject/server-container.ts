/**
 * Owns which container of a pod runs the recorded server, and on which port.
 * Invariant: what can't be told from resource and pod is never guessed: the answer says what to write into the resource.
 */
import type { Container, Pod } from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import { strip } from './strip.ts';

export type FoundServer =
  | { ok: true; port: number; container: string }
  /** Full sentences, the last says what to do. */
  | { ok: false; problem: string };

/** Proxies of meshes declare ports of their own beside the server's. */
const MESH_PROXIES = new Set(['istio-proxy', 'linkerd-proxy']);

/** Finds the server, in a pod that has the recorder as in one that has not. Pure; the pod is left as it is. */
export function findServerPort(resource: RecordedMCPServer, pod: Pod): FoundServer {
  return findServer(resource, strip(pod));
}

/** The same for a pod that is known to be without the recorder. */
export function findServer({ spec }: RecordedMCPServer, pod: Pod): FoundServer {
  const containers = pod.spec?.containers ?? [];
  const { container: wanted, port } = spec.server;
  if (wanted !== undefined && !containers.some(({ name }) => name === wanted)) {
    return { ok: false, problem: missing(wanted, pod) };
  }
  const candidates = containers.filter(({ name }) =>
    wanted === undefined ? !MESH_PROXIES.has(name) : name === wanted,
  );
  return port === undefined ? byDeclaration(candidates) : byPort(candidates, port);
}

/** TCP ports that a container declares. */
export function tcpPorts(container: Container): number[] {
  const declared = (container.ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP');
  return [...new Set(declared.map(({ containerPort }) => containerPort))];
}

function missing(wanted: string, pod: Pod): string {
  if (pod.spec?.initContainers?.some(({ name }) => name === wanted)) {
    return `The container "${wanted}" of spec.server.container is an init container; only servers in ordinary containers can be recorded. Move it to containers.`;
  }
  const names = pod.spec?.containers.map(({ name }) => name).join(', ');
  return `The pod has no container "${wanted}". Set spec.server.container to one of its containers: ${names}.`;
}

function byPort(candidates: readonly Container[], port: number): FoundServer {
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return { ok: true, port, container: only.name };
  const declaring = candidates.filter((container) => tcpPorts(container).includes(port));
  const [found, ...more] = declaring;
  if (found !== undefined && more.length === 0) return { ok: true, port, container: found.name };
  const names = (found === undefined ? candidates : declaring).map(({ name }) => name).join(', ');
  const how = found === undefined ? 'None' : 'More than one';
  return {
    ok: false,
    problem: `${how} of the pod's containers declares port ${port}, so it can't be told which one runs the server. Set spec.server.container to one of: ${names}.`,
  };
}

function byDeclaration(candidates: readonly Container[]): FoundServer {
  const declared = candidates.flatMap((container) =>
    tcpPorts(container).map((port) => ({ container: container.name, port })),
  );
  const [found, ...more] = declared;
  if (found !== undefined && more.length === 0) return { ok: true, ...found };
  if (found === undefined) {
    return {
      ok: false,
      problem:
        'No container of the pod declares a TCP port. Set spec.server.port to the one that the server listens on.',
    };
  }
  const ports = declared.map(({ container, port }) => `${port} (${container})`).join(', ');
  return {
    ok: false,
    problem: `The pod declares several TCP ports: ${ports}. Set spec.server.port, and spec.server.container where two containers declare it, to the MCP server's.`,
  };
}
