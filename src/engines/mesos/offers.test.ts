import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';

import type { EngineEvent } from '../engine.ts';
import { Agents } from './agents.ts';
import { Offers } from './offers.ts';
import type { Call, MesosAgent, MesosOffer, MesosResource } from './protocol.ts';

const scalar = (name: string, value: number): MesosResource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
});
const RESOURCES = [scalar('cpus', 4), scalar('mem', 4096)];

const anAgent = (id: string, more: Partial<MesosAgent> = {}): MesosAgent => ({
  id,
  host: `host-${id}`,
  port: 5051,
  attributes: new Map([['rack', 'r1']]),
  total: RESOURCES,
  isActive: true,
  ...more,
});

let count = 0;
const anOffer = (agentId: string, more: Partial<MesosOffer> = {}): MesosOffer => ({
  id: `O${(count += 1)}`,
  agentId,
  host: `host-${agentId}`,
  port: 5051,
  role: 'eo',
  resources: RESOURCES,
  attributes: new Map([['rack', 'r1']]),
  ...more,
});

let events: EngineEvent[];
let sent: Call[];
let at: number;
let busy: Set<string>;
let unknown: number;
beforeEach(() => {
  [events, sent, at, busy, unknown] = [[], [], 0, new Set(), 0];
});

function world(constraints: Record<string, string[]> = {}, roles = ['eo']) {
  const common = {
    engine: 'mesos',
    roles,
    now: () => at,
    emit: async (event: EngineEvent) => void events.push(event),
  };
  const agents = new Agents({
    ...common,
    attributes: { rack: 'rack', pool: 'site' },
    constraints,
    agentPort: 5051,
    maintenanceLead: 3_600_000,
    unreachable: 300_000,
    logger: pino({ level: 'silent' }),
    isBusy: (agentId) => busy.has(agentId),
  });
  const offers = new Offers({
    ...common,
    agents,
    hold: 5000,
    refuse: 5,
    send: (call) => void sent.push(call),
    onUnknown: () => (unknown += 1),
  });
  return { agents, offers };
}

const declined = () =>
  sent.map(({ decline }) => {
    const { offer_ids: ids, filters } = decline as {
      offer_ids: { value: string }[];
      filters: { refuse_seconds: number };
    };
    return [...ids.map(({ value }) => value), filters.refuse_seconds];
  });
const nodes = () => events.filter((event) => event.type === 'nodeUp' || event.type === 'nodeDown');

test('an offer waits until its agent is known; then its node is told first', () => {
  const { agents, offers } = world();
  const offer = anOffer('S0');
  offers.hear([offer]);
  expect([events, unknown]).toEqual([[], 1]);
  agents.learn([anAgent('S0')]);
  offers.retry();
  const node = 'host-S0';
  const resources = { cpus: 4, memoryMb: 4096 };
  expect(events).toEqual([
    { type: 'nodeUp', engine: 'mesos', node, resources, rack: 'r1' },
    { type: 'offered', offers: [{ id: offer.id, engine: 'mesos', node, resources, until: 5000 }] },
  ]);
});

test('where the master tells nothing of its agents, they are known by their offers', () => {
  const { offers } = world();
  offers.hear([anOffer('S0')]);
  offers.retry();
  expect(events.map(({ type }) => type)).toEqual(['nodeUp', 'offered']);
});

test('agents without the wanted attributes are no nodes, and refused for long', () => {
  const { agents, offers } = world({ tier: ['fast', 'bulk'] });
  const fast = { attributes: new Map([['tier', 'fast']]) };
  agents.learn([anAgent('S0'), anAgent('S1', fast)]);
  const bad = anOffer('S0');
  offers.hear([bad, anOffer('S1', fast)]);
  expect(nodes()).toMatchObject([{ node: 'host-S1' }]);
  expect(declined()).toEqual([[bad.id, 3600]]);
});

test('what is left over without processors and memory goes back', () => {
  const { agents, offers } = world();
  agents.learn([anAgent('S0')]);
  const ports = anOffer('S0', { resources: [{ name: 'ports', type: 'RANGES' }] });
  const memory = anOffer('S0', { resources: [scalar('mem', 64)] });
  offers.hear([ports, memory]);
  expect(declined()).toEqual([[ports.id, 5]]);
  expect(events.at(-1)).toMatchObject({ offers: [{ id: memory.id, resources: { cpus: 0 } }] });
});

