// The site that is built: settings from the environment, and the repository's pages. build.mjs says which.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { files, parts, slug } from "./pages.mjs";

/** The folder whose pages are built: this repository, or an earlier version of it. */
export const root = path.resolve(process.env.SITE_ROOT || "..");
/** The version's name, and all versions that the reader can choose from, the working tree's first. */
export const version = process.env.SITE_VERSION || "main";
export const versions = (process.env.SITE_VERSIONS || version).split(" ");
const prefix = process.env.SITE_PREFIX || "/";
/** Where a version's site begins on its host. */
export const start = (name) => (name === "main" ? prefix : `${prefix}${name}/`);
export const base = start(version);
export const out = path.resolve(process.env.SITE_OUT || "../bin/site");
/** Files that are kept between builds. Pages of another version have other addresses. */
export const cache = path.resolve("node_modules", `.astro-${version}`);
export const repository = "https://github.com/latchkey-sessions/latchkey";

/** The pages of a folder below root, in the order of their names. */
function list(folder) {
  const place = path.join(root, folder);
  return existsSync(place)
    ? readdirSync(place).filter((name) => name.endsWith(".md")).sort().map((name) => `${folder}/${name}`)
    : [];
}

/** Each page's file, and its address. */
export const pages = new Map(
  parts.flatMap((part) => files(part, list)).filter((file) => existsSync(path.join(root, file))).map((file) => [file, slug(file)]),
);

for (const file of list("docs")) {
  if (pages.has(file)) continue;
  // An earlier version may have a page that was given up since. A page of this version has its place.
  if (version === "main") throw new Error(`${file} has no place on the site: name it in site/pages.mjs`);
  parts[2].pages.push(file);
  pages.set(file, slug(file));
}

/** The page's title, which is its first line. */
export function title(file) {
  const [, words] = /^# (.+)$/m.exec(readFileSync(path.join(root, file), "utf8")) ?? [];
  if (!words) throw new Error(`${file} has no title`);
  return words.replaceAll("`", "");
}

/** The parts as Starlight's sidebar has them. */
export function sidebar(entries = parts) {
  return entries.flatMap((entry) => {
    if (typeof entry === "string") return pages.has(entry) ? [{ slug: pages.get(entry) }] : [];
    const items = sidebar(files({ ...entry, pages: [] }, list).length ? list(entry.folder) : (entry.pages ?? []));
    return items.length ? [{ label: entry.label, items, collapsed: !parts.includes(entry) }] : [];
  });
}
