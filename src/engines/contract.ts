import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { isAttemptEnded } from '../core/lifecycle.ts';
import type { AttemptId, AttemptState, Offer, OfferId, Resources } from '../core/model.ts';
import type { Assignment } from '../runner/assignment.ts';
import { OfferGone } from './engine.ts';
import type { Engine, EngineEvent, JobLabel } from './engine.ts';

export interface EngineSetup extends AsyncDisposable {
  /** With one node of at least 2 CPUs and 400 MB, which nobody else uses. */
  readonly engine: Engine;
  /** An assignment of a shell script that the engine's node can run; each of another attempt. */
  assign(script: string): Promise<Assignment>;
  /** An empty directory that the scripts can write to. */
  readonly directory: string;
  readText(file: string): Promise<string>;
  isAlive(pid: number): boolean;
}

/** One CPU and so little memory that as many attempts as there are CPUs go together. */
const SHARE = { cpus: 1, memoryMb: 100 };

/** On whose behalf everything is launched. */
export const JOB: JobLabel = { id: 'contract', user: 'alice', group: 'default', priority: 100 };

/** Follows an engine's news as the scheduler does, and lets a test wait for what it expects of them. */
export function follow(engine: Engine) {
  const events: EngineEvent[] = [];
  const offers = new Map<OfferId, Offer>();
  const states = new Map<AttemptId, AttemptState[]>();
  const watchers = new Set<() => void>();
  const stop = new AbortController();

  async function hear(event: EngineEvent): Promise<void> {
    events.push(event);
    if (event.type === 'offered') for (const offer of event.offers) offers.set(offer.id, offer);
    if (event.type === 'rescinded') for (const id of event.offerIds) offers.delete(id);
    if (event.type === 'attemptMoved') {
      states.set(event.attemptId, [...(states.get(event.attemptId) ?? []), event.to]);
    }
    for (const watcher of watchers) watcher();
  }
  const ran = engine.run(hear, stop.signal);

  /** Resolves as soon as the news make the condition true. */
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  /** Rounded, because tenths do not add up exactly. */
  const sumOf = (part: keyof typeof SHARE): number => {
    const sum = offers.values().reduce((total, { resources }) => total + resources[part], 0);
    return Math.round(sum * 1e6) / 1e6;
  };
  const free = (): Resources => ({ cpus: sumOf('cpus'), memoryMb: sumOf('memoryMb') });
  const total = (): Resources | undefined =>
    events.findLast((event) => event.type === 'nodeUp')?.resources;

  const isWhole = (): boolean => {
    const [now, whole] = [free(), total()];
    return now.cpus === whole?.cpus && now.memoryMb === whole.memoryMb;
  };
  /** Pieces become whole where they are given back, if there is somebody to give them to. */
  async function untilWhole(): Promise<void> {
    while (!isWhole()) {
      if (!engine.decline) return until(isWhole);
      const held = [...offers.keys()];
      offers.clear();
      await engine.decline(held);
      await until(() => offers.size > 0);
    }
    return undefined;
  }

  return {
    events,
    offers,
    states,
    until,
    free,
    total,
    lastState: (id: AttemptId) => states.get(id)?.at(-1),
    untilEnded: (...ids: AttemptId[]) =>
      until(() => ids.every((id) => isAttemptEnded(states.get(id)?.at(-1) ?? 'launched'))),
    untilWhole,
    /** Launches with all offers that there are. */
    launch: (assignments: readonly Assignment[], resources: Resources = SHARE) => {
      const used = [...offers.values()];
      offers.clear();
      return engine.launch({
        node: used[0]!.node,
        offerIds: used.map(({ id }) => id),
        attempts: assignments.map((assignment) => ({ assignment, resources, job: JOB })),
      });
    },
    stop: () => {
      stop.abort();
      return ran;
    },
  };
}

