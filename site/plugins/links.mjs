// Links between the repository's files become links between the site's pages, or to the repository.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { visit } from "unist-util-visit";
import { base, pages, repository, root, version } from "../site.mjs";

/** The address on the site of what a page links to. It throws if there is nothing. */
export function address(from, link) {
  if (/^[a-z]+:/.test(link) || link.startsWith("#")) return link;
  const [target, anchor] = link.split("#");
  const file = path.posix.join(path.posix.dirname(from), target);
  const place = path.join(root, file);
  if (file.startsWith("..") || !existsSync(place)) throw new Error(`${from} links to ${link}, which does not exist`);
  const page = pages.get(file) ?? pages.get(`${file.replace(/\/$/, "")}/README.md`);
  const fragment = anchor ? `#${anchor}` : "";
  if (page !== undefined) return `${base}${page === "index" ? "" : `${page}/`}${fragment}`;
  return `${repository}/${statSync(place).isDirectory() ? "tree" : "blob"}/${version}/${file}${fragment}`;
}

/** The first heading is the page's title already; links are made the site's. */
export default function links() {
  return (tree, file) => {
    const from = path.relative(root, file.path).split(path.sep).join("/");
    const first = tree.children.findIndex((node) => node.type === "heading" && node.depth === 1);
    if (first >= 0) tree.children.splice(first, 1);
    visit(tree, ["link", "definition"], (node) => {
      node.url = address(from, node.url);
    });
  };
}
