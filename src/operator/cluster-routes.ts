import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { PushbroomError } from '../errors.ts';
import type { NodeStatus } from '../scheduler/status.ts';
import { allowNoBody } from './control-routes.ts';
import type { OperatorOptions } from './options.ts';
import { ApiError, Drain, Group, Node, NodePath, pageOf, Reloaded, Scheduling } from './schemas.ts';
import { groupView, nodeView, schedulingView } from './views.ts';

const failures = { '4xx': ApiError, '5xx': ApiError };
/** Names that a refusal lists. */
const LISTED = 20;

/** The nodes, and how they are taken out of work. */
export function addNodeRoutes(app: FastifyInstance, { scheduler }: OperatorOptions): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  async function drain(path: NodePath, isDrained: boolean, reason?: string): Promise<Node> {
    const { drained: _, ...before } = findNode(scheduler.nodes(), path);
    await scheduler.drain(path.engine, path.node, isDrained, reason);
    // One that is given back while it is away is forgotten.
    return nodeView(scheduler.nodes().find(({ key }) => key === before.key) ?? before);
  }

  api.get(
    '/api/nodes',
    { schema: { tags: ['cluster'], response: { 200: pageOf(Node), ...failures } } },
    async () => ({ items: scheduler.nodes().map(nodeView) }),
  );

  const oneNode = { tags: ['cluster'], params: NodePath, response: { 200: Node, ...failures } };
  const description = 'Takes a node out of work. What runs there goes on.';
  api.post(
    '/api/nodes/:engine/:node/drain',
    { preValidation: allowNoBody, schema: { ...oneNode, description, body: Drain } },
    ({ params, body }) => drain(params, true, body.reason),
  );
  api.post(
    '/api/nodes/:engine/:node/undrain',
    { schema: { ...oneNode, description: 'Gives a node back to work.' } },
    ({ params }) => drain(params, false),
  );
}

function findNode(nodes: readonly NodeStatus[], { engine, node }: NodePath): NodeStatus {
  const found = nodes.find((each) => each.engine === engine && each.node === node);
  if (found) return found;
  const names = nodes.slice(0, LISTED).map(({ key }) => key);
  const more = nodes.length > LISTED ? `, and ${nodes.length - LISTED} more` : '';
  const known = names.length > 0 ? `There are: ${names.join(', ')}${more}.` : 'No node is up.';
  throw new PushbroomError('NOT_FOUND', `There is no node '${engine}/${node}'. ${known}`, {
    locator: 'node',
  });
}

/** How the cluster is shared. */
export function addShareRoutes(
  app: FastifyInstance,
  { scheduler, reloadScheduling }: OperatorOptions,
): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/groups',
    {
      schema: {
        tags: ['cluster'],
        description: "The share tree, parents before their children; the root's path is empty.",
        response: { 200: pageOf(Group), ...failures },
      },
    },
    async () => ({ items: scheduler.groups().map(groupView) }),
  );

  api.get(
    '/api/scheduling',
    { schema: { tags: ['cluster'], response: { 200: Scheduling, ...failures } } },
    async () => schedulingView(scheduler.policy()),
  );
  api.post(
    '/api/scheduling/reload',
    {
      schema: {
        tags: ['cluster'],
        description: 'Reads the configuration anew and applies its section on scheduling.',
        response: { 200: Reloaded, ...failures },
      },
    },
    async () => {
      const { policy, unapplied } = await reloadScheduling();
      return { scheduling: schedulingView(policy), unapplied: [...unapplied] };
    },
  );
}
