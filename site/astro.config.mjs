import starlight from "@astrojs/starlight";
import { defineConfig } from "astro/config";
import diagrams from "./plugins/diagrams.mjs";
import links from "./plugins/links.mjs";
import { base, cache, out, repository, sidebar } from "./site.mjs";

const draw = {
  name: "diagrams",
  hooks: { "astro:config:setup": ({ injectScript }) => injectScript("page", 'import "/src/diagrams.js";') },
};

export default defineConfig({
  base,
  outDir: out,
  cacheDir: cache,
  trailingSlash: "always",
  markdown: { remarkPlugins: [links, diagrams], smartypants: false },
  integrations: [
    starlight({
      title: "Latchkey",
      description: "Login sessions in PostgreSQL.",
      sidebar: sidebar(),
      social: [{ icon: "github", label: "GitHub", href: repository }],
      components: { SocialIcons: "./src/components/Header.astro" },
      expressiveCode: { shiki: { langAlias: { caddyfile: "nginx", haproxy: "nginx", cron: "sh" } } },
      customCss: ["./src/site.css"],
      tableOfContents: { minHeadingLevel: 2, maxHeadingLevel: 3 },
      lastUpdated: false,
      credits: false,
      disable404Route: false,
    }),
    draw,
  ],
});
