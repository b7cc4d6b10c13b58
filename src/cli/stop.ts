import type { CliDeps } from './deps.ts';

/**
 * A signal that aborts at the first SIGINT or SIGTERM; the second one ends the process at once, for a clean end that
 * hangs.
 */
export function stopSignal(
  deps: Pick<CliDeps, 'signals' | 'exit'>,
): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) deps.exit(130);
    else controller.abort();
  };
  deps.signals.on('SIGINT', stop);
  deps.signals.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      deps.signals.off('SIGINT', stop);
      deps.signals.off('SIGTERM', stop);
    },
  };
}

export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
