import { runAttempt } from './attempt.ts';
import type { FromRunner, ToRunner } from './messages.ts';
import { killGroup } from './program.ts';

/**
 * A runner of the local engine: makes one attempt after the other, so that what its children cost is what the attempt
 * cost. It ends, with everything it has started, when the engine's end of the channel closes.
 */
let current: { attemptId: string; abort: AbortController; group?: number } | undefined;

const tell = (message: FromRunner): void => {
  if (process.connected) process.send!(message);
};

process.on('message', (message: ToRunner) => {
  if (message.type === 'kill') {
    if (current?.attemptId === message.attemptId) current.abort.abort();
    return;
  }
  const { assignment } = message;
  const { attemptId } = assignment;
  const attempt: typeof current = { attemptId, abort: new AbortController() };
  current = attempt;
  void runAttempt({
    assignment,
    signal: attempt.abort.signal,
    onSpawn: (group) => {
      attempt.group = group;
      tell({ type: 'spawned', attemptId, group });
    },
  }).then((end) => {
    current = undefined;
    tell({ type: 'ended', attemptId, end });
  });
});

process.on('disconnect', () => {
  killGroup(current?.group, 'SIGKILL');
  process.exit(0);
});

// A service that is asked to end ends its runners itself, in order.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
