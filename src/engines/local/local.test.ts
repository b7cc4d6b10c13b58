import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive } from '../../../test/fixtures/bundles.ts';
import type { TestNode } from '../../../test/fixtures/bundles.ts';
import { engineContract, follow } from '../contract.ts';
import type { Engine } from '../engine.ts';
import { createLocal } from './local.ts';

const RESOURCES = { cpus: 2, memoryMb: 1000 };

engineContract('local', async () => {
  const node = await createTestNode();
  const directory = join(node.directory, 'shared');
  await mkdir(directory);
  return {
    engine: createLocal({ resources: RESOURCES, directory: join(node.directory, 'runners') }),
    assign: (script) => node.assign(script),
    directory,
    readText: (file) => readFile(join(directory, file), 'utf8'),
    isAlive,
    [Symbol.asyncDispose]: node[Symbol.asyncDispose],
  };
});

/** Runner processes of this one. */
const runners = (): number[] =>
  execFileSync('ps', ['--ppid', String(process.pid), '-o', 'pid=,args='])
    .toString()
    .split('\n')
    .filter((line) => line.includes('runner/main.'))
    .map((line) => Number.parseInt(line, 10));

describe('runner processes', () => {
  let node: TestNode;
  let engine: Engine;
  let news: ReturnType<typeof follow>;
  beforeEach(async () => {
    node = await createTestNode();
    const codeCache = join(node.directory, 'code');
    const runnersDirectory = join(node.directory, 'runners');
    engine = createLocal({
      resources: RESOURCES,
      directory: runnersDirectory,
      idleMs: 1_000,
      codeCache,
      keepRunning: false,
    });
    news = follow(engine);
  });
  afterEach(async () => {
    await news.stop();
    await node[Symbol.asyncDispose]();
  });

  const untilReady = async () => {
    await vi.waitFor(() => node.read('pids'), { timeout: 20_000 });
    return Number(await node.read('pids'));
  };
  const endless = () => node.assign(`echo $$ > ${node.directory}/pids; exec sleep 1000`);

  test('a runner that is killed loses its attempt, and what it has started dies with it', async () => {
    const assignment = await endless();
    await news.launch([assignment]);
    const program = await untilReady();
    for (const pid of runners()) process.kill(pid, 'SIGKILL');
    await news.untilEnded(assignment.attemptId);
    expect(news.events.at(-2)).toMatchObject({
      to: 'lost',
      result: { failure: { kind: 'engine', message: expect.stringContaining('runner') } },
    });
    await vi.waitFor(() => expect(isAlive(program)).toBe(false), { timeout: 10_000 });
    await news.untilWhole();
    const next = await node.assign('exit 0');
    await news.launch([next]);
    await news.untilEnded(next.attemptId);
    expect(news.lastState(next.attemptId)).toBe('finished');
  });

  test('a runner is used again, and ends when it has had nothing to do', async () => {
    for (let count = 0; count < 3; count += 1) {
      const assignment = await node.assign('exit 0');
      await news.untilWhole();
      await news.launch([assignment]);
      await news.untilEnded(assignment.attemptId);
      expect(runners().length).toBeLessThanOrEqual(1);
    }
    await vi.waitFor(() => expect(runners()).toEqual([]), { timeout: 20_000, interval: 200 });
    const late = await node.assign('exit 0');
    await news.launch([late]);
    await news.untilEnded(late.attemptId);
    expect(news.lastState(late.attemptId)).toBe('finished');
  });

  test('the end of the engine ends its runners and their programs', async () => {
    await news.launch([await endless()]);
    const program = await untilReady();
    await news.stop();
    expect(runners()).toEqual([]);
    await vi.waitFor(() => expect(isAlive(program)).toBe(false), { timeout: 10_000 });
  });

  test('an engine that is stopped before it runs ends at once', async () => {
    const directory = join(node.directory, 'idle');
    const idle = createLocal({ resources: RESOURCES, directory });
    await idle.run(async () => undefined, AbortSignal.abort());
  });

  test('the environment of the service is not that of its runners', async () => {
    process.env['PUSHBROOM_TEST_SECRET'] = 'hunter2';
    const assignment = await node.assign('tr "\\0" "\\n" < /proc/$PPID/environ');
    await news.launch([assignment]);
    await news.untilEnded(assignment.attemptId).finally(() => {
      delete process.env['PUSHBROOM_TEST_SECRET'];
    });
    const said = await node.log(assignment, 'out');
    expect(said).toContain('NODE_COMPILE_CACHE');
    expect(said).not.toContain('hunter2');
  });

  test('a processor gets no connection of its runner', async () => {
    const assignment = await node.assign('ls -l /proc/$$/fd');
    await news.launch([assignment]);
    await news.untilEnded(assignment.attemptId);
    const said = await node.log(assignment, 'out');
    expect(said).toContain('pipe:');
    expect(said).not.toContain('socket:');
  });

  test('a thousand quick attempts leave nothing behind', async () => {
    const count = 1_000;
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const quick = await node.assign('#!/bin/true');
    const ids = Array.from({ length: count }, (_, index) => `quick.${index}.1`);
    const waiting = [...ids];
    const launchMore = async () => {
      while (waiting.length > 0) {
        await news.until(() => news.offers.size > 0);
        const attempts = waiting.splice(0, Math.floor(news.free().cpus));
        await news.launch(
          attempts.map((attemptId) => ({
            ...quick,
            attemptId,
            directories: {
              ...quick.directories,
              scratch: join(node.directory, 'scratch', attemptId),
              log: join(node.directory, 'logs', attemptId),
            },
          })),
        );
      }
    };
    await launchMore();
    await news.untilEnded(...ids);
    expect(ids.filter((id) => news.lastState(id) !== 'finished')).toEqual([]);
    expect(runners().length).toBeLessThanOrEqual(2);
    await news.stop();
    expect(runners()).toEqual([]);
    expect(descriptors()).toBeLessThanOrEqual(before + 2);
    expect(await node.list('scratch')).toEqual([]);
    expect(await node.list('logs')).toEqual([]);
    expect(await node.list('results')).toEqual([]);
    expect((await node.list('cache')).length).toBe(1);
  });
});
