// What a page downloads must stay small: the client alone, bundled, minified and compressed.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const limit = 6000;
const { outputFiles } = await build({ entryPoints: ["dist/index.js"], bundle: true, minify: true, format: "esm", write: false });
const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`${size} bytes compressed`);
if (size > limit) throw new Error(`over the limit of ${limit} bytes`);
