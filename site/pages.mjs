// The pages of the site, in which part, and under which address. The pages stay where they are in the
// repository, and stay readable there.

/** The parts of the site in their order: a page's file, or a group of them. */
export const parts = [
  {
    label: "Learn",
    pages: [
      "README.md",
      { label: "Tutorials", folder: "docs/tutorials" },
      "docs/comparison.md",
      "docs/faq.md",
      "examples/shop/README.md",
      "examples/webshop/README.md",
    ],
  },
  {
    label: "Do",
    pages: [
      {
        label: "Sign users in",
        pages: ["docs/clients.md", "docs/native-apps.md", "docs/authentication.md", "docs/claims.md", "docs/holders.md", "docs/mcp.md"],
      },
      { label: "Use it from Go", pages: ["docs/go.md", "docs/frameworks.md"] },
      { label: "Move to it", pages: ["docs/from-express-session.md", "docs/from-refresh-table.md", "docs/from-scs.md", "docs/compas.md"] },
      { label: "Check tokens elsewhere", pages: ["docs/edge.md", "docs/gateways.md"] },
      {
        label: "Run it",
        pages: ["docs/checklist.md", "docs/operations.md", "docs/kubernetes.md", "docs/console.md", "docs/troubleshooting.md"],
      },
      { label: "Follow what happens", pages: ["docs/events.md", "docs/audit.md"] },
    ],
  },
  {
    label: "Look up",
    pages: [
      "docs/settings.md",
      "httpapi/problems.md",
      "clients/js/README.md",
      "clients/server-js/README.md",
      "examples/python/README.md",
      "docs/releases.md",
      "CHANGELOG.md",
      "docs/support.md",
      "SECURITY.md",
      "CONTRIBUTING.md",
    ],
  },
  {
    label: "Understand",
    pages: [
      "docs/refresh.md",
      "docs/refresh-protocol.md",
      "docs/situations.md",
      "docs/architecture.md",
      "docs/security.md",
      "docs/performance.md",
      "docs/scale.md",
      "docs/failover.md",
      "docs/mutants.md",
      "docs/dependencies.md",
    ],
  },
];

// Addresses that do not follow from the file's name.
const named = { "README.md": "index", "SECURITY.md": "security-policy", "httpapi/problems.md": "problems" };

/** The address of a page, from its file. */
export function slug(file) {
  return named[file] ?? file.replace(/^docs\//, "").replace(/\/README\.md$/, "").replace(/\.md$/, "").toLowerCase();
}

/** Every file that an entry of the parts names, where `list` tells which files a folder has. */
export function files(entry, list) {
  if (typeof entry === "string") return [entry];
  if (entry.folder) return list(entry.folder);
  return entry.pages.flatMap((one) => files(one, list));
}
