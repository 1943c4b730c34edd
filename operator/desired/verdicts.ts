/**
 * Owns what each condition says while the resource stands.
 * Invariant: `Ready` is `True` only when every other condition is as it should be, and its reason is the one that tells most.
 */
import { accessInForce } from './access-floors.ts';
import { credentialHealthy, identityHealthy, rulesHealthy } from './access-health.ts';
import type { Adoption } from './adoption.ts';
import { configMapDigest, isSigned } from './config-map.ts';
import { firstTrouble, type Verdicts } from './conditions.ts';
import { configurationTrouble } from './configuration-state.ts';
import { describeStore, type Refusal } from './floors.ts';
import { recording, storageHealthy } from './health.ts';
import { directAccess } from './probe.ts';
import type { Situation } from './situation.ts';
import { counted, listed, quoted, type Verdict, verdict } from './verdict.ts';

/** Many workloads may be blocked; a status has to stay small (characters). */
const MAX_MESSAGE = 4_000;

export function verdictsOf(situation: Situation, adoption: Adoption): Verdicts {
  const { observed, pods, lost } = situation;
  const stored = storageHealthy(pods, observed.nowMs, describeStore(observed.resource, observed.settings));
  const recorded = recording(pods, observed.nowMs);
  const direct = directVerdict(situation, adoption);
  const passes = direct.status === 'True' && recorded.reason === 'PassesUnrecorded';
  const enforced: Verdict = passes ? recorded : enforcedBy(direct);
  const access = accessInForce(observed.resource, observed.settings);
  const others = {
    SidecarsInjected: sidecarsInjected(situation, adoption),
    Enforced: enforced,
    DirectAccessBlocked: direct,
    StorageHealthy: stored,
    Recording: recorded,
    IdentityHealthy: identityHealthy(observed, pods, access),
    RulesHealthy: rulesHealthy(observed, pods, access),
    CredentialHealthy: credentialHealthy(observed, pods),
    RolloutBlocked: blockedBy(adoption.renewal.blocked),
    Conflict: conflictOf(lost),
  };
  return { Ready: ready(situation, adoption, others), ...others };
}

