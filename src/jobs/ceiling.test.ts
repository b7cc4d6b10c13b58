import { expect, test } from 'vitest';

import { bundle, execute, outcome, produce } from '../../test/fixtures/requests.ts';
import { readCeiling } from './ceiling.ts';

const SETTING = 'pushbroom.maxCpuHours';
const asUser = (hours: string, most?: number) =>
  execute({ [SETTING]: hours }, 'Indices', {
    role: 'user',
    ...(most !== undefined && { defaults: { maxCpuHours: most } }),
  }).maxCpuHours;

test('a job has no ceiling, that of the configuration, or the lower one that its user asks for', () => {
  expect(execute({}).maxCpuHours).toBeUndefined();
  expect(execute({}, 'Indices', { defaults: { maxCpuHours: 100 } }).maxCpuHours).toBe(100);
  expect(asUser('7.5')).toBe(7.5);
  expect(asUser('7.5', 100)).toBe(7.5);
  expect(asUser('100', 100)).toBe(100);
});

test('only operators raise it', () => {
  expect(outcome(() => asUser('101', 100))).toMatchObject({
    code: 'INVALID_PARAMETER',
    locator: SETTING,
    message: expect.stringContaining('a job may use 100 CPU hours here'),
  });
  const defaults = { maxCpuHours: 100 };
  expect(execute({ [SETTING]: '101' }, 'Indices', { defaults }).maxCpuHours).toBe(101);
});

test('a bundle can lower it, too', () => {
  const processor = { ...bundle.processors[0]!, settings: { maxCpuHours: 3 } };
  const wish = { entry: { bundle, processor }, settings: {} };
  expect(readCeiling(wish, { maxCpuHours: 5 }, 'user')).toBe(3);
  expect(readCeiling(wish, { maxCpuHours: 2 }, 'user')).toBe(2);
});

test('the production dialect knows it', () => {
  const inputs = {
    processorBundleName: 'timescan',
    processorBundleVersion: '1.0',
    processorName: 'Indices',
    inputDataSetName: 'scenes',
    [SETTING]: '2',
  };
  expect(produce('L2', inputs).maxCpuHours).toBe(2);
});

test.each(['0', '-1', 'many', '1e3', '', '0.0000001'])('%j is no ceiling', (value) => {
  const found = outcome(() => execute({ [SETTING]: value || '0' }));
  expect(found).toMatchObject({ code: 'INVALID_PARAMETER', locator: SETTING });
});
