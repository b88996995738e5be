// What a card number, an expiry date and a security code look like. Pure functions, no page.

const BRANDS = [
  { id: "amex", name: "American Express", pattern: /^3[47]/, lengths: [15], cvc: 4, groups: [4, 6, 5] },
  { id: "visa", name: "Visa", pattern: /^4/, lengths: [16, 13, 19], cvc: 3 },
  { id: "mastercard", name: "Mastercard", pattern: /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, lengths: [16], cvc: 3 },
  { id: "discover", name: "Discover", pattern: /^(6011|65|64[4-9])/, lengths: [16, 19], cvc: 3 },
  { id: "diners", name: "Diners Club", pattern: /^3(0[0-5]|[689])/, lengths: [14, 16], cvc: 3, groups: [4, 6, 4] },
  { id: "jcb", name: "JCB", pattern: /^35/, lengths: [16, 19], cvc: 3 },
  { id: "unionpay", name: "UnionPay", pattern: /^62/, lengths: [16, 17, 18, 19], cvc: 3 },
  { id: "maestro", name: "Maestro", pattern: /^(5018|5020|5038|5893|6304|6759|676[1-3])/, lengths: [16, 12, 13, 14, 15, 17, 18, 19], cvc: 3 },
];
const UNKNOWN = { id: "", name: "", lengths: [16, 12, 13, 14, 15, 17, 18, 19], cvc: 3 };
const PLAIN_GROUPS = [4, 4, 4, 4, 3];

export const digitsOf = (text) => text.replace(/\D+/g, "");

export function brandOf(number) {
  const digits = digitsOf(number);
  return BRANDS.find((brand) => brand.pattern.test(digits)) ?? UNKNOWN;
}

/** The number in groups: 4-4-4-4, or 4-6-5 for American Express. Digits beyond the longest form are dropped. */
export function formatNumber(text) {
  const brand = brandOf(text);
  const digits = digitsOf(text).slice(0, Math.max(...brand.lengths));
  const parts = [];
  let at = 0;
  for (const size of brand.groups ?? PLAIN_GROUPS) {
    if (at >= digits.length) break;
    parts.push(digits.slice(at, at + size));
    at += size;
  }
  return parts.join(" ");
}

/** Whether the digits pass the Luhn check (ISO/IEC 7812-1, annex B). */
export function luhn(number) {
  const digits = digitsOf(number);
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    let digit = Number(digits[digits.length - 1 - index]);
    if (index % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** "4" → "04 / ", "1227" → "12 / 27", "12/2027" → "12 / 27". Deleting is left alone, or the slash would come back. */
export function formatExpiry(text, deleting = false) {
  let digits = digitsOf(text);
  const year = /^\s*(\d{1,2})\s*[/.-]\s*(\d{4})\s*$/.exec(text);
  if (year) digits = year[1].padStart(2, "0") + year[2].slice(2);
  else if (/^\s*\d\s*\//.test(text)) digits = `0${digits}`;
  else if (/^[2-9]/.test(digits)) digits = `0${digits}`;
  digits = digits.slice(0, 4);
  if (digits.length < 2 || (digits.length === 2 && deleting)) return digits;
  return `${digits.slice(0, 2)} / ${digits.slice(2)}`;
}

export function parseExpiry(text) {
  const digits = digitsOf(text);
  if (digits.length !== 4) return null;
  return { month: Number(digits.slice(0, 2)), year: 2000 + Number(digits.slice(2)) };
}

// Each check returns an empty text, or what is wrong and what to do.

export function numberProblem(text) {
  const digits = digitsOf(text);
  if (!digits) return "Enter your card number.";
  const brand = brandOf(digits);
  if (!brand.lengths.includes(digits.length)) {
    return digits.length < brand.lengths[0] ? "The card number is too short. Check it against your card." : "The card number is too long. Check it against your card.";
  }
  return luhn(digits) ? "" : "A digit in the card number is wrong. Check it against your card.";
}

export function expiryProblem(text, now = new Date()) {
  if (!digitsOf(text)) return "Enter the expiry date, month and year.";
  const expiry = parseExpiry(text);
  if (!expiry) return "Enter the expiry date as month and year, like 04 / 29.";
  if (expiry.month < 1 || expiry.month > 12) return "The month must be between 01 and 12.";
  const months = expiry.year * 12 + expiry.month - 1;
  const current = now.getFullYear() * 12 + now.getMonth();
  if (months < current) return "This card has expired. Use another one.";
  return months > current + 12 * 25 ? "The year is too far away. Check it against your card." : "";
}

export function cvcProblem(text, brand) {
  const digits = digitsOf(text);
  const where = brand.cvc === 4 ? "on the front of your card" : "on the back of your card";
  if (!digits) return `Enter the ${brand.cvc} digits ${where}.`;
  return digits.length === brand.cvc ? "" : `The code has ${brand.cvc} digits, ${where}.`;
}

/** Rewrites an input's value and leaves the caret behind the same digit as before. */
export function rewrite(input, format, previous, inputType) {
  const caret = input.selectionStart ?? input.value.length;
  let digits = digitsOf(input.value);
  let before = digitsOf(input.value.slice(0, caret)).length;
  const removedOnlySpace = digits === digitsOf(previous) && input.value.length < previous.length;
  if (removedOnlySpace && inputType === "deleteContentBackward" && before > 0) {
    digits = digits.slice(0, before - 1) + digits.slice(before);
    before -= 1;
  } else if (removedOnlySpace && inputType === "deleteContentForward") {
    digits = digits.slice(0, before) + digits.slice(before + 1);
  }
  input.value = format(digits);
  let place = 0;
  for (let seen = 0; place < input.value.length && seen < before; place += 1) {
    if (/\d/.test(input.value[place])) seen += 1;
  }
  // After typing the last digit of a group the caret is behind the gap, ready for the next one.
  if (inputType?.startsWith("insert") && input.value[place] === " ") place += 1;
  if (before >= digits.length) place = input.value.length;
  if (document.activeElement === input) input.setSelectionRange(place, place);
}
