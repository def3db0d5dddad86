/** The same call for other programs. Keys are named, never shown. */

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The call as a program: `kind` is curl, python or javascript. */
export function snippet(kind, wanted, { withKey }) {
  const url = new URL("api/tts", document.baseURI).href;
  const file = `speech.${wanted.format === "pcm" ? "raw" : wanted.format}`;
  const body = JSON.stringify(wanted);
  return { curl, python, javascript }[kind](url, body, file, withKey);
}

function curl(url, body, file, withKey) {
  return [
    `curl --fail-with-body ${shell(url)} \\`,
    ...(withKey ? [`  -H "Authorization: Bearer $TTS_KEY" \\`] : []),
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${shell(body)} \\`,
    `  -o ${file}`,
  ].join("\n");
}

function python(url, body, file, withKey) {
  return [
    `import json`,
    ...(withKey ? [`import os`] : []),
    `import urllib.request`,
    ``,
    `body = ${body}`,
    `headers = {"Content-Type": "application/json"}`,
    ...(withKey ? [`headers["Authorization"] = f"Bearer {os.environ['TTS_KEY']}"`] : []),
    `request = urllib.request.Request(${JSON.stringify(url)}, json.dumps(body).encode(), headers)`,
    `with urllib.request.urlopen(request) as answer, open("${file}", "wb") as file:`,
    `    file.write(answer.read())`,
  ].join("\n");
}

function javascript(url, body, file, withKey) {
  return [
    `// node, as speech.mjs; in a browser, answer.blob() is for an <audio>`,
    `import { writeFile } from "node:fs/promises";`,
    ``,
    `const answer = await fetch(${JSON.stringify(url)}, {`,
    `  method: "POST",`,
    `  headers: {`,
    `    "Content-Type": "application/json",`,
    ...(withKey ? ["    Authorization: `Bearer ${process.env.TTS_KEY}`,"] : []),
    `  },`,
    `  body: JSON.stringify(${body}),`,
    `});`,
    `if (!answer.ok) throw new Error(await answer.text());`,
    `await writeFile("${file}", Buffer.from(await answer.arrayBuffer()));`,
  ].join("\n");
}
