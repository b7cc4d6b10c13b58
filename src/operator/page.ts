import { escapeXml } from '../xml.ts';
import type { OperatorOptions } from './options.ts';

const SHOWN = 50;

const row = (cells: readonly (string | number)[]): string =>
  `<tr>${cells.map((cell) => `<td>${escapeXml(String(cell))}</td>`).join('')}</tr>`;

/** What an operator sees first: how much there is of what, the newest jobs and where everything else is. */
export async function startPage(options: OperatorOptions): Promise<string> {
  const active = await options.jobs.list({ states: ['accepted', 'running'], limit: 1000 });
  const newest = await options.jobs.list({ limit: SHOWN });
  const jobs = newest.items.map(
    ({ job, state, percent }) =>
      `<tr><td><a href="/api/jobs/${encodeURIComponent(job.id)}">${escapeXml(job.id)}</a></td>` +
      row([state, `${Math.floor(percent)} %`, job.title, job.user]).slice('<tr>'.length),
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Pushbroom</title>
<h1>Pushbroom ${escapeXml(options.version)}</h1>
<table>
${row(['Active jobs', `${active.items.length}${active.next === undefined ? '' : ' or more'}`])}
${row(['Nodes', options.scheduler.nodes().length])}
${row(['Bundles', options.registry.bundles().length])}
${row(['Datasets', options.datasets.length])}
</table>
<p>
<a href="/api/jobs">Jobs</a> · <a href="/api/nodes">Nodes</a> · <a href="/api/engines">Engines</a> ·
<a href="/api/groups">Groups</a> · <a href="/api/processors">Processors</a> ·
<a href="/api/datasets">Datasets</a> · <a href="/api/openapi.json">OpenAPI</a> · <a href="/health">Health</a>
</p>
<h2>Newest jobs</h2>
<table>
<tr><th>Job</th><th>State</th><th>Done</th><th>Title</th><th>User</th></tr>
${jobs.join('\n')}
</table>
</html>
`;
}
