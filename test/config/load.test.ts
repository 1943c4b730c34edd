import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConfigurationFlags } from '../../sidecar/config/flags.ts';
import { loadConfiguration } from '../../sidecar/config/load.ts';
import { ConfigurationError } from '../../sidecar/config/configuration-error.ts';
import { configurationJsonSchema } from '../../sidecar/config/problems.ts';

let directory: string;
let count = 0;

beforeAll(async () => {
  directory = await fs.mkdtemp(path.join(os.tmpdir(), 'mcp-recorder-config-'));
});
afterAll(() => fs.rm(directory, { recursive: true }));

async function load(yaml: string, flags: ConfigurationFlags = {}) {
  count += 1;
  const file = path.join(directory, `${count}.yaml`);
  await fs.writeFile(file, yaml);
  return loadConfiguration({ file, flags });
}

async function problemsOf(yaml: string, flags: ConfigurationFlags = {}) {
  const error: unknown = await load(yaml, flags).then(
    () => null,
    (cause: unknown) => cause,
  );
  if (!(error instanceof ConfigurationError)) throw new Error('no ConfigurationError', { cause: error });
  return { message: error.message, problems: error.problems };
}

const LEAST =
  'server: {url: "http://127.0.0.1:3001/mcp"}\nstorage: {directory: recordings}\nauth: {mode: Anonymous}\n';

const FULL = `
name: github
cluster: prod
namespace: tools
listen: 0.0.0.0:9000
server:
  url: https://mcp.example.com
auth: {mode: Anonymous}
storage:
  directory: /var/lib/recordings
recording:
  maxRequestBytes: 1Mi
  spool: {directory: /spool, sizeLimit: 1Gi, allowTmpfs: true}
status: {listen: "[::]:9100"}
drain: {timeout: 1m30s}
limits: {memory: 64Mi}
log: {level: debug}
`;

