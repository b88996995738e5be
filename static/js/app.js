// Behaviour that every page shares. Pages work without it: forms submit, links lead, details open.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- toasts ---------------------------------------------------------------------------------

const TOAST_MS = 6000;

export function toast(text, tone = "ok") {
  const holder = one("[data-toasts]");
  const template = one("#toast-template");
  if (!holder || !template) return;
  const node = template.content.firstElementChild.cloneNode(true);
  one("[data-toast-text]", node).textContent = text;
  if (tone === "bad") node.classList.add("toast-bad");
  holder.append(node);
  arm(node);
}

function arm(node) {
  const timer = setTimeout(() => node.remove(), TOAST_MS);
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  one("button", node)?.addEventListener("click", () => node.remove());
}

// ---- theme ----------------------------------------------------------------------------------

async function setTheme(button) {
  const form = button.form;
  const previous = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = button.value;
  showTheme(button.value);
  const body = new FormData(form);
  body.set("theme", button.value);
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => null);
  if (!answer || (answer.status >= 400 && answer.type !== "opaqueredirect")) {
    document.documentElement.dataset.theme = previous;
    showTheme(previous);
    toast("The theme could not be saved. Try again.", "bad");
  }
}

function showTheme(theme) {
  for (const button of all("[data-theme-set]")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
}

// ---- copying and revealing ------------------------------------------------------------------

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const area = document.createElement("textarea");
    area.value = button.dataset.copy;
    area.className = "sr-only";
    (button.closest("dialog") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1600);
  const status = one("[data-status]");
  if (status) status.textContent = "Copied.";
}

function reveal(button) {
  const box = button.closest("[data-secret]");
  const hidden = box.toggleAttribute("data-hidden");
  button.setAttribute("aria-pressed", String(!hidden));
}

// ---- dialogs, menus, forms ------------------------------------------------------------------

function closeMenus(except) {
  for (const menu of all("details[data-menu][open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, a, [data-dialog-open]");
  closeMenus(event.target.closest("details[data-menu]"));
  if (event.target instanceof HTMLDialogElement && event.target.open && !event.target.hasAttribute("data-modal")) {
    const box = event.target.getBoundingClientRect();
    const outside =
      event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
    if (outside) event.target.close();
  }
  if (!target) return;
  if (target.dataset.dialogOpen) {
    event.preventDefault();
    document.getElementById(target.dataset.dialogOpen)?.showModal();
  } else if (target.hasAttribute("data-dialog-close")) {
    target.closest("dialog")?.close();
  } else if (target.dataset.copy !== undefined) {
    event.preventDefault();
    copy(target);
  } else if (target.dataset.toast) {
    toast(target.dataset.toast);
  } else if (target.hasAttribute("data-reload")) {
    location.reload();
  } else if (target.hasAttribute("data-reveal")) {
    reveal(target);
  } else if (target.hasAttribute("data-theme-set")) {
    event.preventDefault();
    setTheme(target);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details[data-menu][open]");
    if (menu) {
      menu.open = false;
      one("summary", menu)?.focus();
    }
    return;
  }
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.metaKey && !event.ctrlKey && !event.altKey) {
    const search = one("[data-search]");
    if (search?.checkVisibility()) {
      event.preventDefault();
      search.focus();
    }
  }
});

// A panel that would be cut off at the right hangs from its button's other end.
function keepInSight(box) {
  if (!box) return;
  box.removeAttribute("data-end");
  box.toggleAttribute("data-end", box.getBoundingClientRect().right > document.documentElement.clientWidth);
}

document.addEventListener("toggle", (event) => {
  const panel = event.target;
  if (panel instanceof HTMLDetailsElement && panel.open && panel.matches("[data-menu]")) {
    closeMenus(panel);
    keepInSight(one(".chip-panel", panel));
    one(".chip-panel input, .chip-panel select", panel)?.focus();
  }
}, true);

// A form that is on its way cannot be sent again. A page that comes back from the cache is unlocked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("data-no-lock")) return;
  if (form.dataset.sent !== undefined) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "";
  event.submitter?.setAttribute("aria-busy", "true");
});

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of all("form[data-sent]")) delete form.dataset.sent;
  for (const busy of all("[aria-busy]")) busy.removeAttribute("aria-busy");
});

// Empty fields of a filter form stay out of the address.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "get") return;
  const empty = all("input, select", event.target).filter((field) => field.value === "" && !field.disabled);
  for (const field of empty) field.disabled = true;
  setTimeout(() => { for (const field of empty) field.disabled = false; });
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

// ---- on arrival -----------------------------------------------------------------------------

for (const node of all(".toast")) arm(node);
for (const row of all(".segmented")) {
  const chosen = one("[aria-current]", row);
  if (chosen) row.scrollLeft = chosen.offsetLeft - row.offsetLeft - (row.clientWidth - chosen.clientWidth) / 2;
}
for (const panel of all("details[data-menu][open] > .chip-panel")) keepInSight(panel);
one("dialog[data-open-now]")?.showModal();
// A page that answered a POST takes the address of the page it shows: reloading must not repeat the act.
// The frame names the page of the form; a part of the page may name a more exact one after it.
const shownAt = all("[data-replace-url]").at(-1);
if (shownAt) history.replaceState(null, "", shownAt.dataset.replaceUrl);
one("dialog[open] [aria-invalid='true'], main [aria-invalid='true']")?.focus();
