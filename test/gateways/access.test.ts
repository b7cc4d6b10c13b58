import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../src/access/audit.ts';
import type { GuardOptions } from '../../src/access/guard.ts';
import { createJobsFor } from '../../src/access/restrict.ts';
import { openShares } from '../../src/access/share.ts';
import { createUsers } from '../../src/access/users.ts';
import type { User } from '../../src/access/users.ts';
import { createVisibility } from '../../src/access/visibility.ts';
import type { Jobs } from '../../src/jobs/jobs.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { basic, cheapHash } from '../fixtures/passwords.ts';
import { createMemoryJobs } from './memory-jobs.ts';
import type { MemoryJobs } from './memory-jobs.ts';
import { PROCESSES, startServer } from './server.ts';
import type { TestServer } from './server.ts';

let directory: string;
let users: readonly User[];
const NOBODY = { role: 'user', groups: [], actsForOthers: false } as const;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-access-'));
  const passwordHash = cheapHash('secret');
  users = [
    { ...NOBODY, name: 'alice', passwordHash, groups: ['subset'] },
    { ...NOBODY, name: 'bob', passwordHash },
    { ...NOBODY, name: 'olga', passwordHash, role: 'operator' },
    { ...NOBODY, name: 'utepportal', passwordHash, actsForOthers: true },
    { ...NOBODY, name: 'tep_anna', groups: ['subset'] },
  ];
});
afterAll(() => rm(directory, { recursive: true }));

interface Guarded extends TestServer {
  readonly memory: MemoryJobs;
  readonly events: AuditEvent[];
}

/** The real public server, which lets in the users above; of its processes, one is for a group only. */
async function startGuarded(
  options: {
    anonymous?: true;
    requests?: GuardOptions['requests'];
    trustedProxies?: string[];
  } = {},
): Promise<Guarded> {
  const memory = createMemoryJobs(PROCESSES, directory);
  const events: AuditEvent[] = [];
  const now = Date.now;
  const { anonymous = false, requests, trustedProxies = [] } = options;
  const known = {
    users: createUsers({
      users,
      failures: 3,
      seconds: 60,
      now,
      onFailure: (by, address) =>
        void events.push({ what: 'login', by, address, outcome: 'UNAUTHENTICATED' }),
    }),
    anonymous,
  };
  const visibility = createVisibility([], {
    'urbantep-subsetting': { users: [], groups: ['subset'] },
  });
  const gate = createTestGate(memory, {
    userPrefix: 'tep_',
    known,
    events,
    ...(requests && { requests }),
    jobsFor: createJobsFor({ jobsOver: (): Jobs => memory, datasets: [], visibility }),
    shares: await openShares(join(directory, 'share.key'), now),
  });
  return Object.assign(await startServer({ gate, trustedProxies }, PROCESSES, basic('olga')), {
    memory,
    events,
  });
}

const as = (name: string, more: Record<string, string> = {}) => ({
  ...basic(name),
  ...more,
});
const WRONG = basic('alice', 'wrong');

const SUBSET = 'urbantep-subsetting~1.0~Subset';
const INDICES = 'timescan~1.0~Indices';

async function submit(server: Guarded, headers: Record<string, string>, process = INDICES) {
  const response = await server.app.inject({
    method: 'POST',
    url: `/ogcapi/processes/${process}/execution`,
    headers: { prefer: 'respond-async', ...headers },
    payload: { inputs: { inputDataSetName: 'GUF 12m' } },
  });
  return { code: response.statusCode, id: response.json<{ jobID: string }>().jobID };
}

describe('whoever has not logged in', () => {
  it.each([
    ['GET', '/wps?Service=WPS&Request=GetCapabilities', /<ows:ExceptionReport/],
    ['POST', '/wps', /<ows:ExceptionReport/],
    ['GET', '/bc-wps/wps/calvalus?Service=WPS&Request=GetCapabilities', /<ows:ExceptionReport/],
    ['GET', '/ogcapi/processes', /"type":"[^"]*unauthenticated"/],
    ['GET', '/ogcapi/nothing', /"type":"[^"]*unauthenticated"/],
    ['POST', '/upload?dir=software&bundle=true', /^log in/],
    ['GET', '/staging/alice/x/a.tif', /"code":"UNAUTHENTICATED"/],
    ['GET', '/', /"code":"UNAUTHENTICATED"/],
    ['GET', '/nothing', /"code":"UNAUTHENTICATED"/],
  ] as const)('is told so in the words of the door: %s %s', async (method, url, words) => {
    await using server = await startGuarded();
    const given: readonly Record<string, string>[] = [
      {},
      WRONG,
      { authorization: 'Basic ?' },
      { authorization: 'Odd x' },
    ];
    for (const headers of given) {
      const response = await server.app.inject({ method, url, headers });
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe('Basic realm="pushbroom", charset="UTF-8"');
      if (headers === WRONG) expect(response.body).toContain('password is wrong');
      else expect(response.body).toMatch(headers['authorization'] ? /Authorization/ : words);
    }
  });

  it('may ask as an ordinary user where that is allowed, but not upload or act for others', async () => {
    await using server = await startGuarded({ anonymous: true });
    const { id } = await submit(server, {});
    expect((await server.memory.status(id)).job.user).toBe('anonymous');
    expect((await submit(server, { remote_user: 'anna' })).code).toBe(403);
    const upload = { method: 'POST', url: '/upload?dir=software&bundle=true' } as const;
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    expect((await server.app.inject({ ...upload, headers })).statusCode).toBe(401);
    for (const url of ['/upload/bundles', '/upload/files', '/upload/files/region_data/a.zip']) {
      expect((await server.app.inject({ url })).statusCode).toBe(401);
    }
    const removal = { method: 'DELETE', url: '/upload/files/region_data/a.zip' } as const;
    expect((await server.app.inject(removal)).statusCode).toBe(401);
    expect((await server.app.inject({ url: '/ogcapi', headers: WRONG })).statusCode).toBe(401);
  });

  it('cannot try passwords for ever', async () => {
    await using server = await startGuarded();
    const tries = { url: '/wps?Service=WPS&Request=GetCapabilities', headers: WRONG };
    for (const code of [401, 401, 401, 429]) {
      expect((await server.app.inject(tries)).statusCode).toBe(code);
    }
    const response = await server.app.inject(tries);
    expect(response.body).toContain('exceptionCode="ServerBusy"');
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(server.events).toHaveLength(3);
    expect(JSON.stringify(server.events)).not.toContain('wrong');
    expect((await server.app.inject({ ...tries, headers: as('bob') })).statusCode).toBe(200);
  });
});

