// What the pages do beyond plain HTML: times in the viewer's zone, pages that refresh themselves, the slider.
"use strict";

const EVERY_MS = 2000;
const SLOWEST_MS = 30000;
const zone = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const text = at.toDateString() === new Date().toDateString() ? clock.format(at) : zone.format(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = zone.format(at);
  }
}

// Change only what differs, in place: so that scrolling, focus, open details and half-typed words stay.
function patch(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.id || "") !== (fresh.id || "")) {
    old.replaceWith(fresh.cloneNode(true));
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE || old.matches("[data-compare], form.filter")) return;
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  if (old.matches("input, select, textarea")) return;
  patchChildren(old, fresh);
}

const isBlank = (node) => node.nodeType === Node.TEXT_NODE && !node.data.trim();

// Children with an id keep their element wherever they move to; the others are compared in their order.
function patchChildren(old, fresh) {
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    while (at && isBlank(at) && !isBlank(wanted)) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    if (isBlank(wanted) && !(at && isBlank(at))) {
      old.insertBefore(wanted.cloneNode(), at);
      continue;
    }
    const same = wanted.id ? known.get(wanted.id) : null;
    if (same) {
      if (same !== at) old.insertBefore(same, at);
      else at = at.nextSibling;
      patch(same, wanted);
    } else if (at && !(at.id && fresh.querySelector("#" + CSS.escape(at.id)))) {
      const next = at.nextSibling;
      patch(at, wanted);
      at = next;
    } else {
      old.insertBefore(wanted.cloneNode(true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

async function refresh(main) {
  const patience = AbortSignal.timeout(SLOWEST_MS);
  const asked = { headers: { "X-Live": "1" }, redirect: "error", cache: "no-store", signal: patience };
  const answer = await fetch(location.href, asked);
  if (answer.status === 401) return location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = document.createElement("main");
  fresh.innerHTML = await answer.text();
  localise(fresh);
  patchChildren(main, fresh);
  compare(main);
}

// Look again every two seconds while somebody can see it; more and more seldom while nobody answers.
function live(main, freshness) {
  let seen = new Date();
  let wait = EVERY_MS;
  let timer = 0;
  let asking = false;

  const say = (text, lost) => {
    if (freshness.textContent !== text) freshness.textContent = text;
    freshness.classList.toggle("over", lost);
  };
  const look = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    try {
      await refresh(main);
      seen = new Date();
      wait = EVERY_MS;
      say("live", false);
    } catch {
      wait = Math.min(wait * 2, SLOWEST_MS);
      const at = clock.format(seen);
      say(`The node does not answer since ${at}. This page shows how it was then; it is asked again every ${wait / 1000} s.`, true);
    }
    asking = false;
    timer = setTimeout(look, wait);
  };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  timer = setTimeout(look, EVERY_MS);
}

function compare(root) {
  for (const figure of root.querySelectorAll("[data-compare]:not(.scripted)")) {
    figure.classList.add("scripted");
    const stage = figure.querySelector(".stage");
    const slider = figure.querySelector("input");
    const show = () => stage.style.setProperty("--cut", (slider.value) + "%");
    slider.addEventListener("input", show);
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" && !event.buttons) return;
      const box = stage.getBoundingClientRect();
      slider.value = Math.round(((event.clientX - box.left) / box.width) * 100);
      show();
    });
    show();
  }
}

// One box chooses every series of its table.
document.documentElement.classList.add("js");
document.addEventListener("change", ({ target }) => {
  if (!target.matches(".every")) return;
  for (const box of target.closest("table").querySelectorAll("input[name=series]")) box.checked = target.checked;
});

const main = document.getElementById("main");
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
localise(document);
compare(main);
if (main.hasAttribute("data-live")) live(main, document.getElementById("freshness"));
