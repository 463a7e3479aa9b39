// Makes the forms of the review live: nothing here is needed, all of it is quicker.
"use strict";

const UNREACHABLE = "The server does not answer. Is piccl review still running?";
const main = document.getElementById("main");
const statusBar = document.getElementById("status");
const countsLine = document.getElementById("counts");

// What the server renders escapes all text, and the page runs no script but this one.
const put = (element, html) => { element.innerHTML = html; };

const say = (text) => {
  const line = document.createElement("p");
  line.textContent = text;
  statusBar.replaceChildren(line);
};

async function ask(url, options = {}) {
  const response = await fetch(url, options).catch(() => null);
  if (response === null) throw new Error(UNREACHABLE);
  // Signed out meanwhile.
  if (response.status === 401) location.reload();
  return response;
}

// --- Actions

async function act(form, button) {
  const body = new URLSearchParams(new FormData(form));
  body.set("do", button.value);
  // The same kind of control has the focus afterwards: a key that opened photos must
  // not begin to trash them.
  const alike = links().includes(document.activeElement) ? links : buttons;
  const focused = alike().includes(document.activeElement) ? document.activeElement : button;
  const place = alike().indexOf(focused);
  const card = button.closest("[data-id]");
  card?.classList.add("leaving");
  button.disabled = true;
  try {
    const headers = { Accept: "application/json" };
    const response = await ask(form.action, { method: "POST", headers, body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    put(statusBar, answer.status);
    put(countsLine, answer.counts);
    await refresh();
  } catch (error) {
    say(error.message);
  } finally {
    card?.classList.remove("leaving");
    button.disabled = false;
    seen.update();
  }
  // A keyboard goes on where it was, with what stands there now.
  if (large.open || document.activeElement !== document.body) return;
  const now = alike();
  (now[Math.min(place, now.length - 1)] ?? main).focus({ preventScroll: place < 0 });
}

const buttons = () => [...main.querySelectorAll("button")];

// What is left of a group, what its day makes of it, how much a reason still frees:
// the server tells. Photos that are as they were stay, so that nothing flickers.
let refreshes = 0;
async function refresh() {
  const mine = ++refreshes;
  const response = await ask(location.href);
  const text = await response.text();
  if (mine !== refreshes || !response.ok) return;
  const page = new DOMParser().parseFromString(text, "text/html").getElementById("main");
  const before = new Map([...main.querySelectorAll("[data-id]")].map((card) => [card.dataset.id, card]));
  for (const card of page.querySelectorAll("[data-id]")) {
    const old = before.get(card.dataset.id);
    if (old?.outerHTML === card.outerHTML) card.replaceWith(old);
  }
  main.replaceChildren(...page.childNodes);
  seen.start();
}

document.addEventListener("submit", (event) => {
  const { target, submitter } = event;
  if (submitter?.name !== "do") return;
  event.preventDefault();
  act(target, submitter);
});

// k keeps, t trashes, u undoes, for the photo that has the focus.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  // A key that is held down would go through one photo after the other.
  if (event.repeat) return;
  const here = large.open ? large : event.target.closest("[data-id]");
  if (event.key === "k") here?.querySelector('button[value^="keep "]')?.click();
  if (event.key === "t") here?.querySelector('button[value^="trash "]')?.click();
  if (event.key === "u") statusBar.querySelector('button[value^="undo "]')?.click();
});

// --- All of a reason, once all of it was seen

const seen = {
  form: null,
  ids: new Set(),
  inSight: new Set(),
  watcher: null,

  cards: () => [...main.querySelectorAll(".may-go[data-id]")],

  start() {
    this.watcher?.disconnect();
    this.inSight.clear();
    this.form = document.querySelector("form.all");
    if (!this.form) return;
    this.form.querySelector("label").hidden = true;
    this.form.querySelector(".seen").hidden = false;
    this.watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) this.inSight.add(target);
        else this.inSight.delete(target);
      }
      this.look();
    }, { threshold: 0.5 });
    for (const card of this.cards()) this.watcher.observe(card);
    this.update();
  },

  // A place where the picture is still to come is nothing that was seen.
  look() {
    for (const card of this.inSight) {
      const picture = card.querySelector("img");
      if (picture.naturalWidth > 0 || picture.dataset.unreadable) this.ids.add(card.dataset.id);
    }
    this.update();
  },

  update() {
    if (!this.form) return;
    const cards = this.cards();
    const count = cards.filter((card) => this.ids.has(card.dataset.id)).length;
    const all = count === cards.length && count > 0;
    const button = this.form.querySelector("button");
    this.form.seen.checked = all;
    button.disabled = !all;
    button.textContent = `Trash these ${cards.length.toLocaleString("en")}`;
    // Exactly those that are still on the page.
    const verb = button.value.split(" ")[0];
    const names = cards.map((card) => card.querySelector('button[value^="trash "]').value.split(" ")[1]);
    button.value = [verb, ...names].join(" ");
    this.form.querySelector(".seen").textContent =
      `Seen ${count.toLocaleString("en")} of ${cards.length.toLocaleString("en")}`;
    this.form.hidden = cards.length === 0;
  },
};

