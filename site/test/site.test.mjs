// The built site, as a browser has it from a server of files.
import assert from "node:assert/strict";
import { cpSync, createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { check } from "../check.mjs";
import { pages } from "../site.mjs";

const site = path.resolve("../bin/site");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm" };

/** Serves files, and has no knowledge of the site. */
const server = createServer((request, response) => {
  let file = path.join(site, decodeURIComponent(new URL(request.url, "http://site").pathname));
  if (existsSync(file) && statSync(file).isDirectory()) file = path.join(file, "index.html");
  const found = existsSync(file);
  response.writeHead(found ? 200 : 404, { "Content-Type": types[path.extname(file)] ?? "application/octet-stream" });
  found ? createReadStream(file).pipe(response) : response.end();
});

let browser, origin;
before(async () => {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  server.close();
});

const screens = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
};

/** A page, and the errors that it has met since. It may send requests only to the file server. */
async function open(context, address) {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("response", (response) => response.status() >= 400 && errors.push(`${response.url()}: ${response.status()}`));
  page.on("request", (request) => new URL(request.url()).origin === origin || /^(data|blob):/.test(request.url()) || errors.push(`asks ${request.url()}`));
  await page.goto(`${origin}/${address}`);
  return { page, errors };
}

const addresses = [...pages.values()].map((slug) => (slug === "index" ? "" : `${slug}/`));

for (const [name, screen] of Object.entries(screens)) {
  test(`${name}: every page has its title, pictures and diagrams, and fits`, async () => {
    const context = await browser.newContext(screen);
    let pictures = 0;
    let diagrams = 0;
    const { page, errors } = await open(context, "");
    for (const address of addresses) {
      await page.goto(`${origin}/${address}`);
      await page.waitForFunction(() => [...document.querySelectorAll("pre.mermaid")].every((one) => one.dataset.drawn));
      const seen = await page.evaluate(async () => {
        const images = [...document.querySelectorAll("main img")];
        for (const image of images) image.loading = "eager";
        await Promise.allSettled(images.map((image) => image.decode()));
        const drawn = [...document.querySelectorAll("pre.mermaid")];
        return {
          titles: document.querySelectorAll("h1").length,
          pictures: images.length,
          missing: images.filter((image) => !image.naturalWidth).map((image) => image.src),
          diagrams: drawn.length,
          undrawn: drawn.filter((one) => one.dataset.drawn !== "true" || !one.querySelector("svg")?.getBoundingClientRect().width).length,
          tooWide: document.documentElement.scrollWidth - innerWidth,
          theme: document.documentElement.dataset.theme,
        };
      });
      assert.deepEqual(errors, [], address);
      assert.equal(seen.titles, 1, address);
      assert.deepEqual(seen.missing, [], address);
      assert.equal(seen.undrawn, 0, address);
      assert.ok(seen.tooWide <= 0, `${address} is ${seen.tooWide} pixels wider than the window`);
      assert.equal(seen.theme, screen.colorScheme);
      pictures += seen.pictures;
      diagrams += seen.diagrams;
      if (process.env.SCREENSHOTS && ["", "refresh/", "console/", "operations/"].includes(address)) {
        await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${address.replace("/", "") || "start"}-${name}.png`) });
      }
    }
    assert.ok(pictures >= 8 && diagrams >= 8, `${pictures} pictures and ${diagrams} diagrams`);
    await context.close();
  });
}

test("the search finds pages, and leads to them", async () => {
  for (const screen of [screens.light, screens.phone]) {
    const context = await browser.newContext(screen);
    const { page, errors } = await open(context, "");
    await page.locator("site-search button[data-open-modal]").click();
    await page.locator("site-search input").fill("LATCHKEY_REFRESH_GRACE");
    const result = page.locator('site-search a[href*="/settings/"], site-search a[href*="/refresh/"]').first();
    await result.waitFor();
    if (process.env.SCREENSHOTS) await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `search-${screen.viewport.width}.png`) });
    await result.click();
    await page.waitForURL(/\/(settings|refresh)\//);
    assert.deepEqual(errors, []);
    await context.close();
  }
});

test("diagrams follow a change of the theme", async () => {
  const context = await browser.newContext(screens.light);
  const { page } = await open(context, "refresh/");
  const colours = () => page.evaluate(() => document.querySelector("pre.mermaid svg style")?.textContent);
  await page.waitForFunction(() => document.querySelector("pre.mermaid")?.dataset.drawn);
  const light = await colours();
  await page.locator("starlight-theme-select select").first().selectOption("dark");
  await page.waitForFunction((before) => document.querySelector("pre.mermaid svg style")?.textContent !== before, light);
  await context.close();
});

test("a broken link is found", () => {
  const copy = mkdtempSync(path.join(tmpdir(), "latchkey-site-"));
  try {
    mkdirSync(path.join(copy, "faq"));
    cpSync(path.join(site, "favicon.svg"), path.join(copy, "favicon.svg"));
    const page = (body) => `<!doctype html><title>x</title><h1 id="there">x</h1>${body}`;
    writeFileSync(path.join(copy, "index.html"), page('<a href="/faq/#there">1</a><a href="#there">2</a><img src="favicon.svg"><a href="https://example.com/no">3</a>'));
    writeFileSync(path.join(copy, "faq/index.html"), page('<a href="../">1</a>'));
    assert.deepEqual(check(copy), { pages: 2, links: 4, broken: [] });
    writeFileSync(path.join(copy, "faq/index.html"), page('<a href="../gone/">1</a><a href="/#gone">2</a><img src="gone.png" srcset="/gone-2.png 2x">'));
    assert.equal(check(copy).broken.length, 4);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test("each version is found from the others, and leads to its own pages", async () => {
  const versions = ["main", ...process.env.VERSIONS.split(" ").filter(Boolean)];
  const start = (version) => (version === "main" ? "/" : `/${version}/`);
  for (const version of versions) {
    const html = readFileSync(path.join(site, start(version), "refresh/index.html"), "utf8");
    const offered = [...html.matchAll(/<option value="([^"]+)"( selected)?[^>]*>([^<]+)<\/option>/g)].filter(([, , , name]) => versions.includes(name));
    assert.deepEqual([...new Set(offered.map(([, place, , name]) => `${name} at ${place}`))], versions.map((name) => `${name} at ${start(name)}`));
    assert.deepEqual([...new Set(offered.filter(([, , selected]) => selected).map(([, , , name]) => name))], [version]);
  }
  const other = versions.at(-1);
  const context = await browser.newContext(screens.light);
  const { page, errors } = await open(context, "");
  await page.locator("select:visible").filter({ hasText: other }).first().selectOption({ label: other });
  await page.waitForURL(`${origin}${start(other)}**`);
  await page.locator(`main a[href^="${start(other)}"]`).first().click();
  await page.locator("h1").waitFor();
  assert.ok(page.url().startsWith(`${origin}${start(other)}`), page.url());
  assert.deepEqual(errors, []);
  await context.close();
});
