/**
 * What the schema can't see: expressions, patterns, paths and names of detectors, told with their places.
 */
import { describe, expect, it } from 'vitest';
import { loadCheckedConfiguration } from '../../sidecar/config/check-policy.ts';
import { ConfigurationError } from '../../sidecar/config/configuration-error.ts';
import { configurationFiles } from './scene.ts';

const files = configurationFiles();
const REST = 'server: {url: "http://a"}\nstorage: {directory: a}\nauth: {mode: Anonymous}\n';

async function faultsOf(yaml: string): Promise<string[]> {
  const file = await files.write(REST + yaml);
  const error: unknown = await loadCheckedConfiguration({ file }).catch((cause: unknown) => cause);
  if (!(error instanceof ConfigurationError)) return [];
  return error.message
    .split('\n')
    .slice(1)
    .map((line) => line.trim().replace(`${file}:`, ''));
}

describe('a configuration with expressions', () => {
  it('is taken when all of them can be compiled', async () => {
    const yaml = `rules:
  - {name: a, when: 'mcp.tool == "x" && "dev" in principal.groups', action: Deny}
masking:
  rules:
    - {detectors: [all]}
    - {name: ssn, paths: ["$.params.arguments.ssn"]}
    - {name: employee, pattern: "E[0-9]{6}"}
`;
    expect(await faultsOf(yaml)).toEqual([]);
  });

  it('is refused with the place of each fault, in the file and in the expression', async () => {
    const yaml = `rules:
  - name: a
    action: Deny
    when: |
      mcp.method == "tools/call" &&
        mcp.tol == "x"
  - {name: b, when: mcp.tool, action: Deny}
masking:
  rules:
    - detectors:
        - github
        - nonsense
    - name: c
      pattern: "(a"
    - name: d
      paths: ["$.a", "$..["]
`;
    expect(await faultsOf(yaml)).toEqual([
      '7: rules[0].when (line 2, column 7): No such key: tol',
      expect.stringMatching(
        /^10: rules\[1\]\.when \(line 1, column 1\): The expression must be true or false, but it is of type string/,
      ),
      expect.stringMatching(/^15: masking\.rules\[0\]\.detectors\[1\]: is no detector; known are all, /),
      expect.stringMatching(/^17: masking\.rules\[1\]\.pattern: is no RE2 pattern: /),
      expect.stringMatching(/^19: masking\.rules\[2\]\.paths\[1\]: /),
    ]);
  });
});
