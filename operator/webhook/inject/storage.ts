/**
 * Owns the room that the recorder's spool has in a pod, and what of the pod's storage and identity it uses.
 * Invariant: the spool's own cap is at most four fifths of every limit that Kubernetes holds it against, because passing one deletes it
 * within seconds (measured; docs/durability.md).
 */
import { parseSize } from '@mcp-recorder/sidecar/config/quantity';
import type {
  Container,
  EnvVar,
  Pod,
  ResourceRequirements,
  Volume,
  VolumeMount,
} from 'kubernetes-types/core/v1';
import type { RecordedMCPServer } from '../../api/recorded-mcp-server.ts';
import { LINK_AUDIENCE, ownedName, PATHS, VOLUMES } from '../../naming.ts';
import type { Settings } from '../../settings.ts';
import { credentialVolume } from './server-credential.ts';

const MEBI = 2 ** 20;
/** Spool cap to volume limit. */
const SPOOL_SHARE = 0.8;
/** The container's logs, which count beside its volumes: the kubelet keeps five files of 10 MiB by default. */
const LOGS_BYTES = 64 * MEBI;
/** What the API server fills in; written out so that nothing changes between two calls. */
const MODE = 0o644;
const TOKEN_SECONDS = 3_600;

/** Name of the Secret with the store's credentials in the resource's namespace; null: the pod's own identity is used. */
export function credentialsSecret({ spec }: RecordedMCPServer, settings: Settings): string | null {
  const { store, s3 } = spec.storage;
  if (s3 !== undefined) return s3.credentialsSecretRef?.name ?? null;
  const known =
    store !== undefined && Object.hasOwn(settings.stores, store) ? settings.stores[store] : undefined;
  return known?.s3.credentialsSecret ?? null;
}

/** The recorder's volumes, and where it alone mounts them. */
export function volumesOf(
  resource: RecordedMCPServer,
  settings: Settings,
): { volumes: Volume[]; mounts: VolumeMount[] } {
  const secret = credentialsSecret(resource, settings);
  const volumes: Volume[] = [
    { name: VOLUMES.config, configMap: { name: ownedName(resource.metadata.name ?? ''), defaultMode: MODE } },
    { name: VOLUMES.spool, emptyDir: { sizeLimit: mebibytes(volumeBytes(resource)) } },
    {
      name: VOLUMES.identity,
      projected: {
        defaultMode: MODE,
        sources: [
          {
            serviceAccountToken: { audience: LINK_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' },
          },
        ],
      },
    },
  ];
  const mounts: VolumeMount[] = [
    { name: VOLUMES.config, mountPath: PATHS.config, readOnly: true },
    { name: VOLUMES.spool, mountPath: PATHS.spool },
    { name: VOLUMES.identity, mountPath: PATHS.identity, readOnly: true },
  ];
  if (secret !== null) {
    // Optional: a recorder that starts closed and says what is missing tells more than a pod that does not start.
    volumes.push({
      name: VOLUMES.credentials,
      secret: { secretName: secret, optional: true, defaultMode: MODE },
    });
    mounts.push({ name: VOLUMES.credentials, mountPath: PATHS.credentials, readOnly: true });
  }
  const credential = credentialVolume(resource, MODE);
  if (credential !== null) {
    volumes.push(credential.volume);
    mounts.push(credential.mount);
  }
  return { volumes, mounts };
}

function volumeBytes({ spec }: RecordedMCPServer): number {
  const cap = parseSize(spec.recording.spool.sizeLimit);
  if (!cap.ok) throw new RangeError(`spec.recording.spool.sizeLimit: ${cap.expected}`);
  return cap.value / SPOOL_SHARE;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / MEBI)}Mi`;
}

/**
 * Resources of the recorder's container. Of ephemeral storage it asks for what it may need; it has a limit only where the pod has one
 * already: limits add up to one for the whole pod, and ours alone would be the limit of the server's files too.
 */
export function resourcesOf(resource: RecordedMCPServer, settings: Settings, pod: Pod): ResourceRequirements {
  const needed = volumeBytes(resource) + LOGS_BYTES;
  const { requests, limits } = settings.sidecar.resources;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const limited = containers.some(({ resources }) => resources?.limits?.['ephemeral-storage'] !== undefined);
  const { 'ephemeral-storage': limit, ...otherLimits } = ofContainer(limits, pod);
  const ownLimits = { ...otherLimits, ...(limited ? { 'ephemeral-storage': atLeast(limit, needed) } : {}) };
  return {
    requests: {
      ...ofContainer(requests, pod),
      'ephemeral-storage': atLeast(requests['ephemeral-storage'], needed),
    },
    ...(Object.keys(ownLimits).length === 0 ? {} : { limits: ownLimits }),
  };
}

/** Whether the pod has resources as a whole, which its containers share (Kubernetes 1.34). */
export function sharesResources(pod: Pod): boolean {
  return pod.spec !== undefined && 'resources' in pod.spec;
}

/** Quantities as text. In a pod with resources as a whole, CPU and memory of its own could be more than the pod has: it would be refused. */
function ofContainer(
  quantities: Readonly<Record<string, string | number>>,
  pod: Pod,
): Record<string, string> {
  const own = Object.entries(quantities).filter(
    ([name]) => !sharesResources(pod) || (name !== 'cpu' && name !== 'memory'),
  );
  return Object.fromEntries(own.map(([name, quantity]) => [name, String(quantity)]));
}

function atLeast(given: string | number | undefined, neededBytes: number): string {
  const read = parseSize(String(given ?? '0'));
  return read.ok && read.value > neededBytes ? String(given) : mebibytes(neededBytes);
}

/** Variables by which AWS tools find the identity of a pod and its region; clouds' webhooks set them in every container. */
const IDENTITY_VARIABLES = new Set([
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_DEFAULT_REGION',
  'AWS_REGION',
  'AWS_ROLE_ARN',
  'AWS_STS_REGIONAL_ENDPOINTS',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
]);

/** The pod's identity as its server has it, for a recorder that has no credentials of its own. */
export function podIdentity(server: Container): { env: EnvVar[]; mounts: VolumeMount[] } {
  const env = (server.env ?? []).filter(({ name }) => IDENTITY_VARIABLES.has(name));
  const tokens = env.filter(({ name }) => name.endsWith('_TOKEN_FILE')).map(({ value }) => value ?? '');
  const holdsToken = ({ mountPath }: VolumeMount) =>
    tokens.some((token) => token.startsWith(`${mountPath.replace(/\/+$/, '')}/`));
  const mounts = (server.volumeMounts ?? []).filter(holdsToken);
  return { env, mounts: mounts.map((mount) => ({ ...mount, readOnly: true })) };
}

/** Whether one of these containers reads a Secret: as variables, or by a volume that it mounts. */
export function readsSecret(pod: Pod, secret: string): boolean {
  const holding = new Set(
    (pod.spec?.volumes ?? [])
      .filter(
        (volume) =>
          volume.secret?.secretName === secret ||
          volume.projected?.sources?.some((source) => source.secret?.name === secret),
      )
      .map(({ name }) => name),
  );
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].some(
    ({ env = [], envFrom = [], volumeMounts = [] }) =>
      env.some(({ valueFrom }) => valueFrom?.secretKeyRef?.name === secret) ||
      envFrom.some(({ secretRef }) => secretRef?.name === secret) ||
      volumeMounts.some(({ name }) => holding.has(name)),
  );
}
