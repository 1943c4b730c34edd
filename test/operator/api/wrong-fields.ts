/**
 * Owns the wrong resources: what is put over the least one, where the API server finds the fault, and in which words it says so.
 * Invariant: the words are written out here, not read from the schema.
 */

export type Fields = Record<string, unknown>;

export const LEAST = {
  selector: { matchLabels: { app: 'server' } },
  storage: { store: 'default' },
  auth: { mode: 'Anonymous' },
};
export const s3 = (fields: Fields) => ({ storage: { s3: { bucket: 'recordings', ...fields } } });
const selector = (fields: Fields) => ({ selector: fields });
const expression = (fields: Fields) =>
  selector({ matchExpressions: [{ key: 'app', operator: 'In', ...fields }] });
const traffic = (fields: Fields) => ({ traffic: fields });
const relocate = (fields: Fields) =>
  traffic({ mode: 'Relocate', relocate: { port: 1, args: ['--port=1'], ...fields } });
export const recording = (fields: Fields) => ({ recording: fields });
const client = (fields: Fields) => traffic({ clients: [fields] });
/** Who may call, by an issuer; fields are put over the issuer. */
export const auth = (fields: Fields) => ({
  auth: {
    resource: 'https://mcp.example.com/github',
    oidc: [{ issuer: 'https://idp.example.com' }],
    ...fields,
  },
});
export const issuer = (fields: Fields) => auth({ oidc: [{ issuer: 'https://idp.example.com', ...fields }] });
export const rule = (fields: Fields) => ({
  rules: [{ name: 'no-deletes', when: 'mcp.tool == "delete"', action: 'Deny', ...fields }],
});
export const mask = (fields: Fields) => ({ masking: { rules: [fields] } });
export const credential = (fields: Fields) => ({ server: { credential: fields } });
const SECRET = { name: 'server', key: 'token' };
const clientCredentials = (fields: Fields) =>
  credential({
    clientCredentials: {
      issuer: 'https://idp.example.com',
      clientIdSecretKeyRef: SECRET,
      clientSecretSecretKeyRef: SECRET,
      ...fields,
    },
  });

