import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import type { Millis } from '../core/model.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import type { Caller, Role } from '../jobs/jobs.ts';
import { createRecall } from './recall.ts';
import { isUserName } from './remote-user.ts';

export interface OidcSettings {
  readonly issuer: string;
  readonly audience: string;
  /** Where the keys are; without it, where the issuer's discovery document says. */
  readonly jwksUrl?: string;
  /** Names of claims; dots lead into objects. */
  readonly userClaim: string;
  readonly groupsClaim: string;
  /** Groups whose members have that role. */
  readonly roles: Readonly<Record<Exclude<Role, 'user'>, readonly string[]>>;
}

/** @throws UNAUTHENTICATED, FORBIDDEN (no usable user name), UNAVAILABLE (no keys to be had) */
export type Tokens = (token: string) => Promise<Caller>;

/** With a shared secret, who can check tokens could make them as well. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Clocks differ by some seconds. */
const TOLERANCE_S = 30;
const REMEMBERED_MS = 5 * 60_000;
const TIMEOUT_MS = 5000;
/** So long nobody asks again for keys that were not to be had, or for one that was not among them. */
const COOLDOWN_MS = 10_000;
const MOST_GROUPS = 1000;

/** Checks JSON Web Tokens (RFC 7519) of one OpenID provider. */
export function createTokens(settings: OidcSettings, now: () => Millis): Tokens {
  const { issuer, audience } = settings;
  const keys = createKeys(settings, now);
  const recall = createRecall<Caller>(now);

  async function verify(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, await keys(), {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: TOLERANCE_S,
        requiredClaims: ['exp'],
        currentDate: new Date(now()),
      });
      return payload;
    } catch (error) {
      throw refusal(error, issuer);
    }
  }

  return (token) =>
    recall.get([token], async () => {
      const payload = await verify(token);
      const until = Math.min(now() + REMEMBERED_MS, (payload.exp! + TOLERANCE_S) * 1000);
      return { value: callerOf(payload, settings), until };
    });
}

/** Where the keys are is asked with the first token: a provider that is away keeps nobody from starting. */
function createKeys(
  { issuer, jwksUrl }: OidcSettings,
  now: () => Millis,
): () => Promise<JWTVerifyGetKey> {
  const open = (url: string) =>
    createRemoteJWKSet(new URL(url), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: COOLDOWN_MS,
    });
  let keys = jwksUrl === undefined ? undefined : open(jwksUrl);
  let looking: Promise<string> | undefined;
  let again = 0;
  return async () => {
    if (keys) return keys;
    if (looking === undefined || now() >= again) {
      again = now() + COOLDOWN_MS;
      looking = discover(issuer);
    }
    keys = open(await looking);
    return keys;
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const found: unknown = await response.json();
  const its = claimOf(found, 'issuer');
  if (its !== issuer) throw new Error(`${url} is about the issuer ${JSON.stringify(its)}`);
  const keys = claimOf(found, 'jwks_uri');
  if (typeof keys !== 'string' || !URL.canParse(keys)) throw new Error(`${url} has no jwks_uri`);
  return keys;
}

/** What is wrong with a token, or with where its keys should come from. */
function refusal(error: unknown, issuer: string): PushbroomError {
  const unauthenticated = (reason: string) =>
    new PushbroomError('UNAUTHENTICATED', `the token is refused: ${reason}`, { cause: error });
  if (error instanceof errors.JWTExpired) return unauthenticated('it has expired');
  if (error instanceof errors.JWTClaimValidationFailed) return unauthenticated(error.message);
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return unauthenticated(`it must be signed by one of ${ALGORITHMS.join(', ')}`);
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return unauthenticated(`it is not signed by a key of ${issuer}`);
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return unauthenticated('it is no signed JSON Web Token');
  }
  const reason = messageOf(error instanceof Error && error.cause ? error.cause : error);
  return new PushbroomError(
    'UNAVAILABLE',
    `the keys of ${issuer} are not to be had: ${reason}; try again later`,
    { cause: error, retryAfter: COOLDOWN_MS / 1000 },
  );
}

/** @throws FORBIDDEN */
function callerOf(payload: JWTPayload, { userClaim, groupsClaim, roles }: OidcSettings): Caller {
  const user = claimOf(payload, userClaim);
  if (typeof user !== 'string' || !isUserName(user)) {
    throw new PushbroomError(
      'FORBIDDEN',
      `the claim '${userClaim}' of the token must be a user name of letters, digits and . _ @ -`,
    );
  }
  const claimed = [claimOf(payload, groupsClaim) ?? []].flat().slice(0, MOST_GROUPS);
  const groups = claimed.filter((group) => typeof group === 'string');
  const has = (role: Exclude<Role, 'user'>) => roles[role].some((its) => groups.includes(its));
  const role = has('administrator') ? 'administrator' : has('operator') ? 'operator' : 'user';
  return { user, role, groups };
}

/** A claim by its name, or by the names on the way to it: `realm_access.roles`. */
function claimOf(payload: unknown, name: string): unknown {
  if (typeof payload !== 'object' || payload === null) return undefined;
  if (Object.hasOwn(payload, name)) return Reflect.get(payload, name);
  return name
    .split('.')
    .reduce<unknown>(
      (node, key) =>
        typeof node === 'object' && node !== null && Object.hasOwn(node, key)
          ? Reflect.get(node, key)
          : undefined,
      payload,
    );
}
