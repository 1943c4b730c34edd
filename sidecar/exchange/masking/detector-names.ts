/**
 * Owns the names of the detectors, without loading what they are made of.
 * Invariant: names stay as they are from release to release; new ones are added.
 */

/** In a configuration: every detector, those of later releases too. */
export const ALL_DETECTORS = 'all';

export const DETECTORS: readonly string[] = [
  '1password',
  'anthropic',
  'atlassian',
  'authorization',
  'aws',
  'azure',
  'card-number',
  'cloudflare',
  'databricks',
  'docker',
  'figma',
  'gcp',
  'github',
  'gitlab',
  'grafana',
  'groq',
  'huggingface',
  'jwt',
  'linear',
  'notion',
  'npm',
  'openai',
  'private-key',
  'sendgrid',
  'shopify',
  'slack',
  'stripe',
  'tailscale',
  'url-credentials',
  'vault',
  'vercel',
];
