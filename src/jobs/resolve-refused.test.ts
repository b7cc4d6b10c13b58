import { expect, test } from 'vitest';
import { execute, outcome } from '../../test/fixtures/requests.ts';

test('of ordinary users, what is for operators is as if it had not been sent', () => {
  const inputs = {
    'calvalus.hadoop.mapreduce.map.maxattempts': '1',
    'calvalus.hadoop.mapreduce.job.queuename': 'nowhere',
    'calvalus.output.prefix': '../x',
    'mapreduce.job.priority': 'VERY_HIGH',
    'pushbroom.gpus': '3',
  };
  const { retry, priority, workflow, inputs: record } = execute(inputs, 'Deep', { role: 'user' });
  expect([retry.maxAttempts, priority]).toEqual([4, 100]);
  expect(workflow.process.resources.gpus).toBe(3);
  expect(Object.keys(record)).toEqual(['inputDataSetName', 'pushbroom.gpus']);
});

test('statistics over regions are refused with the reason', () => {
  const locator = 'regionalStatisticsParameters';
  expect(outcome(() => execute({ [locator]: '<parameters/>' }))).toMatchObject({
    code: 'NOT_SUPPORTED',
    locator,
    message: expect.stringContaining('statistics over regions (RA)'),
  });
});
