import { docsSchema } from "@astrojs/starlight/schema";
import { glob, type Loader } from "astro/loaders";
import { defineCollection } from "astro:content";
import { pathToFileURL } from "node:url";
import { pages, repository, root, title, version } from "../site.mjs";

const files = glob({
  base: pathToFileURL(`${root}/`),
  pattern: [...pages.keys()],
  generateId: ({ entry }: { entry: string }) => pages.get(entry)!,
});
const fileOf = new Map([...pages].map(([file, slug]) => [slug, file]));

function fail(message: string): never {
  throw new Error(message);
}

// The repository's pages have no front matter: their title is their first line.
const loader: Loader = {
  name: "repository",
  load: (context) =>
    files.load({
      ...context,
      // A page that cannot be rendered ends the build.
      logger: Object.assign(Object.create(context.logger), { error: fail, warn: fail }),
      parseData: ({ id, data, ...rest }) => {
        const file = fileOf.get(id)!;
        return context.parseData({ id, data: { title: title(file), editUrl: version === "main" && `${repository}/edit/main/${file}`, ...data }, ...rest });
      },
    }),
};

export const collections = { docs: defineCollection({ loader, schema: docsSchema() }) };
