// The download of a page must stay small: the client alone, bundled, minified and compressed; and what it does not use
// is left out.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

async function measure(what, limit, contents) {
  const { outputFiles } = await build({ stdin: { contents, resolveDir: "dist" }, bundle: true, minify: true, format: "esm", write: false });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  console.log(`${what}: ${size} bytes compressed`);
  if (size > limit) throw new Error(`over the limit of ${limit} bytes`);
}

await measure("all of the client", 6000, `export * from "./index.js"`);
await measure("one error", 300, `export { LatchkeyError } from "./index.js"`);
