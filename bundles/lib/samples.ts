/** The sample types that TIFF readers agree on; `format` is TIFF's SampleFormat. */
const SAMPLE_TYPES = {
  uint8: { array: Uint8Array, format: 1, bits: 8 },
  uint16: { array: Uint16Array, format: 1, bits: 16 },
  uint32: { array: Uint32Array, format: 1, bits: 32 },
  int8: { array: Int8Array, format: 2, bits: 8 },
  int16: { array: Int16Array, format: 2, bits: 16 },
  int32: { array: Int32Array, format: 2, bits: 32 },
  float32: { array: Float32Array, format: 3, bits: 32 },
  float64: { array: Float64Array, format: 3, bits: 64 },
} as const;

export type SampleType = keyof typeof SAMPLE_TYPES;

export type SampleArray =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

export function sampleLayout(type: SampleType): { format: number; bits: number } {
  return SAMPLE_TYPES[type];
}

export function sampleTypeOf(format: number, bits: number): SampleType | undefined {
  return Object.keys(SAMPLE_TYPES)
    .filter(isSampleType)
    .find((type) => SAMPLE_TYPES[type].format === format && SAMPLE_TYPES[type].bits === bits);
}

function isSampleType(name: string): name is SampleType {
  return Object.hasOwn(SAMPLE_TYPES, name);
}

export function newSamples(type: SampleType, length: number): SampleArray {
  return new SAMPLE_TYPES[type].array(length);
}

/** The samples in the bytes, in this machine's byte order; a rest shorter than one is left out. */
export function samplesFrom(type: SampleType, bytes: Uint8Array): SampleArray {
  const samples = newSamples(type, Math.floor(bytes.length / (SAMPLE_TYPES[type].bits / 8)));
  new Uint8Array(samples.buffer).set(bytes.subarray(0, samples.byteLength));
  return samples;
}
