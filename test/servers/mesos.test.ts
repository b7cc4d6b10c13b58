import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { startMesos } from './mesos/cluster.ts';
import type { ClusterOptions, MesosCluster } from './mesos/cluster.ts';
import { call, send } from './mesos/client.ts';
import { startFileServer } from './mesos/file-server.ts';
import type { FileServer } from './mesos/file-server.ts';
import { Replay } from './mesos/replay.ts';
import type { Deed, Scenario } from './mesos/replay.ts';

interface Played extends Scenario {
  readonly what: string;
  readonly options?: ClusterOptions;
}

const DESTROY = (who: string) => async (replay: Replay) => {
  replay.stream(who).subscription.destroy();
  await vi.waitFor(() => expect(replay.cluster.frameworks().at(-1)!.isConnected).toBe(false), LONG);
};

const LONG = { timeout: 10_000 };

const removed = ({ cluster }: Replay) =>
  vi.waitFor(
    () => expect(cluster.frameworks().every(({ isRemoved }) => isRemoved)).toBe(true),
    LONG,
  );

const attributes = (rack: number, tier: string) => ({
  rack: `r${rack}`,
  site: `eodc-${rack}`,
  os: 'debian12',
  tier,
});

/** What the master remembers of the framework that it noted at that line. */
const asNoted =
  (expected: object): Deed =>
  ({ cluster }) =>
    expect(cluster.frameworks().at(-1)!.info).toMatchObject(expected);

/** The file server has been asked just as was noted; in whatever order, where tasks fetched at once. */
const sameHits: Deed = ({ entry }) =>
  expect(files.hits.toSorted()).toEqual((entry['hits'] as string[]).toSorted());

const newHits: Deed = async (replay) => {
  await sameHits(replay);
  files.hits.length = 0;
};

const sameFetchMetrics: Deed = async ({ cluster, entry }) => {
  const { body } = await send(cluster.agents[0]!.url, { method: 'GET', path: '/metrics/snapshot' });
  const { n: _, kind: __, t: ___, ts: ____, text: _____, ...noted } = entry;
  expect(JSON.parse(body)).toMatchObject(noted);
};

const second = (replay: Replay) => replay.cluster.agents[1]!;

