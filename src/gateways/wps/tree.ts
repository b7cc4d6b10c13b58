import { element } from '../../xml.ts';
import type { Xml, XmlElement } from '../../xml.ts';

/**
 * Writes a parsed element again, with default namespaces in place of the prefixes it came with.
 *
 * @param inherited the default namespace where it is put
 */
export function writeTree(node: XmlElement, inherited = ''): Xml {
  const attributes =
    node.namespace === inherited ? node.attributes : { xmlns: node.namespace, ...node.attributes };
  const content =
    node.children.length === 0
      ? [node.ownText]
      : node.children.map((child) => writeTree(child, node.namespace));
  return element(node.name, attributes, content);
}

/** Whether there is text between elements, which `writeTree` does not keep. */
export const hasMixedContent = ({ children, ownText }: XmlElement): boolean =>
  children.length > 0 && (ownText.trim() !== '' || children.some(hasMixedContent));
