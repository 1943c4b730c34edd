/**
 * Owns a Kubernetes control plane for tests: a real etcd and a real kube-apiserver, two processes on free loopback ports, their data in a
 * fresh temporary folder. No controllers, no nodes: nothing happens to objects but what the API server itself does.
 * Invariants: `kill` and `restart` keep port and data; `stop` leaves neither processes nor files.
 */
import fs from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type Access, findAccess } from '../../operator/kube/access.ts';
import { createClient, type KubeClient } from '../../operator/kube/client.ts';
import type { KubeObject, Resource } from '../../operator/kube/resource.ts';
import { type RunningProcess, startProcess } from './child-process.ts';
import { createAuthority } from './control-plane-certificates.ts';
import { eventually } from './poll.ts';
import { rigProgram } from './rig-programs.ts';
import { steadyPort } from './steady-port.ts';

export interface ControlPlane {
  port: number;
  /** The authority of the API server's certificate, PEM. */
  ca: string;
  /** A file that gives all rights (group system:masters). */
  kubeconfig: string;
  /** A file for a person of this name, who has only what RBAC gives. @param port of a proxy in between */
  kubeconfigFor(user: string, options?: { groups?: string[]; port?: number }): Promise<string>;
  /** @param kubeconfig default: the one with all rights */
  access(kubeconfig?: string): Access;
  /** A client that ends with the control plane. */
  client(kubeconfig?: string): KubeClient;
  createNamespace(name: string): Promise<void>;
  /** A token as a pod's projected volume holds it, of a service account that exists; valid for ten minutes. */
  serviceAccountToken(namespace: string, name: string, audiences?: string[]): Promise<string>;
  /** Applies the CustomResourceDefinitions of a YAML file, and waits until their objects are served. */
  installCrds(file: string): Promise<void>;
  /** Makes etcd forget all versions but the newest: who asks for an older one gets 410. */
  compact(): Promise<void>;
  /** SIGKILL of the API server. */
  kill(): Promise<void>;
  /** The API server serves again, on the same port, with the same data. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT of the API server: connections are taken by the system meanwhile, and nobody answers. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  stop(): Promise<void>;
}

const NAMESPACES: Resource = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
const CRDS: Resource<Crd> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

const TOKEN_REQUESTS: Resource<TokenRequest> = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

interface TokenRequest extends KubeObject {
  status: { token: string };
}

interface Crd extends KubeObject {
  spec: {
    group: string;
    names: { plural: string; kind: string };
    versions: { name: string; served: boolean }[];
  };
}

export interface ControlPlaneOptions {
  /** Added to the API server's own. */
  apiServerArgs?: string[];
  /** Pods get their service account, with its token, as in a cluster; whoever makes pods makes the account first, for no controller does. */
  serviceAccounts?: boolean;
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const programs = { etcd: rigProgram('etcd'), apiServer: rigProgram('kube-apiserver') };
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-kube-'));
  try {
    return await startIn(folder, programs, options);
  } catch (error) {
    await fs.rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(
  folder: string,
  programs: { etcd: string; apiServer: string },
  { apiServerArgs: extra = [], serviceAccounts = false }: ControlPlaneOptions,
): Promise<ControlPlane> {
  const [etcdPort, peerPort, port] = [await steadyPort(), await steadyPort(), await steadyPort()];
  const etcdOrigin = `http://127.0.0.1:${etcdPort}`;
  const peerOrigin = `http://127.0.0.1:${peerPort}`;
  const authority = await createAuthority(path.join(folder, 'certificates'));
  await authority.issue('server', '/CN=kube-apiserver', 'IP:127.0.0.1,DNS:localhost');
  await authority.key('accounts');
  const { file } = authority;
  const etcd = await startProcess({
    program: programs.etcd,
    args: [
      `--data-dir=${path.join(folder, 'etcd')}`,
      '--unsafe-no-fsync',
      `--listen-client-urls=${etcdOrigin}`,
      `--advertise-client-urls=${etcdOrigin}`,
      `--listen-peer-urls=${peerOrigin}`,
      `--initial-advertise-peer-urls=${peerOrigin}`,
      `--initial-cluster=default=${peerOrigin}`,
    ],
    ready: /ready to serve client requests/,
  });
  const apiServerArgs = [
    `--etcd-servers=${etcdOrigin}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    // An address for documentation: none of a loopback is taken, and nobody asks for it.
    '--advertise-address=192.0.2.1',
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.96.0.0/16',
    `--cert-dir=${path.join(folder, 'certificates')}`,
    `--tls-cert-file=${file('server.crt')}`,
    `--tls-private-key-file=${file('server.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('accounts.key')}`,
    `--service-account-signing-key-file=${file('accounts.key')}`,
    '--authorization-mode=RBAC',
    ...(serviceAccounts ? [] : ['--disable-admission-plugins=ServiceAccount']),
    '--allow-privileged',
    ...extra,
  ];
  const kubeconfig = await writeKubeconfig('admin', ['system:masters'], port);
  const access = (config = kubeconfig) => findAccess({ KUBECONFIG: config }, () => performance.now());
  const clients: KubeClient[] = [];
  const client = (config?: string) => {
    const made = createClient({ access: access(config), fieldManager: 'test' });
    clients.push(made);
    return made;
  };

  async function writeKubeconfig(user: string, groups: string[], serverPort: number): Promise<string> {
    const name = `${user.replace(/[^a-z0-9]+/g, '-')}-${serverPort}`;
    const subject = [...groups.map((group) => `O=${group}`), `CN=${user}`].map((part) => `/${part}`).join('');
    await authority.issue(name, subject);
    const cluster = { server: `https://127.0.0.1:${serverPort}`, 'certificate-authority': 'ca.crt' };
    const content = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { 'client-certificate': `${name}.crt`, 'client-key': `${name}.key` } }],
    };
    // JSON is YAML.
    await fs.writeFile(file(`${name}.yaml`), JSON.stringify(content), { mode: 0o600 });
    return file(`${name}.yaml`);
  }

  async function serve(): Promise<RunningProcess> {
    const process = await startProcess({
      program: programs.apiServer,
      args: apiServerArgs,
      ready: /Serving securely on/,
      readyWithinMs: 60_000,
    });
    await eventually(() => isReady(port, file('ca.crt')), { withinMs: 30_000, everyMs: 50 });
    return process;
  }

  let apiServer = await serve().catch(async (error: unknown) => {
    await etcd.stop('SIGKILL');
    throw error;
  });
  return {
    port,
    ca: await fs.readFile(file('ca.crt'), 'utf8'),
    kubeconfig,
    kubeconfigFor: (user, { groups = [], port: proxied = port } = {}) =>
      writeKubeconfig(user, groups, proxied),
    access,
    client,
    async createNamespace(name) {
      await client().create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    },
    async serviceAccountToken(namespace, name, audiences = []) {
      const { status } = await client().create(
        TOKEN_REQUESTS,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: { name, namespace },
          spec: { audiences, expirationSeconds: 600 },
        } as KubeObject,
        { subresource: 'token' },
      );
      return status.token;
    },
    async installCrds(yaml) {
      const documents = parseAllDocuments(await fs.readFile(yaml, 'utf8'));
      for (const document of documents) await installCrd(client(), document.toJS() as Crd);
    },
    async compact() {
      const ask = async (what: string, body: object) => {
        const answer = await fetch(`${etcdOrigin}/v3/kv/${what}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        if (!answer.ok) throw new Error(`etcd: ${what}: ${answer.status} ${await answer.text()}`);
        return (await answer.json()) as { header: { revision: string } };
      };
      const { header } = await ask('range', { key: Buffer.from('x').toString('base64') });
      await ask('compaction', { revision: header.revision, physical: true });
    },
    async kill() {
      await apiServer.stop('SIGKILL');
    },
    async restart() {
      await apiServer.stop('SIGKILL');
      apiServer = await serve();
    },
    signal: (signal) => void process.kill(apiServer.pid, signal),
    async stop() {
      for (const made of clients) await made.close();
      await apiServer.stop('SIGKILL');
      await etcd.stop('SIGKILL');
      await fs.rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether the API server says so to anybody: then its own roles and namespaces are there too. */
async function isReady(port: number, caFile: string): Promise<boolean> {
  const ca = await fs.readFile(caFile);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    https.get(`https://127.0.0.1:${port}/readyz`, { ca, agent: false }, resolve).on('error', reject);
  });
  answer.resume();
  return answer.statusCode === 200;
}

async function installCrd(client: KubeClient, crd: Crd): Promise<void> {
  await client.apply(CRDS, crd);
  const { group, names, versions } = crd.spec;
  for (const { name: version } of versions.filter(({ served }) => served)) {
    const resource: Resource = { group, version, plural: names.plural, kind: names.kind, namespaced: false };
    await eventually(() => client.listPage(resource, { limit: 1 }), { withinMs: 15_000, everyMs: 50 });
  }
}
