import type { Command } from 'commander';
import type { Quote } from '../operator/quote-schemas.ts';
import { clientCommand, clientOf, examples, print } from './commands.ts';
import type { ClientFlags } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { readRequest } from './submit.ts';
import { columns, plural, sizeText, table } from './text.ts';

export const quoteCommand = (deps: CliDeps): Command =>
  clientCommand('quote', deps)
    .argument('<file>', 'a request as `submit` takes it (.xml, .json, .yaml)')
    .description('say what a job would cost, without running it')
    .addHelpText('after', examples('quote demo/request.xml', 'quote request.json --json'))
    .action(async (file: string, flags: ClientFlags) => {
      const { text, type } = await readRequest(file);
      const quote = await clientOf(flags, deps).send<Quote>('/api/quotes', text, type);
      print(deps, flags, quote, quoteText);
    });

const HOUR = 3_600_000;

function quoteText(quote: Quote): string {
  const { products, lowerBound, tasks, peakMemoryBytes, volumeBytes, maxCpuHours } = quote;
  const least = lowerBound ? ' or more: there was no time to count all' : '';
  const ceiling = maxCpuHours === undefined ? '' : ` of ${maxCpuHours} that it may use`;
  const facts = [
    ['Title', quote.title],
    ['Process', quote.process],
    ['Group', quote.group],
    ['Products', `${products}${least}`],
    ['Tasks', tasks],
    ['CPU hours', hoursText(quote.cpuMs)],
    ['Reserved', `${hoursText(quote.reservedCpuMs)} CPU hours${ceiling}`],
    ['Memory', `${sizeText(peakMemoryBytes)} at a task's peak`],
    ['Volume', `${sizeText(volumeBytes)} read and written`],
    ['Basis', basisText(quote)],
  ];
  const steps = quote.steps.map((step) => [
    step.step,
    step.tasks,
    hoursText(step.cpuMs),
    hoursText(step.reservedCpuMs),
    sizeText(step.peakMemoryBytes),
    sizeText(step.volumeBytes),
    step.basis,
  ]);
  const header = ['STEP', 'TASKS', 'CPU HOURS', 'RESERVED', 'MEMORY', 'VOLUME', 'BASIS'];
  return `${columns(facts)}\n${table(header, steps)}`;
}

const hoursText = (cpuMs: number): string => (cpuMs / HOUR).toFixed(2);

const basisText = ({ history: { jobs, process } }: Quote): string =>
  jobs === 0 ? 'assumed: it has not run here yet' : `the last ${plural(jobs, 'job')} of ${process}`;
