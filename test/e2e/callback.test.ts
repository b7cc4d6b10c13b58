import { expect, test } from 'vitest';

import { startReceiver } from '../fixtures/receiver.ts';
import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';

test('a subscriber is told of a job whose server was killed, by the next one', async () => {
  await using receiver = await startReceiver();
  await using directory = await temporaryDirectory();
  const config = { references: { allow: ['127.0.0.1'] } };
  const first = await startPushbroom(directory.path, config);
  const response = await fetch(`${first.publicUrl}/ogcapi/processes/echo/execution`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({
      inputs: { stringInput: 'told', pause: 2 },
      outputs: { stringInput: {} },
      subscriber: { successUri: `${receiver.url}/done` },
    }),
  });
  expect(response.status).toBe(201);
  await first.kill();

  const second = await startPushbroom(directory.path, config);
  try {
    expect(await receiver.next()).toEqual({
      path: '/done',
      type: 'application/json',
      body: { stringInput: 'told' },
    });
  } finally {
    await second.stop();
  }
});
