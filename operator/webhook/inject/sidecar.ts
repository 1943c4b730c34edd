/**
 * Owns the recorder's container: a native sidecar that needs no right of the pod's and shares nothing with its other containers.
 * Invariant: it passes Pod Security `restricted`; every field that the API server would fill in is written out, so that an injection that is
 * done again after that changes nothing. It has no token for the API: the API server adds one to every container and then asks the webhook
 * once more, where the recorder is made anew.
 */
import type { Container, ContainerPort, EnvVar, Pod, Probe } from 'kubernetes-types/core/v1';
import { PORT_NAMES, SIDECAR_CONTAINER } from '../../naming.ts';
import type { Injection } from './injection.ts';
import { credentialsSecret, podIdentity, resourcesOf, volumesOf } from './storage.ts';
import { drainHook } from './termination.ts';

const DRAIN_PATH = 'MCP_RECORDER_DRAIN_PATH';
/** Only this installation's webhook knows its value for a server, so that it also tells who made the recorder. */
export const SESSION_KEY = 'MCP_RECORDER_SESSION_KEY';

/**
 * @param pod without the recorder
 * @param port where clients reach the recorder
 * @param names names of the server's port, which lead to the recorder now
 */
export function sidecarContainer(
  injection: Injection,
  pod: Pod,
  server: Container,
  port: number,
  names: readonly string[],
): Container {
  const { resource, settings, drainPath } = injection;
  const { image, imagePullPolicy, ports, uid } = settings.sidecar;
  const { mounts } = volumesOf(resource, settings);
  const identity =
    credentialsSecret(resource, settings) === null ? podIdentity(server) : { env: [], mounts: [] };
  return {
    name: SIDECAR_CONTAINER,
    image,
    imagePullPolicy,
    restartPolicy: 'Always',
    ports: [
      ...(names.length === 0 ? [PORT_NAMES.recorder] : names).map((name) => tcpPort(name, port)),
      tcpPort(PORT_NAMES.status, ports.status),
    ],
    env: [...environment(injection), ...identity.env],
    resources: resourcesOf(resource, settings, pod),
    volumeMounts: [...mounts, ...identity.mounts],
    // Nothing here waits for the store: a recorder that may let nothing pass lives, and says why.
    startupProbe: probe('/livez', ports.status, {
      periodSeconds: 1,
      timeoutSeconds: 2,
      failureThreshold: 120,
    }),
    livenessProbe: probe('/livez', ports.status, {
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    }),
    readinessProbe: probe('/readyz', ports.status, {
      periodSeconds: 2,
      timeoutSeconds: 2,
      failureThreshold: 2,
    }),
    lifecycle: { preStop: drainHook(drainPath, ports.status) },
    securityContext: {
      runAsUser: uid,
      runAsGroup: uid,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** The drain path of a recorder that is there already. */
export function drainPathOf(pod: Pod): string | null {
  const path = variableOf(pod, DRAIN_PATH);
  return path !== undefined && /^\/drain\/[0-9a-f]{32}$/.test(path) ? path : null;
}

/** Whether the recorder of a pod is one that the webhook made with this session key. */
export function isMadeWith(sessionKey: string, pod: Pod): boolean {
  return variableOf(pod, SESSION_KEY) === sessionKey;
}

function variableOf(pod: Pod, wanted: string): string | undefined {
  const sidecar = pod.spec?.initContainers?.find(({ name }) => name === SIDECAR_CONTAINER);
  return sidecar?.env?.find(({ name }) => name === wanted)?.value;
}

function tcpPort(name: string, containerPort: number): ContainerPort {
  return { name, containerPort, protocol: 'TCP' };
}

function probe(
  path: string,
  port: number,
  times: Pick<Probe, 'periodSeconds' | 'timeoutSeconds' | 'failureThreshold'>,
): Probe {
  return { httpGet: { path, port, scheme: 'HTTPS' }, successThreshold: 1, ...times };
}

function environment({ resource, settings, configKeys, drainPath, sessionKey }: Injection): EnvVar[] {
  return [
    field('POD_NAME', 'metadata.name'),
    field('POD_UID', 'metadata.uid'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    { name: 'MCP_RECORDER_SERVER', value: resource.metadata.name ?? '' },
    { name: 'MCP_RECORDER_IMAGE', value: settings.sidecar.image },
    { name: 'MCP_RECORDER_CONFIG_KEYS', value: configKeys.join(',') },
    { name: DRAIN_PATH, value: drainPath },
    { name: SESSION_KEY, value: sessionKey },
  ];
}

function field(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } };
}
