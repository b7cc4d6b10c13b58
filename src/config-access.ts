/** Who may log in, as the configuration says it, and what can be wrong with that. */
import { isIP } from 'node:net';
import { parsePasswordHash } from './access/password.ts';
import { createCheck, failureOf, keyText } from './config-problems.ts';
import type { Problem } from './config-problems.ts';
import { USERS } from './config-schema.ts';
import type { Settings, UserSettings } from './config-schema.ts';
import { messageOf, PushbroomError } from './errors.ts';
import { parseYaml } from './yaml.ts';

/** Whether anybody is named who may log in: otherwise everybody may do everything. */
export const isGuarded = ({ access }: Pick<Settings, 'access'>): boolean =>
  access.users.length > 0 || access.usersFile !== undefined || access.oidc !== undefined;

export function accessProblems(settings: Settings): Problem[] {
  const { access, internal } = settings;
  const { oidc } = access;
  const guarded = isGuarded(settings);
  const nobody = 'needs somebody who can log in: access.users, usersFile or oidc';
  const checks: readonly (readonly [readonly string[], string | false | undefined])[] = [
    [['internal', 'authentication'], internal.authentication && !guarded && nobody],
    [['access', 'anonymous'], access.anonymous && !guarded && nobody],
    [['access', 'oidc', 'issuer'], oidc && urlProblem(oidc.issuer)],
    [['access', 'oidc', 'jwksUrl'], oidc?.jwksUrl !== undefined && urlProblem(oidc.jwksUrl)],
    ...settings.public.trustedProxies.map(
      (proxy, index) =>
        [
          ['public', 'trustedProxies', String(index)],
          failureOf(() => checkNetwork(proxy)),
        ] as const,
    ),
    ...Object.keys(access.bundles).map(
      (key) =>
        [
          ['access', 'bundles', key],
          /^[^~]+(~[^~]+)?$/.test(key) ? undefined : 'must be named <bundle> or <bundle>~<version>',
        ] as const,
    ),
  ];
  return [
    ...checks.flatMap(([path, reason]) => (reason ? [{ path, reason }] : [])),
    ...userProblems(access.users).map(({ path, reason }) => ({
      path: ['access', 'users', ...path],
      reason,
    })),
  ];
}

function checkNetwork(text: string): void {
  const [address = '', bits, ...more] = text.split('/');
  const most = isIP(address) === 6 ? 128 : 32;
  const isMask = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (isIP(address) === 0 || !isMask || more.length > 0) {
    throw new Error('must be an address or a network, such as 10.0.0.0/8');
  }
}

function userProblems(users: readonly UserSettings[]): Problem[] {
  const names = new Set<string>();
  return users.flatMap(({ name, passwordHash }, index) => {
    const isTwice = names.has(name);
    names.add(name);
    const fault =
      passwordHash === undefined ? undefined : failureOf(() => parsePasswordHash(passwordHash));
    return [
      ...(isTwice
        ? [{ path: [String(index), 'name'], reason: `is that of another user: ${name}` }]
        : []),
      ...(fault === undefined ? [] : [{ path: [String(index), 'passwordHash'], reason: fault }]),
    ];
  });
}

/** Who listens to what is said in the clear could make tokens that we take; on one machine nobody listens. */
function urlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  const isLocal = url !== null && /^(localhost|127[.]0[.]0[.]1|\[::1\])$/.test(url.hostname);
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLocal)) return undefined;
  return 'must be an https URL';
}

/**
 * Reads the file that `access.usersFile` names: a list as `access.users`.
 *
 * @throws INVALID_PARAMETER with a line for each thing that is wrong
 */
export function readUsersFile(file: string, text: string): UserSettings[] {
  const refusal = (lines: readonly string[]) =>
    new PushbroomError('INVALID_PARAMETER', lines.join('\n'));
  const document = (() => {
    try {
      return parseYaml(text);
    } catch (error) {
      throw refusal([`${file}: ${messageOf(error)}`]);
    }
  })();
  const users: unknown = document.content ?? [];
  const check = createCheck<UserSettings[]>(USERS);
  const problems = check.accepts(users) ? userProblems(users) : check.problems(users);
  if (problems.length === 0) return users as UserSettings[];
  throw refusal(
    problems.map(({ path, reason }) =>
      [file, document.placeOf(path), keyText(path), reason].join(': '),
    ),
  );
}