/** What every engine has to keep to, on a real node with real processes. */
export function engineContract(name: string, setup: () => Promise<EngineSetup>): void {
  describe(`the ${name} engine`, () => {
    let made: EngineSetup;
    let engine: Engine;
    let news: ReturnType<typeof follow>;
    beforeEach(async () => {
      made = await setup();
      engine = made.engine;
      news = follow(engine);
      await news.until(() => news.total() !== undefined && news.offers.size > 0);
      await news.untilWhole();
    });
    afterEach(async () => {
      await news.stop();
      await made[Symbol.asyncDispose]();
    });

    const waitFor = (file: string) => `until [ -e ${made.directory}/${file} ]; do sleep 0.05; done`;
    const note = (line: string) => `echo ${line} >> ${made.directory}/notes`;
    const notes = () => made.readText('notes').then((text) => text.trim().split('\n'));
    const untilNoted = (count: number) =>
      vi.waitFor(async () => expect(await notes()).toHaveLength(count), { timeout: 30_000 });

    test('tells of a node before it offers it', () => {
      const [first, second] = news.events.map(({ type }) => type);
      expect([first, second]).toEqual(['nodeUp', 'offered']);
      expect(news.free().cpus).toBeGreaterThanOrEqual(2);
    });

    test('uses the offers of a launch up and offers the rest', async () => {
      const assignment = await made.assign(waitFor('go'));
      const used = [...news.offers.keys()];
      await news.launch([assignment]);
      const { cpus, memoryMb } = news.total()!;
      await news.until(() => news.free().cpus === cpus - SHARE.cpus);
      expect(news.free().memoryMb).toBe(memoryMb - SHARE.memoryMb);
      expect(
        news.offers
          .keys()
          .filter((id) => used.includes(id))
          .toArray(),
      ).toEqual([]);
      await engine.kill(assignment.attemptId);
      await news.untilWhole();
    });

    test('offers everything again when memory without a CPU was left over', async () => {
      const assignment = await made.assign('exit 0');
      await news.launch([assignment], { ...SHARE, cpus: news.total()!.cpus });
      await news.untilEnded(assignment.attemptId);
      await news.untilWhole();
    });

    test('gives offers back that nothing is launched with', async () => {
      await news.launch([]);
      await news.untilWhole();
    });

    test('runs attempts side by side and tells their results', async () => {
      const good = await made.assign(
        `${note('one')}; ${waitFor('two')}; touch a; echo OUTPUT_PRODUCT a`,
      );
      const bad = await made.assign(`${note('two')}; touch ${made.directory}/two; exit 3`);
      await news.launch([good, bad]);
      await news.untilEnded(good.attemptId, bad.attemptId);
      const results = new Map(
        news.events.flatMap((event) =>
          event.type === 'attemptMoved' && isAttemptEnded(event.to)
            ? [[event.attemptId, event.result]]
            : [],
        ),
      );
      expect(results.get(good.attemptId)).toMatchObject({ outputs: [{ path: 'a', size: 0 }] });
      expect(results.get(bad.attemptId)).toMatchObject({
        exitCode: 3,
        failure: { kind: 'processor' },
      });
    });

    test('tells first that an attempt runs, then that it has ended, and nothing after', async () => {
      const assignment = await made.assign(waitFor('go'));
      const { attemptId } = assignment;
      await news.launch([assignment]);
      await news.until(() => news.lastState(attemptId) === 'running');
      await engine.kill(attemptId);
      await news.untilEnded(attemptId);
      await news.untilWhole();
      expect(news.states.get(attemptId)).toEqual(['running', 'killed']);
    });

    test('runs an attempt once, however often it is launched', async () => {
      const assignment = await made.assign(`${note('ran')}; ${waitFor('go')}`);
      await news.launch([assignment]);
      await untilNoted(1);
      await news.until(() => news.offers.size > 0);
      await news.launch([assignment]);
      const last = await made.assign(`touch ${made.directory}/go`);
      await news.until(() => news.offers.size > 0);
      await news.launch([last]);
      await news.untilEnded(assignment.attemptId, last.attemptId);
      await news.untilWhole();
      await news.launch([assignment]);
      await news.untilWhole();
      expect(await notes()).toEqual(['ran']);
      expect(news.lastState(assignment.attemptId)).toBe('finished');
    });

    test('refuses a launch with an offer that is gone, and keeps the valid ones', async () => {
      const [offer] = news.offers.values();
      const assignment = await made.assign(note('ran'));
      const { attemptId } = assignment;
      const attempts = [{ assignment, resources: news.total()!, job: JOB }];
      const gone = { node: offer!.node, offerIds: ['gone'], attempts };
      await expect(engine.launch(gone)).rejects.toBeInstanceOf(OfferGone);
      const tooMuch = { cpus: news.total()!.cpus + 1, memoryMb: SHARE.memoryMb };
      await expect(news.launch([assignment], tooMuch)).rejects.toBeInstanceOf(OfferGone);
      await news.untilWhole();
      // What was refused was not begun, so it is not known either.
      expect((await engine.reconcile([attemptId])).get(attemptId)).toMatchObject({ state: 'lost' });
      await news.launch([assignment]);
      await news.untilEnded(attemptId);
      expect(await notes()).toEqual(['ran']);
    });

    test('ends all processes of an attempt that is killed', async () => {
      const assignment = await made.assign(
        `trap '' TERM; sleep 1000 & ${note('$!')}; ${note('$$')}; wait; sleep 1000`,
      );
      await news.launch([assignment]);
      await untilNoted(2);
      await engine.kill(assignment.attemptId);
      await news.untilEnded(assignment.attemptId);
      expect(news.lastState(assignment.attemptId)).toBe('killed');
      const pids = (await notes()).map(Number);
      await vi.waitFor(() => expect(pids.filter(made.isAlive)).toEqual([]), { timeout: 10_000 });
    });

    test('does not mind being asked to kill what is unknown or has ended', async () => {
      const assignment = await made.assign('exit 0');
      await news.launch([assignment]);
      await news.untilEnded(assignment.attemptId);
      await engine.kill(assignment.attemptId);
      await engine.kill('nobody.0.1');
      await news.untilWhole();
      expect(news.lastState(assignment.attemptId)).toBe('finished');
      expect(news.states.has('nobody.0.1')).toBe(false);
    });

    test('knows when asked what runs, what has ended and what it has never seen', async () => {
      const running = await made.assign(waitFor('go'));
      const ended = await made.assign('exit 3');
      await news.launch([running, ended]);
      await news.untilEnded(ended.attemptId);
      const ids = [running.attemptId, ended.attemptId, 'nobody.0.1'];
      const found = await engine.reconcile(ids);
      expect([...found.keys()].toSorted()).toEqual(ids.toSorted());
      expect(['launched', 'running']).toContain(found.get(running.attemptId)?.state);
      expect(found.get(ended.attemptId)).toMatchObject({
        state: 'failed',
        result: { exitCode: 3, failure: { kind: 'processor' } },
      });
      expect(found.get('nobody.0.1')).toMatchObject({
        state: 'lost',
        result: { failure: { kind: 'engine' } },
      });
      await engine.kill(running.attemptId);
      await news.untilEnded(running.attemptId);
    });

    test('offers anew when it is run again, and nothing of before counts', async () => {
      const old = [...news.offers.keys()];
      const attempts = [{ assignment: await made.assign(note('old')), resources: SHARE, job: JOB }];
      const [{ node }] = [...news.offers.values()] as [Offer];
      await news.stop();
      news = follow(engine);
      await news.until(() => news.total() !== undefined);
      await news.untilWhole();
      expect(
        news.offers
          .keys()
          .filter((id) => old.includes(id))
          .toArray(),
      ).toEqual([]);
      await expect(engine.launch({ node, offerIds: old, attempts })).rejects.toBeInstanceOf(
        OfferGone,
      );
      const assignment = await made.assign(note('new'));
      await news.launch([assignment]);
      await news.untilEnded(assignment.attemptId);
      expect(await notes()).toEqual(['new']);
    });

    test('has its whole capacity again after whatever was launched and killed', async () => {
      const step = fc.record({
        // Thousandths, because a node's share can be any.
        cpus: fc.integer({ min: 1, max: 2000 }).map((thousandths) => thousandths / 1000),
        memoryMb: fc.integer({ min: 1, max: 400 }),
        fate: fc.constantFrom('finish', 'fail', 'kill', 'refuse', 'twice'),
      });
      const play = async (steps: readonly { fate: string; cpus: number; memoryMb: number }[]) => {
        const ids: AttemptId[] = [];
        for (const { fate, ...share } of steps) {
          await news.until(() => news.free().cpus > 0 && news.free().memoryMb > 0);
          const cpus = Math.min(share.cpus, news.free().cpus);
          const memoryMb = Math.min(share.memoryMb, news.free().memoryMb);
          const resources = fate === 'refuse' ? { cpus: 1e6, memoryMb } : { cpus, memoryMb };
          const assignment = await made.assign(
            fate === 'kill' ? 'sleep 1000' : fate === 'fail' ? 'exit 1' : 'exit 0',
          );
          const launched = news.launch([assignment], resources);
          if (fate === 'refuse') {
            await expect(launched).rejects.toBeInstanceOf(OfferGone);
            continue;
          }
          await launched;
          ids.push(assignment.attemptId);
          if (fate === 'kill') await engine.kill(assignment.attemptId);
          if (fate === 'twice' && news.offers.size > 0) await news.launch([assignment]);
        }
        await news.untilEnded(...ids);
        await news.untilWhole();
      };
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 8 }), play), { numRuns: 10 });
    });
  });
}
