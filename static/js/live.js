// Keeps a page current: one element with data-live (and data-ws="ws/payments/pay_…") starts it, and every
// [data-part="name"] of the page is exchanged for its newer self. A websocket message only says that
// something changed; the page is then fetched again, so that what is shown always comes from one place,
// the server's template. Without a socket the page is asked for on a timer.
//
// An expensive part says how often it may be asked for: data-every="30" is at most twice a minute.
// It is left out of the header X-Live-Parts meanwhile, and the server need not compute it.

const POLL_MS = 4000;
const POLL_MAX_MS = 30000;
// A page that keeps asking would keep its session alive forever: without input from its user it rests,
// so that the idle limit of the session counts as if the page were closed.
const REST_AFTER_MS = 10 * 60 * 1000;
const REFRESH_GAP_MS = 800; // a busy shop sends many messages a second
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30000;
const TOO_MANY = 4429; // this person, this address or the server holds as many sockets as may be
const TOO_MANY_MS = 5 * 60 * 1000;
const WORDS = {
  live: "Updating live",
  polling: "Updating every few seconds",
  resting: "Paused while you are away",
  offline: "No connection, trying again",
  ended: "Signed out",
  gone: "Not available any more",
  moved: "You changed account",
};
const ENDS = { 401: "ended", 403: "gone", 404: "gone", 410: "gone" };

const wsOrigin =
  document.querySelector("meta[name='ws-origin']")?.content ||
  `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;

// A server that comes back is not asked by all pages at the same moment.
const jittered = (ms) => ms * (0.5 + Math.random());

class LivePart {
  constructor(node) {
    this.node = node;
    this.url = location.href;
    this.badge = document.querySelector("[data-live-state]");
    this.retryMs = RETRY_MIN_MS;
    this.pollMs = POLL_MS;
    this.pollTimer = 0;
    this.dueTimer = 0;
    this.takenAt = new Map(); // part → when it was last asked for because something had changed
    this.pending = false;
    this.failing = false;
    this.touchedAt = Date.now();
    this.missed = false;
    this.connect();
    this.schedulePoll();
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
    let openedAt = Infinity;
    try {
      socket = new WebSocket(`${wsOrigin}/${path}`);
    } catch {
      return;
    }
    this.socket = socket;
    socket.addEventListener("open", () => {
      openedAt = Date.now();
      this.showHow();
      clearTimeout(this.pollTimer);
      this.takenAt.clear();
      this.refresh(); // what happened between the page's rendering and now
      this.takenAt.clear();
    });
    socket.addEventListener("message", () => this.refresh());
    socket.addEventListener("close", (event) => {
      this.socket = null;
      if (this.stopped) return;
      this.showHow();
      this.schedulePoll();
      if (event.code === TOO_MANY) {
        setTimeout(() => this.connect(), jittered(TOO_MANY_MS));
        return;
      }
      const refused = event.code >= 4400 && event.code < 4500;
      if (refused) return;
      // One that opens and breaks again is no reason to hurry.
      if (Date.now() - openedAt > RETRY_MAX_MS) this.retryMs = RETRY_MIN_MS;
      setTimeout(() => this.connect(), jittered(this.retryMs));
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
    });
  }

  schedulePoll() {
    clearTimeout(this.pollTimer);
    this.pollTimer = setTimeout(async () => {
      if (this.stopped || (this.connected && !this.failing)) return;
      if (!document.hidden) await this.refresh();
      this.schedulePoll();
    }, this.pollMs);
  }

  get connected() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  // The names of the parts that may be asked for now; the others get a timer of their own.
  dueParts() {
    const now = Date.now();
    const due = [];
    let next = Infinity;
    for (const part of document.querySelectorAll("[data-part]")) {
      const { part: name, every } = part.dataset;
      const at = (this.takenAt.get(name) ?? 0) + Number(every ?? 0) * 1000;
      if (at > now) {
        next = Math.min(next, at);
      } else {
        due.push(name);
        if (every) this.takenAt.set(name, now);
      }
    }
    clearTimeout(this.dueTimer);
    if (next < Infinity) this.dueTimer = setTimeout(() => this.refresh(), next - now);
    return due;
  }

  wake() {
    this.touchedAt = Date.now();
    if (this.missed) {
      this.missed = false;
      this.showHow();
      this.refresh();
    }
  }

  async refresh() {
    if (this.stopped) return;
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
      await this.ask();
    } catch {
      this.failing = true;
      this.pollMs = Math.min(this.pollMs * 2, POLL_MAX_MS);
      this.showHow();
      this.schedulePoll();
    } finally {
      await new Promise((resolve) => setTimeout(resolve, REFRESH_GAP_MS));
      this.busy = false;
      if (this.pending) {
        this.pending = false;
        this.refresh();
      }
    }
  }

  async ask() {
    const due = this.dueParts();
    const answer = await fetch(this.url, { redirect: "manual", headers: { "X-Live-Parts": due.join(" ") } });
    if (answer.type === "opaqueredirect") return this.stop("ended");
    if (!answer.ok && !ENDS[answer.status]) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Tabs share one session: after a change of account or mode in another one, this address shows
    // another account's figures, which must not appear under the heading of those shown here.
    const seat = fresh.documentElement.dataset.seat;
    if (seat && seat !== document.documentElement.dataset.seat) return this.stop("moved");
    if (ENDS[answer.status]) return this.stop(ENDS[answer.status]);
    this.pollMs = POLL_MS;
    if (this.failing) {
      this.failing = false;
      this.showHow();
    }
    this.replace(fresh, due);
  }

  replace(fresh, due) {
    const known = new Set([...document.querySelectorAll("[data-key]")].map((item) => item.dataset.key));
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = document.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!old || !due.includes(part.dataset.part) || old.innerHTML === part.innerHTML) continue;
      if (old.closest("dialog[open]")) continue; // the user is deciding over these figures
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

  // How the page is kept current just now.
  showHow() {
    this.show(this.failing ? "offline" : this.connected ? "live" : "polling");
  }

  show(state) {
    if (!this.badge) return;
    this.badge.dataset.state = state;
    this.badge.textContent = WORDS[state];
  }

  stop(state) {
    this.stopped = true;
    clearTimeout(this.pollTimer);
    clearTimeout(this.dueTimer);
    this.socket?.close();
    this.show(state);
    if (state !== "moved") return;
    const notice = document.getElementById("moved-template");
    if (notice) document.querySelector("main")?.prepend(notice.content.cloneNode(true));
  }
}

for (const node of document.querySelectorAll("[data-live]")) new LivePart(node);