function ready(situation: Situation, adoption: Adoption, others: Omit<Verdicts, 'Ready'>): Verdict {
  const { observed, pods } = situation;
  const { refusal, refusals } = adoption;
  const said: Verdict[] = [];
  if (refusal !== null) said.push(verdict('False', refusal.reason, refusal.cause));
  if (others.Conflict.status === 'True') {
    said.push({ ...others.Conflict, status: 'False' });
  }
  const [first] = refusals;
  if (first !== undefined) {
    said.push(verdict('False', first.reason, refusals.map(({ cause }) => cause).join(' ')));
  }
  const refused = [...observed.refusals]
    .filter(([object]) => /^(ConfigMap|NetworkPolicy|Service)\//.test(object))
    .sort();
  if (refused[0] !== undefined) {
    said.push(verdict('False', 'ApplyRefused', `${refused[0][0]}: ${quoted(refused[0][1])}.`));
  }
  if (pods.length === 0) said.push(verdict('False', 'NoPods', 'The selector matches no pod.'));
  // After a start it is not known yet; what is closed stays closed.
  const admission: Verdict = observed.admissionReady
    ? verdict('True', 'Ready', '')
    : verdict(
        adoption.stage === 'Enforcing' ? 'Unknown' : 'False',
        'AdmissionNotReady',
        'Admission does not ask the operator about these pods yet.',
      );
  const digest = configMapDigest(observed.resource, adoption.configMap);
  const configuration = configurationTrouble(pods, digest, observed.nowMs);
  // Old keys still verify, Observe lets all pass, a rule that fails denies what it was asked about: these are told by their own conditions alone.
  const { IdentityHealthy: identity, CredentialHealthy: credential } = others;
  const lacking = [
    ...(identity.reason === 'IssuerUnavailable' && observed.resource.spec.auth?.mode === 'Enforce'
      ? [['IdentityHealthy', identity] as const]
      : []),
    ...(credential.reason === 'CredentialUnavailable' ? [['CredentialHealthy', credential] as const] : []),
  ];
  const trouble =
    said[0] ??
    firstTrouble([
      ['Ready', admission],
      ['StorageHealthy', others.StorageHealthy],
      ...lacking,
      ['RolloutBlocked', others.RolloutBlocked],
      ['SidecarsInjected', others.SidecarsInjected],
      ['Recording', others.Recording],
      ['DirectAccessBlocked', others.DirectAccessBlocked],
      ['Enforced', others.Enforced],
      ...(configuration === null ? [] : [['Ready', configuration] as const]),
    ]);
  return (
    trouble ?? verdict('True', 'Ready', 'Every exchange is recorded, and no other pod has another way in.')
  );
}

function sidecarsInjected({ observed, pods }: Situation, { bare, former }: Adoption): Verdict {
  const staying = pods.filter(({ selected, terminating }) => selected && !terminating);
  if (staying.length === 0) return verdict('Unknown', 'NoPods', 'The selector matches no pod.');
  const lacking = bare.filter(({ terminating }) => !terminating).length;
  const old = former.filter(({ terminating }) => !terminating).length;
  const cause = `${staying.length - lacking} of ${counted(staying.length, 'pod')} ${staying.length === 1 ? 'has' : 'have'} the recorder.`;
  if (lacking > 0) {
    return verdict('False', observed.admissionReady ? 'PodsUnrecorded' : 'AdmissionNotReady', cause);
  }
  if (old > 0) {
    const which = `${old} of ${counted(staying.length, 'pod')} ${old === 1 ? 'is' : 'are'} as before the change.`;
    return verdict('False', 'PodsNotCurrent', which);
  }
  return verdict('True', 'AllInjected', cause);
}

function directVerdict(situation: Situation, { stage, policy, closes, traffic, refusal }: Adoption): Verdict {
  const { observed, pods, ports, standingPolicy, otherPolicies, closing } = situation;
  if (stage !== 'Enforcing' || policy === null || ports === null || !closes) {
    if (stage === 'Pending' || refusal !== null) {
      return verdict('False', 'NotBegun', 'Direct access is open: nothing is recorded yet.');
    }
    if (pods.length === 0) return verdict('Unknown', 'NoPods', 'The selector matches no pod.');
    if (stage === 'Injecting')
      return verdict('False', 'Injecting', 'Direct access is open while pods are made anew.');
    const waiting = traffic.waitingFor.length === 0 ? '' : `: ${listed(traffic.waitingFor)}`;
    return verdict(
      'False',
      'Retargeting',
      `Direct access is open while Services are led to the recorder${waiting}.`,
    );
  }
  if (
    standingPolicy === null &&
    observed.resource.status?.phase !== 'Enforcing' &&
    observed.resource.status?.phase !== 'Enforced'
  ) {
    return verdict('False', 'Enforcing', 'The NetworkPolicy is being written.');
  }
  return directAccess({
    observed,
    pods,
    ports,
    policy,
    standing: standingPolicy,
    otherPolicies,
    closing,
    configurationSigned: isSigned(observed.configMap, observed.sign),
  });
}

function enforcedBy(direct: Verdict): Verdict {
  return direct.status === 'True'
    ? verdict('True', 'Enforced', 'Every exchange is recorded, and no other pod has another way in.')
    : direct;
}

function blockedBy(blocked: readonly Refusal[]): Verdict {
  const [first, ...more] = blocked;
  if (first === undefined) return verdict('False', 'NotBlocked', 'Nothing keeps pods from being made anew.');
  const { status, reason, message } = verdict('True', first.reason, first.cause);
  const also = more.map(({ reason, cause }) => `Also ${reason}: ${cause}`);
  return { status, reason, message: [message, ...also].join(' ').slice(0, MAX_MESSAGE) };
}

function conflictOf(lost: Situation['lost']): Verdict {
  if (lost.size === 0) return verdict('False', 'NoConflict', 'No other resource selects these pods.');
  const parts = [...lost]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([winner, names]) => `${listed(names)} (of ${winner})`);
  return verdict('True', 'OlderResourceWins', `Pods of an older resource: ${parts.join('; ')}.`);
}

/** What the conditions say from the deletion on. */
export function verdictsOfRemoval(blocked: readonly Refusal[]): Verdicts {
  const said = verdict('False', 'Removing', 'The resource is being deleted: direct access is open again.');
  const unknown: Verdict = { ...said, status: 'Unknown' };
  return {
    Ready: said,
    SidecarsInjected: unknown,
    Enforced: said,
    DirectAccessBlocked: said,
    StorageHealthy: unknown,
    Recording: said,
    IdentityHealthy: unknown,
    RulesHealthy: unknown,
    CredentialHealthy: unknown,
    RolloutBlocked: blockedBy(blocked),
    Conflict: conflictOf(new Map()),
  };
}
