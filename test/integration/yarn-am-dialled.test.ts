/** The application-master program in a container of its own, which dials the service. */
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { SMALL, amCommand, shell } from '../fixtures/am-program.ts';
import { AmService } from '../fixtures/am-service.ts';
import { makeCertificate } from '../fixtures/certificate.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';

const LONG = { timeout: 60_000, interval: 100 };
const SECRET = 'a secret that is not guessed';
const app = 'job';

describe.skipIf(lacksHadoop())('a master that dials the service', { timeout: 180_000 }, () => {
  let cluster: HadoopCluster;
  let directory: string;
  let tls: ReturnType<typeof makeCertificate>;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'yarn-am-'));
    tls = makeCertificate(directory);
    cluster = await startHadoop({ nodes: 1, heartbeatMs: 200 });
  }, 300_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  async function rest(path: string, method = 'GET', body?: object): Promise<unknown> {
    const response = await fetch(`${cluster.resourceManagerUrl}/ws/v1/cluster/apps/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** Has YARN start the program as the master of an application, twice if need be. */
  async function submit(service: AmService): Promise<string> {
    const args = ['am', '--url', service.url, '--app', app, '--busy-ms', '50', '--idle-ms', '200'];
    const command = await amCommand(cluster.configuration, args);
    const environment = { PUSHBROOM_AM_SECRET: SECRET, PUSHBROOM_AM_CA: tls.cert };
    const fresh = (await rest('new-application', 'POST')) as { 'application-id': string };
    const id = fresh['application-id'];
    await rest('', 'POST', {
      'application-id': id,
      'application-name': app,
      'am-container-spec': {
        commands: { command: `exec ${command.join(' ')} 2> <LOG_DIR>/am.err` },
        environment: {
          entry: Object.entries(environment).map(([key, value]) => ({ key, value })),
        },
      },
      'max-app-attempts': 2,
      'keep-containers-across-application-attempts': true,
      resource: { memory: 512, vCores: 1 },
    });
    return id;
  }

  const report = async (id: string) => ((await rest(id)) as { app: Record<string, unknown> }).app;

  const order = (request: number, command: string) =>
    ({
      order: 'run',
      app,
      request,
      node: cluster.nodes[0]!.name,
      capability: SMALL,
      start: shell(command),
    }) as const;
  const racks = () => {
    const { name, rack } = cluster.nodes[0]!;
    return { order: 'racks', racks: { [name]: rack } } as const;
  };
  const untilFile = (name: string): string =>
    `while [ ! -e ${join(directory, name)} ]; do sleep 0.1; done`;
  const make = (name: string): void => writeFileSync(join(directory, name), '');

  test('it takes orders and tells events, also after the service was away', async () => {
    await using service = await AmService.start(tls, SECRET);
    const id = await submit(service);
    const opened = await service.until('opened');
    expect(opened).toMatchObject({ app, applicationId: id, running: [] });
    expect(service.events[0]).toMatchObject({ event: 'ready' });
    const wrong = { order: 'open', app: 'other', queue: 'default', priority: 1, tags: [] } as const;
    service.give(
      racks(),
      wrong,
      order(1, 'echo 1 > <LOG_DIR>/attempt.end.json; exit 1'),
      order(2, untilFile('away')),
    );
    expect(await service.until('ended', { request: 1 })).toMatchObject({
      exitStatus: 1,
      end: '1\n',
    });
    expect(service.all('say')).toMatchObject([
      { message: expect.stringContaining('open application') },
    ]);
    await service.until('started', { request: 2 });

    service.isAway = true;
    service.give(order(3, 'exit 3'));
    make('away');
    await vi.waitFor(async () => {
      expect(await report(id)).toMatchObject({ runningContainers: 1 });
    }, LONG);
    service.silences = 2;
    service.isAway = false;
    expect(await service.until('ended', { request: 2 })).toMatchObject({ exitStatus: 0 });
    expect(await service.until('ended', { request: 3 })).toMatchObject({ exitStatus: 3 });
    expect(service.repeated).toBeGreaterThan(0);

    service.give({ order: 'close', app, status: 'SUCCEEDED', message: 'done' });
    expect(await service.until('closed')).toMatchObject({ app, state: 'FINISHED' });
    await vi.waitFor(async () => {
      expect(await report(id)).toMatchObject({ state: 'FINISHED', finalStatus: 'SUCCEEDED' });
    }, LONG);
    expect(service.masters).toEqual([1]);
    expect(service.all('ended')).toHaveLength(3);
  });

  test('when it dies the next one takes over what runs', async () => {
    await using service = await AmService.start(tls, SECRET);
    const id = await submit(service);
    await service.until('opened');
    service.give(racks(), order(1, `${untilFile('second')}; exit 1`));
    await service.until('started', { request: 1 });
    process.kill(masterOf(id), 'SIGKILL');
    await vi.waitFor(() => expect(service.all('opened')).toHaveLength(2), LONG);
    const [, second] = service.all('opened');
    expect(second!.running).toMatchObject([{ request: 1, capability: SMALL }]);
    expect(service.masters).toEqual([1, 2]);
    make('second');
    expect(await service.until('ended', { request: 1 })).toMatchObject({ exitStatus: 1 });
    service.give({ order: 'adopt', app, applicationId: id });
    await vi.waitFor(() => expect(service.all('opened')).toHaveLength(3), LONG);
    service.give({ order: 'close', app, status: 'FAILED', message: 'enough' });
    await service.until('closed');
    await vi.waitFor(async () => {
      expect(await report(id)).toMatchObject({ finalStatus: 'FAILED', diagnostics: 'enough' });
    }, LONG);
  });

  test('an application that the service has forgotten ends, with all that runs', async () => {
    await using service = await AmService.start(tls, SECRET);
    const id = await submit(service);
    await service.until('opened');
    service.give(racks(), order(1, 'sleep 1000'));
    await service.until('started', { request: 1 });
    service.forget();
    await vi.waitFor(async () => {
      expect(await report(id)).toMatchObject({ state: 'FINISHED', finalStatus: 'KILLED' });
    }, LONG);
    expect(service.masters).toEqual([1]);
  });
});

/** The process that works in a container of the application and is Java. */
function masterOf(applicationId: string): number {
  const isMaster = (pid: string): boolean => {
    try {
      const [program] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return program === 'java' && readlinkSync(`/proc/${pid}/cwd`).includes(applicationId);
    } catch {
      return false;
    }
  };
  return Number(readdirSync('/proc').find((name) => /^\d+$/.test(name) && isMaster(name)));
}