const PLAYED: readonly Played[] = [
  {
    file: '01-subscribe-offers-decline-suppress-revive',
    what: 'offers are declined, filtered, suppressed and revived',
    options: { heartbeatSeconds: 0.1 },
    deeds: {
      // What was offered before SUPPRESS has arrived.
      29: async (replay) => {
        replay.cluster.send({ type: 'FENCE' });
        const { subscription } = replay.stream('fw');
        await subscription.event('FENCE');
        replay.stream('fw').forgetOffers(replay.names);
      },
      30: async (replay) => {
        const { subscription } = replay.stream('fw');
        const { length } = subscription.events;
        const beats = () => subscription.events.slice(length).length > 2 || undefined;
        await subscription.until(beats);
        const types = subscription.events.slice(length).map(({ type }) => type as string);
        expect(types).not.toContain('OFFERS');
      },
    },
  },
  {
    file: '02-launch-finish-uris-fetcher-cache',
    what: 'URIs are fetched, once where they are cached',
    deeds: { 21: sameHits, 46: sameHits, 73: sameHits, 75: sameFetchMetrics },
  },
  {
    file: '02b-fetcher-cache-details',
    what: 'the fetcher cache: at once, stale, without length, redirected, evicted, too large, extracted',
    // The files of tens of megabytes are a thousandth of that here.
    options: { fetcherCacheBytes: 67_108 },
    // An agent's call that is of no use here.
    skipped: [206, 207],
    deeds: Object.fromEntries(
      [37, 51, 66, 80, 94, 108, 122, 136, 149, 163, 177, 191, 205].map((n) => [n, newHits]),
    ),
  },
  {
    file: '03-task-failures',
    what: 'exit codes, signals, limits, bad tasks and health checks',
  },
  {
    file: '04-kill',
    what: 'tasks are killed while they run, while they are launched, and when nobody knows them',
    // Whether its trap was set when TERM came was a race.
    looseMessages: ['k-trap'],
    deeds: {
      7: ({ cluster }) => cluster.holdLaunches(true),
      14: ({ cluster }) => cluster.holdLaunches(false),
    },
  },
  {
    file: '04b-kill-grace-escalation',
    what: 'TERM, then KILL after the grace period',
    options: { timeScale: 0.3 },
    deeds: {
      // The traps have to be set.
      33: ({ cluster }) => trapsAreSet(cluster),
    },
  },
  {
    file: '05-ack-retry',
    what: 'updates are repeated until they are acknowledged',
    options: { ackRetryMs: 100, heartbeatSeconds: 0.1 },
    deeds: {
      9: (replay) => replay.openGate('a1'),
      // The wrong uuid has acknowledged nothing.
      18: async (replay) => {
        replay.cluster.send({ type: 'FENCE' });
        const { subscription } = replay.stream('fw');
        await subscription.event('FENCE');
        const states = subscription.statuses('a1').map(({ state }) => state as string);
        expect(new Set(states)).toEqual(new Set(['TASK_STARTING']));
      },
    },
  },
  { file: '06-reconcile', what: 'implicit and explicit reconciliation' },
  {
    file: '07a-agent-killed-restarted-checkpointed',
    what: 'an agent is killed, its tasks are unreachable, and come back with it',
    deeds: { 16: (replay) => second(replay).kill(), 25: (replay) => second(replay).restart() },
    options: { heartbeatSeconds: 0.1 },
  },
  {
    file: '07b-agent-killed-non-partition-aware',
    what: 'without checkpoints and PARTITION_AWARE tasks are lost at once',
    deeds: { 13: (replay) => second(replay).kill(), 16: (replay) => second(replay).restart() },
  },
  {
    file: '07c-agent-graceful-unregister',
    what: 'an agent unregisters and comes back under its name',
    deeds: {
      // The offer stood before the agent went, here it is sure to.
      13: async (replay) => {
        const { held, subscription } = replay.stream('fw');
        await subscription.until(() => {
          replay.stream('fw').sync(replay.names);
          return held.size > 1 || undefined;
        });
        await second(replay).unregister();
      },
      23: (replay) => second(replay).restart(),
    },
  },
  {
    file: '07d-executor-killed',
    what: 'an executor is killed',
    deeds: { 17: ({ cluster }) => cluster.killExecutor('ex-1') },
  },
  {
    file: '07e-mark-agent-gone-and-drain',
    what: 'an agent is drained, reactivated and marked gone',
    deeds: {
      27: async ({ cluster }) => {
        const { body } = await call(cluster.url, { type: 'GET_AGENTS' });
        expect(JSON.parse(body).get_agents.agents[1]).toMatchObject({
          active: false,
          deactivated: true,
          drain_info: { state: 'DRAINED', config: { mark_gone: false } },
        });
      },
      48: (replay) => expect(second(replay).isRegistered).toBe(false),
      49: (replay) => {
        second(replay).forget();
        return second(replay).restart();
      },
    },
  },
  {
    file: '07f-agent-quick-restart',
    what: 'an agent restarts before anybody misses it',
    options: { agentPingMs: 60_000 },
    deeds: {
      14: (replay) => second(replay).kill({ loseAcks: true }),
      17: (replay) => second(replay).restart(),
    },
  },
  {
    file: '08-resubscribe-failover',
    what: 'a framework reconnects and is evicted by itself',
    deeds: {
      19: DESTROY('stream-1'),
      24: async (replay) => {
        replay.openGate('fo-1');
        await vi.waitFor(
          () =>
            expect(replay.cluster.tasks().find(({ id }) => id === 'fo-1')!.isTerminal).toBe(true),
          LONG,
        );
      },
    },
  },
  {
    file: '09-failover-timeout-expires',
    what: 'a framework is removed after its failover timeout',
    // Long enough for the call at line 15 to come while it is only disconnected.
    options: { timeScale: 0.5 },
    deeds: { 13: DESTROY('fw'), 16: removed, 25: DESTROY('ft0'), 26: removed },
  },
  {
    file: '10-master-restart',
    what: 'the master dies, and is silent about tasks until the agents are back',
    deeds: {
      16: async (replay) => {
        for (const agent of replay.cluster.agents) agent.suspendRegistration(true);
        await replay.killMaster();
      },
      22: (replay) => replay.restartMaster(),
      33: ({ cluster }) => {
        for (const agent of cluster.agents) agent.suspendRegistration(false);
      },
    },
  },
  {
    file: '12-bad-calls',
    what: 'every error',
    // Protobuf is not spoken here.
    skipped: [118, 119],
  },
  {
    file: '15-reserve-create-maintenance-inverse',
    what: 'reservations, volumes, maintenance and inverse offers',
  },
  {
    file: '17-auth',
    what: 'credentials, roles and users that are not allowed, offers held for too long',
    options: {
      agents: [{ ports: [31_003, 31_103], attributes: attributes(3, 'bulk') }],
      credentials: [{ principal: 'eo-jobs', secret: 's3cret' }],
      allowedRoles: ['eo'],
      allowedUsers: ['root'],
      offerTimeoutMs: 1000,
    },
  },
  {
    file: '19-two-frameworks-drf',
    what: 'a framework that holds offers starves the other; the rest is shared fairly',
    options: { timeScale: 1 },
    deeds: {
      12: (replay) => {
        const { events } = replay.stream('B').subscription;
        expect(events.filter(({ type }) => type === 'OFFERS')).toEqual([]);
      },
    },
  },
  { file: '22-accept-variants', what: 'offers of two agents, no operations, several, ids again' },
  {
    file: '23-resubscribe-immutable-fields',
    what: 'what a framework may change of itself',
    options: {
      agents: [
        { ports: [31_000, 32_000], attributes: attributes(1, 'fast') },
        { ports: [31_000, 32_000], attributes: attributes(2, 'bulk') },
      ],
    },
    deeds: {
      18: asNoted({ user: 'root' }),
      27: asNoted({ checkpoint: true }),
      33: asNoted({ principal: 'eo-jobs' }),
      42: asNoted({ capabilities: [{ type: 'MULTI_ROLE' }] }),
      53: asNoted({ roles: ['eo2'] }),
      64: asNoted({ failover_timeout: 120 }),
      74: asNoted({ user: 'root', failover_timeout: 60 }),
    },
  },
];

