// The hosted checkout. The card goes to the vault and comes back as a token; only the token goes to the
// payment. What the page shows after that is what the server says, never what a frame or a redirect says.
//
// The page's contract (templates/base/checkout.html, templates/components/checkout_form.html):
//
//   form[data-checkout]
//     data-tokens-url    POST {"card": {"number", "exp_month", "exp_year", "cvc"}} → {"data": {"id": "tok_…"}}:
//                        the vault's door for this page, and the only address that ever sees the card
//     data-pay-url       POST {"payment_method_token"} with an Idempotency-Key minted for this submit
//     data-session-url   GET, the truth about the session; asked while a payment is on its way
//     data-cancel-url    POST {}, the payer left the bank's check
//   Every POST carries the CSRF token of the form. All but the first answer, in the API's envelope:
//     {"status": "open" | "failed" | "processing" | "requires_action" | "completed" | "expired" | "canceled",
//      "attempt": the key of the last attempt, "next_action": {"url"}, "error": {"message", "code", "param"},
//      "return_url", "receipt": {"amount", "card", "reference", "payment", "paid_at", "verb"}}
//   failed means: this attempt failed and the session can be paid with another card.
//
//   [data-view="form|processing|completed|expired|canceled"]   one is shown, the others are hidden
//   [data-pay]            the submit button; its label is kept in data-label
//   [data-alert] > [data-alert-text]                  why the last attempt did not work
//   dialog[data-challenge] with iframe[data-challenge-frame] and button[data-challenge-cancel]
//   [data-go-on="seconds"]  where the payer goes on to when it is paid, by itself: the a[data-return];
//                         button[data-stay] ends that
//   [data-receipt="card|reference|…"]   the receipt's texts; a [data-receipt-row] without one is hidden
//   #card-number #card-expiry #card-cvc, each with an empty <p id="<id>-error"> and in aria-describedby
//   [data-brand]          the brand in words
//
// A page inside the challenge frame may post {type: "merchantry:challenge"} to this one. It is a hint to
// ask the server now and nothing else.

import { brandOf, cvcProblem, digitsOf, expiryProblem, formatExpiry, formatNumber, numberProblem, parseExpiry, rewrite } from "./card.js";

const POLL_MS = 1200;
const POLL_SLOW_MS = 4000;
const SLOW_AFTER_MS = 30000;
const CHALLENGE_LIMIT_MS = 10 * 60 * 1000;
const REQUEST_LIMIT_MS = 40000;

const TEXTS = {
  offline: "We could not reach the payment service. Nothing was charged. Check your connection and try again.",
  unsure: "The connection broke while you were paying. We are asking whether the payment went through.",
  checking: "Asking your bank…",
  closed: "You closed your bank's check, so nothing was charged. Pay again to repeat it, or use another card.",
  timeout: "Your bank's check took too long and nothing was charged. Try again, or use another card.",
  open: "The payment was not made and nothing was charged. Try again.",
  declined: "Your card was declined and nothing was charged. Try another card, or ask your bank.",
};

