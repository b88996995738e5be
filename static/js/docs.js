// Marks in the list on the left what is being read. Without it the list is only a list.

const nav = document.querySelector("[data-spy]");
const links = new Map([...nav.querySelectorAll('a[href^="#"]')].map((link) => [link.hash.slice(1), link]));
const targets = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
let current = null;

function mark() {
  let reading = targets[0];
  for (const target of targets) {
    if (target.getBoundingClientRect().top > 120) break;
    reading = target;
  }
  const link = reading && links.get(reading.id);
  if (!link || link === current) return;
  current?.removeAttribute("aria-current");
  current = link;
  current.setAttribute("aria-current", "true");
  const box = nav.getBoundingClientRect();
  const place = current.getBoundingClientRect();
  if (place.top < box.top + 40 || place.bottom > box.bottom - 40) {
    nav.scrollTop += place.top - box.top - nav.clientHeight / 3;
  }
}

let asked = false;
addEventListener("scroll", () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    mark();
  });
}, { passive: true });

const narrow = matchMedia("(width < 860px)");
const fold = () => nav.querySelector("details").toggleAttribute("open", !narrow.matches);
narrow.addEventListener("change", fold);
fold();
mark();
