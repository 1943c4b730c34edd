/**
 * Owns every name that the operator gives or looks for in the cluster: labels, annotations, containers, volumes, objects.
 * Invariant: a name made from a resource's name fits the limit of its kind, because the resource's name has at most 52 characters (CRD).
 */

const DOMAIN = 'mcp-recorder.dev';

/** Manager of the fields that we apply; owners of the same objects keep theirs. */
export const FIELD_MANAGER = 'mcp-recorder';

/** On pods that have the recorder; its value is the resource's name. The NetworkPolicy selects by it. */
export const SERVER_LABEL = `${DOMAIN}/server`;
/** On objects that are ours, so that they can be found, protected and pruned. */
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'mcp-recorder';
export const RESOURCE_LABEL = `${DOMAIN}/resource`;

/** On pods: what of the resource, and what of the chart's settings, went into the injection. */
export const RESOURCE_HASH_ANNOTATION = `${DOMAIN}/resource-hash`;
export const SETTINGS_HASH_ANNOTATION = `${DOMAIN}/settings-hash`;
/** On pods: what was noticed at the injection, a JSON array of words. */
export const FLAGS_ANNOTATION = `${DOMAIN}/flags`;
/** On pods: what the injection changed of what the pod had, so that it can be taken back and done anew. */
export const CHANGES_ANNOTATION = `${DOMAIN}/changes`;
/** On pods: digest of the configuration that its kubelet was to bring at once. */
export const CONFIGURATION_ANNOTATION = `${DOMAIN}/configuration`;
/** On pod templates: changed when the workload must make its pods anew. */
export const RESTART_ANNOTATION = `${DOMAIN}/restarted-for`;
/** On Services: where they should lead, `recorder` or `server`; the webhook does what it says. */
export const TARGET_ANNOTATION = `${DOMAIN}/target`;
/** On Services: the target ports before ours, JSON by port and protocol. */
export const ORIGINAL_PORTS_ANNOTATION = `${DOMAIN}/original-target-ports`;

export const FINALIZER = `${DOMAIN}/finalizer`;

export const SIDECAR_CONTAINER = 'mcp-recorder';
/** Names of the sidecar's ports; the first gives way to those that the server's port had. */
export const PORT_NAMES = { recorder: 'mcp-recorder', status: 'mcp-rec-status' } as const;
export const VOLUMES = {
  config: 'mcp-recorder-config',
  spool: 'mcp-recorder-spool',
  identity: 'mcp-recorder-identity',
  credentials: 'mcp-recorder-credentials',
  serverCredential: 'mcp-recorder-server-credential',
} as const;

/** Paths in the sidecar's container. */
export const PATHS = {
  config: '/etc/mcp-recorder/config',
  credentials: '/etc/mcp-recorder/credentials',
  serverCredential: '/etc/mcp-recorder/server-credential',
  identity: '/var/run/mcp-recorder',
  spool: '/var/lib/mcp-recorder/spool',
} as const;

/** Audience of the token by which a sidecar proves to the operator in which pod it runs. */
export const LINK_AUDIENCE = 'mcp-recorder-operator';
/** Common name of the certificate by which the operator proves itself to a sidecar. */
export const LINK_CLIENT_NAME = 'mcp-recorder-operator';

/** Names of what belongs to one resource, in its namespace. */
export function ownedName(resource: string): string {
  return `${resource}-mcp-recorder`;
}

/** Names of what the operator has in the cluster, under the chart's full name. */
export function clusterNames(fullname: string) {
  return {
    podWebhooks: (index: number) => `${fullname}-pods-${index}`,
    serviceWebhook: `${fullname}-services`,
    resourceWebhook: `${fullname}-resources`,
    injectedPolicy: `${fullname}-injected`,
    markerPolicy: `${fullname}-marker`,
    selectionPolicy: `${fullname}-selection`,
    ownedPolicy: `${fullname}-owned`,
    keptPolicy: `${fullname}-kept`,
    connectPolicy: `${fullname}-connect`,
    clusterRole: fullname,
    lease: fullname,
    /** Secret with the operator's certificate authority, serving certificate, client certificate, signing key. */
    identity: `${fullname}-identity`,
  };
}
