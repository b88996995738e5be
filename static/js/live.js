// Keeps a page current: one element with data-live (and data-ws="ws/payments/pay_…") starts it, and every
// [data-part="name"] of the page is exchanged for its newer self. A websocket message only says that
// something changed; the page is then fetched again, so that what is shown always comes from one place,
// the server's template. Without a socket the page is asked for on a timer.

const POLL_MS = 4000;
const POLL_MAX_MS = 30000;
// A page that keeps asking would keep its session alive for ever: when nobody is there, it rests, so that
// the idle limit of the session counts as if the page were closed.
const REST_AFTER_MS = 10 * 60 * 1000;
const REFRESH_GAP_MS = 800; // a busy shop sends many messages a second
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30000;

const wsOrigin =
  document.querySelector("meta[name='ws-origin']")?.content ||
  `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;

class LivePart {
  constructor(node) {
    this.node = node;
    this.url = location.href;
    this.badge = document.querySelector("[data-live-state]");
    this.retryMs = RETRY_MIN_MS;
    this.pollMs = POLL_MS;
    this.pollTimer = 0;
    this.pending = false;
    this.connect();
    this.schedulePoll();
    this.touchedAt = Date.now();
    this.missed = false;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      this.touchedAt = Date.now();
      this.refresh();
    });
    for (const sign of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"]) {
      document.addEventListener(sign, () => this.wake(), { passive: true });
    }
  }

  connect() {
    const path = this.node.dataset.ws;
    if (!path || this.stopped) return;
    let socket;
    try {
      socket = new WebSocket(`${wsOrigin}/${path}`);
    } catch {
      return;
    }
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.retryMs = RETRY_MIN_MS;
      this.show("live");
      clearTimeout(this.pollTimer);
      this.refresh(); // what happened between the page's rendering and now
    });
    socket.addEventListener("message", () => this.refresh());
    socket.addEventListener("close", (event) => {
      this.socket = null;
      this.show("polling");
      this.schedulePoll();
      const refused = event.code >= 4400 && event.code < 4500;
      if (refused) return;
      setTimeout(() => this.connect(), this.retryMs);
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
    });
  }

  schedulePoll() {
    clearTimeout(this.pollTimer);
    this.pollTimer = setTimeout(async () => {
      if (this.socket?.readyState === WebSocket.OPEN || this.stopped) return;
      if (!document.hidden) await this.refresh();
      this.schedulePoll();
    }, this.pollMs);
  }

  wake() {
    this.touchedAt = Date.now();
    if (this.missed) {
      this.missed = false;
      this.show(this.socket?.readyState === WebSocket.OPEN ? "live" : "polling");
      this.refresh();
    }
  }

  async refresh() {
    if (Date.now() - this.touchedAt > REST_AFTER_MS) {
      this.missed = true;
      this.show("resting");
      return;
    }
    if (this.busy) {
      this.pending = true;
      return;
    }
    this.busy = true;
    try {
      const answer = await fetch(this.url, { redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 404) {
        this.stop();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      this.pollMs = POLL_MS;
      this.replace(await answer.text());
    } catch {
      this.pollMs = Math.min(this.pollMs * 2, POLL_MAX_MS);
    } finally {
      await new Promise((resolve) => setTimeout(resolve, REFRESH_GAP_MS));
      this.busy = false;
      if (this.pending) {
        this.pending = false;
        this.refresh();
      }
    }
  }

  replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const known = new Set([...document.querySelectorAll("[data-key]")].map((item) => item.dataset.key));
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = document.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!old || old.innerHTML === part.innerHTML) continue;
      if (old.closest("dialog[open]")) continue; // somebody is deciding over these figures
      if (old.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) continue;
      for (const item of part.querySelectorAll("[data-key]")) {
        if (known.size && !known.has(item.dataset.key)) item.dataset.new = "";
      }
      old.replaceWith(document.adoptNode(part));
      this.announce(part);
    }
  }

  announce(part) {
    const status = document.querySelector("[data-status]");
    if (status && part.dataset.announce) status.textContent = part.dataset.announce;
  }

  show(state) {
    if (!this.badge) return;
    this.badge.dataset.state = state;
    this.badge.textContent = { live: "Live", polling: "Updating every few seconds", resting: "Paused while you are away", ended: "Signed out" }[state];
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.pollTimer);
    this.socket?.close();
    this.show("ended");
  }
}

for (const node of document.querySelectorAll("[data-live]")) new LivePart(node);
