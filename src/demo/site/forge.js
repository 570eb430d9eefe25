// Keeps what is shown of the forge up to date. Every page is whole without it.
"use strict";

(() => {
  const AGAIN = 400;
  const shown = document.getElementById("shown");
  if (!shown) return;
  let last = shown.innerHTML;

  const look = async () => {
    if (document.hidden || String(document.getSelection()) !== "") return;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("shown");
    if (!next || next.innerHTML === last) return;
    last = next.innerHTML;
    const open = [...shown.querySelectorAll("details")].map((details) => details.open);
    shown.replaceChildren(...next.childNodes);
    shown.querySelectorAll("details").forEach((details, at) => (details.open = Boolean(open[at])));
  };

  // A demo that was ended does not answer; the page stays as it is.
  const again = () => setTimeout(() => look().catch(() => {}).finally(again), AGAIN);
  again();
})();
