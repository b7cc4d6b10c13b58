/**
 * A managed application, as the ResourceManager's REST takes it (ResourceManagerRest.html, "Cluster Applications
 * API(Submit Application)"): a container for its master first, which asks for the others.
 */
import type { LocalResource, Order } from './protocol.ts';

export interface SubmissionOptions {
  readonly applicationId: string;
  readonly open: Extract<Order, { order: 'open' }>;
  /** Java in a container; a path of the node, or a word that its shell expands. */
  readonly java: string;
  readonly javaOptions: readonly string[];
  readonly mainClass: string;
  /** The program with its libraries, and the cluster's configuration: all in the working directory. */
  readonly resources: readonly LocalResource[];
  /** URL that the master dials. */
  readonly url: string;
  readonly secret: string;
  /** PEM of the authority of that URL. */
  readonly ca?: string;
  readonly memoryMb: number;
}

/** Of which the last is for good: containers live on with each but that. */
const MASTERS = 4;

/** Everything in the command is ours: what comes from elsewhere is an id, or in the environment. */
export function submissionOf(options: SubmissionOptions): object {
  const { applicationId, open, java, javaOptions, mainClass, resources, url, secret, ca } = options;
  const program = [...javaOptions, '-cp', "'./:./*'", mainClass, 'am', '--url', url];
  const environment = {
    PUSHBROOM_AM_SECRET: secret,
    ...(ca !== undefined && { PUSHBROOM_AM_CA: ca }),
  };
  return {
    'application-id': applicationId,
    'application-name': open.app,
    'application-type': 'PUSHBROOM',
    'application-tags': { tag: open.tags },
    queue: open.queue,
    priority: open.priority,
    'max-app-attempts': MASTERS,
    'keep-containers-across-application-attempts': true,
    resource: { memory: options.memoryMb, vCores: 1 },
    ...(open.nodeLabel !== undefined && { 'app-node-label-expression': open.nodeLabel }),
    'am-container-spec': {
      commands: {
        command: `exec ${java} ${program.join(' ')} --app ${open.app} 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr`,
      },
      environment: {
        entry: Object.entries(environment).map(([key, value]) => ({ key, value })),
      },
      'local-resources': {
        entry: resources.map(({ name, path, type, visibility, size, modifiedAt }) => ({
          key: name,
          value: { resource: path, type, visibility, size, timestamp: modifiedAt },
        })),
      },
    },
  };
}

/** What a job can be called to be a master's word: no shell takes any of it for something else. */
export const isPlainName = (name: string): boolean => /^[\w-]{1,200}$/.test(name);
