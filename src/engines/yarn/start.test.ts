import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Assignment } from '../../runner/assignment.ts';
import { ASSIGNMENT_GZIP_VARIABLE, readAssignment } from '../../runner/hand-over.ts';
import { attemptOf, requestOf } from './ids.ts';
import { checkNodePath, containerAssignment, packed, startOf } from './start.ts';

const assignment = (parameters: Record<string, string> = {}): Assignment => ({
  attemptId: 'job.1.1',
  bundle: { name: 'b', version: '1', hash: 'h', archive: '/srv/b.zip' },
  executables: { main: 'x-process' },
  step: 'process',
  input: 'hdfs://c/in.tif',
  parameters,
  directories: {
    cache: '/c',
    scratch: '/s',
    collected: '/s/collected',
    result: 'hdfs://c/results/1',
    log: '/l',
  },
  limits: { wallTime: 1, silence: 1, memoryMb: 1, outputBytes: 1 },
  isolation: 'none',
  checksum: false,
});

/** As YARN does it (`ContainerLaunch.UnixShellScriptBuilder`): values and command in double quotes. */
function throughShell(environment: Readonly<Record<string, string>>, command: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'start-'));
  try {
    const exports = Object.entries(environment).map(
      ([name, value]) => `export ${name}="${value}"\n`,
    );
    const script = join(directory, 'launch.sh');
    writeFileSync(script, `#!/bin/bash\n${exports.join('')}exec /bin/bash -c "${command}"\n`);
    return execFileSync('/bin/bash', [script], { encoding: 'utf8', cwd: directory });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('a container’s start', () => {
  test('survives the shell, whatever the assignment holds', async () => {
    const evil = fc.constantFrom('"', '$HOME', '`id`', '\\', '\n', "'", '$(id)', '!!', 'é', '\0');
    const hard = fc.array(evil).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(hard, async (value) => {
        const wanted = assignment({ [value]: value });
        const { environment } = startOf(packed(wanted)!, { resources: [] });
        const said = throughShell(environment, `printf %s \\$${ASSIGNMENT_GZIP_VARIABLE}`);
        expect(await readAssignment({ [ASSIGNMENT_GZIP_VARIABLE]: said })).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });

  test('has a command of fixed words', () => {
    const { commands } = startOf('x', { nodePath: '/opt/node', resources: [] });
    expect(commands).toEqual([
      'exec /opt/node --max-semi-space-size=1 runner.cjs 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr',
    ]);
    expect(startOf('x', { resources: [] }).commands[0]).toMatch(/^exec [.]\/node /);
  });

  test('needs a file where the environment has no room', () => {
    const noise = Array.from({ length: 100_000 }, () => Math.random().toString(36)).join('');
    expect(packed(assignment({ noise }))).toBeUndefined();
    const file = {
      name: 'assignment.json',
      path: '/a',
      type: 'FILE',
      visibility: 'APPLICATION',
      size: 1,
      modifiedAt: 2,
    } as const;
    const { environment, resources } = startOf(file, { resources: [] });
    expect(environment).toMatchObject({ PUSHBROOM_ASSIGNMENT_FILE: './assignment.json' });
    expect(resources).toEqual([file]);
  });

  test('keeps everything of the attempt in its working directory', () => {
    const { bundle, directories, isolation } = containerAssignment(assignment(), 'bubblewrap');
    expect(bundle.unpacked).toBe('./bundle');
    expect(directories).toEqual({
      cache: './cache',
      scratch: './scratch',
      result: 'hdfs://c/results/1',
      log: '/l',
    });
    expect(isolation).toBe('bubblewrap');
  });

  test.each(['/opt/node 24/node', '/opt/$X', '/o"', '/o`', 'node', '/o\n', '/o;id', '/o&'])(
    'refuses the path %j of Node',
    (path) => {
      expect(() => checkNodePath(path)).toThrow('engines.yarn.node');
    },
  );
});

describe('a request’s id', () => {
  test('tells its attempt', () => {
    const number = fc.nat(2 ** 31);
    fc.assert(
      fc.property(number, fc.integer({ min: 1, max: 2 ** 20 - 1 }), (task, attempt) => {
        const { job, request } = requestOf(`job.${task}.${attempt}`)!;
        expect(attemptOf(job, request)).toBe(`job.${task}.${attempt}`);
      }),
    );
  });

  test.each(['job', 'job.0.0', 'job.1.1048576', `job.${2 ** 40}.1`])(
    'is not there for %s',
    (id) => {
      expect(requestOf(id)).toBeUndefined();
    },
  );
});
