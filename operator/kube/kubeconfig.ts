/**
 * Owns the reading of a kubeconfig file: the cluster and the user of its current context.
 * Invariant: what we can't do is refused by its name, not left out: a connection is never less verified than the file asks for.
 */
import { parse } from 'yaml';
import { z } from 'zod';

/** Text that stands in the file, or a file beside it. */
export type Source = { data: string } | { file: string };

export interface KubeconfigEntry {
  /** `https://host:port`. */
  origin: string;
  namespace: string | null;
  servername: string | null;
  ca: Source | null;
  cert: Source | null;
  key: Source | null;
  token: Source | null;
}

const text = z.string().optional();

const clusterSchema = z.looseObject({
  server: z.string(),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'tls-server-name': text,
});
const userSchema = z.looseObject({
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  token: text,
  tokenFile: text,
});
const schema = z.looseObject({
  'current-context': z.string().min(1),
  contexts: z.array(
    z.looseObject({
      name: z.string(),
      context: z.looseObject({ cluster: z.string(), user: text, namespace: text }),
    }),
  ),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: clusterSchema })),
  users: z.array(z.looseObject({ name: z.string(), user: userSchema.nullish() })).nullish(),
});

/** What others understand and we do not: leaving it out would end at another place, or as somebody else. */
const REFUSED = {
  cluster: ['insecure-skip-tls-verify', 'proxy-url'],
  user: ['exec', 'auth-provider', 'username', 'password', 'as', 'as-uid', 'as-groups', 'as-user-extra'],
};

/**
 * The entry of the current context.
 * @param file its name, for messages
 * @throws an error that says what is missing or not supported; never with the file's content
 */
export function parseKubeconfig(file: string, content: string): KubeconfigEntry {
  const fail = (why: string): Error => new Error(`the kubeconfig ${file} can't be used: ${why}`);
  const checked = schema.safeParse(parseYaml(content, fail));
  if (!checked.success) {
    const places = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw fail(places.join('; '));
  }
  const { 'current-context': current, contexts, clusters, users } = checked.data;
  const context = contexts.find(({ name }) => name === current)?.context;
  if (context === undefined) throw fail(`its current context ${current} is not among its contexts`);
  const cluster = clusters.find(({ name }) => name === context.cluster)?.cluster;
  if (cluster === undefined)
    throw fail(`it has no cluster ${context.cluster}, which the context ${current} names`);
  const user = users?.find(({ name }) => name === context.user)?.user ?? {};
  const refused = [
    ...REFUSED.cluster.filter((key) => cluster[key]).map((key) => `clusters: ${key}`),
    ...REFUSED.user.filter((key) => user[key]).map((key) => `users: ${key}`),
  ];
  if (refused.length > 0) {
    throw fail(
      `not supported here: ${refused.join(', ')}. Use a client certificate, a token or a token file`,
    );
  }
  return {
    origin: originOf(cluster.server, fail),
    namespace: context.namespace ?? null,
    servername: cluster['tls-server-name'] ?? null,
    ca: pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    cert: pem(user['client-certificate-data'], user['client-certificate']),
    key: pem(user['client-key-data'], user['client-key']),
    token: user.tokenFile ? { file: user.tokenFile } : user.token ? { data: user.token } : null,
  };
}

function parseYaml(content: string, fail: (why: string) => Error): unknown {
  try {
    return parse(content);
  } catch {
    // What the parser says quotes the file.
    throw fail('it is not YAML');
  }
}

function originOf(server: string, fail: (why: string) => Error): string {
  const url = URL.parse(server);
  if (url?.protocol !== 'https:') throw fail(`its server must be an https address; found ${server}`);
  if (url.pathname !== '/')
    throw fail(`its server has a path (${url.pathname}), which is not supported here`);
  return url.origin;
}

function pem(data: string | undefined, file: string | undefined): Source | null {
  if (data) return { data: Buffer.from(data, 'base64').toString('utf8') };
  return file ? { file } : null;
}
