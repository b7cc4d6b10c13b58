import { amountText } from './amount.ts';
import { NOTHING } from './change.ts';
import type { Change, Effect, Event, NodeKey, Plan } from './change.ts';
import type { AttemptId, Millis, Resources } from './model.ts';
import { isUsable, nodeKey } from './state.ts';
import type { JobRecord, NodeRecord, State } from './state.ts';

/** What engines tell of their nodes, and which of these get work. */

type NodeEvent = Extract<Event, { type: 'nodeUp' | 'nodeDown' | 'offered' | 'rescinded' }>;

export function nodePlan(state: State, event: NodeEvent): Plan {
  switch (event.type) {
    case 'nodeUp':
      return nodeUp(state, event);
    case 'nodeDown':
      return { changes: nodeDown(state, event), effects: [] };
    case 'offered':
      return offered(state, event);
    case 'rescinded':
      return { changes: rescinded(state, event), effects: [] };
  }
}

/** A machine of the next decade. What says to be larger, or no number at all, is a mistake. */
const MOST = { cpus: 100_000, memoryMb: 1_000_000_000, gpus: 10_000 };

const isCredible = ({ cpus, memoryMb, gpus = 0 }: Resources): boolean =>
  cpus >= 0 &&
  cpus <= MOST.cpus &&
  memoryMb >= 0 &&
  memoryMb <= MOST.memoryMb &&
  Number.isInteger(gpus) &&
  gpus >= 0 &&
  gpus <= MOST.gpus;

const incredible = (key: NodeKey, resources: Resources): Plan => ({
  changes: [],
  effects: [
    say('warn', `node ${key} says to have ${amountText(resources)}, which cannot be: ignored`),
  ],
});

const say = (level: 'info' | 'warn', message: string): Effect => ({ type: 'say', level, message });

function nodeUp(state: State, event: Extract<NodeEvent, { type: 'nodeUp' }>): Plan {
  const { engine, node, resources } = event;
  const key = nodeKey(engine, node);
  if (!isCredible(resources)) return incredible(key, resources);
  const configured = state.policy.nodes.find((place) => place.node === node);
  const rack = configured?.rack ?? event.rack;
  const pool = configured?.pool ?? event.pool;
  const change: Change = {
    type: 'setNode',
    engine,
    node,
    total: resources,
    ...(rack !== undefined && { rack }),
    ...(pool !== undefined && { pool }),
    ...(event.away !== undefined && { away: event.away }),
    ...(event.hasImages && { hasImages: event.hasImages }),
    offers: state.nodes.get(key)?.offers ?? [],
  };
  return { changes: [change], effects: nodeNews(state.nodes.get(key), key, event.away) };
}

function nodeNews(before: NodeRecord | undefined, key: NodeKey, away?: string): Effect[] {
  const effects = before ? [] : [say('info', `node ${key} has joined`)];
  if (away === before?.away) return effects;
  const line = away === undefined ? 'gets work again' : `gets no work: ${away}`;
  return [...effects, say('info', `node ${key} ${line}`)];
}

/** The engine has given up what ran there; it tells so attempt by attempt, or does not know them any more. */
function nodeDown(state: State, event: Extract<NodeEvent, { type: 'nodeDown' }>): Change[] {
  const { engine, node } = event;
  return state.nodes.has(nodeKey(engine, node)) ? [{ type: 'dropNode', engine, node }] : [];
}

function offered(state: State, event: Extract<NodeEvent, { type: 'offered' }>): Plan {
  const changes = new Map<NodeKey, NodeRecord>();
  const effects: Effect[] = [];
  for (const offer of event.offers) {
    const { engine, node, resources } = offer;
    const key = nodeKey(engine, node);
    if (!isCredible(resources)) {
      effects.push(...incredible(key, resources).effects);
      continue;
    }
    const known = changes.get(key) ?? state.nodes.get(key);
    const others = (known?.offers ?? []).filter(({ id }) => id !== offer.id);
    const offers = [...others, offer];
    changes.set(key, known ? { ...known, offers } : { engine, node, offers });
  }
  return {
    changes: Array.from(changes.values(), (node) => ({ type: 'setNode', ...node })),
    effects,
  };
}

const rescinded = (
  state: State,
  { engine, offerIds }: Extract<NodeEvent, { type: 'rescinded' }>,
): Change[] => {
  const gone = new Set(offerIds);
  return Array.from(state.nodes.values())
    .filter((node) => node.engine === engine && node.offers.some(({ id }) => gone.has(id)))
    .map((node) => ({
      type: 'setNode',
      ...node,
      offers: node.offers.filter(({ id }) => !gone.has(id)),
    }));
};

/** All attempts on a node. */
export const attemptsOn = ({ jobs }: State, key: NodeKey): AttemptId[] =>
  Array.from(jobs.values()).flatMap(({ attempts }) =>
    Array.from(attempts.values(), ({ attempt }) => attempt)
      .filter(({ engine, node }) => nodeKey(engine, node) === key)
      .map(({ id }) => id),
  );

/**
 * What a failure says about the node where it happened: the job avoids it after some, and when several jobs do, it gets
 * no work until it has cooled off. Half of the nodes stay in work whatever happens: what fails on more of them is not
 * the nodes' fault.
 */
export function judge(state: State, record: JobRecord, node: NodeKey, at: Millis): Plan {
  const { failures, jobs, coolOff, maxCoolOff } = state.policy.avoid;
  const known = record.trouble.get(node);
  // What fails at one time fails for one reason.
  if (known?.at === at) return NOTHING;
  const { id } = record.job;
  const changes: Change[] = [{ type: 'judgeNode', jobId: id, node, hasFailed: true, at }];
  if ((known?.failures ?? 0) + 1 < failures || !isUsable(state, node)) {
    return { changes, effects: [] };
  }
  const others = Array.from(state.jobs.values()).filter(
    ({ job, trouble }) => job.id !== id && (trouble.get(node)?.failures ?? 0) >= failures,
  );
  const avoiding = others.length + 1;
  const usable = Array.from(state.nodes.keys()).filter((key) => isUsable(state, key));
  if (avoiding < jobs || usable.length - 1 < state.nodes.size / 2) {
    const message = `job ${id} avoids node ${node}: ${failures} of its tasks failed there and none succeeded since`;
    return { changes, effects: known?.failures === failures - 1 ? [say('info', message)] : [] };
  }
  const wait = Math.min(coolOff * 2 ** (state.strikes.get(node) ?? 0), maxCoolOff);
  const until = at + 1000 * wait;
  const reason = `tasks of ${avoiding} jobs failed on it`;
  const line = `node ${node} gets no work for ${wait} s: ${reason}`;
  return {
    changes: [...changes, { type: 'coolNode', node, cooling: { until, reason } }],
    effects: [say('warn', line)],
  };
}
