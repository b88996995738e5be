// The end of a bank's challenge, inside its frame: a hint to the payment page around it to ask the
// server now. It says nothing about the outcome, and only our own page can hear it.
if (parent !== window) parent.postMessage({ type: "merchantry:challenge" }, location.origin);
