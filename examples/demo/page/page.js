import { Client, databaseStore } from "/latchkey/index.js";

const store = databaseStore();
const session = new Client({ issuer: `${location.origin}/sessions`, store, timeout: 4000 }); // below the service's grace
const $ = (id) => document.getElementById(id);

function note(text) {
  const line = document.createElement("li");
  line.textContent = `${new Date().toLocaleTimeString("en-GB")} ${text}`;
  $("log").prepend(line);
  while ($("log").children.length > 12) $("log").lastChild.remove();
}

/** attempt runs what a button does, and says what became of it. */
async function attempt(what, task) {
  try {
    await task();
    note(`${what}: done`);
  } catch (error) {
    note(`${what}: ${error.code ?? error.message}`);
  }
}

async function login(label) {
  const user = $("who").dataset.user || document.querySelector("#login input").value;
  const answer = await fetch("/api/login", { method: "POST", body: JSON.stringify({ user, label }) });
  return answer.json();
}

async function showCart(item) {
  const answer = await session.fetch("/api/cart", item ? { method: "POST", body: JSON.stringify({ item }) } : {});
  if (!answer.ok) throw new Error(answer.status);
  const { user, cart } = await answer.json();
  $("who").dataset.user = user;
  $("who").textContent = `${user} is signed in`;
  $("cart").replaceChildren(...cart.map((item) => Object.assign(document.createElement("li"), { textContent: item })));
}

async function showDevices() {
  const rows = (await session.devices()).map((device) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = device.client?.label ?? "a device";
    row.insertCell().textContent = new Date(device.created_at).toLocaleTimeString("en-GB");
    if (device.current) {
      row.insertCell().textContent = "this one";
    } else {
      const end = Object.assign(document.createElement("button"), { textContent: "End" });
      end.onclick = () => attempt("ending a device", () => session.endDevice(device.id).then(showDevices));
      row.insertCell().append(end);
    }
    return row;
  });
  $("devices").replaceChildren(...rows);
}

let last;
let turns = 0;
/** showTokens shows the pair that the store has, whichever tab has put it there. */
async function showTokens() {
  const kept = await store.read();
  if (!kept) return void ((last = undefined), (turns = 0));
  if (last?.id === kept.id && last.accessToken !== kept.accessToken) {
    turns++;
    note("the tokens were replaced");
  }
  last = kept;
  $("token").textContent = `…${kept.accessToken.slice(-16)}`;
  $("turns").textContent = `Replaced since this page was opened: ${turns}`;
  $("left").value = Math.max(0, 1 - (Date.now() - kept.receivedAt) / 1000 / kept.expiresIn);
}

async function showState() {
  const state = session.state();
  document.body.dataset.status = state.status;
  if (state.status === "signed-in") {
    await attempt("reading cart and devices", async () => (await showCart(), await showDevices()));
  } else if (state.status === "signed-out") {
    $("who").textContent = state.reason === "ended" ? "The session was ended elsewhere." : "Nobody is signed in.";
    delete $("who").dataset.user;
    if (state.reason) note(state.reason === "ended" ? "the session is over" : "signed out");
  }
}

document.querySelector("#login form").onsubmit = (event) => {
  event.preventDefault();
  attempt("signing in", async () => session.signIn(await login("This browser")));
};
$("add").onsubmit = (event) => {
  event.preventDefault();
  attempt(`adding: ${event.submitter.value}`, () => showCart(event.submitter.value));
};
$("another").onclick = () => attempt("signing in on another device", () => login("Another device").then(showDevices));
$("elsewhere").onclick = () => attempt("signing out elsewhere", () => session.signOutElsewhere().then(showDevices));
$("out").onclick = () => attempt("telling the service of the sign-out", () => session.signOut());
for (const button of document.querySelectorAll("#network button")) {
  button.onclick = async () => note(`the network ${await setNetwork(button.value)}`);
}

async function setNetwork(state) {
  const now = await (await fetch("/network", { method: "POST", body: state })).json();
  for (const button of document.querySelectorAll("#network button")) button.ariaPressed = String(button.value === now);
  return now;
}

session.subscribe(showState);
await setNetwork("");
await showState();
setInterval(showTokens, 200);
