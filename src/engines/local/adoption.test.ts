import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive } from '../../../test/fixtures/bundles.ts';
import type { TestNode } from '../../../test/fixtures/bundles.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { follow } from '../contract.ts';
import { createLocal } from './local.ts';

const RESOURCES = { cpus: 2, memoryMb: 1000 };
const SHARE = { cpus: 1, memoryMb: 100 };

let node: TestNode;
let directory: string;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  node = await createTestNode();
  directory = join(node.directory, 'runners');
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await node[Symbol.asyncDispose]();
});

/** The engine of the next service; everything ends with it. */
const nextEngine = () => createLocal({ resources: RESOURCES, directory, keepRunning: false });

function followed(engine = nextEngine()) {
  const news = follow(engine);
  stops.push(news.stop);
  return { engine, news };
}

/** Launches attempts by an engine in a process of its own; when each of them runs, that process is killed. */
async function launchAndDie(...assignments: readonly Assignment[]): Promise<void> {
  const program = join(node.directory, 'service.mjs');
  const module = (name: string) => JSON.stringify(join(import.meta.dirname, name));
  const options = { resources: RESOURCES, directory };
  await writeFile(
    program,
    `import { createLocal } from ${module('local.ts')};
     const engine = createLocal(${JSON.stringify(options)});
     const work = ${JSON.stringify(assignments.map((assignment) => ({ assignment, resources: SHARE })))};
     const hear = (event) => {
       if (event.type !== 'offered' || work.length === 0) return;
       const [{ id, node }] = event.offers;
       void engine.launch({ node, offerIds: [id], attempts: work.splice(0) });
     };
     void engine.run(hear, new AbortController().signal);`,
  );
  const service = spawn(process.execPath, [program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  await untilBegun(assignments.length);
  // With its whole process group, as a terminal or a supervisor does.
  process.kill(-service.pid!, 'SIGKILL');
  await once(service, 'exit');
}

const BEGUN = 'echo $$ >> ../../begun;';
const begun = () =>
  node.read('begun').then(
    (text) => text.trim().split('\n').map(Number),
    () => [],
  );
const untilBegun = (count: number) =>
  vi.waitFor(async () => expect(await begun()).toHaveLength(count), { timeout: 30_000 });

const GO = 'until [ -e ../../go ]; do sleep 0.05; done;';
const go = () => writeFile(join(node.directory, 'go'), '');

/** Processes that work in the runners' directory. */
const runnerPids = async () => {
  const all = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const places = await Promise.all(all.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return all.filter((_, index) => places[index] === directory).map(Number);
};

const untilNoRunner = () =>
  vi.waitFor(async () => expect(await runnerPids()).toEqual([]), { timeout: 30_000 });

describe('when the service is killed', () => {
  test('what runs is adopted: it uses its share, ends with its full result and ran once', async () => {
    const assignment = await node.assign(`${BEGUN} ${GO} echo data > a; echo OUTPUT_PRODUCT a`);
    await launchAndDie(assignment);
    const { attemptId } = assignment;
    const engine = nextEngine();
    expect((await engine.reconcile([attemptId])).get(attemptId)).toEqual({ state: 'running' });
    const { news } = followed(engine);
    await news.until(() => news.offers.size > 0);
    expect(news.free()).toEqual({ cpus: 1, memoryMb: 900 });
    expect(news.states.get(attemptId)).toEqual(['running']);
    await go();
    await news.untilEnded(attemptId);
    expect(news.events.findLast(({ type }) => type === 'attemptMoved')).toMatchObject({
      to: 'finished',
      result: {
        exitCode: 0,
        outputs: [{ path: 'a', size: 5 }],
        usage: { cpuUserMs: expect.any(Number), readBytes: expect.any(Number) },
      },
    });
    expect(await node.list('results', '1')).toContain('a');
    await news.untilWhole();
    expect(await begun()).toHaveLength(1);
  });

  test('launching what is adopted once more does not run it twice', async () => {
    const assignment = await node.assign(`${BEGUN} ${GO}`);
    await launchAndDie(assignment);
    const { news } = followed();
    await news.until(() => news.offers.size > 0);
    await news.launch([assignment]);
    await go();
    await news.untilEnded(assignment.attemptId);
    await news.untilWhole();
    expect(await begun()).toHaveLength(1);
  });

  test('what ends before the next start gives its end then, and its runner does not stay', async () => {
    const good = await node.assign(`${BEGUN} ${GO} echo data > a; echo OUTPUT_PRODUCT a`);
    const bad = await node.assign(`${BEGUN} ${GO} echo no band 7 >&2; exit 3`);
    await launchAndDie(good, bad);
    await go();
    await untilNoRunner();
    const ids = [good.attemptId, bad.attemptId];
    const found = await nextEngine().reconcile(ids);
    expect(found.get(good.attemptId)).toMatchObject({
      state: 'finished',
      result: { outputs: [{ path: 'a' }] },
    });
    expect(found.get(bad.attemptId)).toMatchObject({
      state: 'failed',
      result: { exitCode: 3, failure: { message: expect.stringContaining('no band 7') } },
    });
    // The service that was told may die before it has stored it.
    expect(await nextEngine().reconcile(ids)).toEqual(found);
  });

  test('limits hold while no service is there', async () => {
    const silent = { limits: { silence: 1 } };
    const assignment = await node.assign(`${BEGUN} exec sleep 1000`, silent);
    await launchAndDie(assignment);
    await untilNoRunner();
    const found = await nextEngine().reconcile([assignment.attemptId]);
    expect(found.get(assignment.attemptId)).toMatchObject({
      state: 'failed',
      result: { failure: { kind: 'time' } },
    });
  });

  test('what is adopted can be killed with all its processes', async () => {
    const child = 'sleep 1000 & echo $! > ../../child;';
    const killed = await node.assign(`${child} ${BEGUN} wait`);
    const other = await node.assign(`${BEGUN} ${GO}`);
    await launchAndDie(killed, other);
    const { engine, news } = followed();
    await news.until(() => news.lastState(killed.attemptId) === 'running');
    await engine.kill(killed.attemptId);
    await news.untilEnded(killed.attemptId);
    expect(news.lastState(killed.attemptId)).toBe('killed');
    expect(isAlive(Number(await node.read('child')))).toBe(false);
    await go();
    await news.untilEnded(other.attemptId);
    expect(news.lastState(other.attemptId)).toBe('finished');
  });

  test('what ends between being asked after and being listened to is told', async () => {
    const assignment = await node.assign(`${BEGUN} ${GO}`);
    await launchAndDie(assignment);
    const { attemptId } = assignment;
    const engine = nextEngine();
    expect((await engine.reconcile([attemptId])).get(attemptId)).toEqual({ state: 'running' });
    await go();
    await vi.waitFor(async () =>
      expect((await engine.reconcile([attemptId])).get(attemptId)?.state).toBe('finished'),
    );
    const { news } = followed(engine);
    await news.untilEnded(attemptId);
    expect(news.states.get(attemptId)).toEqual(['finished']);
    await news.untilWhole();
  });

  test('what has lost its runner meanwhile is lost, and nothing of it runs on', async () => {
    const assignment = await node.assign(`sleep 1000 & echo $! > ../../child; ${BEGUN} wait`);
    await launchAndDie(assignment);
    for (const pid of await runnerPids()) process.kill(pid, 'SIGKILL');
    await untilNoRunner();
    const { attemptId } = assignment;
    const found = await nextEngine().reconcile([attemptId]);
    expect(found.get(attemptId)).toMatchObject({ state: 'lost' });
    const pids = [...(await begun()), Number(await node.read('child'))];
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });

  test('when the data directory is removed too, nothing stays', async () => {
    const assignment = await node.assign(`${BEGUN} exec sleep 1000`);
    await launchAndDie(assignment);
    const pids = [...(await begun()), ...(await runnerPids())];
    expect(pids).toHaveLength(2);
    await rm(directory, { recursive: true });
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 20_000 });
  });

  test('what else lies in the directory does not disturb', async () => {
    const assignment = await node.assign(`${BEGUN} ${GO}`);
    await launchAndDie(assignment);
    await writeFile(join(directory, 'x.sock'), '');
    await writeFile(join(directory, 'y.ends'), '{"type":"ended","attemptId":"torn');
    await mkdir(join(directory, 'z'));
    const { news } = followed();
    await news.until(() => news.lastState(assignment.attemptId) === 'running');
    await go();
    await news.untilEnded(assignment.attemptId);
  });

  test('with a smaller configuration, nothing is offered until what runs fits', async () => {
    const assignments = [await node.assign(`${BEGUN} ${GO}`), await node.assign(`${BEGUN} ${GO}`)];
    await launchAndDie(...assignments);
    const resources = { cpus: 1, memoryMb: 1000 };
    const { news } = followed(createLocal({ resources, directory, keepRunning: false }));
    await news.until(() => news.states.size === 2);
    expect(news.offers.size).toBe(0);
    await go();
    await news.untilWhole();
    expect(news.free()).toEqual(resources);
  });
});

describe('when the service is stopped', () => {
  test('what runs goes on, and the next service adopts it', async () => {
    const assignment = await node.assign(`${BEGUN} ${GO}`);
    const { news } = followed(createLocal({ resources: RESOURCES, directory }));
    await news.until(() => news.offers.size > 0);
    await news.launch([assignment]);
    await untilBegun(1);
    await news.stop();
    expect((await begun()).filter(isAlive)).toHaveLength(1);
    const next = followed();
    await next.news.until(() => next.news.lastState(assignment.attemptId) === 'running');
    expect(next.news.free().cpus).toBe(1);
    await go();
    await next.news.untilEnded(assignment.attemptId);
    await next.news.untilWhole();
    expect(['running', undefined]).toContain(news.lastState(assignment.attemptId));
  });

  test('a runner without work ends, and what it has told can be asked for once more', async () => {
    const assignment = await node.assign('exit 3');
    const { news } = followed(createLocal({ resources: RESOURCES, directory }));
    await news.until(() => news.offers.size > 0);
    await news.launch([assignment]);
    await news.untilEnded(assignment.attemptId);
    await news.stop();
    await untilNoRunner();
    const found = await nextEngine().reconcile([assignment.attemptId]);
    expect(found.get(assignment.attemptId)).toMatchObject({
      state: 'failed',
      result: { exitCode: 3 },
    });
  });
});
