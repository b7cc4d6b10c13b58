import { wholeNumber } from '../lib/parameters.ts';
import { announceOutput, readInputList, reportProgress, runProgram } from '../lib/program.ts';
import { writePartition } from './timescan.ts';

void runProgram(async (inputsFile, parameters) => {
  const index = wholeNumber(parameters, 'partition', 0);
  const count = wholeNumber(parameters, 'partitions', 1);
  const output = `timescan_part_${index}.tif`;
  const inputs = readInputList(inputsFile);
  if (await writePartition(inputs, output, { index, count }, reportProgress)) {
    announceOutput(output);
  }
});
