/**
 * Owns where the API server is and how we prove to it who we are: as a pod, by the files of the service account, or as a person, by a kubeconfig.
 * Invariant: files that the cluster renews (token, authority) are read again; no credential appears in a message.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseKubeconfig } from './kubeconfig.ts';

/** What a TLS connection to the API server needs, PEM. */
export interface TlsMaterial {
  /** Null: the authorities that this system trusts. */
  ca: string | null;
  cert: string | null;
  key: string | null;
  /** The name to ask for and to verify, where it is not the address. */
  servername: string | null;
}

export interface Access {
  /** `https://10.96.0.1:443`. */
  readonly origin: string;
  /** The namespace that we run in, or that the context names; null when there is none. */
  readonly namespace: string | null;
  /** As it is now; null when there is no token. @throws when the file can't be read */
  token(): string | null;
  /** As it is now. @throws when a file can't be read */
  tls(): TlsMaterial;
}

/** Where a pod finds its service account. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** How long a file's content is believed (ms): the kubelet renews a token long before its end. */
const FRESH_MS = 10_000;

/**
 * The way to the API server that this process has.
 * @param environment KUBECONFIG (a file) comes first, then what the kubelet sets in a pod
 * @throws an error that says what is missing
 */
export function findAccess(environment: Record<string, string | undefined>, nowMs: () => number): Access {
  const kubeconfig = environment['KUBECONFIG'];
  if (kubeconfig !== undefined && kubeconfig !== '') return kubeconfigAccess(kubeconfig, nowMs);
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) {
    throw new Error(
      'no API server is known: outside of a cluster set KUBECONFIG to a kubeconfig file; in a pod the kubelet sets KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT',
    );
  }
  return podAccess({ host, port, folder: SERVICE_ACCOUNT, nowMs });
}

/** The access of a pod. @param from.folder the service account's, see SERVICE_ACCOUNT */
export function podAccess(from: { host: string; port: string; folder: string; nowMs(): number }): Access {
  const { host, port, folder, nowMs } = from;
  const read = (name: string) => renewedFile(path.join(folder, name), nowMs);
  const token = read('token');
  const authority = read('ca.crt');
  const namespace = read('namespace')().trim();
  // What is missing is said at the start, not by the first call.
  token();
  authority();
  return {
    origin: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: namespace === '' ? null : namespace,
    token: () => token().trim(),
    tls: () => ({ ca: authority(), cert: null, key: null, servername: null }),
  };
}

/** The access that the current context of a kubeconfig gives. */
function kubeconfigAccess(file: string, nowMs: () => number): Access {
  if (file.includes(path.delimiter)) {
    throw new Error(`KUBECONFIG must name one file here; found ${file}`);
  }
  const entry = parseKubeconfig(file, readFile(file));
  const source = (given: { data: string } | { file: string } | null): (() => string | null) => {
    if (given === null) return () => null;
    if ('data' in given) return () => given.data;
    return renewedFile(path.resolve(path.dirname(file), given.file), nowMs);
  };
  const ca = source(entry.ca);
  const cert = source(entry.cert);
  const key = source(entry.key);
  const token = source(entry.token);
  return {
    origin: entry.origin,
    namespace: entry.namespace,
    token: () => token()?.trim() ?? null,
    tls: () => ({ ca: ca(), cert: cert(), key: key(), servername: entry.servername }),
  };
}

/** A file's content, not older than FRESH_MS. Small files of a memory file system: reading them blocks nobody for long. */
function renewedFile(file: string, nowMs: () => number): () => string {
  let content: { text: string; readMs: number } | null = null;
  return () => {
    if (content === null || nowMs() - content.readMs >= FRESH_MS) {
      content = { text: readFile(file), readMs: nowMs() };
    }
    return content.text;
  };
}

function readFile(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`the credentials for the API server can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
