// Finds while one types. Everything works without it.
const form = document.querySelector("form.search"), found = document.getElementById("found");
let timer;
form?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const url = "?" + new URLSearchParams(new FormData(form));
    const asked = form.q.value, answer = await fetch(url);
    if (!answer.ok || asked !== form.q.value) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("found");
    if (page) found.replaceChildren(...page.childNodes);
    history.replaceState(null, "", url);
  }, 200);
});
// No event has reported text that was typed before this script loaded.
if (form && form.q.value !== form.q.defaultValue) form.dispatchEvent(new Event("input"));
