// Blocks in the language mermaid are left as they are, for the page to draw.
import { visit } from "unist-util-visit";

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

export default function diagrams() {
  return (tree) => {
    visit(tree, "code", (node, index, parent) => {
      if (node.lang !== "mermaid") return;
      const text = node.value.replace(/[&<>]/g, (character) => escapes[character]);
      parent.children[index] = { type: "html", value: `<pre class="mermaid">${text}</pre>` };
    });
  };
}
