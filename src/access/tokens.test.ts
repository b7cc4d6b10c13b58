import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokens } from './tokens.ts';
import type { OidcSettings } from './tokens.ts';

const NOW = Date.UTC(2026, 5, 1);
const SECONDS = NOW / 1000;

/** An OpenID provider: tells where its keys are, and its keys. */
async function startProvider() {
  const keys: JWK[] = [];
  const asked: string[] = [];
  const state = { status: 200, issuer: '' };
  const server: Server = createServer((request, response) => {
    asked.push(request.url!);
    response.writeHead(state.status, { 'content-type': 'application/json' });
    const isKeys = request.url === '/keys';
    const discovery = { issuer: state.issuer, jwks_uri: `${issuer}/keys` };
    response.end(JSON.stringify(isKeys ? { keys } : discovery));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  state.issuer = issuer;
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    if (server.listening) await once(server, 'close');
  };
  return { issuer, keys, asked, state, stop };
}

async function aKey(alg: string, kid: string) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

let provider: Awaited<ReturnType<typeof startProvider>>;
let key: Awaited<ReturnType<typeof aKey>>;
let clock: number;
beforeEach(async () => {
  provider = await startProvider();
  key = await aKey('ES256', 'one');
  provider.keys.push(key.jwk);
  clock = NOW;
});
afterEach(() => provider.stop());

const tokens = (settings: Partial<OidcSettings> = {}) =>
  createTokens(
    {
      issuer: provider.issuer,
      audience: 'pushbroom',
      userClaim: 'preferred_username',
      groupsClaim: 'realm_access.roles',
      roles: { operator: ['ops'], administrator: ['admins'] },
      ...settings,
    },
    () => clock,
  );

const CLAIMS = { preferred_username: 'anna', realm_access: { roles: ['urbantep'] } };

interface Wish {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly issuer?: string;
  readonly audience?: string;
  readonly from?: number;
  readonly until?: number | undefined;
  readonly header?: { readonly alg: string; readonly kid?: string };
  readonly signedBy?: CryptoKey | Uint8Array;
}

function sign(wish: Wish = {}): Promise<string> {
  const { until = SECONDS + 60, header = { alg: 'ES256', kid: 'one' } } = wish;
  const token = new SignJWT({ ...CLAIMS, ...wish.claims })
    .setProtectedHeader(header)
    .setIssuer(wish.issuer ?? provider.issuer)
    .setAudience(wish.audience ?? 'pushbroom')
    .setNotBefore(wish.from ?? SECONDS - 60);
  if (until > 0) token.setExpirationTime(until);
  return token.sign(wish.signedBy ?? key.privateKey);
}

describe('a token', () => {
  it('says who it is, and by his groups what he may', async () => {
    const read = tokens();
    const roleOf = async (roles: unknown) =>
      (await read(await sign({ claims: { realm_access: { roles } } }))).role;
    expect(await read(await sign())).toEqual({ user: 'anna', role: 'user', groups: ['urbantep'] });
    expect(await roleOf(['ops', 'urbantep'])).toBe('operator');
    expect(await roleOf(['ops', 'admins'])).toBe('administrator');
    expect(await roleOf('admins')).toBe('administrator');
    expect(await roleOf([{ admins: 1 }, 7])).toBe('user');
    expect(await roleOf(undefined)).toBe('user');
    expect(provider.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it('may be signed with RSA, and its keys be where the configuration says', async () => {
    const rsa = await aKey('RS256', 'two');
    provider.keys.push(rsa.jwk);
    const token = await sign({ header: { alg: 'RS256', kid: 'two' }, signedBy: rsa.privateKey });
    const read = tokens({ jwksUrl: `${provider.issuer}/keys` });
    expect(await read(token)).toMatchObject({ user: 'anna' });
    expect(provider.asked).toEqual(['/keys']);
  });

  it.each<[string, Wish, RegExp]>([
    ['of another issuer', { issuer: 'https://evil.example' }, /"iss"/],
    ['for another audience', { audience: 'other' }, /"aud"/],
    ['that has expired', { until: SECONDS - 31 }, /it has expired/],
    ['without an end', { until: 0 }, /"exp"/],
    ['that is not good yet', { from: SECONDS + 31 }, /"nbf"/],
    ['with a key that is not known', { header: { alg: 'ES256', kid: 'three' } }, /not signed by/],
  ])('%s is refused', async (_, wish, reason) => {
    await expect(tokens()(await sign(wish))).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(reason),
    });
  });

  it('signed by somebody else, with a shared secret or not at all is refused', async () => {
    const read = tokens();
    const other = await aKey('ES256', 'one');
    // The public key as if it were a secret: who does not look at the algorithm takes it.
    const secret = Buffer.from(await exportSPKI(key.publicKey));
    const [, payload] = (await sign()).split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const token of [
      await sign({ signedBy: other.privateKey }),
      await sign({ header: { alg: 'HS256', kid: 'one' }, signedBy: secret }),
      `${none}.${payload}.`,
      `${none}.${payload}`,
      (await sign()).slice(0, -4),
      'a.b.c',
      'token',
    ]) {
      await expect(read(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  it.each([undefined, 7, '', '../x', 'a b', '.x'])(
    'whose user is %j is refused',
    async (preferred_username) => {
      const token = await sign({ claims: { preferred_username } });
      await expect(tokens()(token)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    },
  );

  it('is remembered, but not longer than it is good', async () => {
    const read = tokens();
    const token = await sign();
    await read(token);
    provider.keys.length = 0;
    clock += 89_000;
    expect(await read(token)).toMatchObject({ user: 'anna' });
    clock += 2000;
    await expect(read(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('a provider', () => {
  it('that is away is said to be, and asked again later', async () => {
    provider.state.status = 500;
    const read = tokens();
    const away = { code: 'UNAVAILABLE', retryAfter: 10, message: expect.stringMatching(/500/) };
    await expect(read(await sign())).rejects.toMatchObject(away);
    provider.state.status = 200;
    await expect(read(await sign())).rejects.toMatchObject(away);
    expect(provider.asked).toHaveLength(1);
    clock += 10_000;
    expect(await read(await sign({ until: SECONDS + 999 }))).toMatchObject({ user: 'anna' });
  });

  it('that cannot be reached, or has no keys, is said to be so', async () => {
    const token = await sign();
    const read = tokens({ jwksUrl: `${provider.issuer}/keys` });
    provider.state.status = 503;
    await expect(read(token)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await provider.stop();
    for (const settings of [{}, { jwksUrl: `${provider.issuer}/keys` }]) {
      await expect(tokens(settings)(token)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/^the keys of .* are not to be had: .*; try again later$/),
      });
    }
  });

  it('that is another one is not believed', async () => {
    provider.state.issuer = 'https://evil.example';
    await expect(tokens()(await sign())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/is about the issuer "https:\/\/evil.example"/),
    });
  });
});
