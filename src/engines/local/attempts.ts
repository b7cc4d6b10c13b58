import type { AttemptId, Resources } from '../../core/model.ts';
import type { AttemptNews } from '../engine.ts';
import { NONE, sum } from './capacity.ts';

/** Ends remembered, so that a launch that comes twice is known. */
const ENDS_KEPT = 10_000;

/** Attempts that run, and the ends of those that ran last. */
export function createAttempts() {
  const running = new Map<AttemptId, Resources>();
  const ended = new Map<AttemptId, AttemptNews>();
  const remember = (id: AttemptId, news: AttemptNews): void => {
    ended.set(id, news);
    if (ended.size > ENDS_KEPT) ended.delete(ended.keys().next().value!);
  };
  return {
    isRunning: (id: AttemptId) => running.has(id),
    running: () => [...running.keys()],
    begin: (id: AttemptId, resources: Resources) => running.set(id, resources),
    remember,
    /** @returns what it used */
    end(id: AttemptId, news: AttemptNews): Resources {
      const resources = running.get(id) ?? NONE;
      running.delete(id);
      remember(id, news);
      return resources;
    },
    find: (id: AttemptId): AttemptNews | undefined =>
      running.has(id) ? { state: 'running' } : ended.get(id),
    /** What runs is no longer ours. @returns what it uses */
    letGo(): Resources {
      const used = sum([...running.values()]);
      running.clear();
      return used;
    },
  };
}
