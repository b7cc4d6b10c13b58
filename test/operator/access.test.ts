import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAudit } from '../../src/access/audit.ts';
import { matches, parsePasswordHash } from '../../src/access/password.ts';
import { openShares } from '../../src/access/share.ts';
import { createUsers } from '../../src/access/users.ts';
import type { User } from '../../src/access/users.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { basic, cheapHash } from '../fixtures/passwords.ts';
import { createMemoryJobs, PROCESS } from './memory-jobs.ts';
import { run } from './command-line.ts';
import { createTestServer } from './operator-server.ts';

let directory: string;
let users: readonly User[];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-operators-'));
  const passwordHash = cheapHash('secret');
  users = (['user', 'operator', 'administrator'] as const).map((role) => ({
    name: `some-${role}`,
    passwordHash,
    role,
    groups: [],
    actsForOthers: false,
  }));
});
afterAll(() => rm(directory, { recursive: true }));

let files = 0;
async function start(authentication: boolean, anonymous = false) {
  const now = Date.now;
  const jobs = createMemoryJobs();
  const warn = (message: string) => expect.unreachable(message);
  const audit = await openAudit({ file: join(directory, `${(files += 1)}.jsonl`), now, warn });
  const known = {
    users: createUsers({ users, failures: 5, seconds: 60, onFailure: () => undefined, now }),
    anonymous,
  };
  const shares = await openShares(join(directory, 'share.key'), now);
  const gate = { ...createTestGate(jobs, { known, shares }), audit };
  const server = await createTestServer({ jobs, gate, authentication });
  server.app.addHook('onClose', () => audit[Symbol.asyncDispose]());
  const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  return Object.assign(server, { jobs, audit, shares, url });
}

const as = (name: string) => basic(`some-${name}`);

describe('the internal listener', () => {
  it('is open where nothing else is said', async () => {
    await using server = await start(false);
    for (const url of ['/health', '/api/jobs', '/']) {
      expect((await server.app.inject(url)).statusCode).toBe(200);
    }
    const reload = { method: 'POST', url: '/api/scheduling/reload' } as const;
    expect((await server.app.inject(reload)).statusCode).toBe(200);
  });

  it.each([
    ['GET', '/health', [200, 200, 200, 200]],
    ['GET', '/', [401, 403, 200, 200]],
    ['GET', '/api/jobs', [401, 403, 200, 200]],
    ['GET', '/api/processors', [401, 403, 200, 200]],
    ['GET', '/api/audit', [401, 403, 200, 200]],
    ['GET', '/nothing', [401, 403, 404, 404]],
    ['POST', '/api/nodes/e/n/drain', [401, 403, 404, 404]],
    ['POST', '/api/scheduling/reload', [401, 403, 403, 200]],
    ['POST', '/api/processors', [401, 403, 415, 415]],
    ['PATCH', '/api/processors/x~1', [401, 403, 400, 400]],
    ['DELETE', '/api/processors/x~1', [401, 403, 404, 404]],
  ] as const)('asks who it is, where that is wanted: %s %s', async (method, url, codes) => {
    for (const anonymous of [false, true]) {
      await using server = await start(true, anonymous);
      const found = [];
      for (const headers of [{}, as('user'), as('operator'), as('administrator')]) {
        const response = await server.app.inject({ method, url, headers });
        found.push(response.statusCode);
        const isChallenged = response.headers['www-authenticate'] !== undefined;
        expect(isChallenged).toBe(response.statusCode === 401);
      }
      expect(found).toEqual(codes);
    }
  });
});

describe('the command line', () => {
  const env = (url: string, more: Record<string, string> = {}) => ({
    env: { PUSHBROOM_URL: url, ...more },
  });
  const OPERATOR = { PUSHBROOM_USER: 'some-operator', PUSHBROOM_PASSWORD: 'secret' };

  it('logs in by what the environment says', async () => {
    await using server = await start(true);
    const { url } = server;
    expect(await run(['jobs'], env(url, OPERATOR))).toMatchObject({ code: 0, stdout: 'no jobs\n' });
    expect(await run(['jobs'], env(url))).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'pushbroom: log in with your user name and password or token: ' +
        'set PUSHBROOM_USER and PUSHBROOM_PASSWORD, or PUSHBROOM_TOKEN\n',
    });
    const half = await run(['jobs'], env(url, { PUSHBROOM_USER: 'some-operator' }));
    expect(half.stderr).toContain('PUSHBROOM_PASSWORD is not: set both');
    const token = await run(['jobs'], env(url, { ...OPERATOR, PUSHBROOM_TOKEN: 't' }));
    expect(token.stderr).toContain('tokens are not accepted here');
    const reload = await run(['reload'], env(url, OPERATOR));
    expect(reload.stderr).toContain("'some-operator' is no administrator");
  });

  it('tells who did what', async () => {
    await using server = await start(true);
    const { url, jobs } = server;
    const caller = { user: 'alice', role: 'user', groups: [] } as const;
    const { job } = await jobs.submit({ process: PROCESS.id, inputs: {}, caller });
    await run(['cancel', job.id], env(url, OPERATOR));
    await run(['reload'], env(url, OPERATOR));
    const { stdout } = await run(['audit', '--json'], env(url, OPERATOR));
    const { items } = JSON.parse(stdout);
    expect(items).toMatchObject([
      { what: 'POST /api/scheduling/reload', by: 'some-operator', outcome: 'HTTP 403' },
      { what: expect.stringMatching(/jobs/), by: 'some-operator', address: '127.0.0.1' },
    ]);
    expect(JSON.stringify(items)).toContain(job.id);
    const first = await run(['audit', '--limit', '1'], env(url, OPERATOR));
    expect(first.stdout).toMatch(
      /^TIME .*\n.*some-operator .*reload .*HTTP 403\nmore: --after \d+\n$/,
    );
    const none = await run(['audit', '--user', 'nobody'], env(url, OPERATOR));
    expect(none.stdout).toBe('nothing here\n');
  });

  it('makes links to results that there are', async () => {
    await using server = await start(false);
    const { url, jobs, shares } = server;
    const caller = { user: 'alice', role: 'user', groups: [] } as const;
    const { job } = await jobs.submit({ process: PROCESS.id, inputs: {}, caller });
    expect((await run(['share', job.id], env(url))).code).toBe(1);
    jobs.move(job.id, { state: 'successful', results: [] });
    const { stdout } = await run(['share', job.id, '--hours', '2'], env(url));
    const [link = '', until] = stdout.split('\n');
    const shared = new URL(link);
    expect(shared.pathname).toBe(`/staging/alice/${job.id}/`);
    const query = Object.fromEntries(shared.searchParams);
    expect(shares.accepts('alice', job.id, query)).toBe(true);
    expect(shares.accepts('bob', job.id, query)).toBe(false);
    expect(Number(query['expires'])).toBeCloseTo(Date.now() / 1000 + 7200, -2);
    expect(until).toMatch(/^until \d{4}-.* UTC, for whoever has it$/);
  });

  it('hashes a password', async () => {
    const { stdout } = await run(['hash-password'], { readPassword: async () => 'secret' });
    expect(await matches('secret', parsePasswordHash(stdout.trim()))).toBe(true);
  });
});
