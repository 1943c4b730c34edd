/**
 * Owns the check of a recorder's configuration before a recorder sees it, and the way back from its keys to the fields that they came from.
 * Invariant: what passes, the recorder takes; what does not is told with the field of the resource, or the value of the chart, to correct.
 */
import { hash } from 'node:crypto';
import { type KeyPath, keyText } from '@mcp-recorder/sidecar/config/configuration-error';
import { expressionProblems, type PolicyProblem } from '@mcp-recorder/sidecar/config/expressions';
import { describeIssues } from '@mcp-recorder/sidecar/config/problems';
import { type CheckedFile, configurationSchema } from '@mcp-recorder/sidecar/config/schema';
import type { RecordedMCPServer } from '../api/recorded-mcp-server.ts';
import type { Settings } from '../settings.ts';
import { accessConfiguration, type ClusterIssuer } from './access-configuration.ts';
import { type AccessInForce, accessInForce } from './access-floors.ts';

/** Everything wrong with `content`, as `spec.rules[1].when: what is wrong`. */
export function configurationProblems(content: object, platform: AccessInForce['platform']): string[] {
  const checked = configurationSchema.safeParse(content);
  if (!checked.success) {
    const faults = describeIssues(checked.error.issues, content);
    return faults.map(({ path, message }) => `${fieldOf(path, platform)}: ${message}`);
  }
  return problemsOf(checked.data).map(({ path, position, message }) => {
    const place = position === null ? '' : `line ${position.line}, column ${position.column}: `;
    return `${fieldOf(path, platform)}: ${place}${message}`;
  });
}

/** What was found in so many different texts is kept: resources are decided about every few seconds, and compiling may take a second. */
const MAX_KNOWN = 2_000;
const known = new Map<string, readonly PolicyProblem[]>();

/** A function of its argument, remembered. */
function problemsOf({ rules, masking }: CheckedFile): readonly PolicyProblem[] {
  if (rules.length === 0 && masking.rules.length === 0) return [];
  const key = hash('sha256', JSON.stringify([rules, masking]), 'hex');
  const found = known.get(key) ?? expressionProblems({ rules, masking });
  // The newest last, so that the oldest goes first.
  known.delete(key);
  known.set(key, found);
  const [oldest] = known.keys();
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
  return found;
}

/** Stands for the cluster's issuer, whose keys nobody writes into a resource. */
const ANY_ISSUER: ClusterIssuer = {
  issuer: 'https://kubernetes.default.svc',
  keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }],
};

/**
 * What is wrong with what a resource says of access, for who writes it: what the recorder would refuse, and what the platform team does not
 * allow. What can't be known when it is written (its store, its pods) is left out.
 */
export function accessProblems(resource: RecordedMCPServer, settings: Settings): string[] {
  const access = accessInForce(resource, settings);
  const { server, ...who } = accessConfiguration(resource, access, ANY_ISSUER);
  const content = {
    ...who,
    server: { ...server, url: 'http://127.0.0.1:8080/' },
    storage: { directory: '/recordings' },
  };
  const refused = access.refusals.map(({ cause }) => `spec.${cause}`);
  return [...refused, ...configurationProblems(content, access.platform)];
}

/** What is wrong with the rules and masks of the platform team themselves, which come before those of every resource. */
export function platformProblems({ policy }: Settings): string[] {
  const { rules, masking } = policy;
  const content = {
    auth: { mode: 'Anonymous' },
    rules,
    masking,
    server: { url: 'http://127.0.0.1:8080/' },
    storage: { directory: '/recordings' },
  };
  return configurationProblems(content, {
    rules: rules.length,
    builtIn: 0,
    masks: masking.rules.length,
  });
}

/** Keys of a recorder's configuration that stand elsewhere in a resource. */
const FIELDS: readonly (readonly [RegExp, string])[] = [
  [/\.valueFile$/, '.secretKeyRef'],
  [/\.tokenFile$/, '.secretKeyRef'],
  [/\.(username|password|clientId|clientSecret)File$/, '.$1SecretKeyRef'],
];

function fieldOf(path: KeyPath, { rules, builtIn, masks }: AccessInForce['platform']): string {
  const [section, second, ...rest] = path;
  if (section === 'labels') return `metadata.${keyText(path)}`;
  if (section === 'rules' && typeof second === 'number') {
    return second < rules
      ? `policy.${keyText(['rules', second - builtIn, ...rest])} of the chart`
      : `spec.${keyText(['rules', second - rules, ...rest])}`;
  }
  const [index, ...field] = rest;
  if (section === 'masking' && second === 'rules' && typeof index === 'number') {
    return index < masks
      ? `policy.${keyText(path)} of the chart`
      : `spec.${keyText(['masking', 'rules', index - masks, ...field])}`;
  }
  return FIELDS.reduce((text, [key, name]) => text.replace(key, name), `spec.${keyText(path)}`);
}
