import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { createMasterChannel, readKey } from '../../src/engines/yarn/master-channel.ts';
import { programFiles } from '../../src/engines/yarn/program-files.ts';
import { amProgram } from '../../src/engines/yarn/program.ts';
import { Publisher } from '../../src/engines/yarn/publisher.ts';
import { createResourceManager } from '../../src/engines/yarn/resource-manager.ts';
import { storagesOf } from '../fixtures/yarn-engine.ts';
import { yarnWorld } from '../fixtures/yarn-world.ts';
import { makeCertificate } from '../fixtures/certificate.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';

/** Application masters in containers, which dial the service. */
describe.skipIf(lacksHadoop())('the YARN engine with managed masters', { timeout: 240_000 }, () => {
  let cluster: HadoopCluster;
  let directory: string;
  let tls: ReturnType<typeof makeCertificate>;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'yarn-managed-'));
    tls = makeCertificate(directory);
    cluster = await startHadoop({ nodes: 2, heartbeatMs: 200 });
  }, 300_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const logger = pino({ level: process.env['YARN_LOG'] ?? 'silent' });

  async function channel(port = 0) {
    const program = await amProgram();
    const storages = storagesOf(cluster);
    const publisher = new Publisher({ storages, cache: 'hdfs://test/cache', directory, logger });
    return createMasterChannel({
      host: '127.0.0.1',
      port,
      tls,
      ca: tls.cert,
      key: await readKey(join(directory, 'key')),
      java: 'java',
      javaOptions: program.javaOptions,
      mainClass: program.mainClass,
      memoryMb: 512,
      user: 'root',
      resources: () => programFiles(publisher, program.directory, cluster.configuration),
      resourceManager: createResourceManager({
        urls: [cluster.resourceManagerUrl],
        user: 'root',
        logger,
      }),
      logger,
      watchMs: 500,
    });
  }
  let count = 0;
  /** The next service listens where the one before did: masters know nothing else. */
  const world = async (port: number) =>
    yarnWorld(cluster, { name: `managed-${(count += 1)}`, channel: await channel(port) });
  const waitFor = (place: string) => `until [ -e ${place}/go ]; do sleep 0.1; done`;

  test('runs attempts, reads what they say, and ends the application', async () => {
    await using yarn = await world(0);
    const { attemptId } = await yarn.launch(
      `echo hello; ${waitFor(yarn.directory)}; touch a; echo OUTPUT_PRODUCT a`,
    );
    const failed = await yarn.run('exit 7');
    expect(failed).toMatchObject({ to: 'failed', result: { exitCode: 7 } });
    const part = { stream: 'out', offset: 0, limit: 100 } as const;
    await vi.waitFor(
      async () =>
        expect((await yarn.engine.readLog({ id: attemptId } as never, part))?.text).toBe('hello\n'),
      { timeout: 30_000 },
    );
    await writeFile(join(yarn.directory, 'go'), '');
    expect(await yarn.endOf(attemptId)).toMatchObject({ to: 'finished' });
    await yarn.stop();
    await vi.waitFor(async () => expect(await runningOf(cluster)).toEqual([]), { timeout: 30_000 });
  });

  test('goes on with the next service, and with the next master', async () => {
    const port = 18_000 + (process.pid % 1000);
    await using yarn = await world(port);
    const runs = await yarn.launch(`${waitFor(yarn.directory)}; touch a; echo OUTPUT_PRODUCT a`);
    const ends = await yarn.launch('sleep 3; exit 3');
    await yarn.moved(runs.attemptId, 'running');
    await yarn.moved(ends.attemptId, 'running');
    await yarn.stop();
    await yarn.begin([runs.attemptId, ends.attemptId], { channel: await channel(port) });
    expect(await yarn.endOf(ends.attemptId)).toMatchObject({
      to: 'failed',
      result: { exitCode: 3 },
    });
    await yarn.news.until(() => yarn.news.lastState(runs.attemptId) === 'running');
    const [application] = await runningOf(cluster);
    process.kill(masterOf(application!), 'SIGKILL');
    await vi.waitFor(
      () => expect(yarn.log.filter((line) => /taken over/.test(line))).toHaveLength(2),
      { timeout: 60_000 },
    );
    expect(await yarn.run('exit 0')).toMatchObject({ to: 'finished' });
    expect(yarn.ends(runs.attemptId)).toEqual([]);
    await writeFile(join(yarn.directory, 'go'), '');
    expect(await yarn.endOf(runs.attemptId)).toMatchObject({ to: 'finished' });
  });

  test('hears of an application that was killed with its master', async () => {
    await using yarn = await world(0);
    const { attemptId } = await yarn.launch('sleep 1000');
    await yarn.moved(attemptId, 'running');
    const [application] = await runningOf(cluster);
    await fetch(`${cluster.resourceManagerUrl}/ws/v1/cluster/apps/${application}/state`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"state":"KILLED"}',
    });
    expect(await yarn.endOf(attemptId)).toMatchObject({
      to: 'lost',
      result: { failure: { kind: 'operator' } },
    });
  });
});

async function runningOf({ resourceManagerUrl }: HadoopCluster): Promise<string[]> {
  const url = `${resourceManagerUrl}/ws/v1/cluster/apps?states=ACCEPTED,RUNNING`;
  const { apps } = (await (await fetch(url)).json()) as { apps: { app?: { id: string }[] } };
  return (apps.app ?? []).map(({ id }) => id);
}

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