class Checkout {
  constructor(form) {
    this.form = form;
    this.number = form.querySelector("#card-number");
    this.expiry = form.querySelector("#card-expiry");
    this.cvc = form.querySelector("#card-cvc");
    this.button = form.querySelector("[data-pay]");
    this.dialog = document.querySelector("[data-challenge]");
    this.frame = document.querySelector("[data-challenge-frame]");
    this.busy = false;
    this.watching = 0;
    this.attempt = "";
    this.fields = new Map([
      [this.number, () => numberProblem(this.number.value)],
      [this.expiry, () => expiryProblem(this.expiry.value)],
      [this.cvc, () => cvcProblem(this.cvc.value, brandOf(this.number.value))],
    ]);
    this.bindFields();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    document.querySelector("[data-challenge-cancel]")?.addEventListener("click", () => this.leaveChallenge(TEXTS.closed));
    this.dialog?.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.leaveChallenge(TEXTS.closed);
    });
    addEventListener("message", (event) => {
      if (event.source === this.frame?.contentWindow && event.data?.type === "merchantry:challenge") this.askNow?.();
    });
    const state = form.dataset.state;
    if (state === "processing" || state === "requires_action") this.resume();
    this.button.disabled = false;
  }

  // ---- typing -------------------------------------------------------------------------------

  bindFields() {
    for (const [input, check] of this.fields) {
      input.addEventListener("blur", () => {
        if (input.value || input.getAttribute("aria-invalid")) this.mark(input, check());
      });
      input.addEventListener("input", () => {
        if (input.getAttribute("aria-invalid") && !check()) this.mark(input, "");
      });
    }
    let before = this.number.value;
    this.number.addEventListener("input", (event) => {
      rewrite(this.number, formatNumber, before, event.inputType);
      before = this.number.value;
      this.showBrand();
      const brand = brandOf(this.number.value);
      const whole = digitsOf(this.number.value).length === brand.lengths[0];
      const atEnd = this.number.selectionStart === this.number.value.length;
      if (whole && brand.id && atEnd && event.inputType === "insertText" && !numberProblem(this.number.value)) this.expiry.focus();
    });
    let beforeExpiry = this.expiry.value;
    this.expiry.addEventListener("input", (event) => {
      const deleting = event.inputType?.startsWith("delete") ?? false;
      const atEnd = this.expiry.selectionStart === this.expiry.value.length;
      if (deleting && beforeExpiry.endsWith(" / ") && atEnd) {
        this.expiry.value = digitsOf(beforeExpiry).slice(0, 1);
      } else if (atEnd) {
        this.expiry.value = formatExpiry(this.expiry.value, deleting);
      }
      beforeExpiry = this.expiry.value;
      if (atEnd && !deleting && digitsOf(this.expiry.value).length === 4 && !expiryProblem(this.expiry.value)) this.cvc.focus();
    });
    this.cvc.addEventListener("input", () => {
      this.cvc.value = digitsOf(this.cvc.value).slice(0, 4);
    });
    this.showBrand();
  }

  showBrand() {
    const brand = brandOf(this.number.value);
    for (const node of document.querySelectorAll("[data-brand]")) node.textContent = brand.name;
    this.cvc.maxLength = brand.id === "amex" ? 4 : brand.id ? 3 : 4;
    this.cvc.placeholder = brand.cvc === 4 ? "1234" : "123";
  }

  mark(input, problem) {
    const note = document.getElementById(`${input.id}-error`);
    if (note) note.textContent = problem;
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  // ---- paying -------------------------------------------------------------------------------

  async submit() {
    if (this.busy) return;
    let first = null;
    for (const [input, check] of this.fields) {
      const problem = check();
      this.mark(input, problem);
      if (problem) first ??= input;
    }
    if (first) {
      first.focus();
      return;
    }
    this.alert("");
    this.lock(true);
    let token;
    try {
      token = await this.tokenise();
    } catch (error) {
      this.refuse(error);
      return;
    }
    // Without a token the session was over before the card arrived: paid in another tab, or expired.
    if (token) await this.pay(token);
  }

  async tokenise() {
    const expiry = parseExpiry(this.expiry.value);
    const answer = await this.post(this.form.dataset.tokensUrl, {
      card: {
        number: digitsOf(this.number.value),
        exp_month: expiry.month,
        exp_year: expiry.year,
        cvc: this.cvc.value,
      },
    });
    if (answer.id) return answer.id;
    if (!answer.status) throw Object.assign(new Error("no token"), { answer });
    this.handle(answer);
    return null;
  }

  async pay(token) {
    // The token is as unique as a UUID, which browsers make on secure origins only.
    this.attempt = crypto.randomUUID?.() ?? token;
    const body = { payment_method_token: token };
    try {
      this.handle(await this.post(this.form.dataset.payUrl, body, { "Idempotency-Key": this.attempt }));
    } catch (error) {
      if (error.answer) {
        this.refuse(error);
        return;
      }
      // The request may have arrived. Only the server knows; until it answers, the payer cannot pay again.
      this.alert(TEXTS.unsure);
      this.watch({ afterBreak: true });
    }
  }

  post(url, body, headers = {}) {
    const csrf = this.form.elements.namedItem("csrfmiddlewaretoken").value;
    return send(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf, ...headers },
      body: JSON.stringify(body),
    });
  }

  handle(answer) {
    switch (answer.status) {
      case "completed":
        this.finish(answer);
        break;
      case "processing":
        this.show("processing");
        this.watch();
        break;
      case "requires_action":
        this.challenge(answer.next_action?.url);
        break;
      case "expired":
      case "canceled":
        this.closeChallenge();
        this.show(answer.status);
        break;
      default:
        this.refuse({ answer, declined: answer.status === "failed" });
    }
  }

  finish(answer) {
    this.closeChallenge();
    const receipt = answer.receipt ?? {};
    for (const node of document.querySelectorAll("[data-receipt]")) {
      const text = receipt[node.dataset.receipt] ?? "";
      node.textContent = text;
      const row = node.closest("[data-receipt-row]");
      if (row) row.hidden = !text;
    }
    this.form.reset();
    this.show("completed");
    goOn();
  }

  /** A decline or a mistake: the input stays, the reason is said, another card can be tried. */
  refuse(error) {
    this.closeChallenge();
    this.show("form");
    this.lock(false);
    if (error.declined) this.cvc.value = "";
    const problem = error.answer?.error;
    const field = { number: this.number, exp_month: this.expiry, exp_year: this.expiry, cvc: this.cvc }[
      (problem?.param ?? "").replace(/^card\./, "")
    ];
    if (field && problem.message) {
      this.mark(field, problem.message);
      field.focus();
      return;
    }
    const unsaid = error.answer?.status === "open" ? TEXTS.open : TEXTS.declined;
    this.alert(problem?.message || (error.answer ? unsaid : TEXTS.offline));
  }

  // ---- the bank's check ---------------------------------------------------------------------

  challenge(url) {
    if (!url) {
      this.refuse({ answer: {} });
      return;
    }
    this.show("form");
    this.frame.src = url;
    if (!this.dialog.open) this.dialog.showModal();
    // Not the button that leaves it, which Enter would press; nor the frame, which would keep Escape.
    this.dialog.querySelector("h2").focus();
    this.watch({ challenge: true });
  }

  closeChallenge() {
    if (!this.dialog?.open) return;
    this.dialog.close();
    this.frame.src = "about:blank";
  }

  /** The payer gave up, or took too long: the attempt is cancelled, unless it has gone through already. */
  async leaveChallenge(text) {
    if (!this.dialog?.open) return;
    this.watching += 1;
    this.closeChallenge();
    this.lock(true, TEXTS.checking);
    let answer;
    try {
      answer = await this.post(this.form.dataset.cancelUrl, {});
    } catch {
      this.alert(TEXTS.unsure);
      this.watch({ afterBreak: true });
      return;
    }
    if (answer.status === "open") {
      this.cvc.value = "";
      this.lock(false);
      this.alert(text);
    } else {
      this.handle(answer);
    }
  }

  // ---- asking the server --------------------------------------------------------------------

  async watch({ challenge = false, afterBreak = false } = {}) {
    const turn = (this.watching += 1);
    const began = Date.now();
    while (turn === this.watching) {
      const wait = Date.now() - began > SLOW_AFTER_MS ? POLL_SLOW_MS : POLL_MS;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.askNow = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (turn !== this.watching) return;
      let answer;
      try {
        answer = await send(this.form.dataset.sessionUrl, { headers: { Accept: "application/json" } });
      } catch {
        continue; // no answer changes nothing
      }
      if (turn !== this.watching) return;
      if (challenge && answer.status === "requires_action") {
        if (Date.now() - began < CHALLENGE_LIMIT_MS) continue;
        this.leaveChallenge(TEXTS.timeout);
        return;
      }
      if (answer.status === "processing") {
        this.closeChallenge();
        this.show("processing");
        continue;
      }
      const before = answer.status === "open" || (answer.status === "failed" && answer.attempt !== this.attempt);
      if (before && afterBreak) {
        // Paying had not reached the server: it is safe to try again.
        this.watching += 1;
        this.refuse({});
        return;
      }
      this.watching += 1;
      this.handle(answer);
      return;
    }
  }

  async resume() {
    this.lock(true);
    try {
      this.handle(await send(this.form.dataset.sessionUrl, { headers: { Accept: "application/json" } }));
    } catch {
      this.watch();
    }
  }

  // ---- the page -----------------------------------------------------------------------------

  lock(busy, text = "Paying…") {
    this.busy = busy;
    for (const input of this.fields.keys()) input.readOnly = busy;
    if (busy) this.button.setAttribute("aria-busy", "true");
    else this.button.removeAttribute("aria-busy");
    this.button.disabled = false;
    const label = this.button.querySelector("[data-pay-text]");
    if (label) label.textContent = busy ? text : this.button.dataset.label;
  }

  alert(text) {
    const box = document.querySelector("[data-alert]");
    if (!box) return;
    box.querySelector("[data-alert-text]").textContent = text;
    box.hidden = !text;
    if (text) box.focus();
  }

  show(name) {
    for (const view of document.querySelectorAll("[data-view]")) {
      const shown = view.dataset.view === name;
      const appeared = shown && view.hidden;
      view.hidden = !shown;
      if (appeared && name !== "form") view.querySelector("h1, h2")?.focus();
    }
  }
}