/** What is put over the least resource, where the fault is told, and in which words. */
export const WRONG: [change: Fields, field: string, message: string][] = [
  [
    selector({}),
    'spec.selector',
    'must name at least one label; an empty selector would take every pod of the namespace',
  ],
  [
    selector({ matchLabels: {} }),
    'spec.selector',
    'must name at least one label; an empty selector would take every pod of the namespace',
  ],
  [
    selector({ matchLabels: { 'mcp-recorder.dev/server': 'x' } }),
    'spec.selector.matchLabels',
    "may not use the recorder's own labels (mcp-recorder.dev/...)",
  ],
  [
    selector({ matchLabels: { 'a b': 'x' } }),
    'spec.selector.matchLabels',
    'must have label keys such as app or app.kubernetes.io/name',
  ],
  [
    selector({ matchLabels: { ['a'.repeat(64)]: 'x' } }),
    'spec.selector.matchLabels',
    'must have label keys such as app or app.kubernetes.io/name',
  ],
  [
    selector({ matchLabels: { [`${'a'.repeat(254)}/b`]: 'x' } }),
    'spec.selector.matchLabels',
    'must have label keys such as app or app.kubernetes.io/name',
  ],
  [
    expression({ key: `${'a'.repeat(254)}/b`, values: ['x'] }),
    'spec.selector.matchExpressions[0].key',
    'must be a label key such as app or app.kubernetes.io/name',
  ],
  [
    selector({ matchLabels: { app: '-x' } }),
    'spec.selector.matchLabels',
    "must have label values: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or a digit",
  ],
  [
    expression({}),
    'spec.selector.matchExpressions[0]',
    'In and NotIn need values; Exists and DoesNotExist take none',
  ],
  [
    expression({ operator: 'Exists', values: ['x'] }),
    'spec.selector.matchExpressions[0]',
    'In and NotIn need values; Exists and DoesNotExist take none',
  ],
  [
    expression({ key: 'a b', values: ['x'] }),
    'spec.selector.matchExpressions[0].key',
    'must be a label key such as app or app.kubernetes.io/name',
  ],
  [
    expression({ key: 'mcp-recorder.dev/server', values: ['x'] }),
    'spec.selector.matchExpressions[0].key',
    "may not be one of the recorder's own labels (mcp-recorder.dev/...)",
  ],
  [
    expression({ values: ['x y'] }),
    'spec.selector.matchExpressions[0].values[0]',
    "must be a label value: letters, digits, '-', '_' and '.', beginning and ending with a letter or a digit",
  ],
  [{ server: { port: 0 } }, 'spec.server.port', 'must be a port from 1 to 65535'],
  [{ server: { port: 65_536 } }, 'spec.server.port', 'must be a port from 1 to 65535'],
  [
    { server: { container: 'My Server' } },
    'spec.server.container',
    "must be the name of a container: a-z, 0-9 and '-'",
  ],
  [
    { server: { container: 'mcp-recorder' } },
    'spec.server.container',
    "must be the server's container; mcp-recorder is the recorder's",
  ],
  [
    { storage: {} },
    'spec.storage',
    'must be exactly one of store (the name of a store that the platform team set up) and s3 (a bucket of your own)',
  ],
  [
    { storage: { store: 'default', s3: { bucket: 'recordings' } } },
    'spec.storage',
    'must be exactly one of store (the name of a store that the platform team set up) and s3 (a bucket of your own)',
  ],
  ...['Recordings', 'a', 'a..b', '-ab', '10.1.2.3'].map((bucket): [Fields, string, string] => [
    s3({ bucket }),
    'spec.storage.s3.bucket',
    "must be the name of a bucket: 3 to 63 characters of a-z, 0-9, '.' and '-', beginning and ending with a letter or a digit; no address",
  ]),
  ...['/a', 'a/', 'a//b', 'a/../b', '.a', 'a\\b', 'a\nb', 'ü'.repeat(257)].map(
    (prefix): [Fields, string, string] => [
      s3({ prefix }),
      'spec.storage.s3.prefix',
      'must be path parts joined by single slashes, none at either end, none that begins with a dot, at most 512 bytes',
    ],
  ),
  [s3({ region: 'eu central' }), 'spec.storage.s3.region', 'must be a region such as eu-central-1'],
  ...[
    'minio:9000',
    'ftp://minio',
    'https://a.b/c',
    'https://me:secret@a.b',
    'https://a.b?x',
    'https://1.2.3',
    'https://a:65536',
  ].map((endpoint): [Fields, string, string] => [
    s3({ endpoint }),
    'spec.storage.s3.endpoint',
    'must be the URL of an S3-compatible store such as https://minio.example.com:9000, without path, query, user name and password',
  ]),
  [s3({ ca: 'minio-ca' }), 'spec.storage.s3.ca', 'must be PEM text with at least one certificate'],
  [
    s3({ ca: '-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----' }),
    'spec.storage.s3.ca',
    'must hold certificates only; this holds a private key, which everyone who may read the resource has now seen',
  ],
  [
    s3({ credentialsSecretRef: { name: 'My Secret' } }),
    'spec.storage.s3.credentialsSecretRef.name',
    "must be the name of a Secret: a-z, 0-9, '-' and '.'",
  ],
  [
    s3({ encryption: { type: 'SSE-S3', keyId: 'k' } }),
    'spec.storage.s3.encryption.keyId',
    'must be left out with SSE-S3, where the store has the key; SSE-KMS takes one',
  ],
  [
    s3({ encryption: { type: 'SSE-KMS', keyId: 'a key' } }),
    'spec.storage.s3.encryption.keyId',
    'must be the id, ARN or alias of a key in the KMS',
  ],
  ...['7y', '30s', '0d', '36501d', ''].map((retainFor): [Fields, string, string] => [
    s3({ objectLock: { mode: 'GOVERNANCE', retainFor } }),
    'spec.storage.s3.objectLock.retainFor',
    'must be a time such as 365d, or 8760h, of at least 1m and at most 36500d',
  ]),
  [
    s3({ storageClass: 'standard' }),
    'spec.storage.s3.storageClass',
    'must be a storage class in capitals such as STANDARD_IA',
  ],
  [
    traffic({ mode: 'Relocate' }),
    'spec.traffic',
    'mode Relocate needs relocate (how the server is told its new address); mode Service takes none',
  ],
  [
    relocate({ args: undefined }),
    'spec.traffic.relocate',
    'needs env or args, which tell the server its new address',
  ],
  [relocate({ port: 0 }), 'spec.traffic.relocate.port', 'must be a port from 1 to 65535'],
  [
    relocate({ env: [{ name: '1 PORT', value: '1' }] }),
    'spec.traffic.relocate.env[0].name',
    "must be the name of an environment variable: letters, digits, '_', '-' and '.', not beginning with a digit",
  ],
  [
    { server: { port: 1 }, ...relocate({ port: 1 }) },
    'spec.traffic.relocate.port',
    'must differ from spec.server.port, which the recorder takes',
  ],
  [
    { server: { port: 1 }, ...traffic({ otherPorts: [{ port: 1 }] }) },
    'spec.traffic.otherPorts',
    'must not list spec.server.port, which is the way around the recorder',
  ],
  [
    traffic({ otherPorts: [{ port: 0 }] }),
    'spec.traffic.otherPorts[0].port',
    'must be a port from 1 to 65535',
  ],
  [
    traffic({ clients: [] }),
    'spec.traffic.clients',
    'must name at least one peer; leave it out to admit everyone',
  ],
  [client({}), 'spec.traffic.clients[0]', 'must have podSelector, namespaceSelector or ipBlock'],
  [
    client({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }),
    'spec.traffic.clients[0]',
    'must not have ipBlock beside podSelector or namespaceSelector',
  ],
  [
    client({ ipBlock: { cidr: '10.0.0.0' } }),
    'spec.traffic.clients[0].ipBlock.cidr',
    'must be a range of addresses such as 10.1.0.0/16',
  ],
  [
    client({ ipBlock: { cidr: '10.0.0.0/8', except: ['x'] } }),
    'spec.traffic.clients[0].ipBlock.except[0]',
    'must be a range of addresses such as 10.1.0.0/16',
  ],
  [
    client({ podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
    'spec.traffic.clients[0].podSelector.matchExpressions[0]',
    'In and NotIn need values; Exists and DoesNotExist take none',
  ],
  [
    { auth: undefined },
    'spec.auth',
    'must say who may call: oidc or kubernetes; where nobody is to be identified, mode Anonymous must be written',
  ],
  [
    { auth: { resource: 'https://mcp.example.com' } },
    'spec.auth',
    'needs oidc or kubernetes, which issue the tokens; where nobody is to be identified, mode Anonymous must be written',
  ],
  [
    auth({ mode: 'Anonymous' }),
    'spec.auth',
    'looks at no token in mode Anonymous: leave out oidc, kubernetes and scopes, or choose Enforce or Observe',
  ],
  [
    auth({ kubernetes: {}, scopes: ['mcp:use'] }),
    'spec.auth.scopes',
    'must be left out beside kubernetes, whose tokens have none; give them to each of oidc',
  ],
  [
    auth({ resource: undefined }),
    'spec.auth.resource',
    'must be given in mode Enforce: the URL that clients use, which tokens must be for',
  ],
  [
    auth({ mode: 'Observe', resource: undefined }),
    'spec.auth',
    'needs resource, or audiences at each issuer: a token must be for this server',
  ],
  ...['mcp.example.com', 'https://mcp.example.com/#x', 'https://me@mcp.example.com', 'ftp://mcp'].map(
    (resource): [Fields, string, string] => [
      auth({ resource }),
      'spec.auth.resource',
      'must be a URL such as https://mcp.example.com/github, without user name, query and fragment',
    ],
  ),
  [
    auth({ scopes: ['a b'] }),
    'spec.auth.scopes[0]',
    'must be a scope: printable ASCII without space, quotation mark and backslash',
  ],
  ...['app.example.com', 'https://app.example.com/', 'https://App.example.com', 'https://a:443', '*'].map(
    (origin): [Fields, string, string] => [
      auth({ allowedOrigins: [origin] }),
      'spec.auth.allowedOrigins[0]',
      'must be an origin as browsers send it, such as https://app.example.com',
    ],
  ),
  [auth({ clockSkew: '6m' }), 'spec.auth.clockSkew', 'must be a duration such as 60s, at most 5m'],
  [
    auth({ maxKeyAge: '59s' }),
    'spec.auth.maxKeyAge',
    'must be a duration such as 1h, at least 1m and at most 24h',
  ],
  ...['http://idp.example.com', 'idp', 'https://idp.example.com?x'].map((url): [Fields, string, string] => [
    issuer({ issuer: url }),
    'spec.auth.oidc[0].issuer',
    'must be a URL such as https://idp.example.com, without user name, query and fragment; http only on loopback',
  ]),
  ...['', 'a..b', '/a~2'].map((groupsClaim): [Fields, string, string] => [
    issuer({ groupsClaim }),
    'spec.auth.oidc[0].groupsClaim',
    'must be a claim: names with dots between such as realm_access.roles, or a JSON Pointer such as /https:~1~1example.com~1groups',
  ]),
  [rule({ name: 'No deletes' }), 'spec.rules[0].name', "must be a name such as no-deletes: a-z, 0-9 and '-'"],
  [
    rule({ name: 'platform-x' }),
    'spec.rules[0].name',
    'must not begin with platform-, as the rules of the platform team do',
  ],
  [rule({ message: 'a\nb' }), 'spec.rules[0].message', 'must be one line of text'],
  ...[{ message: 'x' }, { hideTools: true }].map((fields): [Fields, string, string] => [
    rule({ action: 'MetadataOnly', ...fields }),
    'spec.rules[0]',
    'takes message and hideTools only with action Deny',
  ]),
  ...[{}, { keys: ['a'], pattern: 'b' }].map((fields): [Fields, string, string] => [
    mask({ name: 'x', ...fields }),
    'spec.masking.rules[0]',
    'must have exactly one of detectors, keys, paths and pattern',
  ]),
  ...[{ keys: ['a'] }, { name: 'x', detectors: ['all'] }].map((fields): [Fields, string, string] => [
    mask(fields),
    'spec.masking.rules[0]',
    'must have a name, which is shown in place of what is found; detectors have names of their own',
  ]),
  [
    mask({ detectors: ['All of them'] }),
    'spec.masking.rules[0].detectors[0]',
    'must be the name of a detector, or all',
  ],
  [
    mask({ name: 'x', paths: ['params.a'] }),
    'spec.masking.rules[0].paths[0]',
    'must be a JSON path that begins with $, such as $.params.arguments.ssn',
  ],
  ...[{}, { bearer: { secretKeyRef: SECRET }, header: { name: 'x', secretKeyRef: SECRET } }].map(
    (fields): [Fields, string, string] => [
      credential(fields),
      'spec.server.credential',
      'must be exactly one of header, bearer, basic and clientCredentials',
    ],
  ),
  [
    credential({ header: { name: 'X Key', secretKeyRef: SECRET } }),
    'spec.server.credential.header.name',
    'must be the name of a header, such as X-Api-Key',
  ],
  ...['Host', 'content-type', 'Mcp-Session-Id'].map((name): [Fields, string, string] => [
    credential({ header: { name, secretKeyRef: SECRET } }),
    'spec.server.credential.header.name',
    'must not be a header that says how a message is read, such as Host, Content-Type or Mcp-Session-Id',
  ]),
  [
    credential({ bearer: { secretKeyRef: { ...SECRET, key: 'a/b' } } }),
    'spec.server.credential.bearer.secretKeyRef.key',
    "must be a key of a Secret: letters, digits, '-', '_' and '.'",
  ],
  [
    clientCredentials({ tokenEndpoint: 'https://idp.example.com/token' }),
    'spec.server.credential.clientCredentials',
    'must be exactly one of issuer (its metadata name the token endpoint) and tokenEndpoint',
  ],
  [
    clientCredentials({ scope: 'a\tb' }),
    'spec.server.credential.clientCredentials.scope',
    'must be scopes in printable ASCII, with spaces between',
  ],
  ...['30', 'soon', '999ms', '-1s', '1m1h', ''].map((maxUploadLag): [Fields, string, string] => [
    recording({ maxUploadLag }),
    'spec.recording.maxUploadLag',
    'must be a duration such as 30s or 1m30s, at least 1s',
  ]),
  ...['4MB', '0', '1023', '257Mi'].map((maxRequestBytes): [Fields, string, string] => [
    recording({ maxRequestBytes }),
    'spec.recording.maxRequestBytes',
    'must be a size such as 512Ki or 4Mi, at least 1Ki and at most 256Mi',
  ]),
  ...['512MB', '63Mi', '1025Gi', 'big'].map((sizeLimit): [Fields, string, string] => [
    recording({ spool: { sizeLimit } }),
    'spec.recording.spool.sizeLimit',
    'must be a size such as 512Mi or 2Gi, at least 64Mi and at most 1Ti',
  ]),
];
