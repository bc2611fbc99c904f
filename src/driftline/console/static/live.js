// Keeps the page up to date: when the server says that there is something new, the page is fetched again, and only what
// differs is replaced, part by part. Where the reader is, what is open, chosen, marked or typed stays as it is.
(() => {
  "use strict";
  const sign = document.getElementById("live");
  if (!sign) return;
  const parts = (root) => [...root.querySelectorAll("[data-live]")];
  const served = new Map(parts(document).map((part) => [part.id, markup(part)]));
  let fetching = false;
  let again = false;
  let source = null;

  function markup(part) {
    // A chart's canvas and legend are ours; what was served of it is its JSON.
    return part.matches("[data-chart]") ? part.querySelector("script").textContent : part.outerHTML;
  }

  function say(state, text) {
    sign.dataset.state = state;
    sign.querySelector(".live-text").textContent = text;
  }

  function isBeingRead(part) {
    const marked = getSelection();
    return !marked.isCollapsed && marked.rangeCount > 0 && marked.getRangeAt(0).intersectsNode(part);
  }

  function replace(part, fresh) {
    if (part.matches("[data-chart]")) {
      part.querySelector("script").textContent = markup(fresh);
      document.dispatchEvent(new CustomEvent("redraw", { detail: part }));
      return;
    }
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const key = focused && (focused.hasAttribute("href") ? `[href="${CSS.escape(focused.getAttribute("href"))}"]` : focused.id && `#${CSS.escape(focused.id)}`);
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const places = [...part.querySelectorAll(".scroll")].map((one) => one.scrollTop);
    part.className = fresh.className;
    part.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    part.querySelectorAll(".scroll").forEach((one, at) => { one.scrollTop = places[at] ?? 0; });
    if (key) part.querySelector(key)?.focus({ preventScroll: true });
  }

  async function refresh() {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        location.reload();
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = new Map(parts(page).map((part) => [part.id, part]));
      const here = parts(document);
      if (here.some((part) => !fresh.has(part.id)) || fresh.size !== here.length) {
        // Another page has come of it, such as the first one with something to show.
        const place = scrollY;
        document.getElementById("main").replaceChildren(...[...page.getElementById("main").childNodes].map((node) => document.importNode(node, true)));
        served.clear();
        for (const part of parts(document)) served.set(part.id, markup(part));
        document.dispatchEvent(new CustomEvent("refreshed", { detail: document }));
        scrollTo(0, place);
      } else {
        for (const part of here) {
          const html = markup(fresh.get(part.id));
          if (html === served.get(part.id) || isBeingRead(part)) continue;
          served.set(part.id, html);
          replace(part, fresh.get(part.id));
        }
      }
      document.body.dataset.refreshed = String(Number(document.body.dataset.refreshed || 0) + 1);
    } catch {
      // The source says that the server is away, and asks again.
    } finally {
      fetching = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  }

  function listen() {
    source = new EventSource("/events");
    let lost = false;
    source.addEventListener("open", () => {
      say("live", "Live");
      // What the page still waits for may have come before anybody could say so.
      if (lost || document.querySelector("[data-pending]")) refresh();
      lost = false;
    });
    source.addEventListener("error", () => {
      lost = true;
      say("lost", "Not connected");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { source.close(); listen(); }, 5000);
    });
    source.addEventListener("change", refresh);
    source.addEventListener("alert", async () => {
      await refresh();
      const badge = document.querySelector("#nav-alerts .badge");
      document.getElementById("announce").textContent = badge ? `Open alerts: ${badge.lastChild.textContent}` : "No open alerts.";
    });
  }

  // A browser has six connections for all tabs together; one that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      refresh();
      listen();
    }
  });
  addEventListener("pagehide", () => source?.close());
  listen();
  setInterval(() => { if (document.querySelector("[data-poll]") && !document.hidden) refresh(); }, 1000);
})();
