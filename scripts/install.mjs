/**
 * Installs what package-lock.json names, if that is not done yet: so that two commands do after `git clone`.
 * Plain JavaScript for Node >= 20, since the Node that runs everything else is among what is installed.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const changedAt = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs;

const installed = changedAt('node_modules/.package-lock.json');
const wanted = changedAt('package-lock.json');
if (wanted === undefined) fail('there is no package-lock.json beside package.json');
if (installed === undefined || installed < wanted) install();

function install() {
  console.error('installing dependencies: npm ci');
  const npm = spawnSync(
    'npm',
    ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      shell: process.platform === 'win32',
    },
  );
  if (npm.error) fail(`npm cannot be run: ${npm.error.message}`);
  if (npm.status !== 0) {
    fail(
      `npm ci failed (${npm.signal ?? `exit code ${npm.status}`}); its message is above, ` +
        'a complete log is where it says. Is the npm registry reachable?',
    );
  }
}

function fail(message) {
  console.error(`pushbroom: ${message}`);
  process.exit(1);
}
