// Follows every link of the site that stays on it: to a page, a heading, a picture, a script.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parse } from "parse5";

/** The parts of a page: its links and pictures, and the places that a link can lead to. */
function read(file) {
  const found = { links: [], places: new Set() };
  const walk = (node) => {
    for (const { name, value } of node.attrs ?? []) {
      if (name === "href" || name === "src") found.links.push(value);
      if (name === "srcset") found.links.push(...value.split(",").map((one) => one.trim().split(/\s/)[0]));
      if (name === "id") found.places.add(value);
    }
    (node.childNodes ?? []).forEach(walk);
  };
  walk(parse(readFileSync(file, "utf8")));
  return found;
}

/** How many pages and links a site has, and its broken links. */
export function check(site, prefix = "/") {
  const files = readdirSync(site, { recursive: true }).filter((name) => name.endsWith(".html") && !name.includes("pagefind/"));
  const pages = new Map(files.map((name) => [path.join(site, name), read(path.join(site, name))]));
  const broken = [];
  let links = 0;
  for (const [file, page] of pages) {
    const here = `http://site${prefix}${path.relative(site, file).replace(/index\.html$/, "")}`;
    for (const link of page.links) {
      const url = new URL(link, here);
      if (url.host !== "site" || url.protocol !== "http:") continue;
      links++;
      let target = path.join(site, decodeURIComponent(url.pathname).slice(prefix.length));
      const outside = !url.pathname.startsWith(prefix);
      if (!outside && existsSync(target) && statSync(target).isDirectory()) target = path.join(target, "index.html");
      const place = decodeURIComponent(url.hash.slice(1));
      if (outside || !existsSync(target) || (place && pages.has(target) && place !== "_top" && !pages.get(target).places.has(place))) {
        broken.push(`${path.relative(site, file)} links to ${link}, which does not exist`);
      }
    }
  }
  return { pages: pages.size, links, broken };
}
