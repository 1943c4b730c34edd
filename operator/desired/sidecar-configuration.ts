/**
 * Owns the configuration of the recorders of one resource: the files that they read.
 * Invariant: what is handed out passed the recorder's own schema; what a recorder would refuse is told in the resource's status instead.
 */
import { stringify } from 'yaml';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import { PATHS } from '../naming.ts';
import type { Settings } from '../settings.ts';
import { accessConfiguration, type ClusterIssuer } from './access-configuration.ts';
import { accessInForce } from './access-floors.ts';
import { configurationProblems } from './configuration-check.ts';
import { type Bucket, bucketOf, type RecordingInForce, recordingInForce, type Refusal } from './floors.ts';
import type { Ports } from './ports.ts';

const CONFIGURATION_FILE = 'config.yaml';
const STORE_AUTHORITY_FILE = 'store-ca.crt';

export type SidecarConfiguration =
  /** `refusals`: what was asked for and is not in force. */
  | { ok: true; files: Record<string, string>; refusals: Refusal[] }
  /** No configuration follows from this resource. */
  | { ok: false; refusal: Refusal; refusals: Refusal[] };

/**
 * @param linkAuthority PEM of who issues the operator's client certificate
 * @param cluster the API server as issuer of tokens; null: not known yet
 */
export function sidecarConfiguration(
  resource: RecordedMCPServer,
  settings: Settings,
  ports: Ports,
  linkAuthority: string,
  cluster: ClusterIssuer | null,
): SidecarConfiguration {
  const { recording, refusals: ofRecording } = recordingInForce(resource, settings);
  const access = accessInForce(resource, settings);
  const refusals = [...ofRecording, ...access.refusals];
  const found = bucketOf(resource, settings);
  if (!found.ok) return { ok: false, refusal: found.refusal, refusals };
  if (access.auth?.kubernetes !== undefined && cluster === null) {
    const cause =
      'The API server has not told yet who issues the tokens of service accounts, and with which keys.';
    return { ok: false, refusal: { reason: 'ClusterKeysUnknown', cause }, refusals };
  }
  const { server, ...who } = accessConfiguration(resource, access, cluster);
  const how = contentOf(resource, settings, ports, linkAuthority, found.bucket, recording);
  const content = { ...how, ...who, server: { ...how.server, ...server } };
  const problems = configurationProblems(content, access.platform);
  if (problems.length > 0) {
    const refusal: Refusal = { reason: 'ConfigurationInvalid', cause: `${problems.join('; ')}.` };
    return { ok: false, refusal, refusals };
  }
  const { ca } = found.bucket;
  return {
    ok: true,
    files: {
      [CONFIGURATION_FILE]: stringify(content, { lineWidth: 0 }),
      ...(ca === undefined ? {} : { [STORE_AUTHORITY_FILE]: ca }),
    },
    refusals,
  };
}

/** The file but for access, as the recorder's schema wants it; nothing is left to defaults that the resource has a field for. */
function contentOf(
  { metadata }: RecordedMCPServer,
  { cluster, sidecar }: Settings,
  ports: Ports,
  linkAuthority: string,
  bucket: Bucket,
  { commit, onFailure, maxUploadLag, maxRequestBytes, spool }: RecordingInForce,
) {
  return {
    name: metadata.name,
    cluster,
    namespace: metadata.namespace,
    listen: `[::]:${ports.recorder}`,
    server: { url: `http://127.0.0.1:${ports.server}/` },
    storage: { s3: storageOf(bucket) },
    recording: {
      commit,
      onFailure,
      maxUploadLag,
      maxRequestBytes,
      spool: { directory: PATHS.spool, sizeLimit: spool.sizeLimit },
    },
    status: { listen: `[::]:${ports.status}`, tls: true, operatorCa: linkAuthority },
    drain: { timeout: `${sidecar.drainSeconds}s` },
  };
}

function storageOf({ ca, hasSecret, ...s3 }: Bucket): object {
  const credential = (file: string) => `${PATHS.credentials}/${file}`;
  return {
    ...s3,
    ...(ca === undefined ? {} : { caFile: STORE_AUTHORITY_FILE }),
    ...(hasSecret
      ? {
          credentialFiles: {
            accessKeyId: credential('accessKeyId'),
            secretAccessKey: credential('secretAccessKey'),
            sessionToken: credential('sessionToken'),
          },
        }
      : {}),
  };
}