describe('a configuration file', () => {
  it('needs only the server and the directory; the rest has defaults', async () => {
    const configuration = await load(LEAST);
    expect(configuration).toEqual({
      name: '127.0.0.1-3001',
      cluster: 'local',
      namespace: 'local',
      listen: { host: '127.0.0.1', port: 8642 },
      labels: {},
      server: {
        url: 'http://127.0.0.1:3001/mcp',
        origin: 'http://127.0.0.1:3001',
        path: '/mcp',
        credential: null,
        callerToken: 'Forward',
      },
      auth: {
        mode: 'Anonymous',
        resource: null,
        scopes: [],
        allowedOrigins: null,
        clockSkewMs: 60_000,
        maxKeyAgeMs: 3_600_000,
        issuers: [],
      },
      rules: [],
      masking: { base64: false, rules: [] },
      storage: {
        kind: 'directory',
        location: path.join(directory, 'recordings'),
        directory: path.join(directory, 'recordings'),
      },
      recording: {
        commit: 'Spool',
        onFailure: 'Closed',
        maxUploadLagMs: 30_000,
        maxRequestBytes: 4_194_304,
        spool: {
          directory: path.join(directory, 'recordings/spool/127.0.0.1-3001'),
          sizeLimitBytes: 536_870_912,
          allowTmpfs: false,
        },
      },
      status: { listen: { host: '127.0.0.1', port: 8643 } },
      drain: { timeoutMs: 25_000 },
      limits: { memoryBytes: 268_435_456 },
      log: { level: 'info' },
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });

  it('sets every key', async () => {
    expect(await load(FULL)).toMatchObject({
      name: 'github',
      cluster: 'prod',
      namespace: 'tools',
      listen: { host: '0.0.0.0', port: 9000 },
      server: { origin: 'https://mcp.example.com', path: '/' },
      storage: { directory: '/var/lib/recordings' },
      recording: {
        maxRequestBytes: 1_048_576,
        spool: { directory: '/spool', sizeLimitBytes: 1_073_741_824, allowTmpfs: true },
      },
      status: { listen: { host: '::', port: 9100 } },
      drain: { timeoutMs: 90_000 },
      limits: { memoryBytes: 67_108_864 },
      log: { level: 'debug' },
    });
  });

  it('tells every problem at once, with line, key, what was found and what would be right', async () => {
    const { message } = await problemsOf(`
name: GitHub
listen: 8642
server:
  url: ftp://example.com
  urll: x
storage: recordings
auth: {mode: anonymous}
recording:
  maxRequestBytes: 4 MB
  spool:
    sizeLimit: 1Mi
    allowTmpfs: "yes"
drain: {timeout: 25}
log: {level: verbose}
`);
    const lines = message.split('\n').map((line) => line.replace(/^ {2}\S+\.yaml:/, ''));
    expect(lines.slice(1).sort()).toEqual(
      [
        '2: name: found "GitHub"; needs 1 to 63 characters of a-z, 0-9, "." and "-", beginning and ending with a letter or a digit',
        '3: listen: found 8642; needs HOST:PORT, for example 127.0.0.1:8642 or [::1]:8642',
        '5: server.url: found "ftp://example.com"; needs the URL of an MCP server, for example http://127.0.0.1:3001/mcp (or give --upstream)',
        '6: server.urll: unknown key; known here: url, credential, callerToken',
        '7: storage: found "recordings"; needs exactly one of directory (a path) and s3 (a bucket) (or give --store)',
        '8: auth.mode: found "anonymous"; needs one of Enforce, Observe, Anonymous (or give --anonymous)',
        '10: recording.maxRequestBytes: found "4 MB"; needs a size such as 512Mi, 1G or 4194304 (bytes)',
        '12: recording.spool.sizeLimit: found "1Mi"; needs at least 64Mi',
        '13: recording.spool.allowTmpfs: found "yes"; needs true or false',
        '14: drain.timeout: found 25; needs a duration such as 30s, 1m30s or 500ms',
        '15: log.level: found "verbose"; needs one of fatal, error, warn, info, debug, trace',
      ]
        .map((line) => (/^[23]:/.test(line) ? line + flagHint(line) : line))
        .sort(),
    );
  });

  it('is asked for what has no default', async () => {
    const { problems } = await problemsOf('name: a');
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      expect.stringMatching(/^server\.url: missing; needs the URL .* \(or give --upstream\)$/),
      'auth: missing; needs mode: Anonymous (nobody is identified), or oidc: [{issuer: ...}] and resource: the URL that clients use (or give --anonymous, or --issuer and --resource)',
      'storage: missing; needs exactly one of directory (a path) and s3 (a bucket) (or give --store)',
    ]);
  });

  it.each([
    ['a tab', 'server:\n\turl: x', 2],
    ['a duplicate key', 'name: a\nname: b', 2],
    ['an open quote', 'name: a\ncluster: "b', 2],
  ])('that is no YAML (%s) is refused with line and column', async (_what, yaml, line) => {
    const { problems } = await problemsOf(yaml);
    expect(problems[0]).toMatchObject({
      line,
      message: expect.stringMatching(/^no valid YAML \(column \d+\)/),
    });
  });

  it('must be a mapping', async () => {
    expect((await problemsOf('- a')).message).toContain('found a list; needs a mapping of keys to values');
  });

  it('that does not exist is named', () => {
    const file = path.join(directory, 'absent.yaml');
    expect(() => loadConfiguration({ file })).toThrow(new RegExp(`${file}[^]*no such file`));
  });

  it('must leave memory for at least one request of the size that is let in', async () => {
    const { problems } = await problemsOf(
      `${LEAST}recording: {maxRequestBytes: 1Gi}\nlimits:\n  memory: 512Mi`,
    );
    expect(problems).toEqual([
      {
        path: 'limits.memory',
        line: 6,
        message: expect.stringContaining('at least recording.maxRequestBytes'),
      },
    ]);
  });

  it.each([
    ['http://user:secret@example.com/mcp', 'without user name and password'],
    ['http://user:secret/more@example.com/mcp', 'the URL of an MCP server'],
    ['http://user:se@secret@example.com/mcp', 'without user name and password'],
    ['http://example.com/mcp?key=secret', 'without query'],
  ])('can carry no credential in the URL: %s', async (url, expected) => {
    const { message } = await problemsOf(`server: {url: "${url}"}\nstorage: {directory: a}`);
    expect(message).toContain(expected);
    expect(message).not.toContain('secret');
  });
});

/** `name` and `listen` can be given by flags, and the message says so. */
function flagHint(line: string): string {
  return ` (or give --${/^\d+: (\w+)/.exec(line)?.[1]})`;
}

describe('flags', () => {
  it('are enough without a file; their paths count from the working directory', () => {
    const configuration = loadConfiguration({
      flags: { upstream: 'http://localhost:3001', store: 'rec', anonymous: true },
    });
    expect(configuration.name).toBe('localhost-3001');
    expect(configuration.storage.location).toBe(path.resolve('rec'));
    expect(configuration.recording.spool.directory).toBe(path.resolve('rec/spool/localhost-3001'));
  });

  it('override the file', async () => {
    const flags = { upstream: 'http://b:1', store: '/s', name: 'b', spool: 'q', listen: '127.0.0.1:0' };
    expect(await load(FULL, flags)).toMatchObject({
      name: 'b',
      server: { origin: 'http://b:1' },
      storage: { directory: '/s' },
      recording: { spool: { directory: path.resolve('q'), sizeLimitBytes: 1_073_741_824 } },
      listen: { host: '127.0.0.1', port: 0 },
      status: { listen: { host: '::', port: 9100 } },
    });
  });

  it('are named in the problem when the value came from them', async () => {
    const { problems } = await problemsOf(LEAST, { name: '../x', listen: 'localhost' });
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      ['--name', null],
      ['--listen', null],
    ]);
  });
});

