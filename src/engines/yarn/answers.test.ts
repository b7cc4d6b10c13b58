import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BadAnswer, parseApplications, parseInfo, parseNodes, parseQueues } from './answers.ts';

const recorded = (name: string): unknown =>
  JSON.parse(
    readFileSync(
      join(import.meta.dirname, `../../../test/fixtures/yarn-3.5.0/${name}.json`),
      'utf8',
    ),
  );

const node = (over: object) => ({
  id: 'n1:45454',
  nodeHostName: 'n1',
  rack: '/r1',
  state: 'RUNNING',
  usedMemoryMB: 1000,
  availMemoryMB: 3000,
  usedVirtualCores: 1,
  availableVirtualCores: 3,
  ...over,
});
const nodes = (...all: object[]) => parseNodes({ nodes: { node: all } });

describe('answers of the ResourceManager', () => {
  test('of 3.5.0 are understood', () => {
    expect(parseInfo(recorded('info'))).toMatchObject({ haState: 'ACTIVE', version: '3.5.0' });
    const [first, ...others] = parseNodes(recorded('nodes'));
    expect(others).toHaveLength(2);
    expect(first).toMatchObject({
      host: expect.stringMatching(/^127[.]/),
      port: 45_454,
      state: 'RUNNING',
      total: { memoryMb: 4096, vcores: 4 },
    });
    expect(parseQueues(recorded('scheduler'))).toMatchObject([
      { path: 'root.default', maximum: 100, isRunning: true },
      { path: 'root.other' },
    ]);
  });

  test('of older versions are understood: one entry is no list, numbers are texts, nothing is null', () => {
    const one = parseNodes({ nodes: { node: node({ usedMemoryMB: '1000' }) } });
    expect(one).toMatchObject([
      { host: 'n1', used: { memoryMb: 1000 }, total: { memoryMb: 4000 } },
    ]);
    expect(parseNodes({ nodes: null })).toEqual([]);
    expect(parseApplications({ apps: null })).toEqual([]);
    expect(parseApplications({ apps: {} })).toEqual([]);
    const app = { id: 'a', name: 'job', state: 'RUNNING', applicationTags: 'pushbroom,x' };
    expect(parseApplications({ apps: { app } })).toEqual([
      { id: 'a', name: 'job', state: 'RUNNING', tags: ['pushbroom', 'x'] },
    ]);
  });

  test('tell GPUs, labels and attributes', () => {
    const resource = (value: number) => ({
      resourceInformations: { resourceInformation: [{ name: 'yarn.io/gpu', value }] },
    });
    const [found] = nodes(
      node({
        totalResource: resource(2),
        usedResource: resource(1),
        nodeLabels: ['gpu'],
        nodeAttributesInfo: {
          nodeAttributeInfo: [{ prefix: 'rm.yarn.io', name: 'os', value: 'debian' }],
        },
      }),
    );
    expect(found).toMatchObject({ total: { gpus: 2 }, used: { gpus: 1 }, labels: ['gpu'] });
    expect(found!.attributes.get('os')).toBe('debian');
    expect(found!.attributes.get('rm.yarn.io/os')).toBe('debian');
  });

  test('of a host that has come back on another port are those of what runs', () => {
    const lost = node({ id: 'n1:1', state: 'LOST' });
    const runs = node({ id: 'n1:2' });
    for (const all of [
      [lost, runs],
      [runs, lost],
    ]) {
      expect(nodes(...all)).toMatchObject([{ port: 2, state: 'RUNNING' }]);
    }
  });

  test('limit a user to what his queue lets him have', () => {
    const queue = {
      queueName: 'eo',
      absoluteCapacity: 20,
      absoluteMaxCapacity: 80,
      userLimitFactor: 2,
      state: 'STOPPED',
    };
    const answer = (over: object) => ({
      scheduler: {
        schedulerInfo: { type: 'capacityScheduler', queues: { queue: { ...queue, ...over } } },
      },
    });
    expect(parseQueues(answer({}))).toMatchObject([
      { path: 'root.eo', maximum: 40, isRunning: false },
    ]);
    expect(parseQueues(answer({ userLimitFactor: -1 }))).toMatchObject([{ maximum: 80 }]);
    const below = { queues: { queue: [{ ...queue, queueName: 'tep' }] } };
    expect(parseQueues(answer(below))).toMatchObject([{ path: 'root.eo.tep' }]);
    expect(parseQueues({ scheduler: { schedulerInfo: { type: 'fairScheduler' } } })).toEqual([]);
  });

  test('tell what a queue may have of a partition', () => {
    const queue = {
      queueName: 'eo',
      absoluteCapacity: 20,
      absoluteMaxCapacity: 80,
      absoluteUsedCapacity: 5,
      resourcesUsed: { memory: 1, vCores: 1 },
      userLimitFactor: 2,
      capacities: {
        queueCapacitiesByPartition: [
          { partitionName: '', absoluteCapacity: 20, absoluteMaxCapacity: 80 },
          {
            partitionName: 'fast',
            absoluteCapacity: 30,
            absoluteMaxCapacity: 70,
            absoluteUsedCapacity: 50,
          },
        ],
      },
      resources: {
        resourceUsagesByPartition: [{ partitionName: 'fast', used: { memory: 4096, vCores: 3 } }],
      },
    };
    const answer = {
      scheduler: { schedulerInfo: { type: 'capacityScheduler', queues: { queue } } },
    };
    expect(parseQueues(answer, 'fast')).toMatchObject([
      { maximum: 60, percent: 50, used: { memoryMb: 4096, vcores: 3 } },
    ]);
    expect(parseQueues(answer)).toMatchObject([{ maximum: 40, used: { memoryMb: 1, vcores: 1 } }]);
  });

  test('that are something else are refused in words', () => {
    for (const parse of [parseInfo, parseNodes, parseApplications, parseQueues]) {
      expect(() => parse(undefined)).toThrow(BadAnswer);
      expect(() => parse('<html>')).toThrow(/"<html>"/);
      fc.assert(
        fc.property(fc.jsonValue(), (body) => {
          try {
            parse(body);
          } catch (error) {
            expect(error).toBeInstanceOf(BadAnswer);
          }
        }),
      );
    }
  });
});
