import { add, asResources } from '../../src/core/amount.ts';
import type { EngineEvent } from '../../src/core/change.ts';
import type { AttemptId, FailureKind, Offer, Resources } from '../../src/core/model.ts';
import type { AttemptNews, Engine } from '../../src/engines/engine.ts';

interface Running {
  readonly node: string;
  readonly resources: Resources;
}

/** What a node has, and whether container images can be run there. */
export type ManualNode = Resources & { readonly hasImages?: true };

/** An engine whose attempts run until a test ends them. */
export function createManualEngine(nodes: Readonly<Record<string, ManualNode>>) {
  const running = new Map<AttemptId, Running>();
  const free = new Map(
    Object.entries(nodes).map(([node, { cpus, memoryMb, gpus = 0 }]) => [
      node,
      { cpus, memoryMb, gpus },
    ]),
  );
  let emit: (event: EngineEvent) => void = () => undefined;
  let count = 0;
  let isTornDown = false;
  const engine = 'manual';

  function change(node: string, resources: Resources, sign: 1 | -1): void {
    add(free.get(node)!, resources, sign);
  }

  function offer(node: string): void {
    const resources = asResources(free.get(node)!);
    if (resources.cpus === 0) return;
    const offered: Offer = { id: `offer-${(count += 1)}`, engine, node, resources };
    emit({ type: 'offered', offers: [offered] });
  }

  function end(attemptId: AttemptId, { state: to, result }: AttemptNews): void {
    const attempt = running.get(attemptId);
    if (!attempt) return;
    running.delete(attemptId);
    change(attempt.node, attempt.resources, 1);
    emit({ type: 'attemptMoved', engine, attemptId, to, ...(result && { result }) });
    offer(attempt.node);
  }

  /** @param away why nothing may start there */
  function up(node: string, away?: string): void {
    const { hasImages, ...resources } = nodes[node]!;
    emit({
      type: 'nodeUp',
      engine,
      node,
      resources,
      rack: 'rack-1',
      ...(hasImages && { hasImages }),
      ...(away !== undefined && { away }),
    });
  }

  const leave = (node: string): void => emit({ type: 'nodeDown', engine, node });

  const port: Engine = {
    id: engine,
    status: () => ({
      isConnected: !isTornDown,
      detail: isTornDown ? 'torn down' : 'cluster of a test',
    }),
    async teardown() {
      if (isTornDown) throw new Error('there is no cluster to say it to');
      isTornDown = true;
      running.clear();
      Object.keys(nodes).forEach(leave);
    },
    async run(tell, signal) {
      emit = tell;
      for (const node of Object.keys(nodes)) {
        up(node);
        offer(node);
      }
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    async launch({ node, attempts }) {
      for (const { assignment, resources } of attempts) {
        change(node, resources, -1);
        running.set(assignment.attemptId, { node, resources });
        const { attemptId } = assignment;
        emit({ type: 'attemptMoved', engine, attemptId, to: 'running' });
      }
      offer(node);
    },
    kill: async (attemptId) => end(attemptId, { state: 'killed' }),
    reconcile: async (ids) => new Map(ids.map((id) => [id, { state: 'lost' }])),
  };

  return {
    port,
    running,
    finish: (id: AttemptId) =>
      end(id, { state: 'finished', result: { outputs: [{ path: 'a.tif', size: 1 }] } }),
    fail: (id: AttemptId, kind: FailureKind, message: string) =>
      end(id, { state: 'failed', result: { exitCode: 1, failure: { kind, message } } }),
    up,
    leave,
  };
}
