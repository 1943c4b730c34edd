/** Text that two maskers look at: it is cut where no secret of either is, however far each alone would let it pass. */
import { expect, it } from 'vitest';
import { createTextUnits } from '../../sidecar/exchange/text-units.ts';
import { recordMasker } from './masking/support.ts';

const github = recordMasker([{ kind: 'detectors', detectors: ['github'] }]);
const card = recordMasker([{ kind: 'detectors', detectors: ['card-number'] }]);
const TOKEN = `ghp_${'Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2'}`;

it('is cut within no secret of either', () => {
  for (let gap = 1; gap < 80; gap += 1) {
    const first = `${'word '.repeat(40)}${TOKEN} ${'w '.repeat(gap).slice(0, gap)}4111111111111111`;
    for (const streams of [
      [github.stream(), card.stream()],
      [card.stream(), github.stream()],
    ]) {
      const units = createTextUnits({ streams, maxPendingBytes: 1 << 20 });
      const pieces = [
        ...units.push(Buffer.from(first)),
        ...units.push(Buffer.from(` and ${'word '.repeat(30)}\n`)),
        ...units.end(),
      ];
      const shown = pieces.map(({ bytes }) => github.content(bytes.toString()).text).join('');
      expect(shown, `gap ${gap}`).toContain(' [masked:github] ');
    }
  }
});