describe('defaults that depend on other keys', () => {
  it.each([
    ['http://[::1]:3001/mcp', '1-3001'],
    ['https://MCP.Example.com', 'mcp.example.com'],
    [`http://${'a'.repeat(60)}.example.com`, 'a'.repeat(60) + '.ex'],
  ])('the name of %s is %s', (upstream, name) => {
    expect(loadConfiguration({ flags: { upstream, store: 's', anonymous: true } }).name).toBe(name);
  });

  it.each([
    ['0.0.0.0:9000', '127.0.0.1', 9001],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['127.0.0.1:65535', '127.0.0.1', 65_534],
  ])('with listen %s the status port stands on %s:%i', (listen, host, port) => {
    const configuration = loadConfiguration({
      flags: { upstream: 'http://a', store: 's', anonymous: true, listen },
    });
    expect(configuration.status.listen).toEqual({ host, port });
  });
});

describe('TLS on the status port', () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null'];
  const pem = execFileSync('openssl', ['req', '-x509', '-days', '2', '-subj', '/CN=authority', ...key], {
    stdio: 'pipe',
  }).toString();
  const withStatus = (status: object) => `${LEAST}status: ${JSON.stringify(status)}\n`;

  it('takes the certificates of one or more authorities as they stand', async () => {
    for (const operatorCa of [pem, `${pem}\n${pem}`]) {
      const { status } = await load(withStatus({ tls: true, operatorCa }));
      expect(status.tls).toEqual({ operatorCa });
    }
    expect((await load(withStatus({ tls: false }))).status).not.toHaveProperty('tls');
  });

  it.each([
    ['without the authorities', { tls: true }],
    ['without TLS', { operatorCa: pem }],
  ])('is refused %s', async (_, status) => {
    expect((await problemsOf(withStatus(status))).message).toContain(
      'tls: true and operatorCa, both or neither',
    );
  });

  it.each([
    ['nothing', ''],
    ['another text', 'CA'],
    ['a broken certificate', pem.replace(/\n.{20}/, '\n')],
    ['a certificate and more', `${pem}# and this one\n`],
  ])('is refused with %s in the place of the authorities', async (_, operatorCa) => {
    expect((await problemsOf(withStatus({ tls: true, operatorCa }))).problems).toEqual([
      expect.objectContaining({
        path: 'status.operatorCa',
        message: expect.stringContaining('needs certificates of authorities, PEM'),
      }),
    ]);
  });
});

describe('the digest', () => {
  it('is equal for the same configuration however it was given, and differs otherwise', async () => {
    const spelled = await load(
      'auth: {mode: Anonymous}\nstorage: {directory: /s}\nserver: {url: "http://a"}\nrecording: {maxRequestBytes: 4096Ki}',
    );
    const byFlags = loadConfiguration({ flags: { upstream: 'http://a', store: '/s', anonymous: true } });
    expect(spelled.digest).toBe(byFlags.digest);
    const canonical =
      '{"auth":{"allowedOrigins":null,"clockSkewMs":60000,"issuers":[],"maxKeyAgeMs":3600000,"mode":"Anonymous","resource":null,"scopes":[]},"cluster":"local","drain":{"timeoutMs":25000},"labels":{},"limits":{"memoryBytes":268435456},' +
      '"listen":{"host":"127.0.0.1","port":8642},"log":{"level":"info"},"masking":{"base64":false,"rules":[]},"name":"a","namespace":"local",' +
      '"recording":{"commit":"Spool","maxRequestBytes":4194304,"maxUploadLagMs":30000,"onFailure":"Closed","spool":{"allowTmpfs":false,"directory":"/s/spool/a","sizeLimitBytes":536870912}},' +
      '"rules":[],"server":{"callerToken":"Forward","credential":null,"origin":"http://a","path":"/","url":"http://a"},"status":{"listen":{"host":"127.0.0.1","port":8643}},' +
      '"storage":{"directory":"/s","kind":"directory","location":"/s"}}';
    expect(byFlags.digest).toBe(`sha256:${createHash('sha256').update(canonical).digest('hex')}`);
    expect(
      loadConfiguration({ flags: { upstream: 'http://a', store: '/t', anonymous: true } }).digest,
    ).not.toBe(byFlags.digest);
  });
});

describe('the JSON Schema', () => {
  const validate = new Ajv2020().compile(configurationJsonSchema());
  const least = {
    server: { url: 'http://127.0.0.1:3001/mcp' },
    storage: { directory: 'recordings' },
    auth: { mode: 'Anonymous' },
  };

  it.each([
    least,
    { ...least, recording: { maxRequestBytes: 4096, spool: { sizeLimit: '1Gi', allowTmpfs: true } } },
    { ...least, drain: { timeout: '1m30s' }, log: { level: 'warn' }, status: { listen: '[::]:9100' } },
  ])('accepts what the recorder accepts: %j', (file) => {
    expect(validate(file)).toBe(true);
  });

  it.each([
    { ...least, extra: 1 },
    { name: 'a' },
    { ...least, auth: undefined },
    { ...least, drain: { timeout: 25 } },
    { ...least, limits: { memory: '4MB' } },
    { ...least, recording: { spool: { sizelimit: '1Gi' } } },
  ])('refuses %j', (file) => {
    expect(validate(file)).toBe(false);
  });
});
