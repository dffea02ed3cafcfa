import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const description = `${process.env.HTTPAPI}/openapi.yaml`;
const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));

test("the types are those of the service's description", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "types-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [program, , ...options] = scripts.generate.split(" ");
  options[options.length - 1] = join(folder, "openapi.ts");
  execFileSync(join("node_modules", ".bin", program), [description, ...options], { stdio: "pipe" });
  const current = types(join(folder, "openapi.ts")) === types("src/openapi.ts");
  assert.ok(current, "src/openapi.ts is stale: npm run generate");
});

/** types is a file without its comments: another wording in the description changes no type. */
function types(name) {
  return readFileSync(name, "utf8").replace(/\s*\/\*\*[\s\S]*?\*\//g, "");
}

// A new operation in the description is offered, or listed here.
const elsewhere = [
  "revokeGlobally", // for identity providers
  "listDeadEvents", "resendDeadEvents", // for operators
  "getIndex", "getDescription", "livez", "readyz", "metrics", // for programs that watch the service
];

test("every operation for backends is offered", () => {
  const source = readFileSync("src/sessions.ts", "utf8");
  const operations = [...readFileSync(description, "utf8").matchAll(/tags: \[.*internal\]\n +operationId: (\w+)/g)].map(([, name]) => name);
  assert.ok(operations.length > 15, `only ${operations.length} were found`);
  assert.deepEqual(operations.filter((name) => source.includes(`"${name}"`) === elsewhere.includes(name)), []);
});