it('the address of who comes by a proxy is told by proxies that are trusted only', async () => {
  await using server = await startGuarded({ trustedProxies: ['10.1.0.0/16'] });
  for (const remoteAddress of ['10.1.2.3', '10.2.2.3']) {
    const headers = { ...WRONG, 'x-forwarded-for': '1.1.1.1, 192.0.2.7' };
    await server.app.inject({ url: '/wps', headers, remoteAddress });
  }
  expect(server.events.map(({ address }) => address)).toEqual(['192.0.2.7', '10.2.2.3']);
});

describe('a portal', () => {
  it('asks for its users, whatever the case of the header', async () => {
    await using server = await startGuarded();
    const headers = as('utepportal', { REMOTE_USER: 'anna', Remote_Ref: 'r1', remote_domain: 'x' });
    const { id } = await submit(server, headers, SUBSET);
    const { job } = await server.memory.status(id);
    expect([job.user, job.reference]).toEqual(['tep_anna', 'r1']);
    expect(server.events).toMatchObject([
      { what: 'execute', by: 'utepportal', user: 'tep_anna', jobId: id, outcome: 'done' },
    ]);
  });

  it('is trusted, others are not', async () => {
    await using server = await startGuarded();
    for (const name of ['alice', 'olga']) {
      for (const header of ['remote_user', 'remote_ref']) {
        const response = await server.app.inject({
          url: '/wps?Service=WPS&Request=GetCapabilities',
          headers: as(name, { [header]: 'bob' }),
        });
        expect(response.statusCode).toBe(403);
        expect(response.body).toContain(`${name}&apos; may not act for others`);
      }
    }
  });
});

