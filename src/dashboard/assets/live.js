// Fetches the page again when the service says that something has changed. Every page is whole without it.
"use strict";

(() => {
  const address = document.body.dataset.events;
  const live = document.getElementById("live");
  if (!address || !live || !window.EventSource) return;

  // How long the service may take, and how long to wait until it is asked again, in milliseconds.
  const PATIENCE = 30000;
  const AGAIN = 2000;
  const RECONNECT = 10000;

  const say = (text) => {
    live.hidden = false;
    if (live.textContent !== text) live.textContent = text;
  };

  const isChanged = (field) => {
    if (!field.matches("select")) return field.value !== field.defaultValue;
    const first = [...field.options].find((option) => option.defaultSelected) || field.options[0];
    return field.selectedOptions[0] !== first;
  };

  // A page that is being left is not loaded again: that would go before where the form leads.
  let isLeaving = false;
  addEventListener("submit", () => (isLeaving = true));
  addEventListener("pageshow", () => (isLeaving = false));

  // Whoever writes, chooses, marks or presses something is not disturbed; the page is fetched when they are done.
  const isBusy = () => {
    if (isLeaving) return true;
    // A button that is exchanged between being pressed and being let go is not clicked.
    if (document.querySelector("main button:active")) return true;
    const active = document.activeElement;
    const isField = active && active.closest("main") && active.matches("input, select, textarea");
    const fields = [...document.querySelectorAll("main :is(input, select, textarea):not([type=hidden])")];
    return isField || fields.some(isChanged) || String(document.getSelection()) !== "";
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

  // Fetches the page and shows it; false when somebody is not to be disturbed.
  const show = async () => {
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual", signal });
    const page = await answer.text();
    // Asked only now: whoever began to write while the page came would lose what they wrote.
    if (isBusy()) return false;
    if (answer.type === "opaqueredirect") {
      location.reload();
    } else if (answer.status >= 500) {
      throw new Error(`answered ${answer.status}`);
    } else {
      swap(new DOMParser().parseFromString(page, "text/html"));
      say("Up to date");
    }
    return true;
  };

  const refresh = async () => {
    isWanted = true;
    if (isFetching || document.hidden || isBusy()) return;
    isFetching = true;
    isWanted = false;
    try {
      isWanted = !(await show()) || isWanted;
    } catch {
      isWanted = true;
      say("The service does not answer");
    } finally {
      isFetching = false;
    }
  };

  const connect = () => {
    const source = new EventSource(address);
    // Something may have changed between the page and this connection.
    source.addEventListener("open", () => {
      say("Up to date");
      refresh();
    });
    source.addEventListener("change", refresh);
    source.addEventListener("error", () => {
      say("The service does not answer");
      // A browser comes back by itself from a connection that broke, but not from an answer it did not expect: from a
      // proxy while the service starts, or after the session is over, which the page then leads to.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, RECONNECT);
      refresh();
    });
  };

  connect();
  setInterval(() => isWanted && refresh(), AGAIN);
  document.addEventListener("visibilitychange", () => isWanted && refresh());
})();