/** The shells of transcript 04b have got to their loops. */
const trapsAreSet = (cluster: MesosCluster) =>
  vi.waitFor(() => {
    for (const { pid, info } of cluster.tasks()) {
      if (!info.command.value.startsWith('trap')) continue;
      const caught = /SigCgt:\t(\w+)|$/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      const ignored = /SigIgn:\t(\w+)|$/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      const mask = BigInt(`0x${caught![1]}`) | BigInt(`0x${ignored![1]}`);
      expect(mask & (1n << 14n)).not.toBe(0n);
    }
  }, LONG);

let directory: string;
let files: FileServer;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mesos-replay-'));
  files = await startFileServer();
});
afterEach(async () => {
  await files.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('the replayed cluster does what was recorded:', () => {
  test.each(PLAYED)('$file: $what', { timeout: 20_000 }, async ({ options, ...scenario }) => {
    await using cluster = await startMesos({ timeScale: 0.1, ...options });
    writeFileSync(join(directory, 'local.txt'), 'local\n');
    writeFileSync(join(directory, 'inside.txt'), 'inside\n');
    execFileSync('tar', ['-C', directory, '-czf', join(directory, 'arch.tar.gz'), 'inside.txt']);
    const rewriting = [
      ['http://127.0.0.1:8088', files.url],
      ['http://127.0.0.1:18093', files.url],
      ['/srv/mesos/run', directory],
    ] as const;
    await new Replay(scenario, cluster, directory, rewriting).play();
  });
});
