import { QUOTATION } from '../jobs/jobs.ts';
import type { Process, ProcessInput, ProcessOutput } from '../jobs/jobs.ts';
import type { Dataset } from '../products/dataset.ts';
import { offeredAggregation } from './aggregation.ts';
import { type ParameterDescriptor, processId, type ProcessorDescriptor } from './descriptor.ts';

/** Whether a processor reads the products of a dataset. One that names no product type reads all. */
export const reads = (processor: ProcessorDescriptor, dataset: Dataset): boolean =>
  processor.inputProductTypes.length === 0 ||
  processor.inputProductTypes.some((type) => type === '*' || type === dataset.productType);

/** Descriptions are asked for with every request, and neither bundles nor datasets ever change. */
const known = new WeakMap<readonly Dataset[], WeakMap<ProcessorDescriptor, Process>>();

/** A processor as something to execute, with the inputs of specification B.5 in its order. */
export function describe(
  bundle: { readonly name: string; readonly version: string },
  processor: ProcessorDescriptor,
  datasets: readonly Dataset[],
): Process {
  const ofDatasets = known.get(datasets) ?? new WeakMap<ProcessorDescriptor, Process>();
  known.set(datasets, ofDatasets);
  const found = ofDatasets.get(processor) ?? describeAnew(bundle, processor, datasets);
  ofDatasets.set(processor, found);
  return found;
}

function describeAnew(
  bundle: { readonly name: string; readonly version: string },
  processor: ProcessorDescriptor,
  datasets: readonly Dataset[],
): Process {
  const names = datasets.filter((dataset) => reads(processor, dataset)).map(({ name }) => name);
  const aggregation = offeredAggregation(processor);
  return {
    id: processId(bundle, processor.executableName),
    title: processor.title,
    description: processor.description,
    version: processor.version,
    inputs: [
      JOB_QUOTATION,
      PRODUCTION_NAME,
      { ...INPUT_DATASET, ...(names.length > 0 && { allowed: [...new Set(names)] }) },
      MIN_DATE,
      MAX_DATE,
      ...(aggregation === undefined ? [] : [PERIOD_LENGTH, COMPOSITING_PERIOD_LENGTH]),
      REGION,
      ...parameterInputs(processor),
      ...(aggregation === undefined
        ? []
        : [
            {
              ...AGGREGATION,
              ...(aggregation.trim() !== '' && { defaultValue: aggregation.trim() }),
            },
          ]),
      outputFormat(processor.outputFormats),
    ],
    outputs: OUTPUTS,
  };
}

function parameterInputs({
  parameters,
  defaultParameters,
}: ProcessorDescriptor): readonly ProcessInput[] {
  if (parameters.length > 0) return parameters.map(toInput);
  if (defaultParameters === undefined) return [];
  return [{ ...PROCESSOR_PARAMETERS, defaultValue: defaultParameters }];
}

/** How the types of parameter descriptors are read; all others are texts. */
const TYPES: ReadonlyMap<string, ProcessInput['type']> = new Map([
  ['boolean', 'boolean'],
  ['int', 'integer'],
  ['integer', 'integer'],
  ['long', 'integer'],
  ['short', 'integer'],
  ['float', 'number'],
  ['double', 'number'],
  ['number', 'number'],
  ['date', 'date'],
]);

export function toInput(parameter: ParameterDescriptor): ProcessInput {
  const type = TYPES.get(parameter.type) ?? 'string';
  const defaultValue = parameter.defaultValue ?? (type === 'boolean' ? 'false' : undefined);
  return {
    id: parameter.name,
    title: parameter.name,
    description: parameter.description,
    type,
    ...(parameter.valueSet && { allowed: parameter.valueSet }),
    ...(parameter.valueRange && { range: parameter.valueRange }),
    ...(defaultValue !== undefined && { defaultValue }),
    required: false,
  };
}

const outputFormat = ([first, ...others]: readonly string[]): ProcessInput => ({
  id: 'outputFormat',
  title: 'Output file format',
  description: 'The desired format of the product',
  type: 'string',
  ...(first !== undefined && { allowed: [...new Set([first, ...others])], defaultValue: first }),
  required: false,
});

/** By being there it tells portals to ask for quotations (specification B.5). */
const JOB_QUOTATION: ProcessInput = {
  id: QUOTATION,
  title: 'Job Quotation',
  description: 'Flag: quotation request (true) or real request (false)',
  type: 'string',
  allowed: ['true', 'false'],
  required: false,
};

const PRODUCTION_NAME: ProcessInput = {
  id: 'productionName',
  title: 'Production name',
  description: "User's reference of the production, should be unique, generated if not given",
  type: 'string',
  required: false,
};

const INPUT_DATASET: ProcessInput = {
  id: 'inputDataSetName',
  title: 'Input data set name',
  description: 'The input dataset the processor is applied to',
  type: 'string',
  required: true,
};

const MIN_DATE: ProcessInput = {
  id: 'minDate',
  title: 'Date from',
  description: 'Start date of the period to be processed; by default that of the dataset',
  type: 'date',
  required: false,
};

const MAX_DATE: ProcessInput = {
  id: 'maxDate',
  title: 'Date to',
  description: 'End date (inclusive) of the period to be processed; by default that of the dataset',
  type: 'date',
  required: false,
};

const PERIOD_LENGTH: ProcessInput = {
  id: 'periodLength',
  title: 'Period length',
  description:
    'From the start of one aggregation period to the next: N or Nd days, Nw weeks, Nm months, Ny years; ' +
    'by default one period from minDate to maxDate',
  type: 'string',
  required: false,
};

const COMPOSITING_PERIOD_LENGTH: ProcessInput = {
  id: 'compositingPeriodLength',
  title: 'Compositing period length',
  description: 'Length of each aggregation period, by default the period length',
  type: 'string',
  required: false,
};

const REGION: ProcessInput = {
  id: 'regionWKT',
  title: 'Region WKT',
  description:
    'The spatial range as WKT, longitude first, or as lon0,lat0,lon1,lat1. ' +
    'Example: POLYGON((100 -10,100 0,110 0,110 -10,100 -10))',
  type: 'wkt',
  required: false,
};

const PROCESSOR_PARAMETERS: ProcessInput = {
  id: 'processorParameters',
  title: 'Processor parameters',
  description: 'Parameters of the processor as XML or lines key=value',
  type: 'string',
  required: false,
};

const AGGREGATION: ProcessInput = {
  id: 'spatioTemporalAggregationParameters',
  title: 'Parameters for spatio-temporal aggregation',
  description:
    'Parameters for spatio-temporal aggregation, optional, with defaults: true, false, a resolution in metres, or XML',
  type: 'string',
  required: false,
};

/** The outputs that portals look for (specification B.7.1). */
export const OUTPUTS: readonly ProcessOutput[] = [
  {
    id: 'production_result',
    title: 'Production result',
    description: 'The files that the job has made: one, or a list of them',
    type: 'complex',
    formats: [{ mediaType: 'application/octet-stream', encoding: 'base64' }],
    isList: true,
  },
  {
    id: 'result_metadata',
    title: 'Metadata OWS context XML',
    description: 'The description of the results',
    type: 'complex',
    formats: [{ mediaType: 'application/atom+xml' }],
  },
];