test('what was allocated to two roles is not mixed', () => {
  const { agents, offers } = world({}, ['eo', 'tep']);
  agents.learn([anAgent('S0')]);
  const other = anOffer('S0', { role: 'tep' });
  offers.hear([anOffer('S0'), anOffer('S0'), other]);
  expect(declined()).toEqual([[other.id, 5]]);
});

test('a machine that is soon taken away gets no more work, and again when the plan is dropped', () => {
  const { agents, offers } = world();
  agents.learn([anAgent('S0')]);
  const soon = anOffer('S0', { unavailability: { start: 3_600_000, durationMs: 60_000 } });
  offers.hear([soon]);
  expect(declined()).toEqual([[soon.id, 30]]);
  expect(nodes().at(-1)).toMatchObject({ away: 'maintenance from 1970-01-01T01:00:00.000Z' });
  offers.hear([anOffer('S0')]);
  expect(declined()).toHaveLength(1);
  expect(nodes().at(-1)).not.toHaveProperty('away');
});

test('a plan that lies far ahead changes nothing until it comes near', () => {
  const { agents, offers } = world();
  agents.learn([anAgent('S0')]);
  offers.hear([anOffer('S0', { unavailability: { start: 3_600_001 } })]);
  expect(nodes()).toHaveLength(1);
  at = 1;
  agents.tick();
  expect(nodes()).toHaveLength(2);
});

test('an agent out of reach is waited for while something runs there', () => {
  const { agents, offers } = world();
  agents.learn([anAgent('S0'), anAgent('S1')]);
  busy.add('S0');
  agents.lost('S0');
  agents.lost('S1');
  agents.tick();
  expect(nodes().filter(({ type }) => type === 'nodeDown')).toMatchObject([{ node: 'host-S1' }]);
  expect(nodes().find((event) => 'away' in event)).toMatchObject({ node: 'host-S0' });
  offers.hear([anOffer('S0')]);
  expect(nodes().at(-1)).not.toHaveProperty('away');
  agents.lost('S0');
  at = 300_001;
  agents.tick();
  expect(nodes().at(-1)).toMatchObject({ type: 'nodeDown', node: 'host-S0' });
});

test('agents that a new master does not know yet are not gone', () => {
  const { agents } = world();
  agents.learn([anAgent('S0')]);
  busy.add('S0');
  agents.learn([]);
  agents.tick();
  expect(nodes().filter(({ type }) => type === 'nodeDown')).toEqual([]);
  agents.learn([anAgent('S0')]);
  expect(nodes().at(-1)).not.toHaveProperty('away');
});

test('an agent that comes back under a new id is the same node', () => {
  const { agents } = world();
  agents.learn([anAgent('S0')]);
  agents.lost('S0');
  agents.learn([anAgent('S7', { host: 'host-S0' })]);
  agents.tick();
  expect(nodes().some(({ type }) => type === 'nodeDown')).toBe(false);
  expect(agents.ofNode('host-S0')?.id).toBe('S7');
  expect(nodes().at(-1)).not.toHaveProperty('away');
});

test('two agents of one machine are two nodes', () => {
  const { agents } = world();
  const host = 'machine';
  agents.learn([anAgent('S0', { host }), anAgent('S1', { host, port: 5061 })]);
  expect(nodes()).toMatchObject([{ node: 'machine' }, { node: 'machine:5061' }]);
});

test('an agent that its operator drains says so', () => {
  const { agents } = world();
  agents.learn([anAgent('S0', { isActive: false, why: 'draining' })]);
  expect(nodes()).toMatchObject([{ away: 'Mesos says: draining' }]);
});

test('offers are used, given back or void, once', () => {
  const { agents, offers } = world();
  agents.learn([anAgent('S0')]);
  const [a, b, c, d] = [anOffer('S0'), anOffer('S0'), anOffer('S0'), anOffer('S0')];
  offers.hear([a, b, c, d]);
  expect(offers.take([a.id, 'nobody'])).toEqual([a]);
  expect(offers.take([a.id])).toEqual([]);
  offers.giveBack([b.id, a.id]);
  offers.giveBack([b.id]);
  expect(declined()).toEqual([[b.id, 5]]);
  offers.rescind(c.id);
  offers.rescind(c.id);
  offers.forget();
  offers.forget();
  expect(events.filter(({ type }) => type === 'rescinded')).toMatchObject([
    { offerIds: [c.id] },
    { offerIds: [d.id] },
  ]);
});
