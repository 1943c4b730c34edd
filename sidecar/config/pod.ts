/**
 * Owns what a recorder in a pod is told through its environment: which pod it is in, which server it stands in front of, whom it believes.
 * Invariant: all of it is there and well formed, or the recorder does not start; no secret of it is ever repeated in a message.
 */
import type { KeyObject } from 'node:crypto';
import { ConfigurationError, type Problem } from './configuration-error.ts';
import { parseConfigurationKeys, signedText } from './signature.ts';

export interface PodSettings {
  /** As they stand on `open` lines. */
  identity: { pod: string; pod_uid: string; image: string | null };
  /** The RecordedMCPServer whose configuration this is. */
  namespace: string;
  server: string;
  /** Whose signature makes a configuration count. */
  keys: readonly KeyObject[];
  /** Where the configuration is mounted. */
  configDirectory: string;
  /** Holds the token by which this pod proves itself to the operator. */
  tokenFile: string;
  /** A path on the status port; who knows it may ask for the drain. */
  drainPath: string;
  /** Session ids are hashed with it, alike in all pods of the server. */
  sessionKey: Buffer;
}

const CONFIG_DIRECTORY = '/etc/mcp-recorder/config';
const TOKEN_FILE = '/var/run/mcp-recorder/token';
const DRAIN_PATH = /^\/drain\/[0-9a-f]{32}$/;
const SESSION_KEY = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Reads the environment of a pod.
 * @throws ConfigurationError with every problem found
 */
export function readPodSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): PodSettings {
  const problems: Problem[] = [];
  const refuse = (path: string, message: string): void => void problems.push({ path, line: null, message });
  function required(
    name: string,
    expected: string,
    accepts: (value: string) => boolean = () => true,
  ): string {
    const value = environment[name] ?? '';
    if (value === '') refuse(name, `missing; needs ${expected}`);
    else if (!accepts(value)) refuse(name, `needs ${expected}`);
    return value;
  }

  const pod = required('POD_NAME', 'the name of this pod (downward API, metadata.name)');
  const podUid = required('POD_UID', 'the uid of this pod (downward API, metadata.uid)');
  const namespace = required(
    'POD_NAMESPACE',
    'the namespace of this pod (downward API, metadata.namespace)',
    (value) => isPlace(value, 'x'),
  );
  const server = required('MCP_RECORDER_SERVER', 'the name of the RecordedMCPServer', (value) =>
    isPlace('x', value),
  );
  const trusted = parseConfigurationKeys(
    required('MCP_RECORDER_CONFIG_KEYS', 'the public keys of the operator, ed25519:<base64>, comma between'),
  );
  if (!trusted.ok && environment['MCP_RECORDER_CONFIG_KEYS']) {
    refuse('MCP_RECORDER_CONFIG_KEYS', `${trusted.reason}; needs the public keys of the operator`);
  }
  const drainPath = required('MCP_RECORDER_DRAIN_PATH', '/drain/ and 32 hex digits', (value) =>
    DRAIN_PATH.test(value),
  );
  const sessionKey = required('MCP_RECORDER_SESSION_KEY', 'base64 of 32 bytes', (value) =>
    SESSION_KEY.test(value),
  );
  if (problems.length > 0) throw new ConfigurationError('in the environment of this pod', problems);
  return {
    identity: { pod, pod_uid: podUid, image: environment['MCP_RECORDER_IMAGE'] || null },
    namespace,
    server,
    keys: trusted.ok ? trusted.keys : [],
    configDirectory: environment['MCP_RECORDER_CONFIG_DIRECTORY'] || CONFIG_DIRECTORY,
    tokenFile: environment['MCP_RECORDER_TOKEN_FILE'] || TOKEN_FILE,
    drainPath,
    sessionKey: Buffer.from(sessionKey, 'base64'),
  };
}

function isPlace(namespace: string, name: string): boolean {
  try {
    signedText(namespace, name, {});
    return true;
  } catch {
    return false;
  }
}