describe('a user', () => {
  it('sees his own jobs, as if there were no others', async () => {
    await using server = await startGuarded();
    const alices = await submit(server, as('alice'));
    const bobs = await submit(server, as('bob'));
    const annas = await submit(server, as('utepportal', { remote_user: 'anna' }));
    const list = async (headers: Record<string, string>) =>
      (await server.app.inject({ url: '/ogcapi/jobs', headers }))
        .json<{ jobs: { jobID: string }[] }>()
        .jobs.map(({ jobID }) => jobID);
    expect(await list(as('alice'))).toEqual([alices.id]);
    expect(await list(as('bob'))).toEqual([bobs.id]);
    expect(await list(as('utepportal', { remote_user: 'anna' }))).toEqual([annas.id]);
    expect(await list(as('utepportal'))).toEqual([]);
    expect(await list(as('olga'))).toHaveLength(3);

    const none = await server.app.inject({ url: '/ogcapi/jobs/none', headers: as('bob') });
    const asks = [
      ['GET', `/ogcapi/jobs/${alices.id}`],
      ['GET', `/ogcapi/jobs/${alices.id}/results`],
      ['DELETE', `/ogcapi/jobs/${alices.id}`],
    ] as const;
    for (const [method, url] of asks) {
      const response = await server.app.inject({ method, url, headers: as('bob') });
      expect(response.statusCode).toBe(404);
      expect(response.json<{ type: string }>().type).toBe(none.json<{ type: string }>().type);
    }
    const status = `/wps?Service=WPS&Request=GetStatus&JobId=${alices.id}`;
    const foreign = await server.app.inject({ url: status, headers: as('bob') });
    expect(foreign.body).toContain(`JobId ${alices.id}&apos; has an invalid value.`);
    expect((await server.memory.status(alices.id)).state).toBe('accepted');
    const dismissed = await server.app.inject({
      method: 'DELETE',
      url: `/ogcapi/jobs/${alices.id}`,
      headers: as('alice'),
    });
    expect(dismissed.json()).toMatchObject({ status: 'dismissed' });
    expect(server.events.filter(({ what }) => what === 'dismiss')).toMatchObject([
      { by: 'bob', jobId: alices.id, outcome: 'NO_SUCH_JOB' },
      { by: 'alice', jobId: alices.id, outcome: 'done' },
    ]);
  });

  it('sees and runs the processes that are there for him', async () => {
    await using server = await startGuarded();
    const capabilities = async (headers: Record<string, string>) =>
      (await server.app.inject({ url: '/wps?Service=WPS&Request=GetCapabilities', headers })).body;
    const described = async (headers: Record<string, string>) =>
      (await server.app.inject({ url: `/ogcapi/processes/${SUBSET}`, headers })).statusCode;
    const may = [as('alice'), as('olga'), as('utepportal', { remote_user: 'anna' })];
    const mayNot = [as('bob'), as('utepportal', { remote_user: 'bert' })];
    for (const headers of may) {
      expect(await capabilities(headers)).toContain(SUBSET);
      expect(await described(headers)).toBe(200);
      expect((await submit(server, headers, SUBSET)).code).toBe(201);
    }
    for (const headers of mayNot) {
      expect(await capabilities(headers)).not.toContain(SUBSET);
      expect(await capabilities(headers)).toContain(INDICES);
      expect(await described(headers)).toBe(404);
      expect((await submit(server, headers, SUBSET)).code).toBe(404);
    }
  });

  it('asks no more often than he may', async () => {
    await using server = await startGuarded({ requests: { limit: 2, seconds: 60 } });
    const ask = (name: string) => server.app.inject({ url: '/ogcapi', headers: as(name) });
    for (const code of [200, 200, 429]) expect((await ask('alice')).statusCode).toBe(code);
    const response = await ask('alice');
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(response.json()).toMatchObject({ type: expect.stringMatching(/too-many-requests$/) });
    expect((await ask('bob')).statusCode).toBe(200);
  });
});

describe('staged results', () => {
  async function startWithResults(): Promise<Guarded> {
    const server = await startGuarded();
    for (const user of ['alice', 'tep_anna']) {
      await mkdir(join(server.stagingDir, user, 'job1', 'sub'), { recursive: true });
      await writeFile(join(server.stagingDir, user, 'job1', 'sub', 'a.tif'), user);
      await mkdir(join(server.stagingDir, user, 'job2'), { recursive: true });
    }
    return server;
  }
  const FILE = '/staging/alice/job1/sub/a.tif';
  const ANNAS = '/bc-wps/staging/tep_anna/job1/sub/a.tif';

  it.each([
    [FILE, ['alice', 'olga'], ['bob', 'utepportal']],
    [ANNAS, ['utepportal', 'olga'], ['alice', 'bob']],
  ])('%s are for their owner, his portal and operators', async (url, may, mayNot) => {
    await using server = await startWithResults();
    for (const name of may) {
      expect((await server.app.inject({ url, headers: as(name) })).statusCode).toBe(200);
    }
    for (const name of mayNot) {
      const response = await server.app.inject({ url, headers: as(name) });
      const none = await server.app.inject({ url: `${url}x`, headers: as('olga') });
      expect(response.statusCode).toBe(404);
      expect(response.body).toBe(none.body.replace('a.tifx', 'a.tif'));
    }
  });

  it('are for the user that a portal asks for', async () => {
    await using server = await startWithResults();
    const ask = (user: string) =>
      server.app.inject({ url: ANNAS, headers: as('utepportal', { remote_user: user }) });
    expect([(await ask('anna')).body, (await ask('bert')).statusCode]).toEqual(['tep_anna', 404]);
  });

  it('are for a browser with a link that was signed for the job', async () => {
    await using server = await startWithResults();
    const shares = await openShares(join(directory, 'share.key'), Date.now);
    const query = shares.sign('alice', 'job1', Date.now() + 60_000);
    expect((await server.app.inject(`${FILE}?${query}`)).body).toBe('alice');
    const listing = await server.app.inject(`/staging/alice/job1?${query}`);
    const [, href = ''] = /href="([^"]+)"/.exec(listing.body) ?? [];
    const followed = href.replaceAll('&amp;', '&').replace('http://localhost:80', '');
    expect(followed).toContain('/sub/?expires=');
    expect((await server.app.inject(followed)).statusCode).toBe(200);

    const old = shares.sign('alice', 'job1', Date.now() - 1000);
    const later = query.replace(/expires=(\d+)/, (_, at) => `expires=${Number(at) + 1}`);
    for (const bad of [old, later, `${query}x`, `${query}&expires=1`, 'expires=9999999999', '']) {
      expect([bad, (await server.app.inject(`${FILE}?${bad}`)).statusCode]).toEqual([bad, 401]);
    }
    for (const other of ['/staging/alice/job2', '/staging/tep_anna/job1', '/ogcapi/jobs']) {
      expect((await server.app.inject(`${other}?${query}`)).statusCode).toBe(401);
    }
  });
});