/** A paid page goes on to the shop after a while, unless the payer wants to stay. Going back does not lead here again. */
function goOn() {
  const note = document.querySelector("[data-go-on]");
  const link = document.querySelector("[data-return]");
  const stay = document.querySelector("[data-stay]");
  if (!note || !link) return;
  const text = note.textContent;
  // Text that is in the page when it appears is not announced; text that changes is.
  note.textContent = "";
  setTimeout(() => (note.textContent = text), 100);
  const timer = setTimeout(() => location.replace(link.href), Number(note.dataset.goOn) * 1000);
  stay.hidden = false;
  stay.addEventListener("click", () => {
    clearTimeout(timer);
    stay.hidden = true;
    note.textContent = "This page stays open.";
    link.focus();
  });
}

/** JSON in, JSON out, with or without the envelope. A refusal throws with the answer; silence throws without. */
async function send(url, options) {
  const answer = await fetch(url, { ...options, credentials: "same-origin", signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new Error(`no JSON from ${url}`);
  }
  const data = body.data ?? body;
  const known = typeof data.status === "string" && answer.status < 500;
  if (answer.ok || (known && options.method !== undefined && data.error)) return data;
  if (answer.status >= 500) throw new Error(`${answer.status} from ${url}`);
  throw Object.assign(new Error(String(answer.status)), { answer: data });
}

for (const form of document.querySelectorAll("form[data-checkout]")) new Checkout(form);
// Without the form the page was drawn as paid.
if (document.querySelector('[data-view="completed"]:not([hidden])')) goOn();
