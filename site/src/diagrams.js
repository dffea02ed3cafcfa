// Draws the page's diagrams, in the colours of the page.
import library from "mermaid/dist/mermaid.min.js?url"; // as it was published: bundling it again takes most of a build

const blocks = [...document.querySelectorAll("pre.mermaid")].map((block) => ({ block, text: block.textContent }));

let loaded;

/** The library is a script, not a module: it names itself globally. */
function load() {
  return new Promise((done, failed) => {
    document.head.append(Object.assign(document.createElement("script"), { src: library, onload: done, onerror: failed }));
  });
}

async function draw() {
  await (loaded ??= load());
  mermaid.initialize({ startOnLoad: false, theme: document.documentElement.dataset.theme === "dark" ? "dark" : "default" });
  for (const [index, { block, text }] of blocks.entries()) {
    try {
      const { svg } = await mermaid.render(`diagram-${index}`, text);
      block.innerHTML = svg;
      block.dataset.drawn = "true";
    } catch (error) {
      block.textContent = text; // still readable
      block.dataset.drawn = "false";
      console.error(error);
    }
  }
}

if (blocks.length > 0) {
  let drawing = draw();
  new MutationObserver(() => {
    drawing = drawing.then(draw);
  }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
