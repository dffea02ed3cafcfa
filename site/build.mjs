// Builds the site of the working tree and, at addresses of their own, of the versions that are named:
//
//	node build.mjs [TAG...]
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { check } from "./check.mjs";

const tags = process.argv.slice(2);
const wrong = tags.find((tag) => !/^[\w.-]+$/.test(tag));
if (wrong) throw new Error(`${wrong} cannot be a folder of the site: name a tag or a commit`);
const out = path.resolve("../bin/site");
const own = { ...process.env, ASTRO_TELEMETRY_DISABLED: "1", SITE_VERSIONS: ["main", ...tags].join(" ") };

/** Builds one version, from nothing: pages that are remembered may be those of other settings. */
function build(settings) {
  rmSync(`node_modules/.astro-${settings.SITE_VERSION}`, { recursive: true, force: true });
  execFileSync("node_modules/.bin/astro", ["build", "--silent"], { stdio: "inherit", env: { ...own, ...settings } });
}

build({ SITE_VERSION: "main", SITE_OUT: out });
for (const tag of tags) {
  const root = mkdtempSync(path.join(tmpdir(), "latchkey-docs-"));
  try {
    execFileSync("sh", ["-c", 'git -C .. archive "$1" | tar -x -C "$2"', "sh", tag, root], { stdio: "inherit" });
    build({ SITE_VERSION: tag, SITE_OUT: path.join(out, tag), SITE_ROOT: root });
  } finally {
    rmSync(root, { recursive: true });
  }
}

const { pages, links, broken } = check(out, process.env.SITE_PREFIX || "/");
for (const one of broken) console.error(one);
console.log(`bin/site: ${pages} pages, ${links} links`);
if (broken.length > 0) process.exit(1);
