// Fetches the page again when the service says that something has changed. Every page is whole without it.
"use strict";

(() => {
  const address = document.body.dataset.events;
  const live = document.getElementById("live");
  if (!address || !live || !window.EventSource) return;

  const say = (text) => {
    live.hidden = false;
    if (live.textContent !== text) live.textContent = text;
  };

  // Whoever writes, chooses, marks or presses something is not disturbed; the page is fetched when they are done.
  const isBusy = () => {
    // A button that is exchanged between being pressed and being let go is not clicked.
    if (document.querySelector("main :active")) return true;
    const active = document.activeElement;
    const isField = active && active.closest("main") && active.matches("input, select, textarea");
    const hasWritten = [...document.querySelectorAll("main input:not([type=hidden])")].some(
      (field) => field.value !== field.defaultValue,
    );
    return isField || hasWritten || String(document.getSelection()) !== "";
  };

  // What says where a link or button is, so that it keeps the focus although it is another one afterwards.
  const nameOf = (element) => [element.tagName, element.getAttribute("href"), element.textContent].join("|");

  const swap = (next) => {
    const main = document.querySelector("main");
    const open = new Set([...main.querySelectorAll("details")].map((d, at) => (d.open ? at : -1)));
    const active = main.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    main.replaceChildren(...next.querySelector("main").childNodes);
    main.querySelectorAll("details").forEach((details, at) => (details.open = open.has(at)));
    if (active) {
      const same = [...main.querySelectorAll("a, button, summary")].find((e) => nameOf(e) === active);
      if (same) same.focus({ preventScroll: true });
    }
    document.title = next.title;
  };

  let isFetching = false;
  let isWanted = false;

  const refresh = async () => {
    isWanted = true;
    if (isFetching || document.hidden || isBusy()) return;
    isFetching = true;
    isWanted = false;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload();
      const page = await answer.text();
      // Asked only now: whoever began to write while the page came would lose what they wrote.
      if (answer.ok && isBusy()) {
        isWanted = true;
      } else if (answer.ok) {
        swap(new DOMParser().parseFromString(page, "text/html"));
        say("Up to date");
      }
    } catch {
      say("The service does not answer");
    } finally {
      isFetching = false;
    }
  };

  const source = new EventSource(address);
  // Something may have changed between the page and this connection.
  source.addEventListener("open", () => {
    say("Up to date");
    refresh();
  });
  source.addEventListener("change", refresh);
  source.addEventListener("error", () => say("The service does not answer"));
  setInterval(() => isWanted && refresh(), 2000);
  document.addEventListener("visibilitychange", () => isWanted && refresh());
})();
