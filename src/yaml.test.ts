import { expect, test } from 'vitest';
import { parseYaml } from './yaml.ts';

const text = `# a comment
a: 1
list:
  - b: x
    c: y
  - plain
`;

test('keys and items are found where they stand', () => {
  const { content, placeOf } = parseYaml(text);
  expect(content).toEqual({ a: 1, list: [{ b: 'x', c: 'y' }, 'plain'] });
  expect(placeOf(['a'])).toBe('line 2, column 1');
  expect(placeOf(['list'])).toBe('line 3, column 1');
  expect(placeOf(['list', '0', 'c'])).toBe('line 5, column 5');
  expect(placeOf(['list', '1'])).toBe('line 6, column 5');
});

test('for what is not there, its last ancestor is named', () => {
  const { placeOf } = parseYaml(text);
  expect(placeOf(['list', '0', 'z', 'y'])).toBe('line 4, column 5');
  expect(placeOf(['list', '7'])).toBe('line 3, column 1');
  expect(placeOf(['a', 'b'])).toBe('line 2, column 1');
  expect(placeOf([])).toBe('line 1, column 1');
});

test.each([
  ['a: [1', /^line 1, column 6: /],
  ['a: 1\na: 2', /^line 2, column 1: Map keys must be unique/],
  ['a: 1\n---\nb: 2', /^line 2, column 1: .*multiple documents/],
  ['a: *b', /Unresolved alias/],
])('%j is refused', (document, message) => {
  expect(() => parseYaml(document)).toThrow(message);
});

test('an empty document has no content', () => {
  expect(parseYaml('').content).toBeNull();
  expect(parseYaml('').placeOf(['a'])).toBe('line 1, column 1');
});

test('what contains itself is refused, what is only used twice is not', () => {
  expect(() => parseYaml('a: 1\nb: &b\n  - c: *b\n')).toThrow(
    'line 3, column 8: *b is inside of what it stands for',
  );
  expect(parseYaml('a: &a { x: 1 }\nb: { y: *a }').content).toEqual({
    a: { x: 1 },
    b: { y: { x: 1 } },
  });
});
