import { generateKeyPairSync } from 'node:crypto';
import { formatPublicKey } from '@mcp-recorder/recording/proof/note';
import { describe, expect, it } from 'vitest';
import { readPodSettings } from '../../sidecar/config/pod.ts';
import { ConfigurationError } from '../../sidecar/config/configuration-error.ts';

const KEY = formatPublicKey(generateKeyPairSync('ed25519').publicKey);
const SESSION_KEY = Buffer.alloc(32, 7).toString('base64');
const WHOLE = {
  POD_NAME: 'github-mcp-6c9f-x2x7k',
  POD_UID: '7f1c0d9e-5b1a-4a51-9a2e-0d6b0a7a1f42',
  POD_NAMESPACE: 'tools',
  MCP_RECORDER_SERVER: 'github',
  MCP_RECORDER_IMAGE: 'registry.example/mcp-recorder@sha256:5f70',
  MCP_RECORDER_CONFIG_KEYS: KEY,
  MCP_RECORDER_DRAIN_PATH: `/drain/${'0a'.repeat(16)}`,
  MCP_RECORDER_SESSION_KEY: SESSION_KEY,
};

function problemsOf(environment: Record<string, string>): string {
  try {
    readPodSettings(environment);
    return 'none';
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message;
  }
}

describe('the environment of a pod', () => {
  it('says which pod it is, whose configuration it takes, and who may ask for what', () => {
    const settings = readPodSettings(WHOLE);
    expect({ ...settings, keys: settings.keys.map(formatPublicKey) }).toEqual({
      identity: {
        pod: 'github-mcp-6c9f-x2x7k',
        pod_uid: '7f1c0d9e-5b1a-4a51-9a2e-0d6b0a7a1f42',
        image: 'registry.example/mcp-recorder@sha256:5f70',
      },
      namespace: 'tools',
      server: 'github',
      keys: [KEY],
      configDirectory: '/etc/mcp-recorder/config',
      tokenFile: '/var/run/mcp-recorder/token',
      drainPath: '/drain/0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a',
      sessionKey: Buffer.alloc(32, 7),
    });
  });

  it('may leave the image out', () => {
    expect(readPodSettings({ ...WHOLE, MCP_RECORDER_IMAGE: '' }).identity.image).toBeNull();
  });

  it('is refused with all that is missing', () => {
    const message = problemsOf({});
    for (const name of Object.keys(WHOLE).filter((key) => key !== 'MCP_RECORDER_IMAGE')) {
      expect(message).toContain(`  ${name}: missing; needs `);
    }
  });

  it.each([
    ['POD_NAMESPACE', 'tools/github'],
    ['MCP_RECORDER_SERVER', 'GitHub'],
    ['MCP_RECORDER_CONFIG_KEYS', 'ed25519:AAAA'],
    ['MCP_RECORDER_DRAIN_PATH', '/status'],
    ['MCP_RECORDER_DRAIN_PATH', '/drain/secret0123456789'],
    ['MCP_RECORDER_SESSION_KEY', 'c2hvcnQ='],
  ])('is refused with %s=%s, and what was found is not repeated', (name, value) => {
    const message = problemsOf({ ...WHOLE, [name]: value });
    expect(message).toMatch(
      new RegExp(`^The configuration in the environment of this pod can't be used:\n  ${name}: `),
    );
    expect(message.split('\n')).toHaveLength(2);
    expect(message).not.toContain(value === '/status' ? 'status' : value);
  });
});
