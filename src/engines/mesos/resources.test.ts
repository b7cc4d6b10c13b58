import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Resources } from '../../core/model.ts';
import type { MesosResource } from './protocol.ts';
import { capacityOf, isForRole, take } from './resources.ts';

const scalar = (name: string, value: number, more: Partial<MesosResource> = {}): MesosResource => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  allocation_info: { role: 'eo' },
  ...more,
});

const reserved = (...roles: string[]): Partial<MesosResource> => ({
  reservations: roles.map((role) => ({ type: 'DYNAMIC', role, principal: 'eo-jobs' })),
});

const PORTS: MesosResource = {
  name: 'ports',
  type: 'RANGES',
  ranges: { range: [{ begin: 31_001, end: 31_101 }] },
  allocation_info: { role: 'eo' },
};
const VOLUME = scalar('disk', 100, {
  ...reserved('eo'),
  disk: { persistence: { id: 'v' }, volume: { mode: 'RW', container_path: 'data' } },
});

/** As recorded after a RESERVE. */
const RESERVED_OFFER: readonly MesosResource[] = [
  PORTS,
  scalar('cpus', 1, reserved('eo')),
  VOLUME,
  scalar('cpus', 3),
  scalar('mem', 4096),
  scalar('disk', 10_140),
];

describe('capacityOf', () => {
  test('adds up what is reserved and what is not', () => {
    expect(capacityOf(RESERVED_OFFER)).toStrictEqual({ cpus: 4, memoryMb: 4096 });
    expect(capacityOf([])).toStrictEqual({ cpus: 0, memoryMb: 0 });
  });

  test('adds thousandths without an error', () => {
    const tenths = Array.from({ length: 10 }, () => scalar('cpus', 0.1));
    expect(capacityOf([...tenths, scalar('mem', 0.3), scalar('mem', 0.6)])).toEqual({
      cpus: 1,
      memoryMb: 0.9,
    });
  });

  test('counts whole GPUs, where there are any', () => {
    expect(capacityOf([scalar('gpus', 1), scalar('gpus', 1.5)]).gpus).toBe(2);
    expect(capacityOf([scalar('gpus', 0)])).not.toHaveProperty('gpus');
  });

  test.each([
    ['can be taken away', { revocable: {} }],
    ['belongs to a provider', { provider_id: { value: 'p' } }],
    ['is a disk of its own', { disk: { source: { type: 'MOUNT' } } }],
    ['is shared', { shared: {} }],
    ['is no scalar', { type: 'RANGES' }],
  ])('does not count what %s', (_, more) => {
    const pool = [scalar('cpus', 2, more), scalar('mem', 64, more)];
    expect(capacityOf(pool)).toEqual({ cpus: 0, memoryMb: 0 });
    expect(take(pool, { cpus: 1, memoryMb: 0 })).toBeUndefined();
  });
});

describe('isForRole', () => {
  test.each([
    [{}, true],
    [{ role: '*' }, true],
    [reserved('eo'), true],
    [{ role: 'eo' }, true],
    // What is reserved for an ancestor is offered to its children, not the reverse.
    [reserved('science'), true],
    [reserved('science', 'science/eo'), true],
    [reserved('science', 'science/eo/urban'), false],
    [reserved('sci'), false],
    [reserved('other'), false],
    [{ role: 'other' }, false],
  ])('%j', (more, expected) => {
    expect(isForRole(scalar('cpus', 1, more), ['eo', 'science/eo'])).toBe(expected);
  });
});

