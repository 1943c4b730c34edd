/**
 * What is recorded of a caller is looked through before it is cut: a secret that lies across the bound leaves no beginning.
 */
import { expect, it } from 'vitest';
import { cutPrincipal } from '../../../sidecar/exchange/caller.ts';
import { recordedCaller } from '../../../sidecar/exchange/masking/names.ts';
import { callerNamed } from '../../support/policy.ts';
import { plantedSecrets } from '../../support/secrets.ts';
import { recordMasker } from './support.ts';

it('holds no part of a secret that a claim is cut in', () => {
  const masker = recordMasker([{ kind: 'detectors', detectors: ['all'] }]);
  for (const { text, secret, detector } of plantedSecrets(5, 93)) {
    const claim = `${'a '.repeat(490)}${text}`;
    const caller = callerNamed('ann');
    const wholePrincipal = { ...caller.principal, name: claim, groups: [claim, 'dev'] };
    const principal = cutPrincipal(wholePrincipal, false);
    const { principalJson, masked } = recordedCaller(masker, { ...caller, principal, wholePrincipal });
    expect(principalJson, detector).not.toContain(JSON.stringify(secret.slice(0, 12)).slice(1, -1));
    expect(masked).not.toBeNull();
  }
});
