/**
 * Writes every generated file that is committed; `--check` writes nothing and fails when one would change.
 * Invariant: what is published beside the code (schemas) says what the code does.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lineJsonSchema } from '@mcp-recorder/recording/format/line-schema';
import { configurationJsonSchema } from '../sidecar/config/problems.ts';
import { apiPage } from './api-page.ts';
import { chartReadme, crdTemplate } from './chart-files.ts';
import { cliPage } from './cli-page.ts';
import { maskingPage } from './masking-page.ts';
import { operationsPage } from './operations-page.ts';
import { resourceTypes } from './resource-types.ts';
import { searchJsonSchema } from './search-schema.ts';

const root = path.join(import.meta.dirname, '..');

/** Every generated file: its path from the repository's root, and what must stand in it. */
const generated: { path: string; content: () => string | Promise<string> }[] = [
  { path: 'docs/schema/line.schema.json', content: lineJsonSchema },
  { path: 'docs/schema/search.schema.json', content: searchJsonSchema },
  { path: 'docs/cli.md', content: cliPage },
  { path: 'docs/api.md', content: apiPage },
  { path: 'docs/operations.md', content: operationsPage },
  { path: 'docs/masking.md', content: maskingPage },
  { path: 'helm/mcp-recorder/templates/crd.yaml', content: crdTemplate },
  { path: 'helm/mcp-recorder/README.md', content: chartReadme },
  { path: 'operator/api/recorded-mcp-server.ts', content: resourceTypes },
  {
    path: 'docs/schema/configuration.schema.json',
    content: () => `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`,
  },
];

const check = process.argv.includes('--check');
for (const file of generated) {
  const target = path.join(root, file.path);
  const content = await file.content();
  const present = await readFile(target, 'utf8').catch(() => null);
  if (present === content) continue;
  if (check) {
    console.error(`${file.path} is not what its source generates; run: npm run generate`);
    process.exitCode = 1;
    continue;
  }
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, content);
  console.log(`wrote ${file.path}`);
}