describe('take', () => {
  test('takes what is reserved first, in its own form, and leaves the rest as it was', () => {
    const { taken, rest } = take(RESERVED_OFFER, { cpus: 1.5, memoryMb: 1000 })!;
    expect(taken).toEqual([
      scalar('cpus', 1, reserved('eo')),
      scalar('cpus', 0.5),
      scalar('mem', 1000),
    ]);
    expect(rest).toEqual([
      PORTS,
      VOLUME,
      scalar('cpus', 2.5),
      scalar('mem', 3096),
      scalar('disk', 10_140),
    ]);
  });

  test('takes what is reserved first wherever it stands', () => {
    const pool = [
      scalar('cpus', 3),
      scalar('mem', 64, reserved('eo')),
      scalar('cpus', 1, reserved('eo')),
      scalar('mem', 64),
    ];
    expect(take(pool, { cpus: 1, memoryMb: 32 })?.rest).toEqual([
      scalar('cpus', 3),
      scalar('mem', 32, reserved('eo')),
      scalar('mem', 64),
    ]);
  });

  test('rounds up to thousandths, but not for what is only an error of counting', () => {
    const pool = [scalar('cpus', 4), scalar('mem', 100)];
    expect(take(pool, { cpus: 0.1234, memoryMb: 1 })?.taken[0]).toEqual(scalar('cpus', 0.124));
    expect(take(pool, { cpus: 0.1 + 0.2, memoryMb: 1 })?.taken[0]).toEqual(scalar('cpus', 0.3));
    expect(take([scalar('cpus', 0.123), scalar('mem', 1)], { cpus: 0.1234, memoryMb: 1 })).toBe(
      undefined,
    );
  });

  test('takes all to the last thousandth, and nothing where nothing is wanted', () => {
    const pool = [scalar('cpus', 0.1), scalar('cpus', 0.2), scalar('mem', 64.001), PORTS];
    const all = { cpus: 0.1 + 0.2, memoryMb: 64.001 };
    expect(take(pool, all)).toEqual({ taken: pool.slice(0, 3), rest: [PORTS] });
    expect(take(pool, { ...all, memoryMb: 64.002 })).toBeUndefined();
    expect(take(pool, { cpus: 0, memoryMb: 0 })).toEqual({ taken: [], rest: pool });
  });

  test('takes GPUs from where they are wanted only', () => {
    const pool = [scalar('cpus', 4), scalar('mem', 100), scalar('gpus', 2)];
    expect(take(pool, { cpus: 1, memoryMb: 1 })?.rest).toContain(pool[2]);
    expect(take(pool, { cpus: 1, memoryMb: 1, gpus: 2 })?.rest).toHaveLength(2);
    expect(take(pool, { cpus: 1, memoryMb: 1, gpus: 3 })).toBeUndefined();
  });

  const amount = fc.integer({ min: 0, max: 8000 }).map((thousandths) => thousandths / 1000);
  const kind = fc.constantFrom<Partial<MesosResource>>(
    {},
    {},
    reserved('eo'),
    reserved('science', 'science/eo'),
    { revocable: {} },
  );
  const part = fc
    .tuple(fc.constantFrom('cpus', 'mem', 'gpus', 'disk'), amount, kind)
    .map(([name, value, more]) => scalar(name, name === 'gpus' ? Math.floor(value) : value, more));
  const pools = fc.array(fc.oneof({ arbitrary: part, weight: 9 }, fc.constant(PORTS)), {
    maxLength: 12,
  });
  const wish = fc.double({ min: 0, max: 6, noNaN: true });
  const wishes = fc.record<Resources>({
    cpus: wish,
    memoryMb: wish,
    gpus: fc.integer({ min: 0, max: 6 }),
  });

  /** Thousandths of each name in each form. */
  function ledger(resources: readonly MesosResource[]): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { scalar: held, ...form } of resources) {
      const key = JSON.stringify(form);
      sums.set(key, (sums.get(key) ?? 0) + Math.round(1000 * (held?.value ?? 0)));
    }
    return new Map(sums.entries().filter(([, sum]) => sum !== 0));
  }

  /** What is missing at most for it to be enough. */
  const covers = (has: Resources, wants: Resources, slack: number): boolean =>
    has.cpus >= wants.cpus - slack &&
    has.memoryMb >= wants.memoryMb - slack &&
    (has.gpus ?? 0) >= (wants.gpus ?? 0);

  test('neither makes nor loses anything, gives enough, and refuses only where there is less', () => {
    fc.assert(
      fc.property(pools, wishes, (pool, wanted) => {
        const division = take(pool, wanted);
        if (!division) {
          const up = (value: number) => Math.ceil(value * 1000) / 1000;
          const { cpus, memoryMb } = wanted;
          const rounded = { ...wanted, cpus: up(cpus), memoryMb: up(memoryMb) };
          expect(covers(capacityOf(pool), rounded, 0)).toBe(false);
          return;
        }
        const { taken, rest } = division;
        expect(ledger([...taken, ...rest])).toEqual(ledger(pool));
        expect(covers(capacityOf(taken), wanted, 1e-6)).toBe(true);
        // Not a thousandth more than that.
        expect(covers(wanted, capacityOf(taken), 0.001)).toBe(true);
        for (const one of taken) expect(one.scalar!.value).toBeGreaterThan(0);
        for (const one of rest) expect(one.scalar?.value ?? 0).toBeGreaterThanOrEqual(0);
        expect(rest.filter(({ name }) => name === 'ports' || name === 'disk')).toEqual(
          pool.filter(({ name }) => name === 'ports' || name === 'disk'),
        );
      }),
      { numRuns: 500 },
    );
  });

  test('in any sequence never takes more than there was', () => {
    const small = fc.record<Resources>({
      cpus: fc.double({ min: 0, max: 1, noNaN: true }),
      memoryMb: fc.double({ min: 0, max: 1, noNaN: true }),
      gpus: fc.integer({ min: 0, max: 1 }),
    });
    fc.assert(
      fc.property(pools, fc.array(small, { maxLength: 20 }), (pool, wanted) => {
        const taken: MesosResource[] = [];
        let rest: readonly MesosResource[] = pool;
        for (const one of wanted) {
          const division = take(rest, one);
          if (!division) continue;
          taken.push(...division.taken);
          rest = division.rest;
        }
        expect(ledger([...taken, ...rest])).toEqual(ledger(pool));
        expect(covers(capacityOf(pool), capacityOf(taken), 0)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