// These do not bubble.
main.addEventListener("load", () => seen.look(), true);
main.addEventListener("error", async ({ target }) => {
  const response = await fetch(target.src, { headers: { Accept: "application/json" } }).catch(() => null);
  // The server knows why; anything else may pass.
  if (response?.status !== 404) return;
  target.dataset.unreadable = "yes";
  target.alt += `: ${(await response.json()).error}`;
  seen.look();
}, true);

// --- One photo, larger

const large = document.getElementById("large");
const links = () => [...main.querySelectorAll("a.photo")];
const idOf = (element) => element.closest("[data-id]").dataset.id;
const linkTo = (id) => links().find((link) => idOf(link) === id);

function enlarge(link, verb) {
  const { alt } = link.querySelector("img");
  const picture = large.querySelector("img");
  picture.src = link.href;
  picture.alt = alt;
  large.querySelector(".title").textContent = alt;
  large.showing = idOf(link);
  const place = links().indexOf(link);
  const ends = { "-1": place === 0, 1: place === links().length - 1 };
  for (const button of large.querySelectorAll("[data-step]")) button.disabled = ends[button.dataset.step];
  // The buttons of the photo, which act for these.
  const copies = [...link.closest("[data-id]").querySelectorAll(".actions button")].map((button) => {
    const copy = button.cloneNode(true);
    copy.type = "button";
    copy.removeAttribute("form");
    copy.disabled = false;
    copy.addEventListener("click", () => decide(button, copy));
    return copy;
  });
  large.querySelector(".photo-actions").replaceChildren(...copies);
  if (!large.open) large.showModal();
  const same = copies.find((copy) => copy.value.startsWith(`${verb} `));
  if (same) same.focus();
  else if (!large.contains(document.activeElement) || document.activeElement.disabled) large.focus();
}

function step(by) {
  const next = links()[links().indexOf(linkTo(large.showing)) + by];
  if (!next) return;
  large.querySelector(".told").textContent = "";
  enlarge(next);
}

async function decide(button, copy) {
  const shown = large.showing;
  const ids = links().map(idOf);
  const rest = ids.slice(ids.indexOf(shown) + 1);
  const verb = document.activeElement === copy ? button.value.split(" ")[0] : undefined;
  copy.disabled = true;
  await act(button.form, button);
  if (!large.open || large.showing !== shown) return;
  large.querySelector(".told").textContent = statusBar.querySelector("p")?.textContent ?? "";
  // What still offers the same was refused, and stays in sight with the reason.
  const now = linkTo(shown);
  const refused = now && [...now.closest("[data-id]").querySelectorAll("button")].some((one) => one.value === button.value);
  const next = refused ? now : rest.map(linkTo).find(Boolean) ?? links().at(-1);
  if (next) enlarge(next, verb);
  else large.close();
}

main.addEventListener("click", (event) => {
  const link = event.target.closest("a.photo");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  enlarge(link);
});

large.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) step(by);
});
large.addEventListener("click", ({ target }) => {
  if (target === large) large.close();
  if (target.dataset.step) step(Number(target.dataset.step));
});
large.addEventListener("close", () => {
  large.querySelector("img").removeAttribute("src");
  large.querySelector(".told").textContent = "";
  (linkTo(large.showing) ?? main).focus();
});

// --- Counts, also of what happens elsewhere

setInterval(async () => {
  if (document.hidden) return;
  const response = await fetch(countsLine.dataset.url).catch(() => null);
  if (response?.ok) put(countsLine, await response.text());
}, countsLine.dataset.everyS * 1000);

seen.start();
