/**
 * Owns the MCP server that suites have recorded, server-everything, as an owner of a namespace would deploy it: it passes Pod Security
 * `restricted`, has a Service, and knows nothing of a recorder.
 */
import { everythingImage } from './images.ts';
import { apply, rolledOut } from './kubectl.ts';

export interface EverythingOptions {
  /** Default: 2. */
  replicas?: number;
  kind?: 'Deployment' | 'StatefulSet' | 'DaemonSet';
  /** The server's port; default: 8080. */
  port?: number;
  /** The Service's `targetPort`: the number (default), or the container port's name `mcp`. */
  targetPort?: 'number' | 'name';
  /** A Service without an address of its own, which gives the pods' instead. */
  headless?: boolean;
  /** A preStop of the server's own, seconds of sleep; default: none. */
  preStopSeconds?: number;
  /** Over the container's, the pod's and the Service's own fields. */
  container?: object;
  pod?: object;
  service?: object;
}

export interface EverythingServer {
  namespace: string;
  name: string;
  /** `deployment/NAME`, as kubectl takes it. */
  workload: string;
  /** Its pods have these. */
  labels: { app: string };
  port: number;
  /** Through the Service, port 80 (headless: the server's own). */
  url: string;
}

/** Deploys it and waits until it is ready. */
export async function deployEverything(
  namespace: string,
  name: string,
  options: EverythingOptions = {},
): Promise<EverythingServer> {
  const { kind = 'Deployment', port = 8080, headless = false } = options;
  await apply(everythingManifests(namespace, name, await everythingImage(), options));
  const workload = `${kind.toLowerCase()}/${name}`;
  await rolledOut(namespace, workload);
  const url = `http://${name}.${namespace}.svc.cluster.local${headless ? `:${port}` : ''}/mcp`;
  return { namespace, name, workload, labels: { app: name }, port, url };
}

function everythingManifests(
  namespace: string,
  name: string,
  image: string,
  options: EverythingOptions,
): object[] {
  const { replicas = 2, kind = 'Deployment', port = 8080, headless = false, preStopSeconds } = options;
  const labels = { app: name };
  const container = {
    name: 'server',
    image,
    imagePullPolicy: 'IfNotPresent',
    env: [{ name: 'PORT', value: String(port) }],
    ports: [{ name: 'mcp', containerPort: port }],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '64Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
    },
    ...(preStopSeconds === undefined
      ? {}
      : { lifecycle: { preStop: { sleep: { seconds: preStopSeconds } } } }),
    ...options.container,
  };
  const pod = {
    terminationGracePeriodSeconds: 10,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [container],
    ...options.pod,
  };
  const workload = {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace, labels },
    spec: {
      ...(kind === 'DaemonSet' ? {} : { replicas }),
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: pod },
    },
  };
  const targetPort = options.targetPort === 'name' ? 'mcp' : port;
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels },
    spec: {
      selector: labels,
      // Its sessions are in the memory of one pod.
      ...(headless ? { clusterIP: 'None' } : { sessionAffinity: 'ClientIP' }),
      ports: [{ name: 'http', port: headless ? port : 80, targetPort }],
      ...options.service,
    },
  };
  return [workload, service];
}
