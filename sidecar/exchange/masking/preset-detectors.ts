/**
 * Owns the detectors that are rules of secretlint's recommended preset (MIT): which rule is which detector, and how each is run.
 * Invariant: a rule is given a bounded piece of text and answers at once; what is reported is the secret alone (rules whose ranges are otherwise are not used).
 */
import { rules } from '@secretlint/secretlint-rule-preset-recommend';
import type { Detector } from './detector.ts';

interface PresetRule {
  name: string;
  /** Last part of the rule's id in the preset. */
  rule: string;
  triggers: readonly string[];
  before: number;
  after: number;
  cost: number;
  /** Only messages of these kinds: some rules report what is no credential too. */
  messages?: readonly string[];
}

/** A token that begins with its trigger and is at most so long. */
function prefixed(name: string, rule: string, longest: number, triggers: readonly string[]): PresetRule {
  return { name, rule, triggers, before: 32, after: longest, cost: 2 * longest };
}

const PRESET_RULES: readonly PresetRule[] = [
  {
    ...prefixed('aws', 'aws', 40, [
      'A3T[A-Z0-9]{5}',
      ...['AKIA', 'AGPA', 'AIDA', 'AROA', 'AIPA', 'ANPA', 'ANVA', 'ASIA'].map(
        (prefix) => `${prefix}[A-Z0-9]{4}`,
      ),
    ]),
    messages: ['AWSAccessKeyID'],
  },
  { ...prefixed('npm', 'npm', 60, ['npm_[A-Za-z0-9_]{12}']), messages: ['NPM_ACCESS_TOKEN'] },
  prefixed('slack', 'slack', 400, ['xox[bpaor]-', 'xapp-', '(?i)hooks.slack.com/services/']),
  prefixed('shopify', 'shopify', 80, ['shp[pcas][ats]_[a-zA-Z0-9]{8}']),
  prefixed('stripe', 'stripe', 120, ['[sr]k_live_[a-zA-Z0-9]{8}', '[sr]k_test_[a-zA-Z0-9]{8}']),
  {
    ...prefixed('github', 'github', 12_100, [
      'gh[pour]_[A-Za-z0-9_]{12}',
      'github_pat_',
      'ghs_[A-Za-z0-9_]{8}',
    ]),
    cost: 2000,
  },
  prefixed('gitlab', 'gitlab', 160, ['glpat-']),
  prefixed('grafana', 'grafana', 430, ['glc_[A-Za-z0-9+/]{8}', 'glsa_[A-Za-z0-9]{8}']),
  { name: 'openai', rule: 'openai', triggers: ['T3BlbkFJ'], before: 120, after: 100, cost: 400 },
  prefixed('anthropic', 'anthropic', 160, ['sk-ant-api0']),
  prefixed('groq', 'groq', 80, ['gsk_[a-zA-Z0-9]{8}']),
  prefixed('huggingface', 'huggingface', 60, ['hf_[a-zA-Z]{8}']),
  prefixed('linear', 'linear', 160, ['lin_api_']),
  prefixed('notion', 'notion', 80, ['ntn_[0-9]{8}']),
  prefixed('1password', '1password', 1320, ['ops_ey']),
  prefixed('vault', 'hashicorp-vault', 330, ['hv[sbr].[A-Za-z0-9_-]{8}']),
  prefixed('vercel', 'vercel', 80, ['vc[piark]_[A-Za-z0-9]{8}']),
  prefixed('databricks', 'databricks', 60, ['dapi[A-Fa-f0-9]{8}']),
  prefixed('docker', 'docker', 60, ['dckr_pat_']),
  prefixed('figma', 'figma', 240, ['figd_']),
  prefixed('cloudflare', 'cloudflare', 80, ['cfk_[A-Za-z0-9]{8}', 'cf[ua]t_[A-Za-z0-9]{8}']),
  prefixed('tailscale', 'tailscale', 160, ['tskey-']),
];

/** What the rules of the preset use of their context. */
interface RuleReport {
  /** Its kind: the translator leaves it at that. */
  message: string;
  range: readonly [number, number];
}

interface Scanner {
  file(source: { content: string; filePath: undefined; ext: string }): unknown;
}

/** @throws Error when the installed preset has not the rules that this version of the recorder was made with */
export function presetDetectors(): Detector[] {
  return PRESET_RULES.map(({ rule, messages, ...detector }) => {
    let found: RuleReport[] = [];
    const scanner = scannerOf(rule, (report) => found.push(report));
    return {
      ...detector,
      find(text, report) {
        found = [];
        scanner.file({ content: text, filePath: undefined, ext: '' });
        for (const { message: kind, range } of found) {
          if (messages === undefined || messages.includes(kind)) report(range[0], range[1]);
        }
      },
    };
  });
}

function scannerOf(rule: string, report: (report: RuleReport) => void): Scanner {
  const creator = rules.find(({ meta }) => meta.id === `@secretlint/secretlint-rule-${rule}`);
  if (creator === undefined) throw new Error(`The preset of detectors has no rule ${rule}`);
  const context = {
    createTranslator: () => (kind: string) => kind,
    report,
  };
  const create = creator.create as unknown as (context: object, options: object) => Scanner;
  return create(context, { enableIDScanRule: true });
}
